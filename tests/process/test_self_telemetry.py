"""What the driver says of itself over OTLP, in both protocols, and that it never holds anything up."""

from __future__ import annotations

import asyncio
import gzip
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_pb
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc

from otellogdriver.telemetry.metrics import METRICS
from tests.fakes.certificates import make_certificates
from tests.fakes.engine import Engine
from tests.fakes.otlp_server import ServerTls
from tests.fakes.proxy import Proxy
from tests.fakes.server_thread import ServerThread
from tests.process.metrics_port import started
from tests.scene import until


class Received:
    """Requests of both signals, as messages, with the headers of the last one."""

    def __init__(self) -> None:
        self.logs: list[logs_pb.ExportLogsServiceRequest] = []
        self.metrics: list[metrics_pb.ExportMetricsServiceRequest] = []
        self.headers: dict[str, str] = {}
        self.endpoint = ""

    def service(self, name: str) -> list[Any]:
        """Log records of one service."""
        return [
            record
            for request in list(self.logs)
            for resource in request.resource_logs
            if any(a.key == "service.name" and a.value.string_value == name for a in resource.resource.attributes)
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def metric(self, name: str) -> Any:
        """The data points of a metric in the latest request that has it."""
        for request in reversed(self.metrics):
            for metric in request.resource_metrics[0].scope_metrics[0].metrics:
                if metric.name == name:
                    return getattr(metric, str(metric.WhichOneof("data"))).data_points
        return []


@pytest.fixture
def http() -> Iterator[Received]:
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            received.headers = {key.lower(): value for key, value in self.headers.items()}
            if self.path == "/v1/metrics":
                received.metrics.append(metrics_pb.ExportMetricsServiceRequest.FromString(body))
            elif self.path == "/v1/logs":
                received.logs.append(logs_pb.ExportLogsServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    received.endpoint = f"http://127.0.0.1:{server.server_port}"
    yield received
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def grpc_server() -> Iterator[Received]:
    received = Received()

    class Logs(logs_grpc.LogsServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:
            received.logs.append(request)
            return logs_pb.ExportLogsServiceResponse()

    class Metrics(metrics_grpc.MetricsServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:
            received.headers = dict(context.invocation_metadata())
            received.metrics.append(request)
            return metrics_pb.ExportMetricsServiceResponse()

    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        logs_grpc.add_LogsServiceServicer_to_server(Logs(), server)  # type: ignore[no-untyped-call]
        metrics_grpc.add_MetricsServiceServicer_to_server(Metrics(), server)  # type: ignore[no-untyped-call]
        received.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        yield received
        server.stop(0).wait()


def environ(endpoint: str, protocol: str) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=blue",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "10000",
        "OTEL_METRIC_EXPORT_INTERVAL": "300",
        "OTEL_BLRP_SCHEDULE_DELAY": "100",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        "OTELLOGDRIVER_SELF_TELEMETRY": "otlp",
        "OTELLOGDRIVER_HOST_NAME": "node-7",
    }


@pytest.mark.parametrize(("fixture", "protocol"), [("http", "http/protobuf"), ("grpc_server", "grpc")])
def test_own_logs_and_metrics(request: pytest.FixtureRequest, tmp_path: Path, fixture: str, protocol: str) -> None:
    received: Received = request.getfixturevalue(fixture)
    with Engine(tmp_path, environ(received.endpoint, protocol)) as engine:
        started(engine, "web", 5)
        bad = started(engine, "bad", 1, otlp_endpoint="http://127.0.0.1:9", otlp_protocol="http/protobuf")
        until(lambda: [p for p in received.metric("otellogdriver.delivered_records") if p.as_int == 5])
        until(lambda: any("refused" in r.body.string_value for r in received.service("otellogdriver")))
        bad.stop()
    (resource,) = received.metrics[-1].resource_metrics
    attributes = {item.key: item.value.string_value for item in resource.resource.attributes}
    assert attributes["service.name"] == "otellogdriver"
    assert (attributes["host.name"], attributes["deployment.environment.name"]) == ("node-7", "test")
    assert received.headers["x-tenant"] == "blue"
    assert "content-encoding" not in received.headers, "as the lines, it is not compressed for a collector on this host"
    sent = {metric.name: metric.unit for scope in resource.scope_metrics for metric in scope.metrics}
    silent = {"otellogdriver.excluded_lines"}  # no option here leaves lines out
    assert sent == {metric.otlp: metric.unit for metric in METRICS if metric.otlp not in silent}
    (delivered,) = [p for p in received.metric("otellogdriver.delivered_records") if p.as_int == 5]
    assert {item.key for item in delivered.attributes} == {"container.id", "container.name", "service.name"}
    (duration,) = [
        p
        for p in received.metric("otellogdriver.request.duration")
        if p.attributes[0].value.string_value == received.endpoint
    ]
    assert duration.count == sum(duration.bucket_counts) > 0
    texts = [record.body.string_value for record in received.service("otellogdriver")]
    assert len([text for text in texts if " ready, codec " in text]) == 1, "what it logged before it could send it"
    assert all("line " not in record.body.string_value for record in received.service("otellogdriver"))


@pytest.mark.parametrize(("fixture", "protocol"), [("http", "http/protobuf"), ("grpc_server", "grpc")])
def test_headers_in_a_file_are_sent_and_read_again(
    request: pytest.FixtureRequest, tmp_path: Path, fixture: str, protocol: str
) -> None:
    received: Received = request.getfixturevalue(fixture)
    file = tmp_path / "headers"
    file.write_text("authorization=Bearer%20one")
    settings = environ(received.endpoint, protocol) | {"OTELLOGDRIVER_OTLP_HEADERS_FILE": str(file)}
    with Engine(tmp_path, settings) as engine:
        until(lambda: received.headers.get("authorization") == "Bearer one" and received.metrics)
        file.write_text("authorization=Bearer%20two")
        until(lambda: received.headers.get("authorization") == "Bearer two")
        assert received.headers["x-tenant"] == "blue"
        file.unlink()
        until(lambda: "what was read before stays in use" in engine.log())


@pytest.mark.parametrize(("fixture", "protocol"), [("http", "http/protobuf"), ("grpc_server", "grpc")])
def test_it_goes_through_the_proxy(request: pytest.FixtureRequest, tmp_path: Path, fixture: str, protocol: str) -> None:
    received: Received = request.getfixturevalue(fixture)
    with proxy() as way:
        endpoint = received.endpoint.replace("127.0.0.1", "collector.test")
        with Engine(tmp_path, environ(endpoint, protocol) | {"HTTP_PROXY": way.endpoint}) as engine:
            until(lambda: received.metrics and received.service("otellogdriver"))
            assert "own telemetry is not taken" not in engine.log()
        assert set(way.targets) == {endpoint.removeprefix("http://")}


@contextmanager
def proxy() -> Iterator[Proxy]:
    """A proxy in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    way = Proxy()
    asyncio.run_coroutine_threadsafe(way.__aenter__(), loop).result(10)
    try:
        yield way
    finally:
        asyncio.run_coroutine_threadsafe(way.__aexit__(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_certificates_are_read_again_when_they_are_replaced(tmp_path: Path, protocol: str) -> None:
    certificates = make_certificates(tmp_path)
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(certificates.other_ca.read_bytes())
    with ServerThread(protocol, tls=ServerTls(certificates.server, certificates.server_key)) as collector:
        settings = environ(collector.server.endpoint, protocol) | {
            "OTEL_EXPORTER_OTLP_CERTIFICATE": str(trusted),
            "OTELLOGDRIVER_OTLP_SERVER_NAME": certificates.name,
        }
        with Engine(tmp_path, settings) as engine:
            until(lambda: "own telemetry is not taken" in engine.log())
            trusted.write_bytes(certificates.ca.read_bytes())
            refused = started(engine, "bad", 1, otlp_endpoint="http://127.0.0.1:9", otlp_protocol="http/protobuf")
            until(lambda: collector.server.taken)
            refused.stop()


def test_it_holds_nothing_up_while_the_collector_is_away(tmp_path: Path) -> None:
    settings = environ("http://127.0.0.1:9", "http/protobuf") | {"OTEL_EXPORTER_OTLP_TIMEOUT": "1000"}
    with Engine(tmp_path, settings) as engine:
        started(engine, "web", 1)
        until(lambda: "own telemetry is not taken" in engine.log(), 30)
        assert engine.log().count("own telemetry is not taken") == 1
        began = time.monotonic()
        engine.terminate()
        assert time.monotonic() - began < 5
        engine.start()


def test_settings_it_cannot_use_are_named(tmp_path: Path) -> None:
    settings = environ("http://127.0.0.1:9", "http/protobuf")
    settings["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"] = "http://127.0.0.1:9/ingest"
    with Engine(tmp_path, settings) as engine:
        until(lambda: "no telemetry of the driver's own: not with an endpoint that does not end in" in engine.log())


def test_a_setting_of_the_sdk_that_it_cannot_use_does_not_cost_the_metrics_port(tmp_path: Path) -> None:
    settings = environ("http://127.0.0.1:9", "http/protobuf") | {"OTEL_BLRP_MAX_QUEUE_SIZE": "1"}
    with Engine(tmp_path, settings) as engine:
        until(lambda: "no telemetry of the driver's own: max_export_batch_size must be" in engine.log())
        assert engine.metric("otellogdriver_open_streams") == 0
