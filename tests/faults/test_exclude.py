"""The label `otellogdriver.exclude`: a container's lines are there for `docker logs`, and nowhere else."""

from __future__ import annotations

import pytest

from tests.fakes.engine import Engine
from tests.fakes.server_thread import ServerThread
from tests.faults.conftest import MakeEngine
from tests.process.metrics_port import row
from tests.scene import files, lines, until

EXCLUDED = {"ContainerLabels": {"otellogdriver.exclude": "true"}}


def test_lines_are_kept_and_not_sent(engine: Engine, collector: ServerThread) -> None:
    own, other = engine.container("collector", **EXCLUDED), engine.container("web")
    for container in (own, other):
        assert container.start() == {"Err": ""}
        container.write(lines(0, 1000))
    collector.reach(records=1000)
    until(lambda: len(own.logs()) == 1000)
    assert {record.container for record in collector.server.records()} == {other.id}

    shown = row(engine, "collector")
    assert (shown["kept"], shown["undelivered"], shown["delivered"], shown["dropped"]) == (True, 0, 0, {})
    assert row(engine, "web")["kept"] is False
    assert engine.metric("otellogdriver_excluded_streams") == 1
    assert engine.metric("otellogdriver_read_bytes_total", container_name="collector") == len(lines(0, 1000))
    assert engine.metric("otellogdriver_delivered_records_total", container_name="collector") == 0

    assert own.stop() == {"Err": ""}
    assert len(own.logs()) == 1000
    until(lambda: engine.metric("otellogdriver_excluded_streams") == 0)
    assert "labelled otellogdriver.exclude" in engine.log()


@pytest.mark.parametrize("policy", ("drop-oldest", "drop-newest", "block"))
def test_no_limit_of_what_may_wait_concerns_them(engine: Engine, collector: ServerThread, policy: str) -> None:
    collector.down()
    own = engine.container("collector", {"journal-max-size": "4k", "journal-full": policy}, **EXCLUDED)
    assert own.start() == {"Err": ""}
    own.write(lines(0, 20_000))
    assert own.stop() == {"Err": ""}
    assert len(own.logs()) == 20_000
    assert engine.metric("otellogdriver_driver_dropped_lines_total") == 0


def test_retention_is_that_of_all(engine: Engine) -> None:
    own = engine.container("collector", {"max-size": "64k", "max-file": "2"}, **EXCLUDED)
    assert own.start() == {"Err": ""}
    own.write(lines(0, 20_000))
    assert own.stop() == {"Err": ""}
    until(lambda: sum(path.stat().st_size for path in files(engine.state) if path.suffix == ".log") <= 256 << 10)
    assert b"00019999" in own.logs()[-1]


def test_after_a_crash_nothing_is_sent_either(make_engine: MakeEngine, collector: ServerThread) -> None:
    engine = make_engine(collector=collector)
    own, gone = engine.container("collector", **EXCLUDED), engine.container("earlier", **EXCLUDED)
    for container in (own, gone):
        assert container.start() == {"Err": ""}
        container.write(lines(0, 100))
    assert gone.stop() == {"Err": ""}
    until(lambda: engine.metric("otellogdriver_driver_read_bytes_total") == 2 * len(lines(0, 100)))
    engine.kill()
    own.write(lines(100, 200))
    engine.start()
    until(lambda: len(own.logs()) == 200)
    assert len(gone.logs()) == 100
    assert own.stop() == {"Err": ""}
    web = engine.container("web")
    web.start()
    web.write(lines(0, 1))
    collector.reach(records=1)
    assert {record.container for record in collector.server.records()} == {web.id}
    until(lambda: engine.metric("otellogdriver_driver_undelivered_bytes") == 0)


def test_a_label_that_says_neither_is_refused(engine: Engine) -> None:
    odd = engine.container("odd", ContainerLabels={"otellogdriver.exclude": "maybe"})
    error = odd.start()["Err"]
    assert error == ('label otellogdriver.exclude: "maybe" is not allowed: true, 1, yes, on, false, 0, no or off')
    no = engine.container("no", ContainerLabels={"otellogdriver.exclude": "no"})
    assert no.start() == {"Err": ""}
    assert engine.metric("otellogdriver_excluded_streams") == 0
