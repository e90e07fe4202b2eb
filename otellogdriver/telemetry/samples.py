"""The values of the metrics.

In: an `Overview` of the driver. Out: `Samples` by metric, and the request durations, which are histograms. Those of the
driver are read on the event loop, those of containers are in their accounts, which any thread may read.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from otellogdriver import __version__
from otellogdriver.delivery.pump import Pump
from otellogdriver.telemetry.account import Account
from otellogdriver.telemetry.metrics import AT_ONCE, BEFORE, OUTCOMES, REASONS, SEVERITIES
from otellogdriver.telemetry.overview import Overview

Samples = tuple[Sequence[tuple[str, ...]], tuple[str, ...], Sequence[Sequence[float]]]
"""Things that have the same series of a metric, as columns: with a thousand containers there is no time to look at each
sample. The things, each by its label values in the declared order; the values of the last label, where that stands by
itself (else `_ALONE`); for each of these a column, with a number for each thing, all ints or all floats. Metrics of
all containers share the very list of things, so that text is made of it once."""

_Row = tuple[tuple[str, ...], tuple[int, ...]]
"""What one container has of a metric: the values of the last label, and as many numbers."""

_ALONE = ("",)
_NONE = ("none",)
_NO_SEVERITIES = (0,) * len(SEVERITIES)
_NOTHING_DROPPED = dict.fromkeys(REASONS, (0, 0))
_NO_LINES = REASONS, (0,) * len(REASONS)
_NO_BYTES = BEFORE, (0,) * len(BEFORE)


@dataclass(frozen=True, slots=True)
class Durations:
    """The request durations of one destination; `counts` are those of `Tally`."""

    destination: str
    counts: tuple[int, ...]
    seconds: float


def samples(overview: Overview, problems: int) -> dict[str, list[Samples]]:
    """By metric, all but the histograms. `problems`: values of the plugin's environment that cannot be used."""
    return of_containers(overview.accounts) | of_driver(overview, problems)


def of_containers(accounts: Sequence[Account]) -> dict[str, list[Samples]]:
    """By metric, nothing where there is none. Any thread."""
    accounts = [account for account in accounts if account.has_printed]
    if not accounts:
        return {}
    things = [account.labels for account in accounts]
    found: dict[str, list[Samples]] = {}
    for name, values in _VALUES.items():
        found[name] = [(things, tuple(values), [list(map(value, accounts)) for value in values.values()])]
    for name, row in _ROWS.items():
        groups: dict[tuple[str, ...], tuple[list[tuple[str, ...]], list[tuple[int, ...]]]] = {}
        for thing, account in zip(things, accounts, strict=True):
            last, numbers = row(account)
            if (group := groups.get(last)) is None:
                group = groups[last] = [], []
            group[0].append(thing)
            group[1].append(numbers)
        found[name] = [
            (things if len(those) == len(things) else those, last, list(zip(*rows, strict=True)))
            for last, (those, rows) in groups.items()
        ]
    return found


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


def _row(values: Mapping[str, int]) -> _Row:
    return tuple(values), tuple(values.values())


def _records(account: Account) -> _Row:
    counts, has_severity = account.counts, account.has_severity
    if not has_severity and not counts.severities:
        return _NONE, (counts.records,)
    without = counts.records - sum(counts.severities)
    found = {"none": without} if without or not has_severity else {}
    for severity, records in zip(SEVERITIES, counts.severities or _NO_SEVERITIES, strict=True):
        if records or (has_severity and severity in AT_ONCE):
            found[severity] = records
    return _row(found)


# From 0 at once: a counter that appears with its first loss would hide that loss from `increase()`.
def _dropped_lines(account: Account) -> _Row:
    dropped = account.counts.dropped
    return _row({why: lines for why, (lines, _) in (_NOTHING_DROPPED | dropped).items()}) if dropped else _NO_LINES


def _dropped_bytes(account: Account) -> _Row:
    if not (dropped := account.counts.dropped):
        return _NO_BYTES
    return _row({why: size for why, (_, size) in (_NOTHING_DROPPED | dropped).items() if size or why in BEFORE})


