"""A second destination that is dead: the other one gets every line at once, and nobody waits.

What the dead one misses beyond the limits is counted; the rest arrives there when it is back.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.engine import Container, Engine
from tests.fakes.server_thread import ServerThread
from tests.faults.conftest import MakeEngine
from tests.scene import lines, number, until

LINE = 150
POLICIES = ("drop-oldest", "drop-newest", "block")
MORE_THAN_BAYS = 250
"""Ended streams of which some wait on disk alone."""


@pytest.fixture
def mirror() -> Iterator[ServerThread]:
    """It is down."""
    with ServerThread() as server:
        server.down()
        yield server


def arrived(server: ServerThread, container: Container) -> list[int]:
    """The numbers of the lines that arrived, which must be in order and not come twice."""
    found = [number(record.body) for record in server.server.records(container.id)]
    assert found == sorted(set(found))
    return found


def missed(engine: Engine, container: Container) -> int:
    return int(engine.metric("otellogdriver_dropped_lines_total", container_id=container.id, reason="journal_full"))


@pytest.mark.parametrize("policy", POLICIES)
def test_a_dead_mirror_costs_the_main_destination_nothing(
    make_engine: MakeEngine, collector: ServerThread, mirror: ServerThread, policy: str
) -> None:
    engine = make_engine(collector=collector)
    options = {"journal-max-size": "256k", "journal-full": policy, "otlp-mirror": mirror.server.endpoint}
    container = engine.container(options=options)
    container.start()
    for begin in range(0, 8_000, 1000):
        container.write(lines(begin, begin + 1000, size=LINE))
        collector.reach(records=begin + 1000, within=30)
    assert arrived(collector, container) == list(range(8_000))
    until(lambda: engine.metric("otellogdriver_undelivered_bytes", container_id=container.id) < 600 << 10)
    assert engine.metric("otellogdriver_blocked_streams") == 0
    mirror.up()
    container.stop()
    until(lambda: len(arrived(mirror, container)) + missed(engine, container) == 8_000)
    assert missed(engine, container) > 3_000


def test_nor_at_the_limit_of_the_whole_driver(
    make_engine: MakeEngine, collector: ServerThread, mirror: ServerThread
) -> None:
    engine = make_engine({"OTELLOGDRIVER_JOURNAL_TOTAL_MAX_SIZE": "600k"}, collector)
    mirrored = {"otlp-mirror": mirror.server.endpoint}
    containers = [engine.container(policy, {"journal-full": policy, **mirrored}) for policy in POLICIES]
    for container in containers:
        container.start()
    for begin in range(0, 6_000, 500):
        for container in containers:
            container.write(lines(begin, begin + 500, size=LINE))
        collector.reach(records=3 * (begin + 500), within=30)
    for container in containers:
        assert arrived(collector, container) == list(range(6_000))
        assert missed(engine, container) > 0
    assert "total limit" not in engine.log()
    mirror.up()
    for container in containers:
        container.stop()
        until(lambda: len(arrived(mirror, container)) + missed(engine, container) == 6_000)  # noqa: B023


def test_a_restart_keeps_what_the_mirror_has_not_had(
    make_engine: MakeEngine, collector: ServerThread, mirror: ServerThread
) -> None:
    engine = make_engine(collector=collector)
    options = {"journal-max-size": "256k", "journal-full": "block", "otlp-mirror": mirror.server.endpoint}
    container = engine.container(options=options)
    container.start()
    for begin in range(0, 1_500, 500):
        container.write(lines(begin, begin + 500, size=LINE))
        collector.reach(records=begin + 500)
    until(lambda: engine.metric("otellogdriver_delivered_records_total") == 1_500)
    engine.terminate()
    engine.start()
    for begin in range(1_500, 3_000, 500):
        container.write(lines(begin, begin + 500, size=LINE))
        collector.reach(records=begin + 500)
    assert arrived(collector, container) == list(range(3_000))
    mirror.up()
    container.stop()
    until(lambda: len(arrived(mirror, container)) + missed(engine, container) == 3_000)
    assert arrived(mirror, container)[-1] == 2_999


@pytest.mark.parametrize("dead", ["main", "mirror"])
def test_many_short_containers_reach_the_destination_that_is_well(make_engine: MakeEngine, dead: str) -> None:
    with ServerThread() as main, ServerThread() as mirror:
        servers = {"main": main, "mirror": mirror}
        down, well = servers.pop(dead), next(iter(servers.values()))
        down.down()
        engine = make_engine(collector=main)
        for index in range(MORE_THAN_BAYS):
            container = engine.container(options={"otlp-mirror": mirror.server.endpoint})
            container.start()
            container.write(lines(index, index + 1))
            container.stop()
        well.reach(records=MORE_THAN_BAYS, within=30)
        down.up()
        down.reach(records=MORE_THAN_BAYS, within=30)
        for server in (main, mirror):
            numbers = [number(record.body) for record in server.server.records()]
            assert sorted(numbers) == list(range(MORE_THAN_BAYS))
        until(lambda: engine.metric("otellogdriver_driver_undelivered_bytes") == 0)
        assert engine.metric("otellogdriver_driver_dropped_lines_total") == 0
