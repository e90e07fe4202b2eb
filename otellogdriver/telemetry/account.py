"""What became of each container's lines: the sum over its streams, for metrics and the status page.

A restarted container has a new FIFO, and for a while two sessions; both are one account here. Sums only grow while a
container is seen: what a session counted stays in its container's account when the driver forgets the session. Reads
the stages' counters and changes nothing; used on the event loop, on demand, so counting costs the line path nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from otellogdriver.container import Container
from otellogdriver.delivery.pump import Pump
from otellogdriver.driver.driver import Driver
from otellogdriver.driver.session import Session
from otellogdriver.journal.entry import Entry
from otellogdriver.journal.reader import Reader
from otellogdriver.journal.stream import Stream
from otellogdriver.settings.options import Settings
from otellogdriver.telemetry.metrics import SEVERITIES

_HEAD = 23
"""Bytes of a frame that hold its time: 4 length, 8 source, 1 tag, at most 10 of a varint; no frame is shorter."""


@dataclass(slots=True)
class Counts:
    """Sums since the driver's start. Lists are [stdout, stderr]; with a mirror, `delivered` is that of both places."""

    lines: list[int] = field(default_factory=lambda: [0, 0])
    bytes: list[int] = field(default_factory=lambda: [0, 0])
    read: int = 0
    records: int = 0
    severities: list[int] = field(default_factory=lambda: [0] * len(SEVERITIES))
    delivered: int = 0
    damaged: int = 0
    excluded: dict[str, int] = field(default_factory=dict)
    """Reason -> lines."""
    dropped: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Reason -> (lines, bytes)."""

    def count(self, session: Session) -> None:
        """Add what came to a session."""
        self.read += session.fifo.bytes_read if session.fifo else 0
        for reason, (lines, size) in session.dropped.items():
            self._drop(reason, lines, size)
        for place, (_, feed) in enumerate(session.feeds):
            counters = feed.counters
            self.delivered += counters.delivered
            if place == 0:  # a mirror sees the same lines
                taken = counters.reported()
                for stream in (0, 1):
                    self.lines[stream] += taken.lines[stream]
                    self.bytes[stream] += taken.bytes[stream]
                self.records += counters.records
                self._add(counters.severities, counters.excluded)
                self.damaged += taken.damaged_bytes

    def add(self, other: Counts) -> None:
        for stream in (0, 1):
            self.lines[stream] += other.lines[stream]
            self.bytes[stream] += other.bytes[stream]
        self.read += other.read
        self.records += other.records
        self._add(other.severities, other.excluded)
        self.delivered += other.delivered
        self.damaged += other.damaged
        for reason, (lines, size) in other.dropped.items():
            self._drop(reason, lines, size)

    def _add(self, severities: Sequence[int], excluded: Mapping[str, int]) -> None:
        for place, records in enumerate(severities):
            self.severities[place] += records
        for reason, lines in excluded.items():
            self.excluded[reason] = self.excluded.get(reason, 0) + lines

    def _drop(self, reason: str, lines: int, size: int) -> None:
        before = self.dropped.get(reason, (0, 0))
        self.dropped[reason] = (before[0] + lines, before[1] + size)


@dataclass(slots=True)
class Account:
    """One container. Sizes in bytes, times in seconds."""

    container: Container
    service_name: str = ""
    counts: Counts = field(default_factory=Counts)
    undelivered: int = 0
    pending: int = 0
    """Those of the undelivered bytes that have not been looked at: their lines are not counted yet."""
    lag: float = 0.0
    """Age of the oldest line that waits for delivery; 0 when none does."""
    journal: int = 0
    limit: int = 0
    running: bool = False
    blocked: bool = False
    """The container waits for room in the journal (`journal-full=block`)."""
    stalled: bool = False
    """Nobody has looked at a stream of it for a minute, although there is something to do."""
    kept: bool = False
    """Its lines are not sent: the container is excluded."""
    has_printed: bool = False
    pumps: list[Pump] = field(default_factory=list)
    may_exclude: dict[str, int] = field(default_factory=dict)
    """The reasons for which its options may leave lines out, each with 0."""
    has_severity: bool = False
    """Its options have a severity looked for."""

    def add(self, session: Session) -> None:
        stream = session.stream
        self.container = session.container
        self.service_name = session.service_name or self.service_name or session.container.name
        self.counts.count(session)
        self.undelivered += max(0, stream.undelivered)
        self.pending += session.feeds[0][1].pending if session.feeds else max(0, stream.undelivered)
        self.lag = max(self.lag, _lag(stream))
        self.journal += stream.size
        self.limit = session.settings.journal_max_size
        self.running = self.running or stream.ended_at is None
        self.blocked = self.blocked or bool(session.fifo and session.fifo.blocked)
        self.kept = session.excluded
        self.may_exclude = _reasons(session.settings)
        self.has_severity = session.settings.parse != "none" or session.settings.severity != "none"
        self.has_printed = self.has_printed or stream.end > 0 or bool(self.counts.dropped)
        self.pumps = [pump for pump, _ in session.feeds] or self.pumps

    @property
    def labels(self) -> tuple[str, str, str]:
        """The values of `metrics.CONTAINER`."""
        return self.container.id, self.container.name, self.service_name

    @property
    def lines_printed(self) -> float:
        """Lines counted, and an estimate of those that wait uncounted: so that a stuck destination does not make a
        loud container look quiet. A frame takes about 24 bytes beside its line."""
        lines = sum(self.counts.lines)
        return lines + self.pending * lines / (sum(self.counts.bytes) + 24 * lines) if lines else 0.0


def _reasons(settings: Settings) -> dict[str, int]:
    """Of `metrics.EXCLUDED`, those that these options make possible."""
    asked = {
        "streams": settings.streams != "both",
        "include": settings.include_pattern,
        "exclude": settings.exclude_pattern,
        "rate_limit": settings.rate_limit,
    }
    return {reason: 0 for reason, set_ in asked.items() if set_}


class Accounts:
    """The accounts of all containers that the driver has to do with now, or had until lately."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._seen: dict[Entry, Session] = {}
        self._past: dict[str, Counts] = {}

    def __call__(self) -> list[Account]:
        active = dict(self._driver.active)
        stalled = self._driver.stalled()
        found: dict[str, Account] = {}
        for entry, session in active.items():
            account = found.setdefault(session.container.id, Account(session.container))
            account.add(session)
            account.stalled = account.stalled or entry in stalled
        for entry, session in self._seen.items():
            if entry not in active and session.container.id in found:
                self._past.setdefault(session.container.id, Counts()).count(session)
        self._seen = active
        self._past = {container: counts for container, counts in self._past.items() if container in found}
        for container, past in self._past.items():
            found[container].counts.add(past)
        return list(found.values())


def _lag(stream: Stream) -> float:
    """Seconds since the first undelivered line was printed, by the time in its frame: right after a restart, too."""
    if stream.undelivered <= 0:
        return 0.0
    reader = Reader(stream, waits=False)
    head = memoryview(bytearray(_HEAD))
    try:
        _, got = reader.read(stream.delivered, head)
    except OSError:
        return 0.0
    finally:
        reader.close()
    printed = _time(bytes(head[:got]))
    return max(0.0, time.time() - printed / 1e9) if printed else 0.0


def _time(head: bytes) -> int:
    """The time in a frame's first bytes, in nanoseconds since the epoch; 0 if this is not a frame as the engine writes
    it (length, source, time: see `codec/contract.py`)."""
    if len(head) < _HEAD or head[4:6] != b"\n\x06" or head[12] != 0x10:
        return 0
    value = 0
    for place, byte in enumerate(head[13:]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value
    return 0
