"""`doctor` without an engine: what it says of the driver, of its host, and of an engine that cannot be asked."""

from __future__ import annotations

import http.server
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from otellogdriver.commands.doctor import driver, host
from otellogdriver.commands.doctor.check import Check
from otellogdriver.commands.engine_api import EngineApi, EngineError
from otellogdriver.commands.installation import Installation
from otellogdriver.settings.options import PluginSettings, Settings
from tests.fakes.engine import Engine, frame
from tests.fakes.server_thread import ServerThread
from tests.process.command_line import run, told
from tests.process.metrics_port import port, row, started
from tests.scene import until

DEAD = "http://127.0.0.1:9"


def found(checks: list[Check], name: str) -> Check:
    (check,) = (check for check in checks if check.name == name)
    return check


# The driver's own word


def asked(engine: Engine, runs: bool = True) -> list[Check]:
    settings = PluginSettings(metrics_address=("127.0.0.1", port(engine)))
    return list(driver.look(settings, "otellogdriver", runs))


def test_a_driver_that_is_well(tmp_path: Path) -> None:
    with (
        ServerThread() as collector,
        Engine(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.server.endpoint}) as engine,
    ):
        started(engine, "web", 3)
        until(lambda: row(engine, "web")["delivered"] == 3)
        checks = asked(engine)
    assert {check.name: check.state for check in checks} == {"metrics": "ok", "codec": "ok", "losses": "ok"}
    assert found(checks, "losses").text == "none; 1 containers read, 3 records delivered"


def test_a_driver_that_is_not(tmp_path: Path) -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": DEAD,
        "OTELLOGDRIVER_JOURNAL_FULL": "never",
        "OTELLOGDRIVER_CODEC": "python",
        "OTELLOGDRIVER_BATCH_SIEZ": "1m",
    }
    with Engine(tmp_path, environ) as engine:
        web = started(engine, "web", 200, journal_max_size="4k", journal_full="drop-newest")
        until(lambda: row(engine, "web")["undelivered"] > 4096 and row(engine, "web")["error"])
        web.write(frame(b"one too many"))
        until(lambda: row(engine, "web")["dropped"] == {"journal_full": 1})
        checks = asked(engine)
    assert found(checks, "codec").state == "note" and "as asked for" in found(checks, "codec").text
    assert [check.state for check in checks if check.name == "options"] == ["failed", "failed"]
    assert any('did you mean "OTELLOGDRIVER_BATCH_SIZE"' in check.text for check in checks)
    away = found(checks, "destination")
    assert away.state == "failed" and f"{DEAD}: Connection refused" in away.text and "KiB wait" in away.text
    assert found(checks, "losses").text == "since the driver's start: 1 lines journal_full"


def test_a_driver_that_cannot_be_asked() -> None:
    with socket.socket() as idle:
        idle.bind(("127.0.0.1", 0))
        settings = PluginSettings(metrics_address=idle.getsockname())
        checks = list(driver.look(settings, "otellogdriver", runs=True))
        assert found(checks, "metrics").state == "failed"
        assert "Connection refused, although the driver runs" in found(checks, "metrics").text
        checks = list(driver.look(settings, "otellogdriver", runs=False))
        assert found(checks, "metrics").state == "skipped"
        assert found(checks, "codec").text == "native, in this installation"
    checks = list(driver.look(PluginSettings(metrics_address=None), "otellogdriver", runs=True))
    assert (found(checks, "metrics").state, found(checks, "metrics").text[:3]) == ("note", "off")


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def page() -> Iterator[int]:
    """Somebody else's web server."""
    server = http.server.HTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def test_somebody_else_at_the_metrics_port(page: int) -> None:
    settings = PluginSettings(metrics_address=("127.0.0.1", page))
    check = found(list(driver.look(settings, "mine", runs=True)), "metrics")
    assert check.state == "failed" and "something else answers" in check.text
    assert f"ss -ltnp sport = {page}" in check.text
    assert "docker plugin set mine OTELLOGDRIVER_METRICS_ADDRESS=" in check.advice


# The host


def looked(path: Path, state: Path, **settings: int) -> list[Check]:
    return list(host.directories(PluginSettings(**settings), path, state, "otellogdriver"))  # type: ignore[arg-type]


def test_directories_that_are_well(tmp_path: Path) -> None:
    checks = looked(tmp_path, tmp_path, journal_total_max_size=4096)
    assert {check.name: check.state for check in checks} == {
        "FIFO directory": "ok",
        "state directory": "ok",
        "disk": "ok",
    }
    assert list(tmp_path.iterdir()) == []
    assert found(looked(tmp_path, tmp_path / "none"), "state directory").state == "note"


def test_directories_that_are_not(tmp_path: Path) -> None:
    (check,) = looked(tmp_path / "none", tmp_path)
    assert (check.name, check.state) == ("FIFO directory", "failed") and "does not exist" in check.text
    (tmp_path / "file").touch()
    (check,) = looked(tmp_path / "file", tmp_path)
    assert "is no directory" in check.text
    check = found(looked(tmp_path, tmp_path / "file"), "state directory")
    assert check.state == "failed"


