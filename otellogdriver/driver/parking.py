"""Streams that have ended and wait for a destination: beyond a bound they wait on disk alone.

In an outage each short-lived container leaves a stream that has ended and is not delivered. A session with its feeds
costs some 15 KiB and open files; what is parked is the journal's entry and nothing else. For each destination a bounded
number keeps its sessions (a *bay*), and whenever one is done with it the stream that has waited longest follows, so one
dead destination does not hold up another's streams: a session with a bay of either of its destinations stays. Lives on
the event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator

from otellogdriver.driver.session import OVERHEAD, Session
from otellogdriver.journal.entry import Entry

BAYS = 200
"""Ended streams of one destination that keep their sessions: enough for requests to be full."""


class Parking:
    """See the module's text."""

    def __init__(self) -> None:
        self._bays: dict[Hashable, set[Entry]] = {}
        self._queues: dict[Hashable, deque[Entry]] = {}
        """By destination, in order; one that waits for two is in both, until it leaves."""
        self._parked: set[Entry] = set()
        self._waiting = self._undelivered = 0

    def __len__(self) -> int:
        return len(self._parked)

    @property
    def overhead(self) -> int:
        """Bytes that what is parked takes beside its lines."""
        return len(self) * OVERHEAD

    @property
    def sizes(self) -> tuple[int, int]:
        """Bytes that count for the whole driver's limit: those that wait, and those that are kept for mirrors alone."""
        return self._waiting + self.overhead, self._undelivered - self._waiting

    @property
    def bytes(self) -> int:
        """Undelivered bytes of what is parked."""
        return self._undelivered

    def has_bay(self, session: Session) -> bool:
        """Whether an ended stream keeps its session; it gets bays if there are any. It may be asked again and again."""
        found = False
        for place in session.waits_for:
            bays = self._bays.setdefault(place, set())
            if len(bays) < BAYS:
                bays.add(session.entry)
            found = found or session.entry in bays
        return found

    def park(self, session: Session) -> None:
        """The session is about to be closed; its stream waits from now on."""
        entry = session.entry
        for place in session.waits_for:
            self._queues.setdefault(place, deque()).append(entry)
        self._parked.add(entry)
        self._waiting += entry.stream.waiting
        self._undelivered += entry.stream.undelivered
        entry.forget_info()

    def left_by(self, session: Session) -> Iterator[Entry]:
        """Of a session: for each bay that it has no more use for, the stream that follows it."""
        for place in set(self._places(session.entry)) - set(session.waits_for):
            self._bays[place].discard(session.entry)
            if not self._bays[place]:
                del self._bays[place]
            if entry := self._next(place):
                yield entry

    def longest(self) -> Entry | None:
        """One of those that have waited longest: where there is no room it is to give up its lines."""
        return next((entry for place in list(self._queues) if (entry := self._next(place))), None)

    def _places(self, entry: Entry) -> list[Hashable]:
        return [place for place, bays in self._bays.items() if entry in bays]

    def _next(self, place: Hashable) -> Entry | None:
        queue = self._queues.get(place)
        while queue:
            entry = queue.popleft()
            if not queue:
                del self._queues[place]
            if entry in self._parked:
                self._parked.discard(entry)
                self._waiting -= entry.stream.waiting
                self._undelivered -= entry.stream.undelivered
                return entry
        return None
