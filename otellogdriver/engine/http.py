"""HTTP/1.1 on the plugin's socket, as Docker's engine speaks it: requests in, answers out.

In: a connection's bytes. Out: calls of `handle`, for each connection one after the other, and what they answer. Only
the engine calls, because the socket is root's, and it says how long each body is; so little is needed here, and it is
there long before a whole HTTP server would be imported, for which containers would wait. What is no such request is
refused: a head that is none or longer than HEAD_MOST (400), a body whose length is not said (411) or beyond BODY_MOST
(413). A connection ends with a call that ends by a fault, so that the caller can try again; a call that streams ends
with its connection.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from otellogdriver.loop import Event

log = logging.getLogger(__name__)

HEAD_MOST = 4 << 10
"""Bytes of a request's line and headers: the engine's are a tenth of that."""
BODY_MOST = 32 << 20
"""Bytes of a body: Info carries a container's whole environment and labels."""

_BEGIN = re.compile(rb"[A-Z]{1,20}( |$)")
_LINE = re.compile(rb"([A-Z]{1,20}) ([!-~\x80-\xff]+) HTTP/1\.([01])")
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 411: "Length Required", 413: "Content Too Large"}


class Request(NamedTuple):
    """`path` is as it was sent, with what comes after a question mark."""

    method: str
    path: str
    body: bytes


class Refused(Exception):
    """These bytes are no request, or one that is too large."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


Answer = tuple[int, dict[str, Any]]
"""Status, JSON object."""
Handle = Callable[[Request, "Connection"], Awaitable[Answer | None]]
"""None stands for an answer that has been streamed, with the connection's `begin` and `write`."""


class Server:
    """Answers by `handle` what comes in at a listening socket."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket, backlog: int) -> None:
        """Raises OSError; may be called again then."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), sock=listener, backlog=backlog)

    async def close(self) -> None:
        """Let calls that are under way end, and begin none."""
        if self._server:
            self._server.close()
        tasks = [each.task for each in self.connections if each.task]
        if tasks:
            await asyncio.wait(tasks)
        for each in list(self.connections):
            each.transport.close()


class Connection(asyncio.Protocol):
    """See the module's text. `handle` may stream an answer: `begin`, then `write` as often as it likes."""

    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self.task: asyncio.Task[None] | None = None
        """Answers the request that is under way."""
        self._server = server
        self._buffer = bytearray()
        self._is_deaf = self._is_last = self._is_chunked = False
        self._room = Event()
        self._room.set()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        self._buffer += data
        if self.task is None:
            self._next()
        elif len(self._buffer) > HEAD_MOST:
            self.transport.pause_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._server.connections.discard(self)
        self._room.set()
        if self.task:
            self.task.cancel()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    # Requests.

    def _next(self) -> None:
        """Answer the next request, if it is there as a whole."""
        try:
            request = self._take()
        except Refused as refused:
            self._is_last = True
            self._send(refused.status, {"Err": str(refused)})
            # Who still sends would not see the answer if the connection were closed now.
            self.transport.write_eof()
            self._is_deaf = True
            self._buffer.clear()
            return
        if request:
            self.task = asyncio.get_running_loop().create_task(self._answer(request))
            self.task.add_done_callback(self._answered)

    def _take(self) -> Request | None:
        """The next request, out of the buffer; None as long as it is not whole. Raises Refused."""
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", 0, HEAD_MOST)
        if end < 0:
            if len(buffer) >= HEAD_MOST or (buffer and not _BEGIN.match(buffer)):
                raise Refused(400, "this is no HTTP request, or its head is too long")
            return None
        line, *rest = bytes(buffer[:end]).split(b"\r\n")
        match = _LINE.fullmatch(line)
        if not match:
            raise Refused(400, "the first line is not that of an HTTP/1.1 request")
        method, path, minor = match.groups()
        headers = {name.lower(): value.strip().lower() for name, _, value in (each.partition(b":") for each in rest)}
        if b"transfer-encoding" in headers:
            raise Refused(411, "the length of the body is needed: Content-Length")
        length = headers.get(b"content-length", b"0")
        if not re.fullmatch(rb"\d{1,18}", length):
            raise Refused(400, "Content-Length is no number")
        if int(length) > BODY_MOST:
            raise Refused(413, f"the body is longer than {BODY_MOST >> 20} MiB")
        begin = end + 4
        if len(buffer) < begin + int(length):
            return None
        body = bytes(memoryview(buffer)[begin : begin + int(length)])
        del buffer[: begin + int(length)]
        wish = headers.get(b"connection", b"")
        self._is_last = wish == b"close" or (minor == b"0" and wish != b"keep-alive")
        self._is_chunked = minor == b"1"
        return Request(method.decode(), path.decode("latin-1"), body)

    async def _answer(self, request: Request) -> None:
        answer = await self._server.handle(request, self)
        if answer:
            self._send(*answer, with_body=request.method != "HEAD")
        elif self._is_chunked:
            self.transport.write(b"0\r\n\r\n")

    def _answered(self, task: asyncio.Task[None]) -> None:
        self.task = None
        fault = None if task.cancelled() else task.exception()
        if fault:
            log.error("a connection of the engine is closed: %r", fault)
        if fault or task.cancelled():
            self.transport.abort()
        elif self._is_last:
            self.transport.close()
        elif not self.transport.is_closing():
            self.transport.resume_reading()
            self._next()

    # Answers.

    def _send(self, status: int, answer: dict[str, Any], with_body: bool = True) -> None:
        body = json.dumps(answer).encode()
        head = self._head(status, "application/json; charset=utf-8", f"Content-Length: {len(body)}")
        self.transport.write(head + body if with_body else head)

    def _head(self, status: int, kind: str, length: str) -> bytes:
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Internal Server Error')}", f"Content-Type: {kind}"]
        lines += [length] if length else []
        lines += ["Connection: close"] if self._is_last else []
        return "\r\n".join([*lines, "\r\n"]).encode()

    def begin(self, kind: str) -> None:
        """Begin an answer of this media type; what goes into it is given to `write`. It ends with the call."""
        self._is_last = self._is_last or not self._is_chunked
        self.transport.write(self._head(200, kind, "Transfer-Encoding: chunked" if self._is_chunked else ""))

    async def write(self, data: bytes) -> None:
        """Send a piece of it, and wait as long as the caller does not take more. Raises ConnectionResetError when it is
        gone."""
        self.transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)
        await self._room.wait()
        if self.transport.is_closing():
            raise ConnectionResetError
