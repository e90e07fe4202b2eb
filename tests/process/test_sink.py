"""The sink as a program, fed by the real exporters of OpenTelemetry and by hand."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from tests.unit.export.otlp_requests import request

PROGRAM = """
import argparse, sys
from otellogdriver.commands import sink
parser = argparse.ArgumentParser("sink")
sink.add_arguments(parser)
sys.exit(sink.run(parser.parse_args()))
"""


class RunningSink:
    """A sink in a process of its own, on free ports."""

    def __init__(self, *arguments: str, stdout: int = subprocess.PIPE) -> None:
        command = [sys.executable, "-c", PROGRAM, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", *arguments]
        self.process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self.http = self._address(self.process.stderr.readline(), "HTTP")
        self.grpc = self._address(self.process.stderr.readline(), "gRPC") if "off" not in arguments else ""

    def _address(self, line: str, protocol: str) -> str:
        match = re.search(rf"OTLP/{protocol} on (http://127\.0\.0\.1:\d+)", line)
        assert match, line
        return match[1]

    def post(self, body: bytes, path: str = "/v1/logs", **headers: str) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/x-protobuf", **{k.replace("_", "-"): v for k, v in headers.items()}}
        asked = urllib.request.Request(self.http + path, body, headers)
        try:
            with urllib.request.urlopen(asked, timeout=10) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def end(self, send: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Exit code, stdout, rest of stderr."""
        if send:
            self.process.send_signal(send)
        out, err = self.process.communicate(timeout=15)
        return self.process.returncode, out or "", err


@contextlib.contextmanager
def sink(*arguments: str, **more: Any) -> Iterator[RunningSink]:
    running = RunningSink(*arguments, **more)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.communicate()
        for pipe in (running.process.stdout, running.process.stderr):
            if pipe is not None:
                pipe.close()


