"""The metrics port under those that mean no good: many connections, half requests, names of others, headers that make
no sense. It costs little, and the engine's calls go on."""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from otellogdriver.telemetry.doors import MOST
from tests.fakes.engine import Engine
from tests.process.metrics_port import get, port, started
from tests.scene import until

PATHS = ("/", "/status.json", "/metrics", "/healthz", "/readyz")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(tmp_path, {"OTELLOGDRIVER_METRICS_HOSTS": "logs.example.com"}) as engine:
        until(lambda: get(engine, "/healthz")[1] == "ok\n")
        yield engine


def connect(engine: Engine, data: bytes = b"") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port(engine)), timeout=60)
    made.sendall(data)
    return made


def ended(connection: socket.socket, within: float) -> bool:
    """Whether the driver ends a connection; what comes before its end is thrown away."""
    connection.settimeout(within)
    try:
        while connection.recv(1 << 16):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


@pytest.mark.parametrize("path", PATHS)
def test_names_of_others_are_not_answered(engine: Engine, path: str) -> None:
    for host in ("evil.example", "evil.example:9464", "127.0.0.1.evil.example", "localhost.evil.example"):
        response, text = get(engine, path, Host=host)
        assert response.status == 421, host
        assert "OTELLOGDRIVER_METRICS_HOSTS" in text
    for host in ("127.0.0.1", "127.0.0.1:9464", "[::1]:9464", "localhost:9464", "driver:9464", "LOGS.example.com"):
        assert get(engine, path, Host=host)[0].status == 200, host


@pytest.mark.parametrize("accept", ["text/plain;version=x", ";;;", "application/openmetrics-text;version=", "a" * 5000])
def test_an_accept_header_that_makes_no_sense_gets_the_plain_format(engine: Engine, accept: str) -> None:
    response, text = get(engine, "/metrics", Accept=accept)
    assert response.status == 200 and "otellogdriver_build_info" in text


def test_headers_have_bounds(engine: Engine) -> None:
    assert get(engine, "/metrics", Filler="x" * 100_000)[0].status == 400
    assert get(engine, "/healthz")[1] == "ok\n"


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\r\n", b"GET /metrics HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
)
def test_what_is_no_request_of_http_is_answered_and_not_logged(engine: Engine, sent: bytes) -> None:
    """As TLS, a port scanner, or HTTP/2 send it."""
    with connect(engine, sent) as connection:
        assert b" 400 " in connection.recv(1 << 16)
    assert get(engine, "/healthz")[1] == "ok\n"
    assert "Traceback" not in engine.log()


def test_connections_have_a_bound_and_the_engine_is_served_all_the_same(engine: Engine) -> None:
    assert engine.process
    files = Path(f"/proc/{engine.process.pid}/fd")
    before = len(os.listdir(files))
    held = [connect(engine, b"GET /metrics HTTP/1.1\r\nHost: x\r\n") for _ in range(3 * MOST)]
    try:
        until(lambda: sum(ended(one, 0.001) for one in held[MOST:]) == 2 * MOST)
        assert len(os.listdir(files)) <= before + MOST + 5
        started(engine, "web", 1)
        assert engine.call("LogDriver.Capabilities")["Cap"]["ReadLogs"] is True
    finally:
        for one in held:
            one.close()
    until(lambda: get(engine, "/healthz")[1] == "ok\n")


@pytest.mark.timeout(120)
def test_who_asks_nothing_or_does_not_listen_has_to_go(engine: Engine) -> None:
    silent, half = connect(engine), connect(engine, b"GET /metrics HTTP/1.1\r\nX: ")
    idle = connect(engine, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    endless = connect(engine, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\nabc")
    try:
        assert ended(silent, 20) and ended(half, 20)
        assert ended(idle, 40) and ended(endless, 40)
    finally:
        for one in (silent, half, idle, endless):
            one.close()


def test_a_connection_is_used_again(engine: Engine) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port(engine), timeout=30)
    try:
        for path in PATHS * 3:
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.status == 200 and response.read()
    finally:
        connection.close()
