"""OTLP/HTTP: one POST per request, and what its answer means.

Source: OTLP specification 1.11, "OTLP/HTTP", "Failures". Where it says "must not retry" it means that the *data* is
bad; statuses that speak of us, of the address or of a gateway in between are sorted here by what they say:

    2xx                                    Delivered; a web page (text/html) is Denied, because no collector sends one
                                           and an answer longer than 4 MiB is Unread
    429, 502, 503, 504                     Retry, with Retry-After (seconds or date)
    408, 425                               Retry: the request did not arrive well, nothing is said about its content
    520-527, 530                           Retry: how a well-known gateway words 502 and 504
    3xx, 401, 402, 403, 404, 405, 406,     Denied: token, quota, address or form is not taken; every other request
    407, 410, 411, 415, 417, 421, 426,     would fare the same, so giving up data for it would lose all of it
    431, 451, 501, 505, 511
    400 as a web page, or about HTTPS      Denied: a server in front did not get as far as OTLP (http:// to a TLS port)
    all others (400, 413, 422, 500, ...)   Refused; 500 too, since collectors say 500 for data that they cannot process
    no connection, name not found, reset,  Retry ("unreachable"); closed within a 2xx answer as well: what
    closed before or within the answer     it would have said is not known
    no whole answer within the timeout     Retry ("timeout")
    certificate not accepted, either side  Denied (local); a handshake that only breaks off is a Retry

Names are looked up for every new connection; connections are kept alive for 15 s, which is shorter than what servers
allow, so that a request rarely meets a connection that is just being closed. Redirects are not followed: the token
would go along. Which proxy is used, if any, says the destination (`proxy.py`), never aiohttp by itself.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import ssl
import time
import zlib
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_writer import StreamWriter
from aiohttp.payload import Payload
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.tracing import Trace
from multidict import CIMultiDict
from yarl import URL

from otellogdriver.errors import OptionError
from otellogdriver.export import answer, tls
from otellogdriver.export.destination import HTTP, Destination, Endpoint, parse_endpoint
from otellogdriver.export.files import Files
from otellogdriver.export.headers import headers_of
from otellogdriver.export.outcome import Body, Denied, Outcome, Refused, Retry, Unread
from otellogdriver.export.proxy import ProxyFault, proxy_for, tunnel
from otellogdriver.export.resolver import Resolver, replaced

log = logging.getLogger(__name__)

KEEP_ALIVE = 15.0
_MAX_ERROR = 64 << 10  # what is read of an error's body
_MAX_HEAD, _MAX_ANSWER = 64 << 10, 2 * answer.MAX_RESPONSE
"""Bytes that come before an answer's body begins (a head, and heads of 1xx before it), and in all: an answer without
end, whatever it is made of, must not keep the loop busy until its time is over."""
_DENIED = frozenset({401, 402, 403, 404, 405, 406, 407, 410, 411, 415, 417, 421, 426, 431, 451, 501, 505, 511})
_RETRY = {408: "timeout", 425: "unavailable", 429: "throttled", 502: "unavailable", 503: "unavailable"}
_RETRY |= dict.fromkeys((504, *range(520, 528), 530), "unavailable")
_OWN = frozenset({425, 429, 503})
"""Of those, what a collector says of itself; the others may be for the sake of one request."""


class HttpClient:
    """Sends to one endpoint of a destination. `body` is the request, compressed already if it is to be."""

    def __init__(self, destination: Destination, endpoint: str) -> None:
        self._destination = destination
        self._text = endpoint
        self._endpoint: Endpoint | None = None
        self._headers: CIMultiDict[str] = CIMultiDict()
        self._session: aiohttp.ClientSession | None = None
        self._context: ssl.SSLContext | None = None
        self._secrets: tuple[str, ...] = ()
        self._files = Files(destination)

    async def send(self, body: Body, alone: bool = False) -> Outcome:
        """POST one request. Never raises, except CancelledError. Each is alone on its connection."""
        try:
            endpoint, session = self._ready()
            async with session.post(
                URL(endpoint.target, encoded=True),  # path and query as they are written
                data=_Body(body),
                headers=self._headers,
                allow_redirects=False,
                ssl=self._context or True,
                server_hostname=self._destination.server_name or (endpoint.host if endpoint.zone else None),
            ) as response:
                outcome = await self._classify(endpoint.label, response)
                if isinstance(outcome, Denied) and self._destination.headers_file:
                    self._endpoint = None  # the file may have a new token by the next time
                return outcome
        except OptionError as error:
            return Denied(str(error), local=True)
        except ProxyFault as fault:
            return fault.outcome
        except TimeoutError:
            reason = f"{self._label}: no whole answer within {self._destination.timeout:g} s"
            return Retry("timeout", reason, broke=True)
        except aiohttp.InvalidURL:  # its text would quote the URL
            return Denied(f"{self._label}: not a URL that can be requested", local=True)
        except (aiohttp.ClientError, OSError) as error:
            return self._broken(error)
        except (ValueError, RuntimeError) as error:  # not known to happen; the text might hold a header
            return Retry("unreachable", f"{self._label}: {type(error).__name__} while sending")

    async def close(self) -> None:
        """Close all connections; a later send opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @property
    def _label(self) -> str:
        return self._endpoint.label if self._endpoint else "invalid-endpoint"

    def _ready(self) -> tuple[Endpoint, aiohttp.ClientSession]:
        """Whatever can be wrong with the settings is found here. TLS files are read again after a failure, and when
        they have been replaced; connections made before that stay until they are idle."""
        destination = self._destination
        if self._endpoint is not None and self._files.changed():
            kept = self._endpoint, self._headers, self._secrets, self._context
            self._endpoint = self._context = None
            try:
                self._load()
            except OptionError as error:  # perhaps the second of two files is not there yet
                self._files.complain(error)
                self._endpoint, self._headers, self._secrets, self._context = kept
        endpoint = self._load()
        if self._session is None:
            connector = _Connector(
                destination, endpoint, resolver=Resolver(), use_dns_cache=False, limit=0, keepalive_timeout=KEEP_ALIVE
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=destination.timeout or None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # what can be read of an answer is bounded, and one that cannot be is no failure
            )
        return endpoint, self._session

    def _load(self) -> Endpoint:
        """Read what is not read yet. Raises OptionError."""
        destination = self._destination
        if self._endpoint is not None and (self._context is not None or not self._endpoint.tls):
            return self._endpoint
        signature = self._files.signature()
        if self._endpoint is None:
            endpoint = parse_endpoint(self._text, HTTP, reading=destination.reading)
            given = headers_of(destination)
            headers = CIMultiDict({"User-Agent": answer.user_agent()})
            if endpoint.zone:
                headers["Host"] = endpoint.authority
            if endpoint.authorization:
                headers["Authorization"] = endpoint.authorization
            headers.update(given)
            headers["Content-Type"] = answer.PROTOBUF
            headers["Accept-Encoding"] = "identity"
            if self._text in destination.gzipped:
                headers["Content-Encoding"] = "gzip"
            sent = (("", endpoint.authorization), *given)
            self._headers, self._secrets, self._endpoint = headers, answer.secrets_of(sent), endpoint
        if self._endpoint.tls and self._context is None:
            self._context = tls.context(destination)
        self._files.settle(signature)
        return self._endpoint

    async def _classify(self, label: str, response: aiohttp.ClientResponse) -> Outcome:
        status, kind = response.status, response.content_type
        if 200 <= status < 300:
            if "html" in kind:
                return Denied(f"{label}: HTTP {status} with a web page ({kind}): this is no OTLP receiver")
            body = await _read(response, answer.MAX_RESPONSE)
            if body is None:
                return Unread(f"{label}: HTTP {status} with an answer longer than {answer.MAX_RESPONSE} bytes")
            return answer.delivered(body, kind, self._secrets)
        try:
            body = await _read(response, _MAX_ERROR)
        except (aiohttp.ClientError, OSError, TimeoutError):
            body = None  # the status is known, and it decides
        text = answer.error_message(body or b"", kind, self._secrets)
        reason = f"{label}: HTTP {status} {answer.one_line(response.reason or '', self._secrets)}".rstrip()
        reason += f": {text}" if text else ""
        if status == 400 and ("html" in kind or "request to an HTTPS server" in text):
            return Denied(reason)
        location = response.headers.get("Location")
        reason += f" (redirects to {_origin(location)}, not followed)" if location and status not in _RETRY else ""
        return by_status(
            status, reason, retry_after(response.headers.get("Retry-After", ""), response.headers.get("Date", ""))
        )

    def _broken(self, error: aiohttp.ClientError | OSError) -> Outcome:
        cause = _tls_fault(error)
        if cause is not None:
            self._context = None
            text = getattr(cause, "verify_message", "") or cause.reason or "failed"
            return Denied(f"{self._label}: TLS: {answer.one_line(str(text))}", local=True)
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            told = (error.os_error.strerror or "failed", replaced())
            return Retry("unreachable", f"{self._label}: name lookup: {'; '.join(filter(None, told))}")
        if isinstance(error, _Endless):
            return Retry("unreachable", f"{self._label}: the answer has no end", broke=True)
        if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
            return Retry("unreachable", f"{self._label}: closed before the answer was whole", broke=True)
        if isinstance(error, aiohttp.ClientResponseError):
            return Retry("unreachable", f"{self._label}: the answer is not HTTP/1.1; is this a port for gRPC?")
        number = error.errno if isinstance(error, OSError) else None
        reason = f"{self._label}: {os.strerror(number) if number else type(error).__name__}"
        return Retry("unreachable", reason, broke=not isinstance(error, aiohttp.ClientConnectorError))


