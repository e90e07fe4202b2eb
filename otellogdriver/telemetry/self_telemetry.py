"""The driver's own logs and metrics over OTLP (`OTELLOGDRIVER_SELF_TELEMETRY=otlp`), by the OpenTelemetry SDK.

They go where the plugin's own settings say, as service `otellogdriver`: metrics every minute and at the end
(`OTEL_METRIC_EXPORT_INTERVAL`), logs of the driver's loggers as they come, those of its start included. Metrics are
those of `metrics.py`, with OpenTelemetry's kind of names and units (`Declared.otlp`, `.unit`, `.attributes`). Best
effort: nothing is kept while the collector is away, and nothing here holds up the driver; `/metrics` has the truth.
Imported only when asked for, because the SDK's exporters cost memory and time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import grpc  # type: ignore[import-untyped]
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetricExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetricExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otellogdriver import __version__
from otellogdriver.delivery.pumps import destinations
from otellogdriver.delivery.tally import LATENCY_BOUNDS
from otellogdriver.driver.driver import Driver
from otellogdriver.errors import OptionError
from otellogdriver.export import tls
from otellogdriver.export.destination import GRPC, Destination, parse_endpoint
from otellogdriver.export.headers import headers_of
from otellogdriver.resource import Host
from otellogdriver.settings.endpoints import LOGS_PATH
from otellogdriver.settings.options import resolve
from otellogdriver.telemetry.account import Accounts
from otellogdriver.telemetry.events import Early
from otellogdriver.telemetry.metrics import METRICS
from otellogdriver.telemetry.samples import durations, samples

log = logging.getLogger(__name__)

Make = Callable[[dict[str, str]], Any]

_EVERY = 60.0
_PATIENCE = 1.0
"""Seconds that the last export gets when the driver goes away."""
_SEVERITY = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}


class SelfTelemetry:
    """See the module's text. Lives on the event loop; raises OptionError where the settings cannot be used for it."""

    def __init__(self, driver: Driver, environ: Mapping[str, str], host: Host, problems: int, early: Early) -> None:
        settings = resolve({}, environ)
        self._driver = driver
        self._accounts = Accounts(driver)
        self._problems = problems
        self._files: list[int] = []
        about = {
            "service.name": "otellogdriver",
            "service.version": __version__,
            "service.instance.id": str(uuid.uuid4()),
            "host.name": host.name,
            **({"host.id": host.id} if host.id else {}),
        }
        self._resource = Resource({**dict(settings.plugin_resource_attributes), **about})
        self._failed = False
        self._every = _every(environ)
        for name in ("opentelemetry.exporter", "opentelemetry.sdk"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters of it is said here, once
        (_, destination), *_ = destinations(settings)
        logs, metrics = self._exporters(destination)
        self._exporter = _Renewed(destination, metrics, MetricExportResult.FAILURE)
        self._provider = LoggerProvider(self._resource, shutdown_on_exit=False)
        self._provider.add_log_record_processor(
            BatchLogRecordProcessor(_Renewed(destination, logs, LogRecordExportResult.FAILURE))
        )
        self._early = early
        early.hand_over(_Handler(self._provider))
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Send what there is, for at most a moment, and end."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._early.end()
        last = self._collect()

        def end() -> None:
            self._exporter.export(last)
            self._exporter.shutdown()

        await asyncio.wait([_in_thread(end), _in_thread(self._provider.shutdown)], timeout=_PATIENCE)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            result = await _in_thread(self._exporter.export, self._collect())
            failed = result is not MetricExportResult.SUCCESS
            if failed and not self._failed:
                log.warning("the driver's own telemetry is not taken; /metrics has it all the same")
            self._failed = failed

    def _exporters(self, destination: Destination) -> tuple[Make, Make]:
        """(of logs, of metrics): what makes an exporter that sends these headers."""
        if destination.skip_verify or destination.server_name:
            raise OptionError("not with otlp-insecure-skip-verify or otlp-server-name: name the CA instead")
        endpoint = parse_endpoint(
            destination.endpoints[0], destination.protocol, destination.insecure, destination.reading
        )
        basic = {"authorization": endpoint.authorization} if endpoint.authorization else {}
        material = tls.material(destination)
        gzip = destination.compression == "gzip"
        common: dict[str, Any] = {"timeout": destination.timeout or 10.0}
        if destination.protocol == GRPC:
            common["endpoint"], common["insecure"] = endpoint.target, not endpoint.tls
            common["compression"] = grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression
            if endpoint.tls:
                common["credentials"] = grpc.ssl_channel_credentials(
                    material.authority, material.key or material.certificate, material.certificate
                )
            return (
                lambda headers: GrpcLogExporter(**common, headers=basic | headers),
                lambda headers: GrpcMetricExporter(**common, headers=basic | headers),
            )
        common["compression"] = Compression.Gzip if gzip else Compression.NoCompression
        if material.authority:
            common["certificate_file"] = self._file(material.authority)
        if material.certificate:
            common["client_certificate_file"] = self._file(material.certificate)
            common["client_key_file"] = self._file(material.key or material.certificate)
        before, path, behind = endpoint.target.rpartition(LOGS_PATH)
        if not path:
            raise OptionError(f"not with an endpoint that does not end in {LOGS_PATH}: where metrics go is not known")
        metrics = f"{before}/v1/metrics{behind}"
        return (
            lambda headers: HttpLogExporter(**common, headers=basic | headers, endpoint=endpoint.target),
            lambda headers: HttpMetricExporter(**common, headers=basic | headers, endpoint=metrics),
        )

    def _file(self, pem: bytes) -> str:
        """A path for libraries that take nothing else; the file is in memory alone, and open as long as the driver."""
        handle = os.memfd_create("pem", os.MFD_CLOEXEC)
        os.write(handle, pem)
        self._files.append(handle)
        return f"/proc/self/fd/{handle}"

    def _collect(self) -> MetricsData:
        start, now = int(self._driver.started * 1e9), time.time_ns()
        points: dict[str, list[Any]] = {metric.name: [] for metric in METRICS}
        labels = {metric.name: metric.attributes for metric in METRICS}
        for name, values, value in samples(self._driver, self._accounts(), self._problems):
            attributes = dict(zip(labels[name], values, strict=True))
            points[name].append(NumberDataPoint(attributes, start, now, value))
        for item in durations(self._driver):
            points["otellogdriver_request_duration_seconds"].append(
                HistogramDataPoint(
                    {"destination": item.destination},
                    start,
                    now,
                    sum(item.counts),
                    item.seconds,
                    item.counts,
                    LATENCY_BOUNDS,
                    0.0,
                    float("inf"),
                )
            )
        found = []
        for metric in METRICS:
            data: Gauge | Sum | Histogram = Gauge(points[metric.name])
            if metric.kind == "counter":
                data = Sum(points[metric.name], AggregationTemporality.CUMULATIVE, is_monotonic=True)
            elif metric.kind == "histogram":
                data = Histogram(points[metric.name], AggregationTemporality.CUMULATIVE)
            if points[metric.name]:
                found.append(Metric(metric.otlp, metric.help, metric.unit, data))
        scope = InstrumentationScope("otellogdriver", __version__)
        return MetricsData([ResourceMetrics(self._resource, [ScopeMetrics(scope, found, "")], "")])


class _Renewed(LogRecordExporter):
    """An exporter of either signal that is made anew when the destination's headers change: those in its file are
    often a token that is rotated. Lives in the thread that exports."""

    def __init__(self, destination: Destination, make: Make, failure: Any) -> None:
        self._destination = destination
        self._make = make
        self._failure = failure
        self._headers: dict[str, str] | None = None
        self._exporter: Any = None

    def export(self, batch: Any, **_: Any) -> Any:
        try:
            headers = dict(headers_of(self._destination))
        except OptionError:  # the file is away for a moment; the destination itself says so in the log
            return self._failure
        if headers != self._headers:
            self.shutdown()
            self._exporter, self._headers = self._make(headers), headers
        return self._exporter.export(batch)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    def shutdown(self) -> None:
        if self._exporter:
            self._exporter.shutdown()
            self._exporter = self._headers = None


class _Handler(logging.Handler):
    """The driver's log records, as OpenTelemetry's."""

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__()
        self._provider = provider

    def emit(self, record: logging.LogRecord) -> None:
        try:
            attributes = {}
            if record.exc_info and record.exc_info[0]:
                attributes["exception.type"] = record.exc_info[0].__qualname__
                attributes["exception.stacktrace"] = logging.Formatter().formatException(record.exc_info)
            self._provider.get_logger(record.name, __version__).emit(
                LogRecord(
                    timestamp=int(record.created * 1e9),
                    observed_timestamp=time.time_ns(),
                    severity_number=_SEVERITY.get(record.levelno, SeverityNumber.UNSPECIFIED),
                    severity_text=record.levelname,
                    body=record.getMessage(),
                    attributes=attributes,
                )
            )
        except Exception:
            self.handleError(record)


def _every(environ: Mapping[str, str]) -> float:
    """Seconds between two exports; a value that is no number of milliseconds is as good as none."""
    try:
        return max(0.1, float(environ.get("OTEL_METRIC_EXPORT_INTERVAL", "")) / 1000)
    except ValueError:
        return _EVERY


def _in_thread(call: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
    """Run a call in a thread that does not keep the process from ending, as those of an executor would."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def tell(value: Any) -> None:
        if not future.done():
            future.set_result(value)

    def run() -> None:
        value = None
        try:
            value = call(*arguments)
        except Exception:
            log.debug("own telemetry", exc_info=True)
        try:
            loop.call_soon_threadsafe(tell, value)
        except RuntimeError:
            pass  # the loop is closed

    threading.Thread(target=run, name="own telemetry", daemon=True).start()
    return future
