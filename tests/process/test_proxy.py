"""A real proxy, tinyproxy: the driver delivers through it, and `doctor` says why it is not let through."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plugin.debian import require
from tests.engine.loopback import free_port
from tests.fakes.engine import Engine, frame
from tests.fakes.server_thread import ServerThread
from tests.process.command_line import run
from tests.scene import until

PROTOCOLS = pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
PASSWORD = "pass-word"


@contextmanager
def tinyproxy(folder: Path, *settings: str) -> Iterator[int]:
    """The port of a tinyproxy with more settings."""
    port, config, log = free_port(), folder / "tinyproxy.conf", folder / "tinyproxy.log"
    lines = (f"Port {port}", "Listen 127.0.0.1", f'LogFile "{log}"', "LogLevel Connect", *settings)
    config.write_text("".join(f"{line}\n" for line in lines))
    command = [require("tinyproxy", "tinyproxy-bin"), "-d", "-c", str(config)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            until(lambda: process.poll() is not None or _listens(port))
            yield port
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@PROTOCOLS
def test_the_driver_delivers_through_it(tmp_path: Path, protocol: str) -> None:
    with ServerThread(protocol) as collector, tinyproxy(tmp_path, f"BasicAuth joe {PASSWORD}") as port:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.server.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTELLOGDRIVER_OTLP_PROXY": f"http://joe:{PASSWORD}@127.0.0.1:{port}",
        }
        with Engine(tmp_path, environ) as engine:
            container = engine.container("web")
            container.start()
            container.write(frame(b"through") + frame(b"the proxy"))
            until(lambda: collector.server.taken == 2)
            told = engine.log()
        assert f"CONNECT 127.0.0.1:{collector.server.port}" in (tmp_path / "tinyproxy.log").read_text()
        assert PASSWORD not in told


@PROTOCOLS
@pytest.mark.parametrize(
    ("settings", "login", "said", "advice"),
    [
        ((f"BasicAuth joe {PASSWORD}",), "", "HTTP 407", "asks for a user and a password"),
        ((f"BasicAuth joe {PASSWORD}",), "joe:wrong-word@", "HTTP 401", "the user or password is wrong"),
        (("ConnectPort 443",), "", "HTTP 403", "ConnectPort"),
    ],
)
def test_the_doctor_explains_a_refusal(
    tmp_path: Path, protocol: str, settings: tuple[str, ...], login: str, said: str, advice: str
) -> None:
    with tinyproxy(tmp_path, *settings) as port:
        done = run(
            "doctor",
            "--json",
            "--otlp-endpoint=http://127.0.0.1:4318",
            f"--otlp-protocol={protocol}",
            f"--otlp-proxy=http://{login}127.0.0.1:{port}",
        )
    (check,) = (check for check in json.loads(done.stdout)["checks"] if check["name"] == "proxy")
    assert check["state"] == "failed" and said in check["text"] and advice in check["advice"]
    assert "wrong-word" not in done.stdout + done.stderr
