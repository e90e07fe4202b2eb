"""OTLP/gRPC: one unary call per request, and what its status means.

Source: OTLP specification 1.11, "OTLP/gRPC", "Failures", read as in `http.py`: what speaks of us or of the address
says nothing about the data.

    OK                                                            Delivered
    CANCELLED, ABORTED, OUT_OF_RANGE, DATA_LOSS, UNAVAILABLE      Retry, with RetryInfo if there is one
    DEADLINE_EXCEEDED                                             Retry ("timeout")
    RESOURCE_EXHAUSTED with RetryInfo                             Retry ("throttled"); without it Refused
    UNAUTHENTICATED, PERMISSION_DENIED, UNIMPLEMENTED, NOT_FOUND  Denied
    a certificate that is not accepted (UNAVAILABLE to grpcio)    Denied (local)
    all others (INVALID_ARGUMENT, INTERNAL, UNKNOWN, ...)         Refused

grpcio invents codes of the same names where no status came, and only its texts tell them apart:

    a stream that was reset, a connection that ended, no status   Retry; ENHANCE_YOUR_CALM is "throttled"
    an answer that is longer than what we read, or badly packed   Unread
    an HTTP status, from a proxy that knows no gRPC               as in `http.py`

The call is a raw `unary_unary` on a public channel: bytes in, bytes out. grpcio compresses by itself and takes nothing
compressed already. It is imported with the first request only, because it costs 15 to 20 MiB.

A channel that failed keeps a back-off of its own, in which it refuses calls without trying; the caller has one already.
So after a failure to reach the collector, or a time-out (perhaps the connection is dead and nobody has noticed), the
channel is given up and the next call dials anew: name lookup, TCP, TLS with files read again; unless it has taken
another call meanwhile, for then the trouble is with this one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from dataclasses import dataclass
from typing import Any

from otellogdriver.errors import OptionError
from otellogdriver.export import answer, tls
from otellogdriver.export.destination import GRPC, Destination, Endpoint, parse_endpoint
from otellogdriver.export.files import Files
from otellogdriver.export.headers import headers_of
from otellogdriver.export.http import by_status
from otellogdriver.export.outcome import Body, Delivered, Denied, Outcome, Refused, Retry, Unread
from otellogdriver.export.proxy import Forwarder, proxy_for
from otellogdriver.export.resolver import replaced
from otellogdriver.loading import load
from otellogdriver.loop import Lock

log = logging.getLogger(__name__)

_RETRY = frozenset({"CANCELLED", "ABORTED", "OUT_OF_RANGE", "DATA_LOSS", "UNAVAILABLE", "DEADLINE_EXCEEDED"})
_DENIED = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED", "NOT_FOUND"})
_DISTRUST = ("CERTIFICATE_VERIFY_FAILED", "Hostname Verification Check failed")

_PROXY = re.compile(r"Received http2 header with status: (\d{3})")
_OURS = re.compile(
    r"Stream removed|(Received )?RST_STREAM|GOAWAY received|No status received|CLIENT: |Socket closed"
    r"|Cancelling all calls|Transport closed|Endpoint closing|[Kk]eepalive timeout|[Pp]ing timeout"
)
"""How texts begin that grpcio writes itself."""
_UNREAD = re.compile(r"CLIENT: Received message larger than max|^(Compression bit set|Decompression failed)")
_CALM = re.compile(r"RST_STREAM with error code 11\b")

_LOST = ("unreachable", "timeout")

_LATE = 0.01
"""Seconds after a failed call within which grpcio notes that the connection has ended. Each UNAVAILABLE of the
collector's own takes that long, and other containers may be waiting for it."""


@dataclass(slots=True)
class _Line:
    """A channel, how many calls use it, and when it has taken one last."""

    channel: Any
    call: Any
    calls: int = 0
    taken: float = 0.0


