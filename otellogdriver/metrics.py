"""The driver's metrics, each declared once: name, type, labels, help, and where its samples come from.

`Metrics` is a collector for prometheus_client: it reads the stages' counters at each scrape, so counting costs the line
path nothing. The README's table, and the check that dashboards and alerts use only what exists, come from METRICS.

Cardinality is bounded: series per container, stream and reason, and those of a container go a few minutes after it has
stopped. The counters of the whole driver (`otellogdriver_driver_*`) go on without them.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from otellogdriver import __version__
from otellogdriver.driver import Driver
from otellogdriver.pump import LATENCY_BOUNDS, Pump
from otellogdriver.session import Session

_CONTAINER = ("container_id", "container_name", "service_name")
_STREAM = (*_CONTAINER, "stream")
_REASON = (*_CONTAINER, "reason")


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric. A counter's name is written as it is exposed, with `_total`."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


METRICS: tuple[Declared, ...] = (
    Declared("otellogdriver_lines_total", "counter", _STREAM, "Lines taken out of the journal and encoded."),
    Declared("otellogdriver_line_bytes_total", "counter", _STREAM, "Bytes of those lines, without newlines."),
    Declared("otellogdriver_read_bytes_total", "counter", _CONTAINER, "Bytes read from the FIFO, frames included."),
    Declared(
        "otellogdriver_delivered_records_total", "counter", _CONTAINER, "Records that the collector acknowledged."
    ),
    Declared(
        "otellogdriver_dropped_lines_total",
        "counter",
        _REASON,
        "Lines given up, by reason: journal_full, disk_full, disk_error, refused, denied, rejected, fault.",
    ),
    Declared(
        "otellogdriver_dropped_bytes_total", "counter", _REASON, "Bytes given up before they reached the journal."
    ),
    Declared("otellogdriver_excluded_lines_total", "counter", _CONTAINER, "Lines left out because the options say so."),
    Declared("otellogdriver_damaged_bytes_total", "counter", _CONTAINER, "Bytes that were no frames, skipped or lost."),
    Declared("otellogdriver_undelivered_bytes", "gauge", _CONTAINER, "Bytes in the journal that wait for delivery."),
    Declared("otellogdriver_lag_seconds", "gauge", _CONTAINER, "Age of the last delivered record while others wait."),
    Declared("otellogdriver_journal_bytes", "gauge", _CONTAINER, "Bytes in the journal, with those for docker logs."),
    Declared(
        "otellogdriver_journal_limit_bytes", "gauge", _CONTAINER, "Limit of the bytes that may wait for delivery."
    ),
    Declared("otellogdriver_driver_delivered_records_total", "counter", (), "Records acknowledged, all containers."),
    Declared("otellogdriver_driver_dropped_lines_total", "counter", ("reason",), "Lines given up, all containers."),
    Declared("otellogdriver_driver_read_bytes_total", "counter", (), "Bytes read from FIFOs, all containers."),
    Declared("otellogdriver_driver_journal_bytes", "gauge", (), "Bytes in the journal, all containers."),
    Declared("otellogdriver_driver_journal_limit_bytes", "gauge", (), "Limit of the whole journal."),
    Declared("otellogdriver_driver_disk_free_bytes", "gauge", (), "Free bytes on the disk that holds the journal."),
    Declared("otellogdriver_driver_undelivered_bytes", "gauge", (), "Bytes that wait for delivery, all containers."),
    Declared("otellogdriver_open_streams", "gauge", (), "FIFOs being read."),
    Declared(
        "otellogdriver_requests_total", "counter", ("destination", "outcome"), "Requests, by what became of them."
    ),
    Declared("otellogdriver_request_duration_seconds", "histogram", ("destination",), "Time from request to answer."),
    Declared("otellogdriver_requests_in_flight", "gauge", ("destination",), "Requests that wait for their answer."),
    Declared("otellogdriver_sent_bytes_total", "counter", ("destination",), "Bytes of request bodies, compressed."),
    Declared("otellogdriver_destination_up", "gauge", ("destination",), "1 if the last request was taken."),
    Declared("otellogdriver_destination_pause_seconds", "gauge", ("destination",), "Time until the next try."),
    Declared("otellogdriver_build_info", "gauge", ("version", "codec"), "Always 1."),
    Declared("otellogdriver_start_time_seconds", "gauge", (), "When the driver started, since the epoch."),
    Declared("otellogdriver_cpu_seconds_total", "counter", (), "CPU time of the driver."),
    Declared("otellogdriver_resident_memory_bytes", "gauge", (), "Resident memory of the driver."),
    Declared("otellogdriver_threads", "gauge", (), "Threads of the driver."),
)

Sample = tuple[str, tuple[str, ...], float]


class Metrics(Collector):
    """See the module's text. Collected on the event loop's thread."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for declared in METRICS:
            make = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
            families[declared.name] = make[declared.kind](declared.name, declared.help, labels=declared.labels)
        for name, labels, value in self._samples():
            families[name].add_metric(labels, value)  # type: ignore[attr-defined]
        for label, pumps in self._destinations().items():
            counts = [sum(values) for values in zip(*(pump.tally.durations for pump in pumps), strict=True)]
            total, buckets = 0, []
            for bound, count in zip([*map(str, LATENCY_BOUNDS), "+Inf"], counts, strict=True):
                total += count
                buckets.append((bound, total))
            family = families["otellogdriver_request_duration_seconds"]
            family.add_metric((label,), buckets, sum(pump.tally.seconds for pump in pumps))  # type: ignore[attr-defined]
        yield from families.values()

    def _samples(self) -> Iterator[Sample]:
        for session in list(self._driver.active.values()):
            if session.stream.size or session.ended is not None:
                yield from _of_container(session)
        yield from self._of_driver()
        for label, pumps in self._destinations().items():
            yield from _of_destination(label, pumps)

    def _destinations(self) -> dict[str, list[Pump]]:
        """Destinations that differ in headers or batching alone share a label, and so their series."""
        found: dict[str, list[Pump]] = {}
        for pump in self._driver.pumps.values():
            found.setdefault(pump.destination.label, []).append(pump)
        return found

    def _of_driver(self) -> Iterator[Sample]:
        driver = self._driver
        totals = driver.totals()
        yield "otellogdriver_driver_delivered_records_total", (), totals.delivered
        for reason, lines in totals.dropped.items():
            yield "otellogdriver_driver_dropped_lines_total", (reason,), lines
        yield "otellogdriver_driver_read_bytes_total", (), totals.read
        yield "otellogdriver_driver_journal_bytes", (), driver.store.bytes()
        yield "otellogdriver_driver_journal_limit_bytes", (), driver.plugin.journal_total_max_size
        yield "otellogdriver_driver_disk_free_bytes", (), driver.disk_free()
        waiting = sum(session.stream.undelivered for session in driver.active.values())
        yield "otellogdriver_driver_undelivered_bytes", (), waiting
        yield "otellogdriver_open_streams", (), len(driver.sessions)
        yield "otellogdriver_build_info", (__version__, driver.codec.name), 1
        yield "otellogdriver_start_time_seconds", (), driver.started
        yield "otellogdriver_cpu_seconds_total", (), time.process_time()
        yield "otellogdriver_resident_memory_bytes", (), _resident()
        yield "otellogdriver_threads", (), threading.active_count()


