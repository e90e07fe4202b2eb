"""`journal ls`: one row for each stream and destination.

Waiting lines are counted by encoding them as the driver would, so that the number is that of the records to come.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from otellogdriver.commands.amounts import counted, moment, size
from otellogdriver.commands.journal.lines import Journal, Span, count, feed_of, first_time, last_time
from otellogdriver.commands.journal.snapshot import cursors, name_of
from otellogdriver.commands.progress import Progress
from otellogdriver.journal.cursor import Cursor
from otellogdriver.journal.entry import Entry
from otellogdriver.journal.layout import MAIN, ROLES

log = logging.getLogger(__name__)

HELP = """\
List the streams: one for each start of a container, and one more row for its mirror if it has one. KEPT is all that is
on disk, WAITING what is not delivered yet; LINES are the whole lines of that.

    otellogdriver journal ls --waiting
    otellogdriver journal ls --json | jq -r '.[] | select(.destinations.main.undelivered_lines > 0) | .name'
"""
_TITLES = ("CONTAINER", "NAME", "STREAM", "KEPT", "WAITING", "LINES", "DELIVERED UNTIL", "WAITING SINCE", "ENDED")
_RIGHT = (3, 4, 5)
"""Columns of numbers."""


@dataclass(slots=True)
class Waiting:
    """What one destination has not got of a stream. Times in nanoseconds, 0 where there is no such line; `lines` is
    None where the journal cannot be read."""

    size: int
    lines: int | None = 0
    delivered_until: int = 0
    since: int = 0
    damaged: bool = False


@dataclass(slots=True)
class Row:
    """One stream."""

    entry: Entry
    waiting: dict[str, Waiting] = field(default_factory=dict)

    @property
    def waits(self) -> bool:
        return any(each.size for each in self.waiting.values())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.add_argument("--waiting", action="store_true", help="only streams with something undelivered")
    parser.add_argument("--json", action="store_true", help="a JSON array with an object for each stream")


def run(journal: Journal, arguments: argparse.Namespace) -> int:
    """Print the list; 1 if a stream could not be read."""
    rows = [Row(entry) for entry in journal.entries]
    found = [(row, role, cursor) for row in rows for role, cursor in cursors(row.entry, journal.environ).items()]
    with Progress(sum(_size(row.entry, cursor) for row, _, cursor in found)) as progress:
        for row, role, cursor in found:
            row.waiting[role] = _waiting(journal, row.entry, role, cursor, progress.add)
    shown = [row for row in rows if row.waits or not arguments.waiting]
    if arguments.json:
        print(json.dumps([_object(row) for row in shown], indent=2))
    else:
        _print(shown)
    return 1 if any(each.lines is None for row in rows for each in row.waiting.values()) else 0


def _size(entry: Entry, cursor: Cursor) -> int:
    return max(0, entry.stream.end - max(entry.stream.start, cursor.position.needed))


def _waiting(journal: Journal, entry: Entry, role: str, cursor: Cursor, seen: Callable[[int], None]) -> Waiting:
    stream, position = entry.stream, cursor.position
    waiting = Waiting(_size(entry, cursor), damaged=cursor.damaged)
    try:
        waiting.delivered_until = last_time(stream, journal.codec, min(position.offset, stream.end))
        if waiting.size:
            waiting.since = first_time(stream, max(stream.start, position.needed))
            feed = feed_of(entry, journal.codec, journal.environ, Span(undelivered=True, role=role, whole=False))
            waiting.lines = count(feed, seen)
    except OSError as error:
        log.warning("%s cannot be read: %s", stream.directory, error.strerror)
        waiting.lines = None
    return waiting


def _object(row: Row) -> dict[str, Any]:
    entry = row.entry
    return {
        "container_id": entry.container_id,
        "name": name_of(entry),
        "stream": entry.sequence,
        "directory": str(entry.stream.directory),
        "bytes": entry.stream.size,
        "ended": moment(int((entry.stream.ended_at or 0) * 1e9)) or None,
        "destinations": {
            ROLES[role]: {
                "undelivered_bytes": each.size,
                "undelivered_lines": each.lines,
                "delivered_until": moment(each.delivered_until) or None,
                "waiting_since": moment(each.since) or None,
                "cursor_damaged": each.damaged,
            }
            for role, each in row.waiting.items()
        },
    }


def _print(rows: list[Row]) -> None:
    table = [_TITLES, *(cells for row in rows for cells in _cells(row))]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        placed = (
            cell.rjust(width) if place in _RIGHT else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        print("  ".join(placed).rstrip())
    kept = sum(row.entry.stream.size for row in rows)
    waits = sum(max((each.size for each in row.waiting.values()), default=0) for row in rows)
    containers = len({row.entry.container_id for row in rows})
    what = f"{counted(len(rows), 'stream')} of {counted(containers, 'container')}"
    print(f"{what}, {size(kept)} kept, {size(waits)} waiting")


def _cells(row: Row) -> list[tuple[str, ...]]:
    entry = row.entry
    ended = _seconds(int((entry.stream.ended_at or 0) * 1e9)) or "no"
    who = (entry.container_id[:12], name_of(entry) or "?", str(entry.sequence))
    found: list[tuple[str, ...]] = []
    for role, each in row.waiting.items():
        kept = size(entry.stream.size)
        if role != MAIN:
            who, kept, ended = ("", f"  ({ROLES[role]})", ""), "", ""
        lines = "?" if each.lines is None else f"{each.lines:,}"
        times = (_seconds(each.delivered_until) or "-", _seconds(each.since) or "-")
        found.append((*who, kept, size(each.size), lines, *times, ended))
    return found


def _seconds(nanoseconds: int) -> str:
    return moment(nanoseconds)[:19].replace("T", " ")
