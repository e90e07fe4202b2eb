"""Connections over time: kept alive, found again after an outage, looked up anew, given up without a trace."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from otellogdriver.export.client import client_for, prepare
from otellogdriver.export.destination import Destination
from otellogdriver.export.outcome import Delivered, Outcome, Retry
from otellogdriver.export.resolver import Resolver
from tests.fakes import behaviour as do
from tests.fakes.otlp_server import OtlpServer
from tests.unit.export.otlp_requests import request

HTTP, GRPC = "http/protobuf", "grpc"


@pytest.fixture(params=[HTTP, GRPC])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[OtlpServer]:
    async with OtlpServer(request.param) as server:
        yield server


@contextlib.asynccontextmanager
async def sending(server: OtlpServer, **settings: Any) -> AsyncIterator[Any]:
    destination = Destination((server.endpoint,), server.protocol, **{"timeout": 5.0, **settings})
    client = client_for(destination)
    body = prepare(destination, [request("a", 2)])

    async def send() -> Outcome:
        return await client.send(body)

    try:
        yield send
    finally:
        await client.close()


async def test_connection_is_kept_alive() -> None:
    async with OtlpServer(HTTP) as server, sending(server) as send:
        for _ in range(20):
            assert await send() == Delivered()
        assert (server.connections, len(server.requests)) == (1, 20)


async def test_connection_is_kept_after_an_error() -> None:
    async with OtlpServer(HTTP) as server, sending(server) as send:
        server.default = do.status(503)
        for _ in range(5):
            assert isinstance(await send(), Retry)
        assert server.connections == 1


async def test_many_at_once(server: OtlpServer) -> None:
    server.default = do.ok(delay=0.2)
    async with sending(server) as send:
        began = time.monotonic()
        assert await asyncio.gather(*(send() for _ in range(16))) == [Delivered()] * 16
        assert time.monotonic() - began < 2, "they do not wait for one another"


async def test_server_that_returns_gets_the_very_next_request(server: OtlpServer) -> None:
    async with sending(server) as send:
        assert await send() == Delivered()
        for _ in range(3):
            await server.down()
            for _ in range(5):
                outcome = await send()
                assert isinstance(outcome, Retry) and outcome.kind == "unreachable"
            await server.up()
            assert await send() == Delivered()


@pytest.mark.measures
async def test_recovers_after_an_outage_longer_than_the_back_off_of_grpc() -> None:
    async with OtlpServer(GRPC) as server, sending(server) as send:
        assert await send() == Delivered()
        await server.down()
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            assert isinstance(await send(), Retry)
            await asyncio.sleep(0.2)
        await server.up()
        began = time.monotonic()
        assert await send() == Delivered()
        assert time.monotonic() - began < 0.5


async def test_hung_server_that_heals(server: OtlpServer) -> None:
    async with sending(server, timeout=0.2) as send:
        server.script += [do.hang()] * 4
        outcomes = await asyncio.gather(*(send() for _ in range(4)))
        assert all(isinstance(outcome, Retry) and outcome.kind == "timeout" for outcome in outcomes)
        assert await send() == Delivered()


async def test_broken_channel_does_not_harm_other_calls() -> None:
    """One call times out and gives the channel up while another on it still waits for its answer."""
    async with OtlpServer(GRPC) as server:
        destination = Destination((server.endpoint,), GRPC, timeout=1.0)
        client = client_for(destination)
        server.script += [do.hang(), do.ok(delay=0.9)]
        body = prepare(destination, [request("a", 1)])
        first = asyncio.create_task(client.send(body))
        await server.reach(requests=1)
        await asyncio.sleep(0.3)  # so that the second one's time is up later
        second = asyncio.create_task(client.send(body))
        assert isinstance(await first, Retry)
        assert await second == Delivered()
        assert await client.send(body) == Delivered()
        await client.close()


async def test_cancelled_send_raises_and_leaves_the_client_usable(server: OtlpServer) -> None:
    server.script += [do.hang()]
    async with sending(server) as send:
        task = asyncio.create_task(send())
        await server.reach(requests=1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await send() == Delivered()


async def test_close_leaves_nothing_and_may_be_repeated(server: OtlpServer) -> None:
    async with sending(server) as send:
        assert await send() == Delivered()
    destination = Destination((server.endpoint,), server.protocol)
    client = client_for(destination)
    await client.close()
    assert await client.send(prepare(destination, [request("a", 2)])) == Delivered(), "a closed client opens again"
    await client.close()
    await client.close()


async def test_name_is_looked_up_for_every_new_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: str, *arguments: Any) -> Any:
        asked.append(host)
        return real("127.0.0.1", *arguments)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    async with OtlpServer(HTTP) as server:
        destination = Destination((f"http://collector.test:{server.port}",), HTTP)
        client = client_for(destination)
        body = prepare(destination, [request("a", 2)])
        assert await client.send(body) == await client.send(body) == Delivered()
        assert asked.count("collector.test") == 1
        await server.down()
        await server.up()
        assert await client.send(body) == Delivered()
        assert asked.count("collector.test") == 2
        await client.close()


async def test_hanging_name_server_holds_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    lookups = 0

    def getaddrinfo(*_: Any) -> Any:
        nonlocal lookups
        lookups += 1
        release.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    destination = Destination(("http://collector.test:4318",), HTTP, timeout=0.2)
    client = client_for(destination)
    outcomes = await asyncio.gather(*(client.send([b""]) for _ in range(20)))
    assert all(isinstance(outcome, Retry) and outcome.kind == "timeout" for outcome in outcomes)
    assert lookups == 1, "one thread for one name, however many wait"
    assert await asyncio.wait_for(asyncio.to_thread(lambda: 1), 1) == 1, "the shared thread pool is free"
    release.set()
    await client.close()
    while any(thread.name.startswith("resolve ") for thread in threading.enumerate()):
        await asyncio.sleep(0.01)


async def test_resolver_gives_numeric_addresses_and_errors() -> None:
    resolver = Resolver()
    found = await resolver.resolve("localhost", 4318)
    assert {(each["host"], each["port"]) for each in found} <= {("127.0.0.1", 4318), ("::1", 4318)} and found
    with pytest.raises(OSError):
        await resolver.resolve("no-such-host.invalid", 1)
    with pytest.raises(OSError):
        await resolver.resolve("a" * 64 + ".test", 1)
    await resolver.close()


async def test_close_ends_a_send_with_retry(server: OtlpServer) -> None:
    server.default = do.hang()
    destination = Destination((server.endpoint,), server.protocol)
    client = client_for(destination)
    task = asyncio.create_task(client.send(prepare(destination, [request("a", 2)])))
    await server.reach(requests=1)
    await client.close()
    outcome = await asyncio.wait_for(task, 5)
    assert isinstance(outcome, Retry) and outcome.kind == "unreachable"
