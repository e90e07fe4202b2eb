"""A thousand `docker logs -f` at once: nobody else notices, and each costs little."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest

from tests.engine.loopback import wait_for
from tests.fakes.engine import Container, Engine, frame
from tests.fakes.server_thread import ServerThread

CONTAINERS, EACH = 50, 20
MOST_BYTES = 64 << 10
"""Resident memory that one follower may cost."""


def follow(engine: Engine, container: Container) -> socket.socket:
    body = json.dumps({"Info": container.info, "Config": {"Tail": -1, "Follow": True}}).encode()
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    connection.connect(engine.socket)
    head = f"POST /LogDriver.ReadLogs HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def until(connection: socket.socket, text: bytes) -> None:
    seen = b""
    while text not in seen:
        part = connection.recv(1 << 16)
        assert part, "the stream ended"
        seen += part


def resident(engine: Engine) -> int:
    assert engine.process
    return int(Path(f"/proc/{engine.process.pid}/statm").read_text().split()[1]) * 4096


@pytest.mark.measures
def test_a_thousand_followers(tmp_path: Path) -> None:
    with ServerThread() as server, Engine(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": server.server.endpoint}) as engine:
        containers = [engine.container(f"c{number}") for number in range(CONTAINERS)]
        for container in containers:
            assert container.start() == {"Err": ""}
            container.write(frame(b"before"))
        server.reach(records=CONTAINERS)
        before = resident(engine)
        followers: list[socket.socket] = []
        try:
            followers += [follow(engine, container) for container in containers for _ in range(EACH)]
            for follower in followers:
                until(follower, b"before\n")
            each = (resident(engine) - before) / len(followers)
            assert each < MOST_BYTES, f"{each:.0f} bytes for each follower"
            times = []
            for number in range(100):
                for container in containers[:10]:
                    container.write(frame(b"line %d" % number))
                other = engine.container(f"other{number}")
                began = time.monotonic()
                assert other.start() == {"Err": ""}
                times.append(time.monotonic() - began)
                other.stop()
            assert sorted(times)[94] < 0.1, sorted(times)[-6:]  # of 100; the rest is left to a busy machine
            server.reach(records=CONTAINERS + 1000)
            for follower in followers[: 10 * EACH]:
                until(follower, b"line 99\n")
            for container in containers:
                assert container.stop() == {"Err": ""}
            until(followers[-1], b"0\r\n\r\n")  # it ends with its container; the connection stays
        finally:
            for follower in followers:
                follower.close()
        assert engine.process
        process = Path(f"/proc/{engine.process.pid}/fd")
        wait_for(lambda: len(list(process.iterdir())) < 200, "descriptors of the followers closed", 20)
