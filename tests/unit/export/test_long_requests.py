"""Requests of long pieces, which are sent as they are: whole and in order, whatever the connection is like."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from otellogdriver.export.client import client_for, prepare
from otellogdriver.export.destination import GRPC, HTTP, Destination
from otellogdriver.export.outcome import Body, Delivered, Refused, Retry
from tests.fakes import behaviour as do
from tests.fakes.certificates import make_certificates
from tests.fakes.otlp_server import OtlpServer, ServerTls
from tests.fakes.proxy import Proxy
from tests.unit.export.otlp_requests import request

RECORDS = 40_000
WHOLE = request("a", RECORDS)
PIECE = 300_000


def pieces(first: int) -> Body:
    """The request in long pieces, the first one of which has so many bytes."""
    view = memoryview(WHOLE)
    return [view[:first], *(view[at : at + PIECE] for at in range(first, len(view), PIECE))]


async def sent(server: OtlpServer, protocol: str, first: int, **settings: Any) -> None:
    destination = Destination((server.endpoint,), protocol, **{"timeout": 20.0, "compression": "none", **settings})
    client = client_for(destination)
    body = prepare(destination, pieces(first))
    try:
        server.script.append(do.status(503 if protocol == HTTP else "UNAVAILABLE"))
        assert isinstance(await client.send(body), Retry)
        for _ in range(2):
            assert await client.send(body) == Delivered(), "the very same bytes again"
        assert await asyncio.gather(*(client.send(body) for _ in range(3))) == [Delivered()] * 3
    finally:
        await client.close()
    assert [each.body == WHOLE for each in server.requests] == [True] * 6


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
@pytest.mark.parametrize("first", [0, 100, PIECE])
async def test_they_arrive_whole(protocol: str, first: int) -> None:
    async with OtlpServer(protocol) as server:
        await sent(server, protocol, first)


async def test_they_arrive_whole_by_tls_and_through_a_proxy(tmp_path: Path) -> None:
    files = make_certificates(tmp_path)
    async with OtlpServer(HTTP, tls=ServerTls(files.server, files.server_key)) as server, Proxy() as proxy:
        await sent(server, HTTP, 100, certificate=str(files.ca), server_name=files.name, proxy=proxy.endpoint)


@pytest.mark.parametrize(("hangs_up", "kind"), [(False, "timeout"), (True, "unreachable")])
async def test_who_does_not_read_on(hangs_up: bool, kind: str) -> None:
    async def some(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())
        await reader.readexactly(1000)
        if not hangs_up:
            await done.wait()
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    done, handlers = asyncio.Event(), set[Any]()
    server = await asyncio.start_server(some, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    destination = Destination((f"http://127.0.0.1:{port}",), HTTP, timeout=1.0, compression="none")
    client = client_for(destination)
    try:
        outcome = await client.send(prepare(destination, [*pieces(100), *pieces(100)]))
        assert isinstance(outcome, Retry) and outcome.kind == kind and outcome.broke
    finally:
        await client.close()
        done.set()
        server.close()
        await asyncio.gather(*handlers)


async def test_who_answers_before_it_has_read_the_request() -> None:
    async with OtlpServer(HTTP, default=do.Behaviour("early", 413)) as server:
        destination = Destination((server.endpoint,), HTTP, timeout=5.0, compression="none")
        client = client_for(destination)
        outcome = await client.send(prepare(destination, [*pieces(100), *pieces(100)]))
        await client.close()
    assert isinstance(outcome, Refused) and outcome.too_large
