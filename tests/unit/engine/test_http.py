"""Bytes in, calls and answers out, on a real socket: whole requests, torn ones, several at once, and what is none."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from otellogdriver.engine import http
from otellogdriver.engine.http import Answer, Connection, Request, Server
from otellogdriver.engine.listener import Listener
from tests.scene import LONG, soon

POST = b"POST /call HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"


class Behind:
    """Notes requests and answers with their bodies, or does what `does` says."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.does: Any = None
        self.cancelled = 0

    async def __call__(self, request: Request, connection: Connection) -> Answer | None:
        self.requests.append(request)
        if self.does:
            try:
                answer: Answer | None = await self.does(connection)
                return answer
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return 200, {"got": request.body.decode()}


@pytest.fixture
def behind() -> Behind:
    return Behind()


@pytest.fixture
async def server(behind: Behind, tmp_path: Path) -> AsyncIterator[Server]:
    listener = Listener(str(tmp_path / "socket"), 10)
    server = Server(behind)
    await server.start(listener, 10)
    yield server
    async with asyncio.timeout(LONG):
        await server.close()
    listener.close()
    await soon(lambda: not server.connections)


class Caller:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """The next answer: status, headers, JSON."""
        async with asyncio.timeout(LONG):
            line, *rest = (await self.reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
            headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in rest)}
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(line.split()[1]), headers, json.loads(body) if body else None

    async def rest(self) -> bytes:
        async with asyncio.timeout(LONG):
            return await self.reader.read()


@pytest.fixture
async def caller(server: Server, tmp_path: Path) -> AsyncIterator[Caller]:
    caller = Caller(*await asyncio.open_unix_connection(str(tmp_path / "socket")))
    yield caller
    caller.writer.close()


async def test_requests_of_one_connection_are_answered_in_order(caller: Caller, behind: Behind) -> None:
    """Also those that come torn into bytes, or several at once."""
    caller.writer.write(POST)
    assert await caller.answer() == (
        200,
        {"content-type": "application/json; charset=utf-8", "content-length": "15"},
        {"got": "body"},
    )
    for byte in POST.replace(b"body", b"torn"):
        caller.writer.write(bytes([byte]))
        await caller.writer.drain()
        await asyncio.sleep(0)
    assert (await caller.answer())[2] == {"got": "torn"}
    caller.writer.write(b"".join(POST.replace(b"body", b"%04d" % index) for index in range(200)))
    assert [(await caller.answer())[2] for _ in range(200)] == [{"got": f"{index:04}"} for index in range(200)]
    assert {(request.method, request.path) for request in behind.requests} == {("POST", "/call")}


async def test_a_connection_ends_as_its_caller_wishes(server: Server, tmp_path: Path) -> None:
    for head, stays in (
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nHost: x\r\nconnection: Close\r\n\r\n", False),
        (b"POST / HTTP/1.0\r\n\r\n", False),
    ):
        caller = Caller(*await asyncio.open_unix_connection(str(tmp_path / "socket")))
        caller.writer.write(head)
        status, headers, answer = await caller.answer()
        assert (status, answer) == (200, {"got": ""})
        assert ("connection" in headers) is not stays
        if stays:
            caller.writer.write(POST)
            assert (await caller.answer())[2] == {"got": "body"}
        else:
            assert await caller.rest() == b""
        caller.writer.close()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (bytes(100), 400),
        (b"POST / HTTP/1.1\r\n\r\n", 400),
        (b"POST /\r\n\r\n", 400),
        (b"POST /a b HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 1000, 431),
        (b"A" * (http.HEAD_MOST + 1), 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1e3\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 500 + b"\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nrubbish\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (http.BODY_MOST + 1), 413),
    ],
)
async def test_what_is_no_request_is_refused(caller: Caller, behind: Behind, sent: bytes, status: int) -> None:
    caller.writer.write(sent)
    found, headers, answer = await caller.answer()
    assert found == status and answer["Err"] and headers["connection"] == "close"
    assert await caller.rest() == b""
    caller.writer.write(POST)  # it is read, and forgotten
    await caller.writer.drain()
    assert behind.requests == []


async def test_a_body_of_the_greatest_length_is_taken_and_a_longer_one_read_and_forgotten(
    caller: Caller, behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "BODY_MOST", 1 << 20)
    for size in (1 << 20, (1 << 20) + 1):
        caller.writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        await caller.writer.drain()
        assert (await caller.answer())[0] == (200 if size == 1 << 20 else 413)
    assert [len(request.body) for request in behind.requests] == [1 << 20]


