"""Sessions that are over: visible in the metrics for a while, then part of the sums alone.

In: the driver's active sessions, those that are over, those that are parked. Out: `Totals` since the driver's start,
which never fall. Lives on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

from otellogdriver.driver.session import Session
from otellogdriver.driver.supervisor import Supervisor
from otellogdriver.journal.entry import Entry

_LINGER, _LINGER_MOST = 300.0, 200
"""Seconds, and number of sessions, that ended sessions stay visible in the metrics."""


@dataclass(slots=True)
class Totals:
    """Sums over all containers, those forgotten included."""

    read: int = 0
    delivered: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def add(self, one: Counted) -> None:
        self.read += one.read
        self.delivered += one.delivered
        for reason, (lines, _) in one.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + lines


class Counted(Protocol):
    """What came to a session, or to some."""

    @property
    def read(self) -> int: ...
    @property
    def delivered(self) -> int: ...
    @property
    def dropped(self) -> dict[str, tuple[int, int]]: ...


class Ended:
    """See the module's text. `active`: the sessions that count beside the sums, from which those leave here that have
    been seen for long enough."""

    def __init__(self, active: dict[Entry, Session], supervisor: Supervisor) -> None:
        self._active = active
        self._supervisor = supervisor
        self._lingering: dict[Entry, asyncio.TimerHandle] = {}
        self._past = Totals()

    def __contains__(self, entry: Entry) -> bool:
        return entry in self._lingering

    def __len__(self) -> int:
        return len(self._lingering)

    def linger(self, session: Session) -> None:
        """Forget the session after a while, or sooner where there are many."""
        self._lingering[session.entry] = self._supervisor.later(_LINGER, "Ended.forget", self.forget, session)
        for other in list(self._lingering)[:-_LINGER_MOST]:
            self.forget(self._active[other])

    def forget(self, session: Session) -> None:
        """Keep what the session came to, and nothing else of it."""
        timer = self._lingering.pop(session.entry, None)
        if timer:
            self._supervisor.cancel(timer)
        if self._active.pop(session.entry, None):
            self._past.add(session)

    def totals(self, active: Iterable[Counted] | None = None) -> Totals:
        """What all containers together came to since the start. `active`: what came to the active sessions, by who has
        asked them."""
        totals = replace(self._past, dropped=dict(self._past.dropped))
        for one in self._active.values() if active is None else active:
            totals.add(one)
        return totals
