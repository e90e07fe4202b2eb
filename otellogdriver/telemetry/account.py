"""What became of each container's lines: the sum over its streams, for metrics and the status page.

A restarted container has a new FIFO, and for a while two sessions; both are one account here. Sums only grow while a
container is seen: what a session counted stays in its container's account when the driver forgets the session. Reads
the stages' counters and changes nothing; used on the event loop, on demand, so counting costs the line path nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from operator import add

from otellogdriver.container import Container
from otellogdriver.delivery.feed import Feed
from otellogdriver.delivery.pump import Pump
from otellogdriver.driver.driver import Driver
from otellogdriver.driver.session import Session
from otellogdriver.journal.entry import Entry
from otellogdriver.journal.reader import Reader
from otellogdriver.journal.stream import Stream
from otellogdriver.settings.options import Settings
from otellogdriver.telemetry.metrics import EXCLUDED

_HEAD = 23
"""Bytes of a frame that hold its time: 4 length, 8 source, 1 tag, at most 10 of a varint; no frame is shorter."""


@dataclass(slots=True)
class Counts:
    """Sums since the driver's start; they do not change. Lists are [stdout, stderr]; with a mirror, `delivered` is
    that of both places."""

    lines: list[int]
    bytes: list[int]
    read: int
    records: int
    severities: Sequence[int]
    """As `Encoded` has it: empty where none is looked for."""
    delivered: int
    damaged: int
    excluded: dict[str, int]
    """Reason -> lines."""
    dropped: dict[str, tuple[int, int]]
    """Reason -> (lines, bytes)."""

    @classmethod
    def of(cls, session: Session) -> Counts:
        """What came to a session."""
        read, feeds = session.read, session.feeds
        if not feeds:
            return cls([0, 0], [0, 0], read, 0, (), 0, 0, {}, session.dropped)
        counters = feeds[0][1].counters  # a mirror sees the same lines
        lines, sizes, damaged = counters.reported()
        delivered = counters.delivered if len(feeds) == 1 else session.delivered
        excluded = dict(counters.excluded)
        return cls(
            lines, sizes, read, counters.records, counters.severities, delivered, damaged, excluded, session.dropped
        )

    def __add__(self, other: Counts) -> Counts:
        excluded, dropped = dict(self.excluded), dict(self.dropped)
        for reason, lines in other.excluded.items():
            excluded[reason] = excluded.get(reason, 0) + lines
        for reason, (lines, size) in other.dropped.items():
            before = dropped.get(reason, (0, 0))
            dropped[reason] = before[0] + lines, before[1] + size
        return Counts(
            [*_sum(self.lines, other.lines)],
            [*_sum(self.bytes, other.bytes)],
            self.read + other.read,
            self.records + other.records,
            _sum(self.severities, other.severities) or self.severities or other.severities,
            self.delivered + other.delivered,
            self.damaged + other.damaged,
            excluded,
            dropped,
        )


def _sum(these: Sequence[int], those: Sequence[int]) -> tuple[int, ...]:
    return tuple(map(add, these, those))


@dataclass(slots=True)
class Account:
    """One container at one moment; it does not change with the sessions. Sizes in bytes, times in seconds."""

    container: Container
    service_name: str
    settings: Settings
    active: Counts
    """Of the sessions that the driver has."""
    counts: Counts
    """Of these, and of those that it has forgotten."""
    undelivered: int
    pending: int
    """Those of the undelivered bytes that have not been looked at: their lines are not counted yet."""
    lag: float
    """Age of the oldest line that waits for delivery; 0 when none does."""
    journal: int
    running: bool
    blocked: bool
    """The container waits for room in the journal (`journal-full=block`)."""
    stalled: bool
    """Nobody has looked at a stream of it for a minute, although there is something to do."""
    kept: bool
    """Its lines are not sent: the container is excluded."""
    has_printed: bool
    feeds: Sequence[tuple[Pump, Feed]]

    @classmethod
    def of(cls, session: Session, stalled: bool, before: Account | None) -> Account:
        """The container by a session of it, and by those before."""
        stream, fifo, container, counts = session.stream, session.fifo, session.container, Counts.of(session)
        undelivered = max(0, stream.undelivered)
        account = cls(
            container,
            session.service_name or (before.service_name if before else container.name),
            session.settings,
            counts,
            counts,
            undelivered,
            session.feeds[0][1].pending if session.feeds else undelivered,
            _lag(stream) if undelivered else 0.0,
            stream.size,
            stream.ended_at is None,
            fifo is not None and fifo.blocked,
            stalled,
            session.excluded,
            stream.end > 0 or bool(counts.dropped),
            session.feeds,
        )
        if before:
            account.active = account.counts = counts + before.counts
            account.undelivered += before.undelivered
            account.pending += before.pending
            account.lag = max(account.lag, before.lag)
            account.journal += before.journal
            account.running |= before.running
            account.blocked |= before.blocked
            account.stalled |= before.stalled
            account.has_printed |= before.has_printed
            account.feeds = account.feeds or before.feeds
        return account

    @property
    def labels(self) -> tuple[str, str, str]:
        """The values of `metrics.CONTAINER`."""
        return self.container.id, self.container.name, self.service_name

    @property
    def pumps(self) -> list[Pump]:
        return [pump for pump, _ in self.feeds]

    @property
    def limit(self) -> int:
        return self.settings.journal_max_size

    @property
    def has_severity(self) -> bool:
        """Its options have a severity looked for."""
        return self.settings.parse != "none" or self.settings.severity != "none"

    @property
    def may_exclude(self) -> dict[str, int]:
        """The reasons for which its options may leave lines out, each with 0."""
        settings = self.settings
        asked = settings.streams != "both", settings.include_pattern, settings.exclude_pattern, settings.rate_limit
        return {reason: 0 for reason, is_set in zip(EXCLUDED, asked, strict=True) if is_set} if any(asked) else {}

    @property
    def lines_printed(self) -> float:
        """Lines counted, and an estimate of those that wait uncounted: so that a stuck destination does not make a
        loud container look quiet. A frame takes about 24 bytes beside its line."""
        lines = sum(self.counts.lines)
        return lines + self.pending * lines / (sum(self.counts.bytes) + 24 * lines) if lines else 0.0


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
            container = session.container.id
            found[container] = Account.of(session, entry in stalled, found.get(container))
        for entry, session in self._seen.items():
            if entry not in active and (container := session.container.id) in found:
                counts, past = Counts.of(session), self._past.get(container)
                self._past[container] = past + counts if past else counts
        self._seen = active
        self._past = {container: counts for container, counts in self._past.items() if container in found}
        for container, past in self._past.items():
            found[container].counts += past
        return list(found.values())


def _lag(stream: Stream) -> float:
    """Seconds since the first undelivered line was printed, by the time in its frame: right after a restart, too."""
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
