"""HTTP/1.1 on the plugin's socket, as Docker's engine speaks it: requests in, answers out.

In: a connection's bytes. Out: calls of `handle`, for each connection one after the other, and what they answer. `h11`
reads and writes the messages; a whole HTTP server would take longer to be imported than containers should wait. What is
no request, or larger than HEAD_MOST and BODY_MOST, is refused. A connection ends with a call that ends by a fault, so
that the caller can try again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, NamedTuple

import h11

from otellogdriver.loop import Event

log = logging.getLogger(__name__)

HEAD_MOST = 4 << 10
"""Bytes of a request's line and headers: the engine's are a tenth of that."""
BODY_MOST = 32 << 20
"""Bytes of a body: Info carries a container's whole environment and labels."""


class Request(NamedTuple):
    """`path` is as it was sent, with what comes after a question mark."""

    method: str
    path: str
    body: bytes


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
        self._http = h11.Connection(h11.SERVER, HEAD_MOST)
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._is_deaf = False
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
        self._http.receive_data(data)
        if self.task is None:
            self._next()
        elif len(self._http.trailing_data[0]) > HEAD_MOST:
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
        except h11.RemoteProtocolError as error:
            self._head = None
            why = {"Err": f"this is no HTTP request that is answered here: {error}"}
            self._send(error.error_status_hint, why, ("Connection", "close"))
            # Who still sends would not see the answer if the connection were closed now.
            self.transport.write_eof()
            self._is_deaf = True
            self._http, self._body = h11.Connection(h11.SERVER), bytearray()
            return
        if request:
            self.task = asyncio.get_running_loop().create_task(self._answer(request))
            self.task.add_done_callback(self._answered)

    def _take(self) -> Request | None:
        """The next request; None as long as it is not whole. Raises h11.RemoteProtocolError."""
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                self._head, self._body = event, bytearray()
                self._check(int(dict(event.headers).get(b"content-length", b"0")))
            elif isinstance(event, h11.Data):
                self._check(len(self._body) + len(event.data))
                self._body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert self._head
                path, body = self._head.target.decode("latin-1"), bytes(self._body)
                self._body = bytearray()
                return Request(self._head.method.decode(), path, body)
            else:
                if self._http.they_are_waiting_for_100_continue:
                    self._write(h11.InformationalResponse(status_code=100, headers=[]))
                return None

    @staticmethod
    def _check(size: int) -> None:
        if size > BODY_MOST:
            raise h11.RemoteProtocolError(f"the body is longer than {BODY_MOST >> 20} MiB", error_status_hint=413)

    async def _answer(self, request: Request) -> None:
        answer = await self._server.handle(request, self)
        if answer:
            self._send(*answer)
        else:
            self._write(h11.EndOfMessage())

    def _answered(self, task: asyncio.Task[None]) -> None:
        self.task = None
        fault = None if task.cancelled() else task.exception()
        if fault:
            log.error("a connection of the engine is closed: %r", fault)
        if fault or task.cancelled():
            self.transport.abort()
        elif self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            self.transport.close()
        elif not self.transport.is_closing():
            self._http.start_next_cycle()
            self.transport.resume_reading()
            self._next()

    # Answers.

    def _write(self, event: h11.Event) -> None:
        self.transport.write(self._http.send(event) or b"")

    def _send(self, status: int, answer: dict[str, Any], *more: tuple[str, str]) -> None:
        body = json.dumps(answer).encode()
        headers = [("Content-Type", "application/json; charset=utf-8"), ("Content-Length", str(len(body))), *more]
        self._write(h11.Response(status_code=status, headers=headers, reason=HTTPStatus(status).phrase))
        if not self._head or self._head.method != b"HEAD":
            self._write(h11.Data(data=body))
        self._write(h11.EndOfMessage())

    def begin(self, kind: str) -> None:
        """Begin an answer of this media type; what goes into it is given to `write`. It ends with the call."""
        self._write(h11.Response(status_code=200, headers=[("Content-Type", kind)], reason="OK"))

    async def write(self, data: bytes) -> None:
        """Send a piece of it, and wait as long as the caller does not take more. Raises ConnectionResetError when it is
        gone."""
        self._write(h11.Data(data=data))
        await self._room.wait()
        if self.transport.is_closing():
            raise ConnectionResetError
