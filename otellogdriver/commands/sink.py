"""`otellogdriver sink`: an OTLP log receiver to look at, test against and measure with.

It takes ExportLogsServiceRequests over HTTP (protobuf and JSON, gzip) and gRPC and prints one line for each record. A
request is answered once its lines are written, so nothing acknowledged is lost on a slow terminal or a full disk: the
sender waits, or is told to try again. Records go to stdout or a file, everything else to stderr. It forwards nothing
and keeps nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import select
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

from aiohttp import web
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otellogdriver.commands.record_lines import count_records, json_lines, request_from_json, text_lines
from otellogdriver.export import gzip
from otellogdriver.export.request import MAX_REQUEST

PROTOBUF, JSON = "application/x-protobuf", "application/json"
SERVICE = "opentelemetry.proto.collector.logs.v1.LogsService"
GRACE = 2.0
"""Seconds that requests under way get to end when the sink does."""

_HELP = """\
Receive OTLP logs and print one line for each record:

    2026-11-24T10:42:54.123Z  shop-web-1  stdout  GET /cart 200

Start it, then send a container's output to it:

    otellogdriver sink
    docker run --log-driver otellogdriver --log-opt otlp-endpoint=http://127.0.0.1:4318 busybox echo hello

Further uses:

    otellogdriver sink --format json | jq .body           every field of each record
    otellogdriver sink --max-records 1 --timeout 10       for scripts: exit code 1 if nothing came within 10 s
    otellogdriver sink --format none --grpc off           count and discard, to measure a sender

Addresses and, at the end (Ctrl-C), a summary go to stderr.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options on a (sub)parser."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _HELP
    add = parser.add_argument
    form = "HOST:PORT"
    add("--http", default="127.0.0.1:4318", type=_address, metavar=form, help="OTLP/HTTP, or off (127.0.0.1:4318)")
    add("--grpc", default="127.0.0.1:4317", type=_address, metavar=form, help="OTLP/gRPC, or off (127.0.0.1:4317)")
    add("--format", default="text", choices=("text", "json", "none"), help="lines to read, JSON lines, or no lines")
    add("--output", default="", metavar="FILE", help="append the lines to a file instead of stdout")
    add(
        "--max-records",
        default=0,
        type=int,
        metavar="N",
        help="end with exit code 0 after N records have been received",
    )
    add(
        "--timeout",
        default=0.0,
        type=float,
        metavar="S",
        help="end after S seconds, with exit code 1 if fewer than N records have been received",
    )


def run(arguments: argparse.Namespace) -> int:
    """Receive until told to stop: 0 if all came that was asked for, 1 if not, 2 if it could not even begin."""
    output = sys.stdout.fileno()
    try:
        if arguments.output:
            output = os.open(arguments.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        _tell(f"--output {arguments.output!r}: {error.strerror}")
        return 2
    try:
        return asyncio.run(_serve(arguments, output))
    finally:
        if arguments.output:
            os.close(output)


async def _serve(arguments: argparse.Namespace, output: int) -> int:
    sink = Sink(arguments.format, output, arguments.max_records)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, sink.stopped.set)
    try:
        if arguments.http:
            _tell(f"OTLP/HTTP on http://{await sink.listen_http(*arguments.http)}")
        if arguments.grpc:
            _tell(f"OTLP/gRPC on http://{await sink.listen_grpc(*arguments.grpc)}")
        async with asyncio.timeout(arguments.timeout or None):
            await sink.stopped.wait()
    except TimeoutError:
        pass
    except (OSError, RuntimeError) as error:
        _tell(f"cannot listen: {error}")
        return 2
    finally:
        await sink.close()
    _tell(f"{sink.records} records in {sink.requests} requests")
    return 1 if sink.records < arguments.max_records else 0


