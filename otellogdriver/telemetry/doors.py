"""Who may come in at the metrics port, how many at a time, and for how long.

The port is for people and Prometheus, and costs the driver a bounded amount whatever comes: MOST connections, FIRST
seconds until a connection has asked for something, AGAIN seconds for everything after that, a slow reader, an idle
connection and the next request among it. Names in the `Host` header are checked, so that a page of another site cannot
read the port by letting its own name point here (DNS rebinding): such a name is a public one, with dots.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Collection
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from otellogdriver.telemetry.connections import Runner

MOST = 64
"""Connections at a time: dozens of open status pages. One more is closed at once."""
FIRST, AGAIN = 10.0, 30.0


class Doors:
    """Counts and ends the connections of one port."""

    def __init__(self, first: float = FIRST, again: float = AGAIN) -> None:
        self.first, self.again = first, again
        self._open: dict[asyncio.BaseTransport, _Door] = {}

    def runner(self, application: web.Application) -> web.AppRunner:
        """What serves the application to the connections that are let in."""
        return _Runner(application, self)

    def factory(self, make: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """What makes the protocol of a connection, of aiohttp's own."""
        return lambda: _Door(self, make())

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A request has come: its connection has time until it is answered."""
        if (transport := request.transport) and (door := self._open.get(transport)):
            door.wait(self.again)
        return await handler(request)

    def enter(self, transport: asyncio.BaseTransport, door: _Door) -> bool:
        """False if there is no room."""
        if len(self._open) >= MOST:
            return False
        self._open[transport] = door
        door.wait(self.first)
        return True

    def leave(self, transport: asyncio.BaseTransport) -> None:
        self._open.pop(transport, None)


class _Runner(Runner):
    """Sites take their protocols from the runner's server."""

    def __init__(self, application: web.Application, doors: Doors) -> None:
        super().__init__(application)
        self._doors = doors

    @property
    def server(self) -> Any:
        server = super().server
        return self._doors.factory(server) if server else None


class _Door(asyncio.Protocol):
    """One connection: hands on to aiohttp's protocol what comes in, and ends it when its time is over."""

    def __init__(self, doors: Doors, inner: asyncio.Protocol) -> None:
        self._doors = doors
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def wait(self, seconds: float) -> None:
        """End the connection then, unless something more is heard of it."""
        if self._timer:
            self._timer.cancel()
        assert self._transport
        self._timer = asyncio.get_running_loop().call_later(seconds, self._transport.abort)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._doors.enter(transport, self):
            self._inner.connection_made(transport)
        else:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer:  # it was let in
            self._timer.cancel()
            assert self._transport
            self._doors.leave(self._transport)
            self._inner.connection_lost(error)


def guard(names: Collection[str]) -> Middleware:
    """A middleware that answers only to addresses, names without a dot, and these names."""
    known = {name.lower().rstrip(".") for name in names}

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_local(request.headers.get("Host", ""), known):
            text = "this name is not served here: use the address, or add the name to OTELLOGDRIVER_METRICS_HOSTS\n"
            return web.Response(status=421, text=text)
        return await handler(request)

    return middleware


def is_local(host: str, known: Collection[str] = ()) -> bool:
    """Whether a `Host` header names this driver and cannot be the name of somebody's site. An empty one comes from
    programs alone: browsers always send it."""
    name = host.strip().lower()
    if name.startswith("["):
        name = name.partition("]")[0][1:]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    name = name.rstrip(".")
    if "." not in name and ":" not in name:
        return True
    if name in known or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
