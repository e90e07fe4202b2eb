"""`journal export`: the driver's own records, sent where they are wanted, without a word to the driver."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otellogdriver.codec import python
from otellogdriver.journal.cursor import Cursor
from otellogdriver.journal.store import Store
from otellogdriver.settings.option import options_of
from otellogdriver.settings.options import Settings
from tests.fakes.behaviour import hang, status
from tests.fakes.engine import Engine, frame, pieces
from tests.fakes.server_thread import ServerThread
from tests.process.command_line import COMMAND, environment, run, told
from tests.process.kept_lines import DEAD, everything, kept, listed, started
from tests.scene import until

LINE_OPTIONS = {"parse": "json", "severity": "auto", "multiline-pattern": r"^\S", "redact-pattern": "hunter2"}
LOG_OPTS = {item.log_opt for item in options_of(Settings)}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": DEAD}) as engine:
        yield engine


def bodies(collector: ServerThread, container: str = "") -> list[str | bytes]:
    return [record.body for record in collector.server.records(container)]


def records(collector: ServerThread) -> list[bytes]:
    """The records, each with its resource and scope."""
    found = []
    for request in collector.server.requests:
        for logs in ExportLogsServiceRequest.FromString(request.body).resource_logs:
            for scope in logs.scope_logs:
                for record in scope.log_records:
                    around = logs.resource.SerializeToString() + scope.scope.SerializeToString()
                    found.append(around + record.SerializeToString())
    return found


def test_what_waits_is_sent_and_the_journal_stays(engine: Engine, collector: ServerThread) -> None:
    container = started(engine, "web", 1000)
    started(engine, "db", 10)
    before = everything(engine.state)
    done = run("journal", "export", "--otlp-endpoint", collector.server.endpoint, "--state", engine.state)
    assert done.returncode == 0, done.stderr
    assert bodies(collector, container.id) == [f"web {number}" for number in range(1000)]
    assert collector.server.taken == 1010
    assert "1,010 records delivered; the journal is as it was" in done.stderr
    assert everything(engine.state) == before


@pytest.mark.parametrize("protocol", ("http/protobuf", "grpc"))
def test_the_records_are_those_of_the_driver(tmp_path: Path, protocol: str) -> None:
    with ServerThread(protocol) as collector:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.server.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            "OTELLOGDRIVER_HOST_NAME": "host-1",
        }
        with Engine(tmp_path, environ) as engine:
            options = {"record-uid": "true", "streams": "stdout", "labels": "team", "service-name": "shop"}
            # Whatever becomes of single lines in the driver must become of them here.
            options |= {name: value for name, value in LINE_OPTIONS.items() if name in LOG_OPTS}
            container = engine.container("web", options, ContainerLabels={"team": "blue"}, ContainerEnv=["A=b"])
            assert container.start() == {"Err": ""}
            container.write(frame(b"one") + frame(b"no", b"stderr") + pieces(b"z" * 50_000) + frame(b"\xff"))
            container.write(frame(b'{"level":"warn","msg":"x"}') + frame(b"  at line 1") + frame(b"hunter2"))
            container.stop()
            until(lambda: listed(engine)["web"]["destinations"]["main"]["undelivered_bytes"] == 0)
        sent = records(collector)
        collector.server.reset()
        done = run("journal", "export", "--all", "--state", engine.state, environ=environ)
        assert done.returncode == 0, done.stderr
        assert records(collector) == sent and len(sent) >= 4


def test_a_line_without_its_end_is_left_to_the_driver(engine: Engine, collector: ServerThread) -> None:
    container = started(engine, "web", 2)
    container.write(pieces(b"name? ", ended=False) + frame(b"cut")[:10])
    until(lambda: kept(engine, container) > 100)
    arguments = ("journal", "export", "--otlp-endpoint", collector.server.endpoint, "--state", engine.state)
    assert run(*arguments).returncode == 0
    assert bodies(collector) == ["web 0", "web 1"]


def test_commit_only_while_no_driver_works(engine: Engine, collector: ServerThread) -> None:
    container = started(engine, "web", 100)
    container.write(pieces(b"half a ", ended=False))
    until(lambda: kept(engine, container) > 100 * 20)
    flags = ("--otlp-endpoint", collector.server.endpoint, "--commit", "--state", engine.state)
    done = run("journal", "export", *flags)
    assert done.returncode == 1 and "while a driver works on" in done.stderr
    assert not collector.server.requests

    engine.kill()
    done = run("journal", "export", *flags)
    assert (done.returncode, collector.server.taken) == (0, 100), done.stderr
    (row,) = told("journal", "ls", "--state", engine.state)
    assert row["destinations"]["main"]["undelivered_lines"] == 0
    assert "nothing" not in done.stderr

    engine.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.server.endpoint
    engine.start()
    container.write(frame(b"after"))
    collector.reach(records=102, within=20)
    assert bodies(collector)[100:] == ["half a ", "after"]


def test_a_copy_may_be_committed_beside_the_driver(engine: Engine, collector: ServerThread, tmp_path: Path) -> None:
    started(engine, "web", 10)
    copy = tmp_path / "copy"
    shutil.copytree(engine.state, copy)
    flags = ("--otlp-endpoint", collector.server.endpoint, "--commit", "--state", copy)
    assert run("journal", "export", *flags).returncode == 0
    (cursor,) = copy.glob("containers/*/*/cursor")
    assert Cursor(cursor).position.offset > 0
    done = run("journal", "export", *flags)
    assert (done.returncode, done.stderr) == (0, "otellogdriver journal: nothing waits\n")
    assert collector.server.taken == 10


def test_a_container_s_token_goes_to_its_own_collector_alone(engine: Engine, collector: ServerThread) -> None:
    endpoint = collector.server.endpoint
    collector.server.default = hang()
    started(engine, "web", 1, otlp_endpoint=endpoint, otlp_headers="Authorization=Bearer%20hunter2,X-Tenant=a")
    collector.reach(requests=1)
    engine.kill()
    collector.server.reset()
    assert run("journal", "export", "--state", engine.state).returncode == 0
    assert run("journal", "export", "--otlp-headers", "X-Tenant=b", "--state", engine.state).returncode == 0
    assert run("journal", "export", "--otlp-endpoint", endpoint, "--state", engine.state).returncode == 0
    own, other, elsewhere = (
        {name: request.headers.get(name) for name in ("authorization", "x-tenant")}
        for request in collector.server.requests
    )
    assert own == {"authorization": "Bearer hunter2", "x-tenant": "a"}
    assert other == {"authorization": None, "x-tenant": "b"}
    assert elsewhere == {"authorization": None, "x-tenant": None}


def test_a_denial_ends_it_at_once(engine: Engine, collector: ServerThread) -> None:
    started(engine, "web", 10)
    collector.server.default = status(401, message="who are you with hunter2?")
    arguments = ("--otlp-endpoint", collector.server.endpoint, "--otlp-headers", "Authorization=hunter2")
    done = run("journal", "export", *arguments, "--state", engine.state, within=10)
    assert done.returncode == 1
    assert "0 records delivered" in done.stderr and "HTTP 401" in done.stderr
    assert "hunter2" not in done.stderr


def test_a_collector_that_is_away_ends_it_after_a_while(engine: Engine) -> None:
    started(engine, "web", 10)
    done = run("journal", "export", "--patience", "0.5", within=10, environ=engine.environ)
    assert done.returncode == 1
    assert f"ended early: {DEAD}: Connection refused" in done.stderr


def test_what_is_refused_is_counted(engine: Engine, collector: ServerThread) -> None:
    started(engine, "web", 1)
    collector.server.default = status(400, message="bad line")
    done = run("journal", "export", "--otlp-endpoint", collector.server.endpoint, "--state", engine.state)
    assert done.returncode == 1
    assert "1 record refused by the collector" in done.stderr


def test_into_a_file(engine: Engine, tmp_path: Path) -> None:
    container = started(engine, "web", 3)
    started(engine, "db", 1)
    container.write(pieces(b"w" * 20_000) + frame(b"cut")[:-1])
    until(lambda: kept(engine, container) > 20_000)
    output = tmp_path / "lines.json"
    done = run("journal", "export", "--output", output, "--state", engine.state)
    assert (done.returncode, done.stderr) == (0, f"otellogdriver journal: 5 lines written to {output}\n")
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert sorted(line["body"] for line in lines) == ["db 0", "web 0", "web 1", "web 2", "w" * 20_000]
    assert output.stat().st_mode & 0o777 == 0o600
    assert run("journal", "export", "--output", output, "--state", engine.state).returncode == 1, "never over a file"

    frames = tmp_path / "web.frames"
    done = run("journal", "export", "web", "--output", frames, "--format", "frames", "--state", engine.state)
    assert done.returncode == 0 and "4 lines written" in done.stderr
    (segment,) = engine.state.glob(f"containers/{container.id}/*/*.log")
    data = frames.read_bytes()
    assert segment.read_bytes().startswith(data)
    assert python.count(data, 0, len(data)) == (4, 0, 0, len(data))


@pytest.mark.parametrize("fault", ["missing", "cut"])
def test_frames_go_on_after_a_gap(tmp_path: Path, fault: str) -> None:
    store = Store(tmp_path / "state")
    entry = store.create("c" * 64, "/run/f", {"ContainerID": "c" * 64, "ContainerName": "/web"}, 0, 1 << 14)
    entry.stream.append(b"".join(frame(b"%05d" % number, time_nano=number + 1) for number in range(4000)))
    entry.stream.close()
    path = entry.stream.segments[2].path
    size = path.stat().st_size
    if fault == "missing":
        path.unlink()
    else:
        os.truncate(path, 1000)
        size -= 1000
    output = tmp_path / "web.frames"
    done = run("journal", "export", "web", "--output", output, "--format", "frames", "--state", tmp_path / "state")
    data = output.read_bytes()
    lines, _, damaged, end = python.count(data, 0, len(data))
    assert done.returncode == 1 and f"{lines:,} lines written" in done.stderr and "damaged or lost" in done.stderr
    assert size // 21 >= 4000 - lines >= size // 30 and end == len(data)
    assert damaged < 60, "the end of a frame whose start is lost"


@pytest.mark.parametrize(
    "arguments",
    (
        ("--output", "x", "--otlp-endpoint", DEAD),
        ("--output", "x", "--commit"),
        ("--commit", "--all"),
        ("--commit", "--since", "1h"),
        ("--format", "frames"),
        ("--format", "frames", "--output", "x"),
        ("--otlp-endpoint", "nonsense"),
        ("--otlp-mirror", DEAD),
    ),
)
def test_flags_that_do_not_go_together(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run("journal", "export", "--state", tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


def test_more_streams_than_files_may_be_open(tmp_path: Path, collector: ServerThread) -> None:
    for number in range(300):
        directory = tmp_path / "containers" / f"{number:064x}" / "00000000-fifo"
        directory.mkdir(parents=True)
        (directory / f"{0:020d}.log").write_bytes(frame(b"%d" % number))
    script = 'ulimit -S -n 64; exec "$0" "$@"'
    for arguments in (("ls",), ("show",), ("export", "--commit", "--otlp-endpoint", collector.server.endpoint)):
        command = ["bash", "-c", script, *COMMAND, "journal", *arguments, "--state", str(tmp_path)]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    assert collector.server.taken == 300


def test_of_damaged_log_opts_the_commands_use_what_can_be_read(engine: Engine, collector: ServerThread) -> None:
    container = started(engine, "web", 3, redact_pattern="web")
    engine.kill()
    (meta,) = (engine.state / "containers" / container.id).glob("*/meta.json")
    found = json.loads(meta.read_text())
    found["info"]["Config"] |= {"otlp-mirror": 5, "severity": ["auto"]}
    meta.write_text(json.dumps(found))
    assert list(listed(engine)) == ["web"]
    done = run("journal", "show", "--state", engine.state)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.rsplit("  ", 1)[1] for line in done.stdout.splitlines()] == [f"**** {number}" for number in range(3)]
    done = run("journal", "export", "--otlp-endpoint", collector.server.endpoint, "--state", engine.state)
    assert done.returncode == 0, done.stderr
    assert bodies(collector, container.id) == [f"**** {number}" for number in range(3)]
