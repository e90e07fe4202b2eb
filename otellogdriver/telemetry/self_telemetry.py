"""The driver's own logs and metrics over OTLP (`OTELLOGDRIVER_SELF_TELEMETRY=otlp`).

They go where the plugin's own settings say, as service `otellogdriver`: metrics every minute and at the end
(`OTEL_METRIC_EXPORT_INTERVAL`), logs of the driver's loggers as they come, those of its start included. Metrics are
those of `metrics.py`, with OpenTelemetry's kind of names and units (`Declared.otlp`, `.unit`, `.attributes`). The SDK
gathers and encodes them; requests go the way of the containers' (`export/`), through the same proxy and with the same
eye on files that are replaced, but over connections of their own. Best effort: nothing is kept while the collector is
away, and nothing here holds up the driver; `/metrics` has the truth. Imported only when asked for, because the SDK
costs memory and time.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
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
from otellogdriver.export.client import METHOD, client_for, prepare
from otellogdriver.export.destination import GRPC, Destination, url_of_requests
from otellogdriver.export.outcome import Delivered, Outcome, Refused, Retry
from otellogdriver.pool import alone
from otellogdriver.resource import Host
from otellogdriver.settings.endpoints import LOGS_PATH
from otellogdriver.settings.options import resolve
from otellogdriver.telemetry.account import Accounts
from otellogdriver.telemetry.events import Early
from otellogdriver.telemetry.metrics import METRICS
from otellogdriver.telemetry.overview import Overview
from otellogdriver.telemetry.samples import durations, samples

log = logging.getLogger(__name__)

_EVERY = 60.0
_TIMEOUT = 10.0
"""Seconds for a request where the plugin's settings have no bound."""
_THREAD = "own telemetry"
_PAUSE = 1.0
"""Seconds before a failed request is sent again."""
_METRICS_PATH = "/v1/metrics"
_METRICS_METHOD = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
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
        logging.getLogger("opentelemetry.sdk").setLevel(logging.CRITICAL)  # what matters of it is logged here, once
        (_, place), *_ = destinations(settings)
        place = replace(place, timeout=place.timeout or _TIMEOUT)
        self._metrics = _Way(encode_metrics, _of_metrics(place), _METRICS_METHOD)
        self._logs = _Way(encode_logs, place)
        self._provider = LoggerProvider(self._resource, shutdown_on_exit=False)
        self._provider.add_log_record_processor(BatchLogRecordProcessor(_LogExporter(self._logs)))
        self._early = early
        early.hand_over(_Handler(self._provider))
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Send what there is, for at most a moment, and end."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._early.end()
        last = asyncio.ensure_future(self._metrics.send(self._collect()))
        ended: asyncio.Future[Any] = alone(self._provider.shutdown, _THREAD).awaited()
        await asyncio.wait([last, ended], timeout=_PATIENCE)
        last.cancel()
        await asyncio.gather(last, self._metrics.close(), self._logs.close(), return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                outcome = await self._metrics.send(self._collect())
            except Exception as error:  # no thread, no memory: there is a next time
                outcome = Refused(repr(error))
            failed = not isinstance(outcome, Delivered)
            if failed and not self._failed:
                log.warning(
                    "the driver's own telemetry is not taken; /metrics has it all the same: %s",
                    getattr(outcome, "reason", ""),
                )
            self._failed = failed

    def _collect(self) -> MetricsData:
        overview = Overview.of(self._driver, self._accounts())
        start, now = int(overview.started * 1e9), time.time_ns()
        points: dict[str, list[Any]] = {metric.name: [] for metric in METRICS}
        labels = {metric.name: metric.attributes for metric in METRICS}
        for name, found in samples(overview, self._problems).items():
            for things, last, columns in found:
                for end, column in zip(last, columns, strict=True):
                    for thing, value in zip(things, column, strict=True):
                        attributes = dict(zip(labels[name], (*thing, end) if end else thing, strict=True))
                        points[name].append(NumberDataPoint(attributes, start, now, value))
        for item in durations(overview):
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
        metrics = []
        for metric in METRICS:
            data: Gauge | Sum | Histogram = Gauge(points[metric.name])
            if metric.kind == "counter":
                data = Sum(points[metric.name], AggregationTemporality.CUMULATIVE, is_monotonic=True)
            elif metric.kind == "histogram":
                data = Histogram(points[metric.name], AggregationTemporality.CUMULATIVE)
            if points[metric.name]:
                metrics.append(Metric(metric.otlp, metric.help, metric.unit, data))
        scope = InstrumentationScope("otellogdriver", __version__)
        return MetricsData([ResourceMetrics(self._resource, [ScopeMetrics(scope, metrics, "")], "")])


class _Way:
    """Connections for one signal."""

    def __init__(self, encode: Callable[[Any], Any], place: Destination, method: str = METHOD) -> None:
        self._encode = encode
        self._place = place
        self._client = client_for(place, method)
        self.close = self._client.close

    async def send(self, data: Any) -> Outcome:
        """Send what the SDK gathered, again and again for as long as one request may take."""
        body = await alone(lambda: prepare(self._place, [self._encode(data).SerializeToString()]), _THREAD).awaited()
        end = time.monotonic() + self._place.timeout
        while True:
            outcome = await self._client.send(body)
            pause = (outcome.after or _PAUSE) if isinstance(outcome, Retry) else 0.0
            if not pause or time.monotonic() + pause > end:
                return outcome
            await asyncio.sleep(pause)


class _LogExporter(LogRecordExporter):
    """From the SDK's thread to the loop."""

    def __init__(self, way: _Way) -> None:
        self._way = way
        self._loop = asyncio.get_running_loop()

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        sent = asyncio.run_coroutine_threadsafe(self._way.send(batch), self._loop)
        taken = isinstance(sent.result(), Delivered)
        return LogRecordExportResult.SUCCESS if taken else LogRecordExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    def shutdown(self) -> None:
        return None


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


def _of_metrics(place: Destination) -> Destination:
    """Where metrics go. Raises OptionError where that is not known."""
    if place.protocol == GRPC:
        return place
    found = []
    for text in place.endpoints:
        url, mark, query = url_of_requests(text, place.reading).partition("?")
        before, path, _ = url.rpartition(LOGS_PATH)
        if not path or not url.endswith(LOGS_PATH):
            raise OptionError(f"not with an endpoint that does not end in {LOGS_PATH}: where metrics go is not known")
        found.append(before + _METRICS_PATH + mark + query)
    return replace(place, endpoints=tuple(found), reading="whole")


def _every(environ: Mapping[str, str]) -> float:
    """Seconds between two exports; a value that is no number of milliseconds is as good as none."""
    try:
        return max(0.1, float(environ.get("OTEL_METRIC_EXPORT_INTERVAL", "")) / 1000)
    except ValueError:
        return _EVERY