async def test_a_body_in_pieces_is_asked_for_and_put_together(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_MOST", 1 << 20)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    caller.writer.write(head)
    assert (await caller.answer())[0] == 100
    caller.writer.write(b"2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n")
    assert (await caller.answer())[2] == {"got": "body"}
    caller.writer.write(head)
    assert (await caller.answer())[0] == 100
    caller.writer.write(b"40000\r\n" + bytes(1 << 18) + b"\r\n")
    for _ in range(4):
        caller.writer.write(b"40000\r\n" + bytes(1 << 18) + b"\r\n")
    assert (await caller.answer())[0] == 413


async def test_an_answer_to_head_has_no_body(caller: Caller) -> None:
    caller.writer.write(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await caller.rest()).endswith(b"\r\n\r\n")


async def test_what_is_streamed_waits_for_who_reads_it(caller: Caller, behind: Behind) -> None:
    piece, written = bytes(range(256)) * 256, 0

    async def stream(connection: Connection) -> None:
        nonlocal written
        connection.begin("x/y")
        for _ in range(1000):
            await connection.write(piece)
            written += 1

    behind.does = stream
    caller.writer.write(POST)
    await soon(lambda: written)
    before = -1
    while before != written:  # until nothing goes on without a reader
        before = written
        await asyncio.sleep(0.05)
    assert written < 100
    async with asyncio.timeout(LONG):
        head = await caller.reader.readuntil(b"\r\n\r\n")
        assert b"content-type: x/y\r\ntransfer-encoding: chunked\r\n" in head.lower()
        for _ in range(1000):
            assert await caller.reader.readexactly(7 + len(piece) + 2) == b"10000\r\n" + piece + b"\r\n"
        assert await caller.reader.readexactly(5) == b"0\r\n\r\n"
    behind.does = None
    caller.writer.write(POST)
    assert (await caller.answer())[2] == {"got": "body"}


async def test_what_is_streamed_to_an_old_caller_ends_with_the_connection(caller: Caller, behind: Behind) -> None:
    async def stream(connection: Connection) -> None:
        connection.begin("x/y")
        await connection.write(b"whole")

    behind.does = stream
    caller.writer.write(b"POST / HTTP/1.0\r\n\r\n")
    assert (await caller.rest()).partition(b"\r\n\r\n")[2] == b"whole"


async def test_who_hangs_up_ends_the_call(caller: Caller, behind: Behind, server: Server) -> None:
    behind.does = lambda _: asyncio.Event().wait()
    caller.writer.write(POST)
    await soon(lambda: behind.requests)
    caller.writer.close()
    await soon(lambda: behind.cancelled == 1 and not server.connections)


@pytest.mark.parametrize("begun", [False, True])
async def test_a_fault_ends_the_connection(caller: Caller, behind: Behind, begun: bool) -> None:
    async def fault(connection: Connection) -> None:
        if begun:
            connection.begin("x/y")
        raise MemoryError

    behind.does = fault
    caller.writer.write(POST)
    assert not (await caller.rest()).endswith(b"0\r\n\r\n")


async def test_the_end_lets_calls_end_and_begins_none(caller: Caller, behind: Behind, server: Server) -> None:
    gate = asyncio.Event()

    async def wait(_: Connection) -> Answer:
        await gate.wait()
        return 200, {"got": "late"}

    behind.does = wait
    caller.writer.write(POST)
    await soon(lambda: behind.requests)
    closing = asyncio.create_task(server.close())
    await asyncio.sleep(0)
    gate.set()
    assert (await caller.answer())[2] == {"got": "late"}
    await closing
    assert await caller.rest() == b""


async def test_a_start_that_fails_may_be_made_again(behind: Behind, tmp_path: Path, monkeypatch: Any) -> None:
    loop: Any = asyncio.get_running_loop()
    with Listener(str(tmp_path / "other"), 10) as listener:
        server = Server(behind)
        with monkeypatch.context() as patched, pytest.raises(OSError, match="no room"):
            patched.setattr(loop, "_add_reader", lambda *_: (_ for _ in ()).throw(OSError("no room")))
            await server.start(listener, 10)
        await server.start(listener, 10)
        with socket.socket(socket.AF_UNIX) as other:
            other.setblocking(False)
            other.connect(str(tmp_path / "other"))
            await loop.sock_sendall(other, POST)
            assert (await loop.sock_recv(other, 20)).startswith(b"HTTP/1.1 200 OK")
        await server.close()
