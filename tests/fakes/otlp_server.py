"""An OTLP receiver that does as it is told: real sockets, HTTP or gRPC, one behaviour for each request.

    async with OtlpServer("http/protobuf") as server:
        server.script += [status(503, retry_after="1"), hang(), ok()]     # then server.default
        ... send to server.endpoint ...
        await server.reach(records=10)

What was received is kept whole (`requests`). A request counts as *taken* if the server meant to keep it, whatever
became of the answer; `records` are those of taken requests, so a record that was sent again after a lost answer is
there twice, as it would be in a real collector. `down()` refuses connections and breaks those that are open, `up()`
comes back on the same port. HTTP is spoken by hand here, so that nothing between test and socket mends a fault.

`ServerThread` (server_thread.py) is the same for tests without an event loop, `python -m tests.fakes` as a program.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import ssl
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from tests.engine.loopback import free_port
from tests.fakes.behaviour import Behaviour, ok, status
from tests.fakes.engine import LONG
from tests.fakes.received import Record, Request, count_records, read_records

SERVICE = "opentelemetry.proto.collector.logs.v1.LogsService"


@dataclass(frozen=True)
class ServerTls:
    """PEM files of the server; with `client_ca` clients must show a certificate made by it."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass
class OtlpServer:
    """One listener for one protocol. `port` 0 picks one, which then stays the same over down() and up()."""

    protocol: str = "http/protobuf"
    port: int = 0
    tls: ServerTls | None = None
    host: str = "127.0.0.1"
    keep: bool = True
    default: Behaviour = field(default_factory=ok)
    script: deque[Behaviour] = field(default_factory=deque)
    judge: Callable[[bytes], Behaviour | None] = lambda body: None
    """What is done for the sake of a request's (uncompressed) body; it wins over script and default."""
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self.port = self.port or free_port()
        self._taken = 0
        self._news = asyncio.Event()
        self._server: Any = None
        self._writers: dict[asyncio.StreamWriter, asyncio.Task[Any] | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.protocol == "grpc":
            gc.collect()  # failed calls sit in cycles, and grpcio's thread lives as long as they do

    @property
    def endpoint(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    @property
    def taken(self) -> int:
        """Records in taken requests."""
        return self._taken

    def records(self, container: str = "") -> Iterator[Record]:
        """The records of taken requests, in the order they came."""
        for number, request in enumerate(self.requests):
            if request.behaviour.taken and not request.malformed:
                yield from (r for r in read_records(request.body, number) if not container or r.container == container)

    def stats(self) -> dict[str, Any]:
        """Counts of everything received since the start or the last reset."""
        by_container: Counter[str] = Counter()
        for request in self.requests:
            if request.behaviour.taken:
                by_container.update(request.containers)
        return {
            "requests": len(self.requests),
            "records": self._taken,
            "received_records": sum(request.records for request in self.requests),
            "malformed": sum(request.malformed for request in self.requests),
            "wire_bytes": sum(request.wire_size for request in self.requests),
            "connections": self.connections,
            "behaviours": Counter(request.behaviour.do for request in self.requests),
            "containers": by_container,
            "script_left": len(self.script),
            "listening": self._server is not None,
        }

    async def reach(self, records: int = 0, requests: int = 0, within: float = LONG) -> None:
        """Wait until so many records were taken and requests received; TimeoutError if they do not come."""
        async with asyncio.timeout(within):
            while self._taken < records or len(self.requests) < requests:
                self._news.clear()
                await self._news.wait()

    async def settle(self) -> None:
        """Wait until a gRPC server that broke its connections (`close`) listens again."""
        await asyncio.gather(*self._tasks)

    async def up(self) -> None:
        """Listen (again)."""
        if self._server is None:
            await (self._up_grpc() if self.protocol == "grpc" else self._up_http())

    async def down(self) -> None:
        """Refuse new connections and break open ones."""
        server, self._server = self._server, None
        if server is None:
            return
        if self.protocol == "grpc":
            await server.stop(None)
            return
        server.close()
        connections, self._writers = self._writers, {}
        for writer, task in connections.items():
            writer.transport.abort()
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        await asyncio.gather(
            *(task for task in connections.values() if task and task is not asyncio.current_task()),
            return_exceptions=True,
        )
        await server.wait_closed()

    def reset(self) -> None:
        """Forget what was received and what was to be done."""
        self.requests.clear()
        self.script.clear()
        self.default = ok()
        self._taken = 0

    # What both protocols share

    def _next(self) -> Behaviour:
        return self.script.popleft() if self.script else self.default

    def _note(self, behaviour: Behaviour, headers: dict[str, str], wire: bytes, body: bytes, path: str = "") -> Request:
        containers, malformed = {}, False
        try:
            containers = count_records(body)
        except DecodeError:
            malformed = True
        kept = body if self.keep else b""
        now = time.monotonic()
        request = Request(headers, kept, len(wire), containers, behaviour, now, path, malformed)
        self.requests.append(request)
        if behaviour.taken:
            self._taken += request.records
        self._news.set()
        return request

    # HTTP

    async def _up_http(self) -> None:
        context = None
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.tls.certificate, self.tls.key)
            if self.tls.client_ca:
                context.load_verify_locations(self.tls.client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        self._server = await asyncio.start_server(self._serve, self.host, self.port, ssl=context, limit=1 << 20)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers[writer] = asyncio.current_task()
        try:
            while await self._one_http_request(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # the client went away or talks nonsense, or down()
        finally:
            self._writers.pop(writer, None)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _one_http_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        if head[0].count(" ") != 2:
            return False  # not HTTP/1.1 at all
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        behaviour = self._next()
        if behaviour.do == "early":
            self._note(behaviour, headers, b"", b"", path)
            writer.write(
                f"HTTP/1.1 {behaviour.status} Early\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
            )
            await writer.drain()
            return False
        wire = await reader.readexactly(int(headers.get("content-length", "0")))
        body = gzip.decompress(wire) if headers.get("content-encoding") == "gzip" else wire
        behaviour = self.judge(body) or behaviour
        request = self._note(behaviour, headers, wire, body, f"{method} {path}")
        await asyncio.sleep(behaviour.delay)
        if request.malformed:
            behaviour = status(400, message="not an ExportLogsServiceRequest")
        if behaviour.do == "hang":
            await asyncio.sleep(3600)
        if behaviour.do == "close" and not behaviour.status:
            writer.transport.abort()
            return False
        code, answered, content, extra = _http_answer(behaviour)
        answered = b"" if code in (204, 304) else answered  # HTTP allows them no body
        broken_off = 100 if behaviour.do == "close" else 0
        lines = [f"HTTP/1.1 {code} {_REASONS.get(code, 'Status')}", *extra]
        lines += [] if code == 204 else [f"Content-Length: {len(answered) + broken_off}"]
        lines += [f"Content-Type: {content}"] if content else []
        writer.write("\r\n".join((*lines, "", "")).encode("latin-1") + answered)
        await writer.drain()
        if behaviour.do == "close":
            writer.transport.close()
            return False
        return True

    # gRPC

    async def _up_grpc(self) -> None:
        grpc: Any = import_module("grpc")
        options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 64 << 20)]
        server = import_module("grpc.aio").server(options=options)
        method = grpc.unary_unary_rpc_method_handler(self._export)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Export": method}),))
        address = f"{self.host}:{self.port}"
        if self.tls:
            pair = (self.tls.key.read_bytes(), self.tls.certificate.read_bytes())
            client_ca = self.tls.client_ca.read_bytes() if self.tls.client_ca else None
            credentials = grpc.ssl_server_credentials([pair], client_ca, client_ca is not None)
            server.add_secure_port(address, credentials)
        else:
            server.add_insecure_port(address)
        await server.start()
        self._server = server

    async def _export(self, body: bytes, context: Any) -> bytes:
        behaviour = self._next()
        behaviour = self.judge(body) or behaviour
        headers = {key: str(value) for key, value in context.invocation_metadata()}
        request = self._note(behaviour, headers, body, body)
        await asyncio.sleep(behaviour.delay)
        if request.malformed:
            behaviour = status("INVALID_ARGUMENT", message="not an ExportLogsServiceRequest")
        if behaviour.do == "hang":
            await asyncio.sleep(3600)
        if behaviour.do == "close":  # a server cannot break a single connection of gRPC: break all
            task = asyncio.create_task(self._bounce())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(3600)
        if behaviour.do == "status":
            code = getattr(import_module("grpc").StatusCode, str(behaviour.status))
            details = _status_details(code.value[0], behaviour) if behaviour.retry_after else ()
            await context.abort(code, behaviour.message, details)
        return _response(behaviour)

    async def _bounce(self) -> None:
        await self.down()
        await self.up()


_REASONS = {200: "OK", 400: "Bad Request", 429: "Too Many Requests", 503: "Service Unavailable"}


def _http_answer(behaviour: Behaviour) -> tuple[int, bytes, str, list[str]]:
    """Status, body, content type and further header lines."""
    code = int(behaviour.status or 200)
    extra = [f"Retry-After: {behaviour.retry_after}"] if behaviour.retry_after else []
    extra += [f"Location: {behaviour.location}"] if behaviour.location else []
    if behaviour.do == "answer":
        return code, behaviour.body.encode(), behaviour.content_type, extra
    if behaviour.do == "status":
        rpc = import_module("google.rpc.status_pb2").Status(message=behaviour.message)
        return code, rpc.SerializeToString(), "application/x-protobuf", extra
    return code, _response(behaviour), "application/x-protobuf", extra


def _response(behaviour: Behaviour) -> bytes:
    response = ExportLogsServiceResponse()
    if behaviour.do == "partial":
        response.partial_success.rejected_log_records = behaviour.rejected
        response.partial_success.error_message = behaviour.message
    return response.SerializeToString()


def _status_details(code: int, behaviour: Behaviour) -> tuple[tuple[str, bytes], ...]:
    seconds = float(behaviour.retry_after)
    info = import_module("google.rpc.error_details_pb2").RetryInfo()
    info.retry_delay.FromNanoseconds(int(seconds * 1e9))
    rpc = import_module("google.rpc.status_pb2").Status(code=code, message=behaviour.message)
    rpc.details.add().Pack(info)
    return (("grpc-status-details-bin", rpc.SerializeToString()),)
