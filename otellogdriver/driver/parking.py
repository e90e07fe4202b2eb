"""Streams that have ended and wait for a destination: beyond a bound they wait on disk alone.

In an outage each short-lived container leaves a stream that has ended and is not delivered. A session with its feeds
costs some 15 KiB and open files; what is parked is the journal's entry and nothing else. For each place that lines go
to a bounded number keeps its sessions (a *bay*), and whenever one is done the stream that has waited longest follows,
so one dead destination does not hold up another's streams. Lives on the event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from otellogdriver.driver.session import Session
from otellogdriver.journal.store import Entry
from otellogdriver.settings.options import Settings

BAYS = 200
"""Ended streams of one destination that keep their sessions: enough for requests to be full."""


class Parking:
    """See the module's text."""

    def __init__(self) -> None:
        self.bytes = 0
        """Undelivered bytes of what is parked."""
        self._bays: dict[Hashable, set[Entry]] = {}
        self._parked: dict[Hashable, deque[Entry]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._parked.values()))

    def has_bay(self, session: Session) -> bool:
        """Whether an ended stream keeps its session; it gets a bay if there is one. It may be asked again and again."""
        place = _place(session.settings)
        bays = self._bays.setdefault(place, set())
        if session.entry not in bays and len(bays) < BAYS:
            bays.add(session.entry)
        return session.entry in bays

    def park(self, session: Session) -> None:
        """The session is closed; its stream waits from now on."""
        self._parked.setdefault(_place(session.settings), deque()).append(session.entry)
        self.bytes += session.stream.undelivered
        session.entry.forget_info()

    def leave(self, session: Session) -> Entry | None:
        """A session is done: the stream that follows it, if one waits for the same place."""
        place = _place(session.settings)
        bays = self._bays.get(place, set())
        bays.discard(session.entry)
        if not bays:
            self._bays.pop(place, None)
        return self._next(place)

    def longest(self) -> Entry | None:
        """One of those that have waited longest: where there is no room it is to give up its lines."""
        return next((entry for place in list(self._parked) if (entry := self._next(place))), None)

    def _next(self, place: Hashable) -> Entry | None:
        waiting = self._parked.get(place)
        if not waiting:
            return None
        entry = waiting.popleft()
        if not waiting:
            del self._parked[place]
        self.bytes -= entry.stream.undelivered
        return entry


def _place(settings: Settings) -> Hashable:
    return settings.otlp_endpoint, settings.otlp_mirror
