"""Options of single lines, through the driver's process: records as they reach a collector."""

from __future__ import annotations

import subprocess
import sys
import time

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from tests.fakes.engine import PATIENCE, Engine, frame
from tests.fakes.server_thread import ServerThread
from tests.faults.conftest import MakeEngine
from tests.scene import until

TRACE = ["java.lang.IllegalStateException: boom", *(f"\tat com.example.A.f(A.java:{line})" for line in range(20))]


def received(collector: ServerThread) -> list[LogRecord]:
    requests = [ExportLogsServiceRequest.FromString(request.body) for request in collector.server.requests]
    scopes = [scope for request in requests for logs in request.resource_logs for scope in logs.scope_logs]
    return [record for scope in scopes for record in scope.log_records]


def bodies(collector: ServerThread) -> list[str]:
    return [record.body.string_value for record in received(collector)]


def test_a_stack_trace_arrives_as_one_record_soon_after_its_last_line(engine: Engine, collector: ServerThread) -> None:
    container = engine.container("web", {"multiline-pattern": "java", "multiline-timeout": "300ms"})
    assert container.start() == {"Err": ""}
    for text in TRACE:
        container.write(frame(text.encode(), b"stderr"))
    began = time.monotonic()
    collector.reach(records=1)
    assert 0.2 < time.monotonic() - began < 5 * PATIENCE
    assert bodies(collector) == ["\n".join(TRACE)]
    until(lambda: engine.metric("otellogdriver_lines_total", stream="stderr") == len(TRACE))
    until(lambda: engine.metric("otellogdriver_delivered_records_total"))  # the answer comes after the record
    assert engine.metric("otellogdriver_delivered_records_total") == 1
    container.stop()


def test_a_stack_trace_is_whole_after_kill_9_in_its_middle(make_engine: MakeEngine, collector: ServerThread) -> None:
    engine = make_engine(collector=collector)
    container = engine.container("web", {"multiline-pattern": "java", "multiline-timeout": "30s"})
    assert container.start() == {"Err": ""}
    for index, text in enumerate(["failed", *TRACE, "after"]):
        container.write(frame(text.encode()))
        if index in (2, 5, 11):
            until(lambda: engine.metric("otellogdriver_read_bytes_total", container_name="web") > 0)
            engine.kill()
            engine.start()
    container.stop()
    collector.reach(records=2)
    assert list(dict.fromkeys(bodies(collector))) == ["\n".join(["failed", *TRACE]), "after"]


def test_an_old_record_costs_nothing_while_the_collector_is_away(
    make_engine: MakeEngine, collector: ServerThread
) -> None:
    engine = make_engine(collector=collector)
    collector.down()
    container = engine.container("web", {"multiline-pattern": "java", "multiline-timeout": "10ms"})
    assert container.start() == {"Err": ""}
    container.write(frame(b"first") + frame(b"second"))
    until(lambda: engine.metric("otellogdriver_destination_up") == 0)
    container.write(frame(b"third"))
    before, began = engine.metric("otellogdriver_cpu_seconds_total"), time.monotonic()
    until(lambda: time.monotonic() - began > 2.0)
    spent = engine.metric("otellogdriver_cpu_seconds_total") - before
    assert spent < 0.5, f"{spent:.2f} s of CPU"
    collector.up()
    collector.reach(records=3)
    assert bodies(collector) == ["first", "second", "third"]
    container.stop()


def test_secrets_are_redacted_and_drops_are_counted(engine: Engine, collector: ServerThread) -> None:
    options = {"redact-pattern": "hunter2", "exclude-pattern": "GET /health", "rate-limit": "3", "parse": "json"}
    container = engine.container("web", {**options, "streams": "stdout"})
    assert container.start() == {"Err": ""}
    lines = ["GET /health", '{"msg":"hunter2","pw":"h\\u0075nter2"}', "b", "c", "d"]
    container.write(b"".join(frame(line.encode(), b"stdout", 1000 + index) for index, line in enumerate(lines)))
    container.write(frame(b"x", b"stderr"))
    container.stop()
    collector.reach(records=3)
    assert bodies(collector) == ["****", "b", "c"]
    assert not any(b"hunter2" in request.body for request in collector.server.requests)
    for reason, count in {"exclude": 1, "rate_limit": 1, "streams": 1}.items():
        until(lambda reason=reason, count=count: excluded(engine, reason) == count)  # type: ignore[misc]
    assert [frame[-len(line) - 1 : -1] for frame, line in zip(container.logs(), lines, strict=False)] == [
        line.encode() for line in lines
    ]  # `docker logs` shows what was printed


def excluded(engine: Engine, reason: str) -> float:
    return engine.metric("otellogdriver_excluded_lines_total", container_name="web", reason=reason)


def test_defaults_for_the_whole_plugin_and_a_container_that_differs(
    make_engine: MakeEngine, collector: ServerThread
) -> None:
    engine = make_engine({"OTELLOGDRIVER_PARSE": "json", "OTELLOGDRIVER_SEVERITY": "auto"}, collector)
    for name, options in (("parsed", {}), ("plain", {"parse": "none", "severity": "none"})):
        container = engine.container(name, options)
        assert container.start() == {"Err": ""}
        container.write(frame(b'{"level":"warn","msg":"low","n":1}'))
        container.stop()
    collector.reach(records=2)
    severities = {record.body.string_value: record.severity_number for record in received(collector)}
    assert severities == {"low": 13, '{"level":"warn","msg":"low","n":1}': 0}


def test_a_bad_option_is_refused_with_its_place(engine: Engine) -> None:
    container = engine.container("web", {"include-pattern": "a(b"})
    assert container.start()["Err"] == (
        'log-opt "include-pattern": "a(b" is not allowed (missing ) at character 2): a regular expression in RE2 syntax'
    )


def test_nothing_of_this_is_loaded_for_lines_as_they_are() -> None:
    program = (
        "import sys, otellogdriver.driver.driver, otellogdriver.serve; "
        "from otellogdriver.settings.options import resolve; "
        "assert resolve({}, {}).lines_as_printed; "
        "sys.exit([name for name in sys.modules if name.startswith(('otellogdriver.lines', 're2'))] or None)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