class _Endless(aiohttp.ClientPayloadError):
    """An answer is longer than any is."""


class _Answer(ResponseHandler):
    """aiohttp's own, but for its bounds."""

    _before = _all = 0

    def set_response_params(self, **given: Any) -> None:
        self._before = self._all = 0
        super().set_response_params(**given)

    def data_received(self, data: bytes) -> None:
        has_body = self._payload is not None and self._payload is not EMPTY_PAYLOAD
        if (self._before > _MAX_HEAD and not has_body) or self._all > _MAX_ANSWER:
            if self.transport is not None:
                self.transport.abort()
            self.set_exception(_Endless())
            return
        self._before += 0 if has_body else len(data)
        self._all += len(data)
        super().data_received(data)


class _Connector(aiohttp.TCPConnector):
    """aiohttp's own, but for the way through a proxy: it would send plain http to the proxy as a request."""

    def __init__(self, destination: Destination, endpoint: Endpoint, *, resolver: Resolver, **more: Any) -> None:
        super().__init__(resolver=resolver, **more)
        made: type[ResponseHandler] = _Answer
        self._factory = functools.partial(made, loop=self._loop)
        self._destination = destination
        self._endpoint = endpoint
        self._names = resolver

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        proxy = proxy_for(self._destination, self._endpoint)  # its certificate may have been replaced
        if proxy is None:
            return await super()._create_connection(req, traces, timeout)
        context = self._get_ssl_context(req)
        _, made = await tunnel(proxy, self._endpoint, self._names, self._factory, context, req.server_hostname or "")
        return made


