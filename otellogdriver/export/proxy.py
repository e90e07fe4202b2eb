"""The way through a proxy: a connection to a collector behind CONNECT, for HTTP and, by a local socket, for gRPC.

In: a destination and an endpoint. Out: a connection as if there were no proxy, or a `ProxyFault`, whose outcome never
speaks of the data: whatever a proxy says, it has seen none of them. That is why plain http goes by CONNECT, too, and
not as a request that the proxy passes on: its own errors would be taken for the collector's. Credentials of a proxy are
in no text. Source: RFC 9110, sections 9.3.6 (CONNECT) and 11.7 (authentication of proxies).

grpcio has a CONNECT of its own, but not to https proxies, and does not say what the proxy answered. So its channel goes
to a socket in a folder that nobody else may enter, and `Forwarder` passes the bytes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from otellogdriver.errors import OptionError
from otellogdriver.export import answer, tls
from otellogdriver.export.destination import HTTP, Destination, Endpoint, parse_endpoint
from otellogdriver.export.outcome import Denied, Retry
from otellogdriver.export.resolver import Resolver
from otellogdriver.settings.proxies import NONE, goes_past

P = TypeVar("P", bound=asyncio.BaseProtocol)

_LONGEST_HEAD = 16 << 10
_PATIENCE = 10.0
"""Seconds for a tunnel where the destination has no time-out."""


class ProxyFault(Exception):
    """There is no way through the proxy. `status` is what it answered to CONNECT, 0 for none."""

    def __init__(self, outcome: Denied | Retry, status: int = 0) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome
        self.status = status


@dataclass(frozen=True, slots=True)
class Proxy:
    """`place` is how the proxy itself is reached; its authorization is the value of Proxy-Authorization."""

    place: Endpoint
    context: ssl.SSLContext | None

    @property
    def label(self) -> str:
        return f"proxy {self.place.label}"


def proxy_for(destination: Destination, endpoint: Endpoint) -> Proxy | None:
    """The proxy for an endpoint, None for the direct way. Raises OptionError for a certificate that cannot be read."""
    text = destination.proxy
    if not text and not goes_past(endpoint.host, endpoint.port, destination.no_proxy):
        text = destination.https_proxy if endpoint.tls else destination.http_proxy
    if not text or text == NONE:
        return None
    place = parse_endpoint(text, HTTP)
    return Proxy(place, tls.for_proxy(destination) if place.tls else None)


async def tunnel(
    proxy: Proxy,
    endpoint: Endpoint,
    resolver: Resolver,
    factory: Callable[[], P],
    context: ssl.SSLContext | None = None,
    server_name: str = "",
) -> tuple[asyncio.Transport, P]:
    """A connection to the endpoint, with TLS if there is a `context`. Raises ProxyFault; OSError and ssl.SSLError for
    what goes wrong beyond the proxy."""
    transport, head = await _dial(proxy, endpoint, resolver)
    loop = asyncio.get_running_loop()
    protocol = factory()
    try:
        if context is not None:
            encrypted = await loop.start_tls(transport, protocol, context, server_hostname=server_name or endpoint.host)
            if encrypted is None:
                raise ConnectionResetError("closed")
            protocol.connection_made(encrypted)
            return encrypted, protocol
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if head.rest and isinstance(protocol, asyncio.Protocol):  # a server of HTTP/2 may speak first
            protocol.data_received(head.rest)
        transport.resume_reading()
        return transport, protocol
    except BaseException:
        transport.abort()
        raise


async def _dial(proxy: Proxy, endpoint: Endpoint, resolver: Resolver) -> tuple[asyncio.Transport, _Head]:
    """A connection that the proxy has answered well on."""
    loop = asyncio.get_running_loop()
    place = proxy.place
    transport: asyncio.Transport | None = None
    try:
        fault: OSError | None = None
        for address in await resolver.resolve(place.host, place.port):
            try:
                transport, head = await loop.create_connection(
                    _Head,
                    address["host"],
                    place.port,
                    ssl=proxy.context,
                    server_hostname=place.host if place.tls else None,
                )
                break
            except OSError as error:
                fault = error
        if transport is None:
            raise fault or OSError(None, "no address")
        try:
            lines = [f"CONNECT {endpoint.authority} HTTP/1.1", f"Host: {endpoint.authority}"]
            lines.append(f"User-Agent: {answer.user_agent()}")
            if place.authorization:
                lines.append(f"Proxy-Authorization: {place.authorization}")
            transport.write("\r\n".join([*lines, "", ""]).encode("ascii"))
            status, phrase = await head.answered
        except BaseException:
            transport.abort()
            raise
    except ssl.SSLCertVerificationError as error:
        reason = f"{proxy.label}: TLS: {answer.one_line(error.verify_message)}"
        raise ProxyFault(Denied(reason, local=True)) from None
    except OSError as error:
        number = error.errno if isinstance(error.errno, int) and error.errno > 0 else 0
        why = getattr(error, "reason", None) or (os.strerror(number) if number else error.strerror) or "failed"
        raise ProxyFault(Retry("unreachable", f"{proxy.label}: {answer.one_line(str(why))}")) from None
    if 200 <= status < 300:
        return transport, head
    transport.abort()
    secrets = answer.secrets_of([("", place.authorization)])
    reason = f"{proxy.label}: no way to {endpoint.authority}: HTTP {status} {answer.one_line(phrase, secrets)}".rstrip()
    away = status >= 500 or status in (408, 429)
    raise ProxyFault(Retry("unreachable", reason) if away else Denied(reason, local=True), status)


class _Head(asyncio.Protocol):
    """Waits for the head of the proxy's answer; `rest` is what came after it."""

    def __init__(self) -> None:
        self.rest = b""
        self.answered: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.rest += data
        end = re.search(rb"\r?\n\r?\n", self.rest)
        if end is None and len(self.rest) <= _LONGEST_HEAD:
            return
        if self._transport is not None:
            self._transport.pause_reading()
        if self.answered.done():
            return
        line = re.match(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: ([^\r\n]*))?\r?\n", self.rest)
        if line is None or end is None:
            self.answered.set_exception(OSError(None, "what answers there is no HTTP proxy"))
            return
        self.rest = self.rest[end.end() :]
        self.answered.set_result((int(line[1]), (line[2] or b"").decode("latin-1")))

    def connection_lost(self, error: Exception | None) -> None:
        if not self.answered.done():
            self.answered.set_exception(OSError(None, "closed before it answered"))
            self.answered.exception()  # nobody may be waiting any more


