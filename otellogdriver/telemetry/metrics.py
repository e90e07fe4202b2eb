"""The driver's metrics, each declared once: name, type, labels, help.

From METRICS come the samples' types and texts in every form (Prometheus, OpenMetrics, OTLP), the table in README.md and
the check that dashboards and alerts use only what exists. `python -m otellogdriver.telemetry.metrics --check` tells
whether README.md agrees. Where the values come from: `samples.py`.

Cardinality is bounded: series per container, stream and reason, and those of a container go a few minutes after it has
stopped. The counters of the whole driver (`otellogdriver_driver_*`) go on without them.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from otellogdriver.settings.rendered import between

CONTAINER = ("container_id", "container_name", "service_name")
STREAM = (*CONTAINER, "stream")
REASON = (*CONTAINER, "reason")
SEVERITY = (*CONTAINER, "severity")

REASONS = ("journal_full", "disk_full", "disk_error", "refused", "denied", "rejected", "unread", "fault")
"""Why lines are given up. The driver's counter has all of them from the start: a counter that appears with its first
loss would hide that loss from `increase()`."""

SEVERITIES = ("trace", "debug", "info", "warn", "error", "fatal")
"""OpenTelemetry's ranges of severity, in their order. A record in which none was looked for, or found, has `none`."""

AT_ONCE = ("error", "fatal")
"""Severities that a container which has some starts with at 0, so that `increase()` sees the first error. The others
appear when they occur: nobody waits for the first of them, and each series of a thousand containers costs a scrape."""

EXCLUDED = ("streams", "include", "exclude", "rate_limit")
"""Why the options leave lines out."""

OUTCOMES = ("delivered", "refused", "denied", "unread", "unreachable", "timeout", "throttled", "unavailable", "fault")
"""What becomes of a request; all but the first four are tried again."""


BEFORE = ("journal_full", "disk_full", "disk_error")
"""Reasons for which bytes are given up before they are in the journal."""

_UNITS = {"_bytes": "By", "_seconds": "s"}
_NAMESPACES = ("driver", "destination", "request", "process")
_ATTRIBUTES = {
    "container_id": "container.id",
    "container_name": "container.name",
    "service_name": "service.name",
    "stream": "log.iostream",
}


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric. A counter's name is written as it is exposed, with `_total`. `instead` is the metric, one of every
    Prometheus client's own, that has the same: then this one is deprecated, and goes with the next version. `standard`
    is the name over OTLP, where the semantic conventions have one."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str
    instead: str = ""
    standard: str = ""

    @property
    def text(self) -> str:
        """The help, which begins by saying if it is deprecated."""
        return f"Deprecated: `{self.instead}` has it. {self.help}" if self.instead else self.help

    @property
    def otlp(self) -> str:
        """The name over OTLP: dotted, without unit and `_total`, which whatever turns it into Prometheus' form adds."""
        if self.standard:
            return self.standard
        name = self.name.removeprefix("otellogdriver_").removesuffix("_total")
        for suffix in _UNITS:
            name = name.removesuffix(suffix)
        space, _, rest = name.partition("_")
        return f"otellogdriver.{space}.{rest}" if rest and space in _NAMESPACES else f"otellogdriver.{name}"

    @property
    def unit(self) -> str:
        """The unit over OTLP, in UCUM."""
        name = self.name.removesuffix("_total")
        for suffix, unit in _UNITS.items():
            if name.endswith(suffix):
                return unit
        thing = next((thing for thing in _THINGS if re.search(rf"(^|_){thing}s(_|$)", name)), "")
        return f"{{{thing}}}" if thing else ""

    @property
    def attributes(self) -> tuple[str, ...]:
        """The labels' names over OTLP."""
        return tuple(_ATTRIBUTES.get(label, label) for label in self.labels)


_THINGS = ("record", "line", "stream", "request", "thread", "file", "problem")
"""What is counted, as UCUM annotations."""