def _of_container(session: Session) -> Iterator[Sample]:
    who = (session.container.id, session.container.name, session.service_name)
    feeds = [feed.counters for _, feed in session.feeds]
    for index, stream in enumerate(("stdout", "stderr")):
        first = feeds[0] if feeds else None  # a mirror sees the same lines
        yield "otellogdriver_lines_total", (*who, stream), first.lines[index] if first else 0
        yield "otellogdriver_line_bytes_total", (*who, stream), first.bytes[index] if first else 0
    yield "otellogdriver_read_bytes_total", who, session.fifo.bytes_read if session.fifo else 0
    yield "otellogdriver_delivered_records_total", who, sum(counters.delivered for counters in feeds)
    for reason, (lines, size) in session.dropped.items():
        yield "otellogdriver_dropped_lines_total", (*who, reason), lines
        yield "otellogdriver_dropped_bytes_total", (*who, reason), size
    yield "otellogdriver_excluded_lines_total", who, sum(counters.excluded for counters in feeds)
    yield "otellogdriver_damaged_bytes_total", who, sum(counters.damaged_bytes for counters in feeds)
    yield "otellogdriver_undelivered_bytes", who, session.stream.undelivered
    yield "otellogdriver_lag_seconds", who, session.lag
    yield "otellogdriver_journal_bytes", who, session.stream.size
    yield "otellogdriver_journal_limit_bytes", who, session.settings.journal_max_size


def _of_destination(label: str, pumps: list[Pump]) -> Iterator[Sample]:
    outcomes: dict[str, int] = {}
    for pump in pumps:
        for outcome, count in pump.tally.outcomes.items():
            outcomes[outcome] = outcomes.get(outcome, 0) + count
    for outcome, count in outcomes.items():
        yield "otellogdriver_requests_total", (label, outcome), count
    yield "otellogdriver_requests_in_flight", (label,), sum(pump.tally.in_flight for pump in pumps)
    yield "otellogdriver_sent_bytes_total", (label,), sum(pump.tally.sent_bytes for pump in pumps)
    yield "otellogdriver_destination_up", (label,), int(all(pump.gate.is_open for pump in pumps))
    yield "otellogdriver_destination_pause_seconds", (label,), max(pump.gate.pause_left for pump in pumps)


def _resident() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
