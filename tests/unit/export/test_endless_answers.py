"""Answers over HTTP that no collector gives: without end, compressed though nobody asked, larger than they look."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import time
import zlib
from collections.abc import AsyncIterator, Iterator

import pytest

from otellogdriver.export.client import client_for, prepare
from otellogdriver.export.destination import Destination
from otellogdriver.export.outcome import Delivered, Outcome, Retry, Unread
from tests.unit.export.otlp_requests import request

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LATE = 20.0
"""Seconds of the request's time-out: what is found out sooner was not found out by it."""


@contextlib.asynccontextmanager
async def answering(head: bytes, again: bytes = b"") -> AsyncIterator[str]:
    """A server that reads a request, sends `head`, and then `again` for as long as somebody takes it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            asked = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in asked.lower().split(b"\r\n") if line.startswith(b"content-length"))
            await reader.readexactly(int(length.partition(b":")[2]))
            writer.write(head)
            while again:
                writer.write(again)
                await writer.drain()
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def outcome(head: bytes, again: bytes = b"") -> Outcome:
    async with answering(head, again) as endpoint:
        destination = Destination((endpoint,), "http/protobuf", timeout=LATE)
        client = client_for(destination)
        try:
            return await client.send(prepare(destination, [request("a", 3)]))
        finally:
            await client.close()


@pytest.mark.parametrize(
    ("head", "again"),
    [
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 2000),
        (OK, b"X-More: 1\r\n" * 5000),
        (b"HTTP/1.1 200 ", b"O" * 65536),
        (OK, b"X-More: " + b"1" * 65536),
        (CHUNKED + b"0\r\n", b"X-More: 1\r\n" * 5000),
        (CHUNKED + b"1;", b"x" * 65536),
    ],
    ids=["heads", "headers", "status", "header", "trailers", "extension"],
)
async def test_an_answer_without_end_is_broken_off(head: bytes, again: bytes) -> None:
    began = time.monotonic()
    found = await outcome(head, again)
    assert isinstance(found, Retry) and found.kind == "unreachable", found
    assert time.monotonic() - began < LATE / 2


async def test_a_body_without_end_is_not_read_to_its_end() -> None:
    found = await outcome(CHUNKED, b"8000\r\n" + bytes(0x8000) + b"\r\n")
    assert isinstance(found, Unread)


def bomb() -> Iterator[bytes]:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    for _ in range(200):
        yield packer.compress(bytes(1 << 20))
    yield packer.flush()


@pytest.mark.parametrize(
    ("encoding", "body", "expected"),
    [
        ("gzip", gzip.compress(b""), Delivered()),
        ("gzip", gzip.compress(b"\x0a\x02\x08\x02"), Delivered(2)),
        ("gzip", b"hello", Delivered(message="the response is not an ExportLogsServiceResponse")),
        ("br", b"hello", Delivered(message="the response is not an ExportLogsServiceResponse")),
        ("gzip", b"".join(bomb()), None),
    ],
    ids=["empty", "partial", "broken", "unknown", "bomb"],
)
async def test_an_answer_that_is_compressed_is_an_answer(encoding: str, body: bytes, expected: Outcome | None) -> None:
    """The collector has the data: they are not sent again because its answer cannot be read."""
    head = OK + f"Content-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    found = await outcome(head + body)
    assert isinstance(found, Unread) if expected is None else found == expected


async def test_an_answer_is_bounded_by_itself_not_by_those_before_it() -> None:
    body = bytes(3 << 20)
    answers = OK + b"Content-Length: %d\r\n\r\n" % len(body) + body
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        with contextlib.suppress(asyncio.IncompleteReadError):
            while asked := await reader.readuntil(b"\r\n\r\n"):
                length = next(line for line in asked.lower().split(b"\r\n") if line.startswith(b"content-length"))
                await reader.readexactly(int(length.partition(b":")[2]))
                requests += 1
                writer.write(answers)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    destination = Destination(
        (f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",), "http/protobuf", timeout=LATE
    )
    client = client_for(destination)
    for _ in range(5):
        assert isinstance(await client.send(prepare(destination, [request("a", 3)])), Delivered)
    await client.close()
    server.close()
    assert requests == 5