METRICS: tuple[Declared, ...] = (
    Declared("otellogdriver_lines_total", "counter", STREAM, "Lines taken out of the journal and encoded."),
    Declared("otellogdriver_line_bytes_total", "counter", STREAM, "Bytes of those lines, without newlines."),
    Declared(
        "otellogdriver_records_total",
        "counter",
        SEVERITY,
        f"Records, by severity: {', '.join(SEVERITIES)}; none where neither `parse` nor `severity` is set, or no level "
        "is found. Each counts once, when the collector has taken it or it is given up: not with each try, nor with a "
        "mirror.",
    ),
    Declared("otellogdriver_read_bytes_total", "counter", CONTAINER, "Bytes read from the FIFO, frames included."),
    Declared(
        "otellogdriver_delivered_records_total",
        "counter",
        CONTAINER,
        "Records that the collector acknowledged; with a mirror, those of both destinations.",
    ),
    Declared(
        "otellogdriver_dropped_lines_total", "counter", REASON, f"Lines given up, by reason: {', '.join(REASONS)}."
    ),
    Declared("otellogdriver_dropped_bytes_total", "counter", REASON, "Bytes given up before they reached the journal."),
    Declared(
        "otellogdriver_excluded_lines_total",
        "counter",
        REASON,
        f"Lines left out because the options say so: {', '.join(EXCLUDED)}.",
    ),
    Declared(
        "otellogdriver_damaged_bytes_total",
        "counter",
        CONTAINER,
        "Bytes that were skipped because they are not frames, or lost.",
    ),
    Declared("otellogdriver_undelivered_bytes", "gauge", CONTAINER, "Bytes in the journal that wait for delivery."),
    Declared("otellogdriver_lag_seconds", "gauge", CONTAINER, "Age of the oldest line that waits for delivery."),
    Declared(
        "otellogdriver_journal_bytes", "gauge", CONTAINER, "Bytes in the journal, including those kept for docker logs."
    ),
    Declared("otellogdriver_journal_limit_bytes", "gauge", CONTAINER, "Limit of the bytes that may wait for delivery."),
    Declared("otellogdriver_driver_delivered_records_total", "counter", (), "Records acknowledged, all containers."),
    Declared("otellogdriver_driver_dropped_lines_total", "counter", ("reason",), "Lines given up, all containers."),
    Declared("otellogdriver_driver_read_bytes_total", "counter", (), "Bytes read from FIFOs, all containers."),
    Declared("otellogdriver_driver_undelivered_bytes", "gauge", (), "Bytes that wait for delivery, all containers."),
    Declared("otellogdriver_driver_journal_bytes", "gauge", (), "Bytes in the journal, all containers."),
    Declared("otellogdriver_driver_journal_limit_bytes", "gauge", (), "Limit of the whole journal."),
    Declared(
        "otellogdriver_driver_journal_room_bytes",
        "gauge",
        (),
        "Bytes that may still come before lines are given up: what the limit or, if less, the disk leaves.",
    ),
    Declared("otellogdriver_driver_disk_free_bytes", "gauge", (), "Free bytes on the disk that holds the journal."),
    Declared("otellogdriver_open_streams", "gauge", (), "FIFOs that are read."),
    Declared(
        "otellogdriver_blocked_streams",
        "gauge",
        (),
        "FIFOs that are not read because the journal is full (journal-full=block).",
    ),
    Declared(
        "otellogdriver_stalled_streams",
        "gauge",
        (),
        "Streams with something to read or to deliver that nobody in the driver has looked at for a minute.",
    ),
    Declared("otellogdriver_faults_total", "counter", (), "Faults that were met and survived; the log names them."),
    Declared(
        "otellogdriver_excluded_streams",
        "gauge",
        (),
        "FIFOs whose lines are kept, not sent: containers with the label otellogdriver.exclude=true.",
    ),
    Declared(
        "otellogdriver_requests_total",
        "counter",
        ("destination", "outcome"),
        f"Requests, by what became of them: {', '.join(OUTCOMES)}. All except the first four are tried again.",
    ),
    Declared("otellogdriver_request_duration_seconds", "histogram", ("destination",), "Time from request to answer."),
    Declared("otellogdriver_requests_in_flight", "gauge", ("destination",), "Requests that wait for their answer."),
    Declared(
        "otellogdriver_sent_bytes_total", "counter", ("destination",), "Bytes of request bodies as they are sent."
    ),
    Declared(
        "otellogdriver_destination_up",
        "gauge",
        ("destination",),
        "1 if the destination takes requests, 0 while it is waited for.",
    ),
    Declared(
        "otellogdriver_destination_pause_seconds",
        "gauge",
        ("destination",),
        "Time until the next try, 0 while it takes requests.",
    ),
    Declared("otellogdriver_build_info", "gauge", ("version", "codec"), "Always 1."),
    Declared("otellogdriver_option_problems", "gauge", (), "Values in the plugin's environment that cannot be used."),
    Declared(
        "otellogdriver_start_time_seconds",
        "gauge",
        (),
        "When the driver started, since the epoch.",
        "process_start_time_seconds",
    ),
    Declared(
        "otellogdriver_cpu_seconds_total",
        "counter",
        (),
        "CPU time of the driver.",
        "process_cpu_seconds_total",
        "process.cpu.time",
    ),
    Declared(
        "otellogdriver_resident_memory_bytes",
        "gauge",
        (),
        "Resident memory of the driver.",
        "process_resident_memory_bytes",
        "process.memory.usage",
    ),
    Declared("otellogdriver_threads", "gauge", (), "Threads of the driver.", standard="process.thread.count"),
    Declared(
        "otellogdriver_open_files",
        "gauge",
        (),
        "Open file descriptors of the driver.",
        "process_open_fds",
        "process.unix.file_descriptor.count",
    ),
    Declared(
        "otellogdriver_open_files_limit",
        "gauge",
        (),
        "How many file descriptors the driver may have open.",
        "process_max_fds",
    ),
)

COMMAND = "python -m otellogdriver.telemetry.metrics --render"


def table() -> str:
    """The metrics as Markdown."""
    rows = ["| metric | type | labels | |\n|---|---|---|---|\n"]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.text} |\n")
    return "".join(rows)


def with_table(text: str) -> str:
    """README.md as it should be. Raises ValueError if the markers are not there."""
    return between(text, "metrics", COMMAND, table())


def main(arguments: Sequence[str]) -> int:
    """The program `python -m otellogdriver.telemetry.metrics`."""
    parser = argparse.ArgumentParser(
        prog="python -m otellogdriver.telemetry.metrics", description=__doc__.splitlines()[0]
    )
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true", help="exit 1 if the table in README.md is not as declared")
    action.add_argument("--render", action="store_true", help="render the table in README.md anew")
    chosen = parser.parse_args(arguments)
    readme = Path(__file__).parents[2] / "README.md"
    text = readme.read_text(encoding="utf-8")
    wanted = with_table(text)
    if chosen.render:
        readme.write_text(wanted, encoding="utf-8")
    elif wanted != text:
        print(f"README.md does not agree with the declared metrics; mend it with: {COMMAND}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