class GrpcClient:
    """Sends to one endpoint of a destination. `body` is the request, not compressed."""

    def __init__(self, destination: Destination, endpoint: str, method: str) -> None:
        self._destination = destination
        self._text = endpoint
        self._method = method
        self._endpoint: Endpoint | None = None
        self._metadata: tuple[tuple[str, str], ...] = ()
        self._secrets: tuple[str, ...] = ()
        self._line: _Line | None = None
        self._dialing = Lock()
        self._files = Files(destination)
        self._forwarder: Forwarder | None = None
        self._forwarder_path = ""

    async def send(self, body: Body, alone: bool = False) -> Outcome:
        """Make one call. Never raises, except CancelledError. One that is `alone` has a channel of its own."""
        try:
            line = await self._dial()
            if alone:
                line = await self._open()
        except OptionError as error:
            return Denied(str(error), local=True)
        line.calls += 1
        started = time.monotonic()
        try:
            outcome = await self._call(line, b"".join(body))
            lost = isinstance(outcome, Denied) or isinstance(outcome, Retry) and outcome.kind in _LOST
            if isinstance(outcome, Delivered):
                line.taken = time.monotonic()
            elif lost and line.taken < started:
                self._line = None if self._line is line else self._line
                if isinstance(outcome, Denied) and self._destination.headers_file:
                    self._endpoint = None  # the file may have a new token by the next time
            return outcome
        finally:
            line.calls -= 1
            if line is not self._line and not line.calls:
                await line.channel.close()

    async def _call(self, line: _Line, body: bytes) -> Outcome:
        aio: Any = load("grpc.aio")
        try:
            response = await line.call(body, timeout=self._destination.timeout or None, metadata=self._metadata)
            return answer.delivered(response, secrets=self._secrets)
        except aio.AioRpcError as error:
            is_away = error.code().name == "UNAVAILABLE"
            stands = is_away and not _OURS.match(error.details() or "") and await self._stands(line.channel)
            if is_away and not stands and self._forwarder and self._forwarder.fault:
                return self._forwarder.fault.outcome
            return self._classify(error, stands)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return Retry("unreachable", f"{self._label}: the channel was closed")  # by close(), not for our caller
        except (aio.UsageError, aio.InternalError, ValueError, RuntimeError) as error:  # the text might hold a header
            return Retry("unreachable", f"{self._label}: {type(error).__name__} while sending")

    @staticmethod
    async def _stands(channel: Any) -> bool:
        """Whether the connection stands. grpcio ends its calls before it says so."""
        ready = load("grpc").ChannelConnectivity.READY
        if channel.get_state() is not ready:
            return False
        try:
            async with asyncio.timeout(_LATE):
                await channel.wait_for_state_change(ready)
        except TimeoutError:
            return True
        return False

    async def close(self) -> None:
        """Close the channel; a later send opens a new one."""
        line, self._line = self._line, None
        if line is not None:
            await line.channel.close()
        forwarder, self._forwarder = self._forwarder, None
        if forwarder is not None:
            await forwarder.close()

    @property
    def _label(self) -> str:
        return self._endpoint.label if self._endpoint else "invalid-endpoint"

    async def _dial(self) -> _Line:
        """The channel to use. Whatever can be wrong with the settings is found here. One that was made before its files
        were replaced is used by the calls on it, and by no others."""
        stale = self._line is not None and self._files.changed()
        if self._line is not None and not stale:
            return self._line
        async with self._dialing:
            old = self._line
            if old is None:
                self._line = await self._open()
                return self._line
            if not stale:
                return old
            kept = self._endpoint, self._metadata, self._secrets
            self._line = self._endpoint = None
            try:
                line = self._line = await self._open()
            except OptionError as error:  # perhaps the second of two files is not there yet
                self._files.complain(error)
                self._line, (self._endpoint, self._metadata, self._secrets) = old, kept
                return old
            if not old.calls:
                await old.channel.close()
            return line

    async def _open(self) -> _Line:
        """A new channel, from files read now. Raises OptionError."""
        destination = self._destination
        signature = self._files.signature()
        if self._endpoint is None:
            endpoint = parse_endpoint(self._text, GRPC, destination.insecure)
            given = headers_of(destination)
            basic = (("authorization", endpoint.authorization),) if endpoint.authorization else ()
            self._metadata = given if any(name == "authorization" for name, _ in given) else (*basic, *given)
            self._secrets, self._endpoint = answer.secrets_of((*basic, *given)), endpoint
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # else grpcio writes to stderr on its own
        grpc: Any = load("grpc")
        aio: Any = load("grpc.aio")
        options: list[tuple[str, Any]] = [
            ("grpc.primary_user_agent", answer.user_agent()),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", answer.MAX_RESPONSE),
            ("grpc.use_local_subchannel_pool", 1),  # else a new channel inherits the old one's back-off
            ("grpc.dns_min_time_between_resolutions_ms", 500),
            ("grpc.max_reconnect_backoff_ms", 1000),
            ("grpc.enable_retries", 0),  # without a pause, each in new memory, where a server takes no call and says so
            ("grpc.enable_http_proxy", 0),  # the destination says which proxy is used, if any
        ]
        compression = grpc.Compression.Gzip if self._text in destination.gzipped else grpc.Compression.NoCompression
        target = self._endpoint.target
        if proxy_for(destination, self._endpoint) is not None:
            if self._forwarder is None:
                forwarder = Forwarder(destination, self._endpoint)
                self._forwarder_path = await forwarder.start()
                self._forwarder = forwarder
            target = f"unix:{self._forwarder_path}"
            options.append(("grpc.default_authority", self._endpoint.authority))
            if self._endpoint.tls and not destination.server_name:
                options.append(("grpc.ssl_target_name_override", self._endpoint.host))
        if self._endpoint.tls:
            if destination.skip_verify:
                raise OptionError(
                    "grpc cannot skip verification: name the CA (or the server's own certificate), or use http/protobuf"
                )
            read = tls.material(destination)
            credentials = grpc.ssl_channel_credentials(read.authority, read.key or read.certificate, read.certificate)
            if destination.server_name:
                options.append(("grpc.ssl_target_name_override", destination.server_name))
                options.append(("grpc.default_authority", destination.server_name))
            channel = aio.secure_channel(target, credentials, options, compression)
        else:
            channel = aio.insecure_channel(target, options, compression)
        self._files.settle(signature)
        return _Line(channel, channel.unary_unary(self._method))

    def _classify(self, error: Any, stands: bool) -> Outcome:
        """Sort a failed call. grpcio does not say who made a status: an UNAVAILABLE came from the collector if the
        connection still stands."""
        code: str = error.code().name
        details = answer.one_line(error.details() or "", self._secrets)
        reason = f"{self._label}: {code}" + (f": {details}" if details else "")
        after = None
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                after = answer.retry_info(value)
        if code == "UNAVAILABLE" and any(text in details for text in _DISTRUST):
            return Denied(reason, local=True)
        if code == "DEADLINE_EXCEEDED":
            reason = f"{self._label}: no answer within {self._destination.timeout:g} s ({code})"
            return Retry("timeout", reason, after, broke=True)
        if proxy := _PROXY.match(details):
            return by_status(int(proxy[1]), reason)
        if _UNREAD.search(details):
            return Unread(reason)
        if _OURS.match(details):
            return Retry("throttled", reason) if _CALM.search(details) else Retry("unreachable", reason, broke=True)
        if after is not None and (code in _RETRY or code == "RESOURCE_EXHAUSTED"):
            return Retry("throttled", reason, after)
        if code == "UNAVAILABLE" and "resolution" in details and (told := replaced()):
            reason += f"; {told}"
        if code in _RETRY:
            return Retry("unavailable" if stands or code != "UNAVAILABLE" else "unreachable", reason)
        return Denied(reason) if code in _DENIED else Refused(reason, too_large=code == "RESOURCE_EXHAUSTED")