# By metric and last label: what every container has, and what goes by the container.
_VALUES: dict[str, dict[str, Callable[[Account], float]]] = {
    "otellogdriver_lines_total": {
        "stdout": lambda account: account.counts.lines[0],
        "stderr": lambda account: account.counts.lines[1],
    },
    "otellogdriver_line_bytes_total": {
        "stdout": lambda account: account.counts.bytes[0],
        "stderr": lambda account: account.counts.bytes[1],
    },
    "otellogdriver_read_bytes_total": {"": attrgetter("counts.read")},
    "otellogdriver_delivered_records_total": {"": attrgetter("counts.delivered")},
    "otellogdriver_damaged_bytes_total": {"": attrgetter("counts.damaged")},
    "otellogdriver_undelivered_bytes": {"": attrgetter("undelivered")},
    "otellogdriver_lag_seconds": {"": attrgetter("lag")},
    "otellogdriver_journal_bytes": {"": attrgetter("journal")},
    "otellogdriver_journal_limit_bytes": {"": attrgetter("limit")},
}
_ROWS: dict[str, Callable[[Account], _Row]] = {
    "otellogdriver_records_total": _records,
    "otellogdriver_dropped_lines_total": _dropped_lines,
    "otellogdriver_dropped_bytes_total": _dropped_bytes,
    "otellogdriver_excluded_lines_total": lambda account: _row(account.may_exclude | account.counts.excluded),
}


def of_driver(overview: Overview, problems: int) -> dict[str, list[Samples]]:
    """By metric: those of the driver and its destinations."""
    totals = overview.totals
    numbers = {
        "otellogdriver_driver_delivered_records_total": totals.delivered,
        "otellogdriver_driver_read_bytes_total": totals.read,
        "otellogdriver_driver_undelivered_bytes": overview.undelivered,
        "otellogdriver_driver_journal_bytes": overview.journal,
        "otellogdriver_driver_journal_limit_bytes": overview.journal_limit,
        "otellogdriver_driver_journal_room_bytes": overview.journal_room,
        "otellogdriver_driver_disk_free_bytes": overview.disk_free,
        "otellogdriver_open_streams": overview.running,
        "otellogdriver_blocked_streams": overview.blocked,
        "otellogdriver_stalled_streams": overview.stalled,
        "otellogdriver_faults_total": overview.faults,
        "otellogdriver_excluded_streams": overview.excluded,
        "otellogdriver_option_problems": problems,
        "otellogdriver_start_time_seconds": overview.started,
        "otellogdriver_cpu_seconds_total": time.process_time(),
        "otellogdriver_resident_memory_bytes": resident(),
        "otellogdriver_threads": threading.active_count(),
        "otellogdriver_open_files": open_files(),
        "otellogdriver_open_files_limit": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }
    found: dict[str, list[Samples]] = {name: [([()], _ALONE, [[value]])] for name, value in numbers.items()}
    last, lines = _row(dict.fromkeys(REASONS, 0) | totals.dropped)
    found["otellogdriver_driver_dropped_lines_total"] = [([()], last, [[each] for each in lines])]
    found["otellogdriver_build_info"] = [([(__version__,)], (overview.codec,), [[1]])]
    for label, pumps in overview.destinations.items():
        tallies = [pump.tally for pump in pumps]
        last, requests = _row(outcomes(pumps))
        for name, ends, values in (
            ("otellogdriver_requests_total", last, requests),
            ("otellogdriver_requests_in_flight", _ALONE, (sum(tally.in_flight for tally in tallies),)),
            ("otellogdriver_sent_bytes_total", _ALONE, (sum(tally.sent_bytes for tally in tallies),)),
            ("otellogdriver_destination_up", _ALONE, (int(all(pump.gate.is_open for pump in pumps)),)),
            ("otellogdriver_destination_pause_seconds", _ALONE, (max(pump.gate.pause_left for pump in pumps),)),
        ):
            found.setdefault(name, []).append(([(label,)], ends, [[value] for value in values]))
    return found