class Forwarder:
    """A socket whose connections lead through the proxy. `fault` is why the last one did not."""

    def __init__(self, destination: Destination, endpoint: Endpoint) -> None:
        self.fault: ProxyFault | None = None
        self._destination = destination
        self._endpoint = endpoint
        self._patience = destination.timeout or _PATIENCE
        self._resolver = Resolver()
        self._folder = ""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        """The path of the socket. Raises OptionError where no file can be made."""
        try:
            self._folder = tempfile.mkdtemp(prefix="otellogdriver-")
            path = str(Path(self._folder, "proxy"))
            self._server = await asyncio.start_unix_server(self._serve, path)
        except OSError as error:
            await self.close()
            raise OptionError(f"no folder for the socket of a proxy: {error.strerror}") from None
        return path

    async def close(self) -> None:
        """End all connections."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._resolver.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._forward(reader, writer)
        except asyncio.CancelledError:
            pass  # by `close`; asyncio's streams would log it as a fault
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        back = asyncio.StreamReader()
        label = "proxy"
        try:
            proxy = proxy_for(self._destination, self._endpoint)  # its certificate may have been replaced
            assert proxy is not None
            label = proxy.label
            async with asyncio.timeout(self._patience):
                transport, protocol = await tunnel(
                    proxy, self._endpoint, self._resolver, lambda: asyncio.StreamReaderProtocol(back)
                )
        except ProxyFault as fault:
            self.fault = fault
            return
        except OptionError as error:
            self.fault = ProxyFault(Denied(str(error), local=True))
            return
        except (OSError, TimeoutError):
            self.fault = ProxyFault(Retry("unreachable", f"{label}: no answer within {self._patience:g} s"))
            return
        self.fault = None
        there = asyncio.StreamWriter(transport, protocol, back, loop)
        ways = [asyncio.ensure_future(_pass(reader, there)), asyncio.ensure_future(_pass(back, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            transport.abort()
            await asyncio.gather(*ways, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(256 << 10):
            writer.write(data)
            await writer.drain()