class _Body(Payload):
    """Pieces as they are (aiohttp's own kinds take one, or an iterator that can be sent once)."""

    _autoclose = True  # nothing to close

    def __init__(self, body: Body) -> None:
        super().__init__(body, content_type=answer.PROTOBUF)
        self._size = sum(map(len, body))

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return b"".join(self._value).decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        assert isinstance(writer, StreamWriter)
        first, *rest = self._value
        await writer.write(first, drain=not rest)
        if rest:  # in one system call, for which the writer has no method
            if writer.transport is None or writer.transport.is_closing():
                raise aiohttp.ClientConnectionResetError("closed before the whole request was sent")
            writer.transport.writelines(rest)
            await writer.drain()


def by_status(status: int, reason: str, after: float | None = None) -> Outcome:
    """The class of an HTTP status that is no success. `after` is what Retry-After asks for, in seconds."""
    if status in _RETRY:
        broke = after is None and status not in _OWN
        return Retry("throttled" if after is not None else _RETRY[status], reason, after, broke)
    if status in _DENIED or status < 400:
        return Denied(reason)
    return Refused(reason, too_large=status == 413)


def retry_after(value: str, date: str = "") -> float | None:
    """Seconds to wait by a Retry-After header: delay-seconds, or an HTTP-date seen from the server's own `Date` (so
    that our clock need not agree). None if there is none or it makes no sense."""
    value = value.strip()
    if re.fullmatch(r"\d{1,9}", value):
        return min(float(value), answer.MAX_WAIT)
    until = _timestamp(value)
    if until is None:
        return None
    now = _timestamp(date)
    return min(max(0.0, until - (time.time() if now is None else now)), answer.MAX_WAIT)


def _timestamp(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, OverflowError):
        return None


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    """The body, or None if it is longer; then the connection is not used again."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            response.close()
            return None
    return _unpacked(bytes(body), limit) if "gzip" in response.headers.get("Content-Encoding", "") else bytes(body)


def _unpacked(body: bytes, limit: int) -> bytes | None:
    """Of an answer that is compressed, though nobody asked for that; as it is where it is damaged."""
    try:
        text = zlib.decompressobj(31).decompress(body, limit + 1)
    except zlib.error:
        return body
    return text if len(text) <= limit else None


def _tls_fault(error: BaseException) -> ssl.SSLError | None:
    """The TLS error behind an aiohttp error, if it speaks of certificates or protocol. A connection that merely breaks
    off within TLS is not one."""
    seen: BaseException | None = error
    for _ in range(8):
        if isinstance(seen, aiohttp.ClientConnectorCertificateError):
            seen = seen.certificate_error
        if isinstance(seen, ssl.SSLError) and not isinstance(seen, aiohttp.ClientError):
            broken_off = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
            return None if isinstance(seen, broken_off) else seen
        if seen is None:
            break
        seen = seen.os_error if isinstance(seen, aiohttp.ClientConnectorError) else seen.__cause__ or seen.__context__
    return None


def _origin(location: str) -> str:
    try:
        url = URL(location)
        return str(url.origin()) if url.absolute else "another path"
    except ValueError:
        return "elsewhere"
