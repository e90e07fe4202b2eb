"""One FIFO's life: from StartLogging (or the recovery of a stream) until everything in it is delivered.

A session joins the stages for one stream: `Fifo` (intake) and one `Feed` per destination. It lives on the event loop;
the FIFO thread reaches it only through `call_soon_threadsafe`. A session that never gets a byte (as `docker logs` on a
stopped container makes) has no feed, no connection and leaves nothing on disk. That of an excluded container has no
feed either: its lines go into the journal, for `docker logs`, and count as delivered there.

What a session has to tell its owner goes through `Owner`; nothing else is called back.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from otellogdriver.container import Container
from otellogdriver.errors import ProtocolError
from otellogdriver.intake.crowd import PAUSE, Crowd
from otellogdriver.intake.drop import Count
from otellogdriver.intake.fifo import Fifo, Limit
from otellogdriver.journal.entry import Entry
from otellogdriver.journal.stream import SEGMENT_SIZE
from otellogdriver.settings.options import Settings

if TYPE_CHECKING:
    from otellogdriver.delivery.feed import Feed
    from otellogdriver.delivery.pump import Pump

log = logging.getLogger(__name__)

OVERHEAD = 16 << 10
"""Bytes that a stream takes beside its lines: a directory and its files, each a block of the disk at least."""
_TELL_BYTES, _TELL_SECONDS = 1 << 20, 1.0
"""How much and how long a FIFO may grow without the loop, which watches the limits, looking at the session."""
_PAUSE_LEAST = 0.005
"""Seconds that lines wait in a FIFO for more of them, however short the batch delay is."""


class Owner(Protocol):
    """What a session needs of the driver."""

    def attach(self, session: Session) -> None:
        """There is something to send: make the feeds, and call `session.attached` with them."""

    def changed(self, session: Session) -> None:
        """Bytes came, were delivered, or the FIFO has ended."""

    def finished(self, session: Session, orphaned: bool) -> None:
        """The FIFO has ended; `orphaned`: without StopLogging, because nobody can write it (live-restore, a crash)."""

    def is_full(self) -> bool:
        """Whether the whole driver is over its limit. Any thread."""


class Session:
    """See the module's text."""

    def __init__(
        self, container: Container, settings: Settings, entry: Entry, owner: Owner, count: Count, crowd: Crowd
    ) -> None:
        self.container = container
        self.settings = settings
        self.entry = entry
        self.stream = entry.stream
        self.feeds: list[tuple[Pump, Feed]] = []
        self.fifo: Fifo | None = None
        self.service_name = ""
        self.started = time.time()
        self.stopped = asyncio.get_running_loop().create_future()
        """Done when the FIFO is finished."""
        self.followers: set[asyncio.Event] = set()
        self._owner = owner
        self._count = count
        self._crowd = crowd
        self._loop = asyncio.get_running_loop()
        self._poked = False
        self._told = (0, 0.0)
        self._open_asked = self._stop_asked = self._handed_over = False
        self._attaching = False
        self._is_closed = False
        self._trimmed_to = 0
        self._trim_step = min(SEGMENT_SIZE, max(settings.max_size, 1 << 16))
        try:
            self.excluded = container.excluded
        except ProtocolError:  # refused at StartLogging; of a container that already runs, the lines are sent
            self.excluded = False
        self.limit = Limit(settings.journal_max_size, settings.journal_full, owner.is_full)
        if self.excluded:
            self.limit = Limit(sys.maxsize, "drop-oldest", owner.is_full)  # nothing ever waits
        self._take_excluded()

    # Intake.

    def open(self, resumed: bool) -> None:
        """Start reading the FIFO, unless somebody does: two threads would take it apart. Raises RuntimeError or
        MemoryError where no thread can be had; then this may be called again."""
        self._open_asked = True
        if self._handed_over or (self.fifo and self.fifo.is_alive):
            return
        fifo = Fifo(
            self.entry.file,
            self.stream,
            self.limit,
            self._count,
            notify=self._notify,
            ended=self._fifo_ended,
            crowd=self._crowd,
            resumed=resumed,
            patience=max(_PAUSE_LEAST, min(PAUSE, self.settings.batch_delay / 8)),
        )
        fifo.start()
        self.fifo = fifo
        if self._stop_asked:
            fifo.stop()

    def _notify(self) -> None:
        """FIFO thread: bytes were added. One message is on its way to the loop at a time, and none goes while the loop
        will look at the feeds anyway: it does when a feed's batch is built or done, after `will_look` has become false,
        and the bytes are there before this is asked, so one of the two sees the other."""
        if self._poked:
            return
        end, now = self.stream.end, time.monotonic()
        if (
            self.feeds
            and not self.followers
            and end - self._told[0] < _TELL_BYTES
            and now - self._told[1] < _TELL_SECONDS
            and self.stream.waiting < self.limit.size
            and all(pump.will_look(feed) for pump, feed in self.feeds)
        ):
            return
        self._told = end, now
        self._poked = True
        try:
            self._tell(self._on_data)
        except BaseException:  # no memory for it: the next bytes say it again
            self._poked = False
            raise

    def _fifo_ended(self) -> None:
        self._tell(self._on_end)

    def _tell(self, what: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:
            pass  # the loop is closed: the next start reads the journal

    def stop(self) -> None:
        """StopLogging: drain the FIFO and finish. `stopped` tells when."""
        self._stop_asked = True
        if self.fifo:
            self.fifo.stop()

    def enough_to_trim(self) -> bool:
        """Whether so much has been delivered since the last yes that deleting is worth a look."""
        if self.stream.delivered - self._trimmed_to < self._trim_step:
            return False
        self._trimmed_to = self.stream.delivered
        return True

    def leave(self) -> None:
        """The driver goes away; the FIFO and the journal wait for the next start."""
        if self.fifo:
            self.fifo.abandon()

    def hand_over(self) -> None:
        """What has been read is this session's, what is in the FIFO becomes another's. `stopped` tells when: a thread
        that hangs in the disk may still have bytes of the FIFO in its hands."""
        self._handed_over = True
        if self.fifo:
            self.fifo.abandon()
        else:
            self.finish()

    @property
    def is_attaching(self) -> bool:
        """The feeds are just being made."""
        return self._attaching

    @property
    def is_ending(self) -> bool:
        """StopLogging has come, the FIFO is handed over, or the thread has met its end: what is printed from now on is
        not read."""
        return self._stop_asked or self._handed_over or (self.fifo is not None and self.fifo.finishing)

    @property
    def is_unread(self) -> bool:
        """Nobody reads the FIFO although it has not ended: there was no thread for it, or its thread met its end."""
        return self._open_asked and self.stream.ended_at is None and (self.fifo is None or not self.fifo.is_alive)

    @property
    def is_read(self) -> bool:
        """Somebody reads the FIFO, and can."""
        fifo = self.fifo
        if fifo is None:
            return not self.is_unread
        return not fifo.failing and (fifo.is_alive or not self.is_unread)

    # The loop's side.

    def is_looked_at(self, since: float) -> bool:
        """Whether something has come or was delivered since that loop time, so that no sweep need look."""
        return self._told[1] > since and self.stream.ended_at is None

    def _on_data(self) -> None:
        self._poked = False
        self.poke()
        self._owner.changed(self)

    def poke(self) -> None:
        """Let the feeds look for work. May be called at any time, as often as one likes."""
        for follower in self.followers:  # also of what is closed: the end is for them, too
            follower.set()
        if self._is_closed:
            return
        self._take_excluded()
        if not self.excluded and not self.feeds and self.stream.size and self.entry.live and not self._attaching:
            self._attaching = True
            try:
                self._owner.attach(self)
            except BaseException:  # no memory for it: the next look does it
                self._attaching = False
                raise
        for pump, feed in self.feeds:
            pump.poke(feed)

    def attached(self, feeds: list[tuple[Pump, Feed]], service_name: str) -> None:
        """The answer to `Owner.attach`; without feeds where they could not be made, so that it is tried again."""
        self._attaching = False
        self.service_name = service_name or self.service_name
        self.feeds = feeds
        if feeds:
            self.update_delivered()
            self.poke()
            self._owner.changed(self)

    def finish(self, orphaned: bool = False) -> None:
        """The FIFO is done for good; the driver says so on disk."""
        self.stream.finish(time.time())
        if not self.stopped.done():
            self.stopped.set_result(None)
        self._owner.finished(self, orphaned)
        self._take_excluded()
        self._owner.changed(self)
        self.poke()

    def _take_excluded(self) -> None:
        """What is not to be sent is delivered as it comes."""
        if self.excluded:
            self.stream.advance(delivered=self.stream.end, done=self.stream.end)

    def _on_end(self) -> None:
        if self._handed_over:
            self.finish()
        elif not (self.fifo and self.fifo.abandoned):
            self.finish(orphaned=not self._stop_asked)

    def update_delivered(self) -> bool:
        """Let the stream know what the feeds are done with, and the FIFO that there may be room; whether it is news."""
        is_news = False
        if self.feeds:
            first = self.feeds[0][1]
            needed = first.needed if len(self.feeds) == 1 else min(feed.needed for _, feed in self.feeds)
            is_news = self.stream.advance(delivered=needed, done=first.delivered)  # nobody waits for a mirror
        self._told = self.stream.end, time.monotonic()
        if self.fifo and self.fifo.blocked:
            self.fifo.wake()
        return is_news

    @property
    def weight(self) -> int:
        """Bytes that count for the whole driver's limit: those that wait, and what a stream that has ended costs beside
        them, so that very many with a line each are bounded, too."""
        stream = self.stream
        return stream.waiting + (OVERHEAD if stream.ended_at is not None and stream.waiting else 0)

    @property
    def kept_for_mirror(self) -> int:
        """Bytes that the main destination is done with, and a mirror is not."""
        if len(self.feeds) < 2:
            return 0
        return max(0, *(self.feeds[0][1].delivered - feed.delivered for _, feed in self.feeds[1:]))

    @property
    def waits_for(self) -> list[tuple[str, ...]]:
        """The destinations, by their endpoints, that have not had all of what the stream has."""
        places = [place for place in (self.settings.otlp_endpoint, self.settings.otlp_mirror) if place]
        if not self.feeds:
            return places
        return [
            place
            for place, (pump, feed) in zip(places, self.feeds, strict=True)
            if not feed.exhausted or pump.is_under_way(feed)
        ]

    @property
    def is_exhausted(self) -> bool:
        """The FIFO is finished and everything in it is delivered or given up."""
        return (
            self.stream.ended_at is not None
            and not self._attaching
            and all(feed.exhausted and not pump.is_under_way(feed) for pump, feed in self.feeds)
            and bool(self.feeds or self.excluded or not self.stream.size)
        )

    @property
    def read(self) -> int:
        """Bytes read from the FIFO."""
        return self.fifo.bytes_read if self.fifo else 0

    @property
    def delivered(self) -> int:
        """Records that were delivered; with a mirror, to both places."""
        return sum(feed.counters.delivered for _, feed in self.feeds)

    @property
    def dropped(self) -> dict[str, tuple[int, int]]:
        """Reason -> (lines, bytes) given up anywhere on this session's way."""
        found: dict[str, tuple[int, int]] = {}
        if self.fifo and (dropped := self.fifo.dropped):
            found = {reason: (sum(each.lines), each.bytes) for reason, each in list(dropped.items())}
        most: dict[str, int] = {}
        for _, feed in self.feeds:
            if given_up := feed.counters.given_up:
                for reason, lines in dict(given_up).items():
                    most[reason] = max(lines, most.get(reason, 0))
        # A mirror gives up the very lines that the main destination does, or some of its own: none counts twice.
        for reason, lines in most.items():
            before = found.get(reason, (0, 0))
            found[reason] = (before[0] + lines, before[1])
        return found

    def close(self) -> None:
        """Let go of the feeds: they are done, wait on disk alone, or the driver goes away."""
        self._is_closed = True
        for pump, feed in self.feeds:
            pump.forget(feed)
            feed.close()