class Sink:
    """Takes requests over both protocols, writes their records to `output`, counts. `stopped` is set once `max_records`
    have come or nobody reads the output any more."""

    def __init__(self, style: str, output: int, max_records: int = 0) -> None:
        self._style = style
        self._output = output
        self._max_records = max_records
        self._writer = ThreadPoolExecutor(1, "sink")  # a single thread keeps the lines of a request together
        self._http: web.AppRunner | None = None
        self._grpc: Any = None
        self.stopped = asyncio.Event()
        self.records = 0
        self.requests = 0

    async def listen_http(self, host: str, port: int) -> str:
        """Serve OTLP/HTTP; returns the address. Raises OSError."""
        application = web.Application(client_max_size=MAX_REQUEST)
        application.router.add_post("/v1/logs", self._post)
        runner = self._http = web.AppRunner(application, access_log=None, shutdown_timeout=GRACE, auto_decompress=False)
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        address = runner.addresses[0]
        return _joined(address[0], address[1])

    async def listen_grpc(self, host: str, port: int) -> str:
        """Serve OTLP/gRPC; returns the address. Raises RuntimeError."""
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # else grpcio writes to stderr on its own
        grpc: Any = import_module("grpc")
        options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", MAX_REQUEST)]
        server = self._grpc = import_module("grpc.aio").server(options=options)
        method = grpc.unary_unary_rpc_method_handler(self._export)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Export": method}),))
        bound = server.add_insecure_port(_joined(host, port))
        await server.start()
        return _joined(host, bound)

    async def close(self) -> None:
        """Let requests under way end, then stop listening."""
        if self._grpc is not None:
            await self._grpc.stop(GRACE)
        if self._http is not None:
            await self._http.cleanup()
        await asyncio.to_thread(self._writer.shutdown)

    async def take(self, request: bytes) -> None:
        """Write and count one request. Raises DecodeError if it is none, OSError if it cannot be written."""
        if self._style == "none":
            records = count_records(request)
        else:
            try:
                records = await asyncio.get_running_loop().run_in_executor(self._writer, self._write, request)
            except BrokenPipeError:  # as in `sink | head`: nobody reads on
                self.stopped.set()
                raise
        self.requests += 1
        self.records += records
        if self._max_records and self.records >= self._max_records:
            self.stopped.set()

    def _write(self, encoded: bytes) -> int:
        request = ExportLogsServiceRequest.FromString(encoded)
        lines = list(json_lines(request) if self._style == "json" else text_lines(request))
        _write_all(self._output, "".join(lines).encode("utf-8", "backslashreplace"))
        return len(lines)

    async def _post(self, request: web.Request) -> web.Response:
        kind = request.content_type
        if kind not in (PROTOBUF, JSON):
            return _error(415, f"content type {kind!r}: send {PROTOBUF} or {JSON}")
        encoding = request.headers.get("Content-Encoding", "identity").lower()
        if encoding not in ("identity", "gzip"):
            return _error(415, f"content encoding {encoding!r}: send gzip or identity")
        body = await request.read()
        try:
            body = gzip.decompress(body, MAX_REQUEST) if encoding == "gzip" else body
            await self.take(request_from_json(body).SerializeToString() if kind == JSON else body)
        except (DecodeError, ValueError) as error:
            return _error(400, f"not an ExportLogsServiceRequest ({type(error).__name__})")
        except OSError as error:
            _tell(f"cannot write: {error.strerror}")
            return _error(503, f"cannot write: {error.strerror}")
        return web.Response(body=b"{}" if kind == JSON else b"", content_type=kind)

    async def _export(self, request: bytes, context: Any) -> bytes:
        codes: Any = import_module("grpc").StatusCode
        try:
            await self.take(request)
        except DecodeError:
            await context.abort(codes.INVALID_ARGUMENT, "not an ExportLogsServiceRequest")
        except OSError as error:
            _tell(f"cannot write: {error.strerror}")
            await context.abort(codes.UNAVAILABLE, f"cannot write: {error.strerror}")
        return b""


def _write_all(output: int, data: bytes) -> None:
    """Write everything, however slow the reader is, also if somebody made the descriptor non-blocking."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(output, rest) :]
        except BlockingIOError:
            select.select((), (output,), ())


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)


def _tell(text: str) -> None:
    print(f"otellogdriver sink: {text}", file=sys.stderr, flush=True)


def _address(text: str) -> tuple[str, int] | None:
    if text == "off":
        return None
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r}: write HOST:PORT (port 0 takes a free one), or off")
    return host.strip("[]"), int(port)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
