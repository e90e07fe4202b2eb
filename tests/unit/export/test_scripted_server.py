"""The scripted OTLP server itself, because the fault table trusts its counts: as a program and in a thread."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from otellogdriver.export.client import client_for, prepare
from otellogdriver.export.destination import Destination
from otellogdriver.export.outcome import Delivered, Outcome, Refused, Retry
from tests.fakes import behaviour as do
from tests.fakes.otlp_server import OtlpServer
from tests.fakes.server_thread import ServerThread
from tests.unit.export.otlp_requests import request

HTTP, GRPC = "http/protobuf", "grpc"


async def send(endpoint: str, protocol: str, body: bytes) -> Outcome:
    destination = Destination((endpoint,), protocol, timeout=5)
    client = client_for(destination)
    try:
        return await client.send(prepare(destination, [body]))
    finally:
        await client.close()


class Program:
    def __init__(self, protocol: str) -> None:
        command = [sys.executable, "-m", "tests.fakes", "--protocol", protocol]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        self.endpoint, self.control = told["endpoint"], f"http://127.0.0.1:{told['control']}"

    def ask(self, path: str, body: dict[str, Any] | None = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.control + path, data), timeout=10) as response:
            answer: bytes = response.read()
            return answer

    def stats(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.ask("/stats"))
        return told


@pytest.fixture(params=[HTTP, GRPC])
def program(request: pytest.FixtureRequest) -> Iterator[Program]:
    running = Program(request.param)
    try:
        yield running
    finally:
        running.process.terminate()
        running.process.communicate(timeout=10)


def test_program(program: Program, request_protocol: str) -> None:
    def deliver(container: str, records: int) -> Outcome:
        return asyncio.run(send(program.endpoint, request_protocol, request(container, records)))

    program.ask("/script", {"script": [{"do": "status", "status": 400 if request_protocol == HTTP else "UNKNOWN"}]})
    assert [type(deliver("a", 7)), type(deliver("a", 5)), type(deliver("b", 2))] == [Refused, Delivered, Delivered]
    stats = program.stats()
    assert (stats["requests"], stats["records"], stats["received_records"]) == (3, 7, 14)
    assert stats["containers"] == {"a": 5, "b": 2}
    lines = [json.loads(line) for line in program.ask("/records?container=b").splitlines()]
    assert [(line["container"], line["stream"], line["body"]) for line in lines] == [
        ("b", "stdout", "b line 0"),
        ("b", "stdout", "b line 1"),
    ]
    program.ask("/down", {})
    assert isinstance(deliver("a", 1), Retry)
    program.ask("/up", {})
    assert deliver("a", 1) == Delivered()
    program.ask("/reset", {})
    assert program.stats()["requests"] == 0
    with pytest.raises(urllib.error.HTTPError, match="400") as caught:
        program.ask("/script", {"script": [{"dew": "ok"}]})
    caught.value.close()


@pytest.fixture
def request_protocol(program: Program) -> str:
    return GRPC if GRPC in program.process.args else HTTP  # type: ignore[operator]


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_thread(protocol: str) -> None:
    with ServerThread(protocol) as thread:
        thread.server.default = do.partial(1, "one was bad")
        assert asyncio.run(send(thread.server.endpoint, protocol, request("a", 3))) == Delivered(1, "one was bad")
        thread.reach(records=3)
        assert [record.body for record in thread.server.records("a")] == ["a line 0", "a line 1", "a line 2"]
        with pytest.raises(TimeoutError):
            thread.reach(records=4, within=0.05)


async def test_what_the_collector_could_not_parse_is_refused_and_not_counted() -> None:
    for protocol in (HTTP, GRPC):
        async with OtlpServer(protocol) as server:
            broken = request("a", 1).replace(b"a line 0", b"a line \xff")  # a string that is not UTF-8
            assert isinstance(await send(server.endpoint, protocol, broken), Refused)
            assert (server.taken, server.stats()["malformed"]) == (0, 1)


async def test_taken_with_a_lost_answer_counts() -> None:
    async with OtlpServer() as server:
        server.script += [do.close(take=True)]
        assert isinstance(await send(server.endpoint, HTTP, request("a", 2)), Retry)
        assert await send(server.endpoint, HTTP, request("a", 2)) == Delivered()
        assert server.taken == 4 and len(list(server.records())) == 4