def emit(exporter: Any, bodies: list[Any]) -> None:
    """Send one record for each body as any instrumented program would."""
    resource = Resource({"service.name": "shop", "container.name": "shop-web-1", "container.id": "c0ffee"})
    provider = LoggerProvider(resource, shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    logger = provider.get_logger("tests")
    for body in bodies:
        logger.emit(
            timestamp=1_700_000_000_123_456_789,
            severity_number=SeverityNumber.WARN,
            body=body,
            attributes={"log.iostream": "stderr", "k": 7},
        )
    provider.shutdown()


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_real_exporters_as_text(protocol: str) -> None:
    with sink() as running:
        if protocol == "http":
            emit(HttpExporter(endpoint=running.http + "/v1/logs"), ["hello", "wörld"])
        else:
            emit(GrpcExporter(endpoint=running.grpc, insecure=True), ["hello", "wörld"])
        code, out, err = running.end()
    assert out.splitlines() == [
        f"2023-11-14T22:13:20.123Z  WARN  shop/shop-web-1  stderr  {body}  k=7" for body in ("hello", "wörld")
    ]
    assert code == 0 and "2 records in 2 requests" in err


def test_real_exporter_as_json() -> None:
    bodies = ["text", b"\xff\x00", {"deep": [1, "two", None, 2.5]}, True]
    with sink("--format", "json") as running:
        emit(HttpExporter(endpoint=running.http + "/v1/logs"), bodies)
        _, out, _ = running.end()
    first, *others = [json.loads(line) for line in out.splitlines()]
    assert first["body"] == "text"
    assert first["time"] == "2023-11-14T22:13:20.123456789Z"
    assert (first["time_unix_nano"], first["severity"], first["severity_number"]) == (1700000000123456789, "WARN", 13)
    assert first["attributes"] == {"log.iostream": "stderr", "k": 7}
    assert first["resource"]["container.id"] == "c0ffee" and first["scope"] == "tests"
    assert [each["body"] for each in others] == [{"bytes": "/wA="}, {"deep": [1, "two", None, 2.5]}, True]


def test_otlp_json_with_hex_ids() -> None:
    record = {
        "timeUnixNano": "1",
        "body": {"stringValue": "x"},
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
        "spanId": "00F067AA0BA902B7",
        "unknownField": 1,
    }
    told = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    with sink("--format", "json") as running:
        assert running.post(json.dumps(told).encode(), Content_Type="application/json") == (200, b"{}")
        _, out, _ = running.end()
    got = json.loads(out)
    assert (got["trace_id"], got["span_id"]) == ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


def test_what_is_wrong_is_refused_and_said() -> None:
    good = request("a", 3)
    with sink() as running:
        assert running.post(good, Content_Encoding="gzip")[0] == 400
        assert running.post(gzip.compress(good)[:-9], Content_Encoding="gzip")[0] == 400
        assert running.post(b"\xff\xff")[0] == 400
        assert running.post(b"{", Content_Type="application/json")[0] == 400
        assert running.post(b'{"resourceLogs":[{"scopeLogs":7}]}', Content_Type="application/json")[0] == 400
        assert running.post(good, Content_Type="text/plain")[0] == 415
        assert running.post(good, Content_Encoding="br")[0] == 415
        assert running.post(good, "/v1/traces")[0] == 404
        assert running.post(gzip.compress(good), Content_Encoding="gzip") == (200, b"")
        assert "3 records in 1 requests" in running.end()[2]


def test_max_records_ends_it_with_everything_written() -> None:
    with sink("--max-records", "5", "--grpc", "off") as running:
        running.post(request("a", 3))
        running.post(request("a", 3, first=3))
        code, out, _ = running.end(send=0)
    assert code == 0
    assert [line.split("  ")[-1] for line in out.splitlines()] == [f"a line {number}" for number in range(6)]


def test_time_out_without_enough_records() -> None:
    with sink("--max-records", "2", "--timeout", "0.3", "--format", "none") as running:
        running.post(request("a", 1))
        code, _, err = running.end(send=0)
    assert code == 1 and "1 records in 1 requests" in err


def test_file_is_appended_to(tmp_path: Path) -> None:
    file = tmp_path / "records"
    for first in (0, 2):
        with sink("--output", str(file)) as running:
            running.post(request("a", 2, first=first))
            assert running.end(signal.SIGINT)[:2] == (0, "")
    assert [line.split("  ")[-1] for line in file.read_text().splitlines()] == [f"a line {n}" for n in range(4)]


def test_slow_reader_makes_the_sender_wait_and_loses_nothing() -> None:
    """The pipe is never read while requests come; each is answered only once its lines are in."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)  # as a terminal may be left by another program
    with sink("--grpc", "off", stdout=writer) as running:
        os.close(writer)
        host, port = running.http.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), 10) as connection, open(reader, "rb") as lines:
            body = request("a", 20_000)  # far more lines than the pipe holds
            head = ("POST /v1/logs HTTP/1.1", "Host: x", "Content-Type: application/x-protobuf")
            connection.sendall("\r\n".join((*head, f"Content-Length: {len(body)}", "", "")).encode() + body)
            first = lines.readline()
            connection.settimeout(0.3)
            with pytest.raises(TimeoutError):
                connection.recv(100)
            rest = [lines.readline() for _ in range(19_999)]
            connection.settimeout(10)
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert [line.split(b"  ")[-1] for line in (first, *rest)] == [b"a line %d\n" % n for n in range(20_000)]
        assert running.end()[0] == 0


def test_reader_that_goes_away_ends_it() -> None:
    reader, writer = os.pipe()
    with sink(stdout=writer) as running:
        os.close(writer)
        os.close(reader)
        assert running.post(request("a", 1))[0] == 503, "nobody has read it: the sender keeps it"
        assert "0 records" in running.end(send=0)[2]


def test_full_disk_is_not_acknowledged() -> None:
    with sink("--output", "/dev/full") as running:
        status, body = running.post(request("a", 1))
        assert status == 503 and b"No space left" in body
        assert "0 records" in running.end()[2]


def test_port_that_is_taken() -> None:
    with sink() as running:
        for option, address in (("--http", running.http), ("--grpc", running.grpc)):
            command = [sys.executable, "-c", PROGRAM, "--http", "off", "--grpc", "off", option, address[7:]]
            ended = subprocess.run(command, capture_output=True, text=True, timeout=15)
            assert ended.returncode == 2 and "cannot listen" in ended.stderr
            assert address[7:].split(":")[1] in ended.stderr


def test_help_teaches() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM, "--help"], capture_output=True, text=True, timeout=15)
    assert ended.returncode == 0
    for word in ("docker run --log-driver otellogdriver", "--max-records", "127.0.0.1:4318", "127.0.0.1:4317", "jq"):
        assert word in ended.stdout
    wrong = subprocess.run([sys.executable, "-c", PROGRAM, "--http", "x"], capture_output=True, text=True, timeout=15)
    assert wrong.returncode == 2 and "HOST:PORT" in wrong.stderr


def test_counting_is_exact_and_fast() -> None:
    body = request("a", 20_000)
    with sink("--format", "none", "--max-records", "400000", "--timeout", "60") as running:
        began = time.monotonic()
        for _ in range(20):
            assert running.post(body)[0] == 200
        took = time.monotonic() - began
        code, out, err = running.end(send=0)
    assert (code, out) == (0, "") and "400000 records in 20 requests" in err
    assert took < 20
