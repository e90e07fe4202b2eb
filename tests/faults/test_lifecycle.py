"""Containers and the driver come and go in every order; what was printed arrives all the same."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from otellogdriver.journal.cursor import Cursor
from otellogdriver.journal.layout import MAIN
from tests.fakes.behaviour import hang, ok
from tests.fakes.engine import Container, Engine, pieces
from tests.fakes.server_thread import ServerThread
from tests.faults.conftest import MakeEngine
from tests.scene import files, in_pipe, lines, number, until

TOLERANCE = 2.0
"""What a promise of "well under a second" may take on a machine that is busy with something else."""


def arrived(collector: ServerThread, container: str) -> list[int]:
    return [number(record.body) for record in collector.server.records(container)]


def all_arrive(collector: ServerThread, container: str, count: int) -> None:
    """All lines are there; after a crash some may be there twice."""
    until(lambda: len(set(arrived(collector, container))) == count, what=f"{count} lines")
    assert sorted(set(arrived(collector, container))) == list(range(count))


def segments(engine: Engine) -> list[Path]:
    return sorted(path for path in files(engine.state) if path.suffix == ".log")


def clone(container: Container) -> Container:
    """Another FIFO of the same container, as a restart of the engine with live-restore makes."""
    other = container.engine.container()
    other.id, other.info = container.id, container.info
    return other


# FIFOs


def test_two_fifos_of_one_container_at_once(engine: Engine, collector: ServerThread) -> None:
    first = engine.container()
    second = clone(first)
    for container in (first, second):
        assert container.start() == {"Err": ""}
    first.write(lines(0, 100))
    second.write(lines(100, 200))
    collector.reach(records=200)
    assert first.stop() == {"Err": ""}
    second.write(lines(200, 300))
    until(lambda: len(second.logs()) == 300, what="both in `docker logs`, one after the other")
    second.stop()
    all_arrive(collector, first.id, 300)
    assert engine.metric("otellogdriver_open_streams") == 0


def test_a_fifo_that_ends_without_stop_is_finished_and_removed(engine: Engine, collector: ServerThread) -> None:
    container = engine.container()
    container.start()
    container.write(lines(0, 100) + pieces(b"00000100 last words", ended=False))
    until(lambda: segments(engine))
    os.close(container.fd)
    container.fd = -1
    all_arrive(collector, container.id, 101)
    until(lambda: not os.path.exists(container.file))
    assert engine.metric("otellogdriver_open_streams") == 0
    assert engine.call("LogDriver.StopLogging", {"File": container.file}) == {"Err": ""}


def test_a_container_that_prints_nothing_leaves_nothing(engine: Engine) -> None:
    """As `docker logs` of a stopped container makes; also of one that has printed before."""
    for _ in range(3):
        container = engine.container()
        container.start()
        container.stop()
    until(lambda: not list(files(engine.state)))
    printed = engine.container()
    printed.start()
    printed.write(lines(0, 10))
    until(lambda: segments(engine))
    printed.stop()
    before = sorted(files(engine.state))
    silent = clone(printed)
    silent.start()
    assert len(silent.logs()) == 10
    silent.stop()
    until(lambda: set(files(engine.state)) >= set(before) and len(list(files(engine.state))) <= len(before) + 2)
    assert len(clone(printed).logs()) == 10


def test_stale_fifos_are_removed_after_the_start(make_engine: MakeEngine, collector: ServerThread) -> None:
    engine = make_engine(collector=collector, start=False)
    stale = [engine.container() for _ in range(5)]
    for container in stale:
        os.close(container.fd)
        container.fd = -1
    strangers = [engine.fifos / "not-a-fifo", engine.fifos / ("e" * 64)]
    for stranger in strangers:
        stranger.write_text("?")
    engine.start()
    until(lambda: not any(os.path.exists(container.file) for container in stale))
    assert all(stranger.exists() for stranger in strangers)
    until(lambda: engine.metric("otellogdriver_open_streams") == 0)


def test_a_fifo_whose_state_is_lost_is_read_and_handed_over_when_the_engine_tells(
    engine: Engine, collector: ServerThread
) -> None:
    container = engine.container()
    container.start()
    engine.kill()
    shutil.rmtree(engine.state)
    container.write(lines(0, 100))
    engine.start()
    all_arrive(collector, "unknown", 100)
    assert "belongs to no known container" in engine.log()
    assert container.start() == {"Err": ""}  # the engine repeats what was not answered
    container.write(lines(0, 50))
    container.stop()
    all_arrive(collector, container.id, 50)
    assert len(container.logs()) == 50


def test_start_logging_repeated_is_one_stream(engine: Engine, collector: ServerThread) -> None:
    container = engine.container()
    for _ in range(3):
        assert container.start() == {"Err": ""}
    container.write(lines(0, 10))
    collector.reach(records=10)
    assert container.start() == {"Err": ""}
    assert engine.metric("otellogdriver_open_streams") == 1
    container.stop()
    assert arrived(collector, container.id) == list(range(10))


# The driver


def test_a_second_driver_waits_until_the_first_one_is_gone(make_engine: MakeEngine, collector: ServerThread) -> None:
    """Two would take the bytes of each FIFO apart."""
    first = make_engine(collector=collector)
    container = first.container()
    container.start()
    second = make_engine(collector=collector, root=first.root, start=False)
    second.log_path = first.root / "second.log"
    second.launch()
    until(lambda: "another driver answers" in second.log())
    container.write(lines(0, 1000))
    all_arrive(collector, container.id, 1000)
    first.terminate()
    container.write(lines(1000, 2000))
    all_arrive(collector, container.id, 2000)
    assert "another driver" not in first.log()
    until(lambda: second.call("LogDriver.StopLogging", {"File": container.file}) == {"Err": ""})


def test_sigterm_with_a_collector_that_hangs(engine: Engine, collector: ServerThread) -> None:
    collector.server.default = hang()
    containers = [engine.container(f"c{index}") for index in range(20)]
    for container in containers:
        container.start()
        container.write(lines(0, 500))
    collector.reach(requests=1)
    assert until(lambda: engine.terminate() == 0) < 5
    for container in containers:
        container.write(lines(500, 600))  # nobody reads it now
    collector.server.default = ok()
    engine.start()
    for container in containers:
        container.write(lines(600, 700))
        container.stop()
    for container in containers:
        all_arrive(collector, container.id, 700)


def test_stop_is_answered_at_once_whatever_the_collector_does(engine: Engine, collector: ServerThread) -> None:
    collector.server.default = hang()
    containers = [engine.container(f"c{index}") for index in range(10)]
    for container in containers:
        container.start()
        container.write(lines(0, 2000, size=1000))
    slowest = max(until(lambda container=container: container.stop() == {"Err": ""}) for container in containers)  # type: ignore[misc]
    assert slowest < TOLERANCE
    engine.kill()
    collector.server.default = ok()
    engine.start()
    for container in containers:
        all_arrive(collector, container.id, 2000)


def test_a_wrong_endpoint_is_mended_by_a_restart(make_engine: MakeEngine, collector: ServerThread) -> None:
    engine = make_engine({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
    running, stopped, own = engine.container(), engine.container(), engine.container(options={"service-name": "own"})
    for container in (running, stopped, own):
        container.start()
        container.write(lines(0, 100))
    stopped.stop()
    engine.terminate()
    engine.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.server.endpoint
    engine.start()
    for container in (running, stopped, own):
        all_arrive(collector, container.id, 100)
    assert "own" in {record for request in collector.server.requests for record in _service_names(request.body)}


def _service_names(body: bytes) -> set[str]:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    return {
        attribute.value.string_value
        for resource in ExportLogsServiceRequest.FromString(body).resource_logs
        for attribute in resource.resource.attributes
        if attribute.key == "service.name"
    }


@pytest.mark.measures
def test_ready_soon_after_a_crash_with_a_hundred_open_streams(engine: Engine, collector: ServerThread) -> None:
    engine.kill()
    alone = engine.start()
    collector.down()
    containers = [engine.container(f"c{index}") for index in range(100)]
    for container in containers:
        container.start()
        container.write(lines(0, 1000, size=200))
    until(lambda: engine.metric("otellogdriver_driver_read_bytes_total") > 100 * 1000 * 200)
    engine.kill()
    with_streams = engine.start()
    print(f"ready after {alone:.2f} s alone, {with_streams:.2f} s with 100 streams")
    assert with_streams - alone < max(1.0, 2 * alone)  # alone it is 0.3 s on a machine that has nothing else to do
    assert engine.metric("otellogdriver_open_streams") == 100
    collector.up()
    for container in containers:
        container.write(lines(1000, 1001))
    collector.reach(records=100 * 1001, within=30)
    found: dict[str, set[int]] = {container.id: set() for container in containers}
    for record in collector.server.records():
        found[record.container].add(number(record.body))
    assert all(numbers == set(range(1001)) for numbers in found.values())


def test_lines_printed_while_the_driver_is_down_are_not_dropped_by_a_small_limit(
    engine: Engine, collector: ServerThread
) -> None:
    """What is kept for `docker logs` is far more than what may wait; at the start it must not count."""
    container = engine.container(options={"journal-max-size": "64k", "journal-full": "drop-newest"})
    container.start()
    for begin in range(0, 2000, 200):
        container.write(lines(begin, begin + 200, size=150))
        collector.reach(records=begin + 200)
        until(lambda: engine.metric("otellogdriver_driver_undelivered_bytes") == 0)
    folder = segments(engine)[0].parent
    printed = sum(path.stat().st_size for path in segments(engine))
    until(lambda: Cursor(folder / MAIN).position.offset == printed)
    engine.kill()
    container.write(lines(2000, 2300, size=150))
    engine.start()
    container.stop()
    all_arrive(collector, container.id, 2300)
    assert engine.metric("otellogdriver_dropped_lines_total") == 0


def test_a_journal_that_lost_its_last_bytes_goes_on_behind_them(engine: Engine, collector: ServerThread) -> None:
    """As after a power cut: the cursor was written, the lines were not."""
    container = engine.container()
    container.start()
    container.write(lines(0, 1000))
    collector.reach(records=1000)
    until(lambda: engine.metric("otellogdriver_undelivered_bytes") == 0)
    engine.kill()
    os.truncate(segments(engine)[0], 100)
    container.write(lines(1000, 1100))
    engine.start()
    container.write(lines(1100, 1200))
    container.stop()
    until(lambda: arrived(collector, container.id)[-1] == 1199)
    assert arrived(collector, container.id) == list(range(1200))


DAMAGED = (
    "",
    "{",
    '{"version":1,"file":"/nowhere","info":{"Config":"text"}}',
    '{"version":1,"file":"/nowhere","info":{"Config":{"a":5},"ContainerEnv":7,"ContainerName":[]}}',
    '{"version":1,"file":"\\u0000","info":{}}',
    '{"version":1,"file":"/etc/hostname","info":{}}',
)
"""What may be found in a meta.json."""


def test_damaged_streams_do_not_keep_the_others_waiting(engine: Engine, collector: ServerThread) -> None:
    collector.down()
    whole = [engine.container(f"whole{index}") for index in range(2)]
    damaged = [engine.container(f"damaged{index}") for index in range(len(DAMAGED))]
    for container in (*whole, *damaged):
        container.start()
        container.write(lines(0, 100))
    written = len(lines(0, 100)) * (len(whole) + len(damaged))
    until(lambda: sum(segment.stat().st_size for segment in segments(engine)) == written)
    engine.kill()
    for container, meta in zip(damaged, DAMAGED, strict=True):
        next(path for path in files(engine.state / "containers" / container.id) if path.suffix == ".json").write_text(
            meta
        )
    engine.start()
    collector.up()
    for container in (*whole, *damaged):
        container.write(lines(100, 200))
    for container in whole:
        container.stop()
        all_arrive(collector, container.id, 200)
    # The first lines go out under the container's id; the FIFO is read, at the latest as an orphan's.
    for container in damaged:
        until(lambda container=container: set(range(100)) <= set(arrived(collector, container.id)))  # type: ignore[misc]
        until(lambda container=container: in_pipe(container.fd) == 0)  # type: ignore[misc]
    until(lambda: collector.server.taken >= 200 * 8)
    assert os.path.exists("/etc/hostname")


def test_log_opts_that_are_no_longer_valid_do_not_stop_a_running_container(
    engine: Engine, collector: ServerThread
) -> None:
    """As after an upgrade that knows an option no more."""
    container = engine.container(options={"service-name": "shop"})
    container.start()
    container.write(lines(0, 10))
    collector.reach(records=10)
    engine.kill()
    for path in files(engine.state):
        if path.name == "meta.json":
            told: dict[str, Any] = json.loads(path.read_text())
            told["info"]["Config"]["no-such-option"] = "x"
            path.write_text(json.dumps(told))
    engine.start()
    container.write(lines(10, 20))
    container.stop()
    all_arrive(collector, container.id, 20)
    assert "no-such-option" in engine.log()
