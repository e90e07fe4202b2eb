"""The values of the metrics.

In: an `Overview` of the driver. Out: a `Sample` per series, and the request durations, which are histograms. Used on
the event loop.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from otellogdriver import __version__
from otellogdriver.delivery.pump import Pump
from otellogdriver.telemetry.account import Account
from otellogdriver.telemetry.metrics import AT_ONCE, BEFORE, OUTCOMES, REASONS, SEVERITIES
from otellogdriver.telemetry.overview import Overview

Sample = tuple[str, tuple[str, ...], str, float]
"""Name, label values in the declared order, the last value where it stands by itself (else empty), value. All series of
a container share one tuple of values, of which text is made once; a tuple stands for the same labels each time."""

_NOTHING_DROPPED = dict.fromkeys(REASONS, (0, 0))


@dataclass(frozen=True, slots=True)
class Durations:
    """The request durations of one destination; `counts` are those of `Tally`."""

    destination: str
    counts: tuple[int, ...]
    seconds: float


def samples(overview: Overview, problems: int) -> Iterator[Sample]:
    """All series but the histograms. `problems`: values of the plugin's environment that cannot be used."""
    for account in overview.accounts:
        if account.has_printed:
            yield from _of_container(account)
    yield from _of_driver(overview, problems)
    for label, pumps in overview.destinations.items():
        yield from _of_destination(label, pumps)


def durations(overview: Overview) -> Iterator[Durations]:
    """The histogram of each destination."""
    for label, pumps in overview.destinations.items():
        counts = tuple(sum(values) for values in zip(*(pump.tally.durations for pump in pumps), strict=True))
        yield Durations(label, counts, sum(pump.tally.seconds for pump in pumps))


def outcomes(pumps: list[Pump]) -> dict[str, int]:
    """Requests by outcome, each outcome from the start."""
    found = dict.fromkeys(OUTCOMES, 0)
    for pump in pumps:
        for outcome, count in pump.tally.outcomes.items():
            found[outcome] = found.get(outcome, 0) + count
    return found


def open_files() -> int:
    """Open files of this process; the limit where there is none left to look with."""
    try:
        # The size of the folder is their number since Linux 6.2, which saves reading thousands of names.
        return os.stat("/proc/self/fd").st_size or len(os.listdir("/proc/self/fd"))
    except OSError:
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def resident() -> int:
    """Resident memory of this process in bytes."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _of_container(account: Account) -> Iterator[Sample]:
    who, counts = account.labels, account.counts
    for index, stream in enumerate(("stdout", "stderr")):
        yield "otellogdriver_lines_total", who, stream, counts.lines[index]
        yield "otellogdriver_line_bytes_total", who, stream, counts.bytes[index]
    without = counts.records - sum(counts.severities)
    if without or not account.has_severity:
        yield "otellogdriver_records_total", who, "none", without
    for severity, records in zip(SEVERITIES, counts.severities, strict=True):
        if records or (account.has_severity and severity in AT_ONCE):
            yield "otellogdriver_records_total", who, severity, records
    yield "otellogdriver_read_bytes_total", who, "", counts.read
    yield "otellogdriver_delivered_records_total", who, "", counts.delivered
    # From 0 at once: a counter that appears with its first loss would hide that loss from `increase()`.
    for reason, (lines, size) in (_NOTHING_DROPPED | counts.dropped).items():
        yield "otellogdriver_dropped_lines_total", who, reason, lines
        if size or reason in BEFORE:
            yield "otellogdriver_dropped_bytes_total", who, reason, size
    for reason, lines in (account.may_exclude | counts.excluded).items():
        yield "otellogdriver_excluded_lines_total", who, reason, lines
    yield "otellogdriver_damaged_bytes_total", who, "", counts.damaged
    yield "otellogdriver_undelivered_bytes", who, "", account.undelivered
    yield "otellogdriver_lag_seconds", who, "", account.lag
    yield "otellogdriver_journal_bytes", who, "", account.journal
    yield "otellogdriver_journal_limit_bytes", who, "", account.limit


def _of_driver(overview: Overview, problems: int) -> Iterator[Sample]:
    totals = overview.totals
    yield "otellogdriver_driver_delivered_records_total", (), "", totals.delivered
    for reason, lines in (dict.fromkeys(REASONS, 0) | totals.dropped).items():
        yield "otellogdriver_driver_dropped_lines_total", (), reason, lines
    yield "otellogdriver_driver_read_bytes_total", (), "", totals.read
    yield "otellogdriver_driver_undelivered_bytes", (), "", overview.undelivered
    yield "otellogdriver_driver_journal_bytes", (), "", overview.journal
    yield "otellogdriver_driver_journal_limit_bytes", (), "", overview.journal_limit
    yield "otellogdriver_driver_journal_room_bytes", (), "", overview.journal_room
    yield "otellogdriver_driver_disk_free_bytes", (), "", overview.disk_free
    yield "otellogdriver_open_streams", (), "", overview.running
    yield "otellogdriver_blocked_streams", (), "", overview.blocked
    yield "otellogdriver_stalled_streams", (), "", overview.stalled
    yield "otellogdriver_faults_total", (), "", overview.faults
    yield "otellogdriver_excluded_streams", (), "", overview.excluded
    yield "otellogdriver_build_info", (__version__,), overview.codec, 1
    yield "otellogdriver_option_problems", (), "", problems
    yield "otellogdriver_start_time_seconds", (), "", overview.started
    yield "otellogdriver_cpu_seconds_total", (), "", time.process_time()
    yield "otellogdriver_resident_memory_bytes", (), "", resident()
    yield "otellogdriver_threads", (), "", threading.active_count()
    yield "otellogdriver_open_files", (), "", open_files()
    yield "otellogdriver_open_files_limit", (), "", resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _of_destination(label: str, pumps: list[Pump]) -> Iterator[Sample]:
    where = (label,)
    for outcome, count in outcomes(pumps).items():
        yield "otellogdriver_requests_total", where, outcome, count
    yield "otellogdriver_requests_in_flight", where, "", sum(pump.tally.in_flight for pump in pumps)
    yield "otellogdriver_sent_bytes_total", where, "", sum(pump.tally.sent_bytes for pump in pumps)
    yield "otellogdriver_destination_up", where, "", int(all(pump.gate.is_open for pump in pumps))
    yield "otellogdriver_destination_pause_seconds", where, "", max(pump.gate.pause_left for pump in pumps)
