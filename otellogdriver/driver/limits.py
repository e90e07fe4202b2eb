"""What a session gives up where its lines, or those of all containers, take more room than there is.

In: a session, and the `Room` that the whole driver has. Out: what its pumps are asked to skip: by
`journal-full=drop-oldest` the oldest lines, and of a mirror that is behind whatever is kept for it alone. Under the
other policies the FIFO's thread waits or drops what comes (`intake/fifo.py`), and nothing is given up here.
Lives on the event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otellogdriver.driver.room import Room
from otellogdriver.driver.session import Session
from otellogdriver.driver.supervisor import Supervisor

if TYPE_CHECKING:
    from otellogdriver.delivery.feed import Feed
    from otellogdriver.delivery.pump import Pump

_MORE = 16
"""A sixteenth of the limit is given up beyond what must be, so that it is not needed again with the next line."""


class Limits:
    """See the module's text."""

    def __init__(self, room: Room, supervisor: Supervisor) -> None:
        self._room = room
        self._supervisor = supervisor

    def keep(self, session: Session) -> None:
        """Have given up what is too much."""
        stream = session.stream
        for pump, feed in session.feeds[1:]:
            self._bound_mirror(session, pump, feed)
        if session.settings.journal_full != "drop-oldest" or not (waiting := stream.waiting):
            return
        excess = waiting - session.settings.journal_max_size
        if excess > 0:
            excess += session.settings.journal_max_size // _MORE
        under_way, left = self._parts(session)
        claimed = self._room.claim(left) if self._room.over else 0
        if claimed:
            excess = max(excess, under_way + claimed)
        if excess > 0:
            to = min(stream.end, stream.end - stream.waiting + excess)
            for pump, feed in session.feeds:
                if feed.delivered < to:  # a mirror may be far ahead
                    self._skip(pump, feed, to, spares_one=not claimed)  # one longer than the limit is not cut by it

    @staticmethod
    def _parts(session: Session) -> tuple[int, int]:
        """Bytes that are under way, which cannot be given up any more; and of the rest what it can give for the others'
        sake: if it claimed more, it would do so in vain, and who could give it would not be asked."""
        if not session.feeds or not session.feeds[0][1].unfinished:
            return session.stream.waiting, 0
        stream = session.stream
        under_way = max(0, session.feeds[0][1].offset - (stream.end - stream.waiting))
        return under_way, session.weight - under_way

    def may_need(self, session: Session) -> bool:
        """Whether lines of this session can make room where there is none, for which it needs its feeds."""
        stream = session.stream
        return self._room.short and (
            session.settings.journal_full == "drop-oldest" or stream.undelivered > stream.waiting
        )

    def _bound_mirror(self, session: Session, pump: Pump, feed: Feed) -> None:
        """A mirror that is slower than the main destination, or dead, costs disk up to the container's limit and what
        the whole driver has to spare; beyond that it gets gaps, whatever `journal-full` says. Nobody waits for it."""
        kept = session.feeds[0][1].delivered - feed.delivered
        if kept <= 0:
            return
        limit = session.settings.journal_max_size
        excess = session.stream.end - feed.delivered - limit
        excess = max(excess + limit // _MORE if excess > 0 else 0, self._room.claim_of_mirror(kept))
        to = feed.delivered + min(kept, excess)
        if to > feed.offset:  # else it is on its way
            self._skip(pump, feed, to)

    def _skip(self, pump: Pump, feed: Feed, to: int, spares_one: bool = False) -> None:
        self._supervisor.task(f"giving up lines of {feed.stream.directory}", pump.skip(feed, to, spares_one))