@pytest.mark.parametrize(
    ("free", "inodes", "state", "said"),
    (
        (1000, 1000, "ok", "can wait"),
        (300, 1000, "note", "in an outage 44 MiB can wait, not the 100 MiB"),
        (255, 1000, "failed", "256 MiB are kept free: lines are given up"),
        (1000, 0, "failed", "no inode is free"),
    ),
)
def test_disks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, inodes: int, state: str, said: str) -> None:
    shape = (1 << 20, 1 << 20, 10_000, free, free, 1000, inodes, inodes, 0, 255)
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(shape))
    check = found(looked(tmp_path, tmp_path, journal_total_max_size=100 << 20), "disk")
    assert check.state == state and said in check.text
    assert check.advice or state == "ok"


# The engine


def test_engines_that_cannot_be_asked(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    for docker_host, said in (
        (f"unix://{path}", "does not exist"),
        ("ssh://host", "is not allowed: unix:///path or tcp://host:port"),
        ("tcp://[::1", "is not allowed"),
        ("tcp://127.0.0.1:9", "nobody listens"),
    ):
        with pytest.raises(EngineError, match=said) as caught:
            EngineApi({"DOCKER_HOST": docker_host}).get("/version")
        assert caught.value.advice
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        with pytest.raises(EngineError, match="nobody listens"):
            EngineApi({"DOCKER_HOST": f"unix://{path}"}).get("/version")
    with pytest.raises(EngineError, match=r"DOCKER_CERT_PATH.*no usable ca\.pem"):
        EngineApi({"DOCKER_HOST": "tcp://h", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}).get("/x")


def test_no_engine_is_a_failure_with_advice_and_the_rest_goes_on() -> None:
    with ServerThread() as collector:
        answer = told("doctor", "--otlp-endpoint", collector.server.endpoint, code=1)
        assert collector.server.taken == 1
        checks = {check["name"]: check for check in answer["checks"]}
        assert answer["ok"] is False
        assert checks["engine"]["state"] == "failed" and "DOCKER_HOST=unix:///path" in checks["engine"]["advice"]
        assert checks["record"]["state"] == "ok"
        done = run("doctor", "--otlp-endpoint", collector.server.endpoint, "--no-record")
    assert done.returncode == 1 and "FAIL  engine" in done.stdout and "1 of " in done.stdout
    assert collector.server.taken == 1 and "\x1b" not in done.stdout


def test_inside_the_plugin_there_is_no_engine_and_that_is_well(tmp_path: Path) -> None:
    with ServerThread() as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.server.endpoint}
        with Engine(tmp_path, environ) as engine:
            until(lambda: port(engine))
            address = f"127.0.0.1:{port(engine)}"
            answer = told("doctor", environ={**engine.environ, "OTELLOGDRIVER_METRICS_ADDRESS": address})
            checks = {check["name"]: check["state"] for check in answer["checks"]}
    assert answer["ok"] is True
    assert checks | {"disk": "ok"} == {
        "engine": "skipped",
        "plugin": "ok",
        "FIFO directory": "ok",
        "state directory": "ok",
        "disk": "ok",
        "metrics": "ok",
        "codec": "ok",
        "losses": "ok",
        "connection": "ok",
        "record": "ok",
    }


def test_paths_of_the_plugin_are_found_on_the_host(tmp_path: Path) -> None:
    certs, rootfs = tmp_path / "certs", tmp_path / "rootfs"
    for path in (certs / "ca.pem", rootfs / "etc/token", tmp_path / "elsewhere.pem"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    mounts = (("/run/docker/logging", tmp_path / "mount"), ("/certs", certs))
    installed = Installation("x:latest", "id", True, {}, mounts, rootfs)
    assert installed.state_directory == tmp_path / "mount/.state"
    assert installed.on_host("/certs/../etc/token") == rootfs / "etc/token"
    assert installed.on_host("/certsx") == rootfs / "certsx"
    settings = Settings(
        otlp_certificate="/certs/ca.pem",
        otlp_headers_file="/etc/token",
        otlp_client_certificate=str(tmp_path / "elsewhere.pem"),
        otlp_client_key="-----BEGIN KEY-----",
    )
    seen, unseen = installed.settings_on_host(settings)
    assert (seen.otlp_certificate, seen.otlp_headers_file) == (str(certs / "ca.pem"), str(rootfs / "etc/token"))
    assert unseen == ["otlp_client_certificate"]
    assert seen.otlp_client_key == settings.otlp_client_key
    assert "hunter2" not in repr(Installation("x", "id", True, {"OTEL_EXPORTER_OTLP_HEADERS": "a=hunter2"}, (), rootfs))


def test_a_path_of_something_else_is_noted() -> None:
    answer = told("doctor", "--otlp-endpoint", f"{DEAD}/v1/traces", code=1)
    said = f'is where traces go, and requests with logs go to "{DEAD}/v1/traces/v1/logs"'
    assert [check["state"] for check in answer["checks"] if said in check["text"]] == ["note"]
