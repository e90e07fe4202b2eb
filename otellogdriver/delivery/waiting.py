"""The feeds that wait to be in a request: in which order, and for how long.

In: feeds with work (`add`). Out: those that are first, once it is time (`left`). What waits goes out after the batch
delay, or at once when it fills a request. Where little waits, it goes sooner, because waiting saves nothing; many small
parts wait longer, because each costs as much as a hundred lines. Lives on the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from otellogdriver.delivery.batch import quota
from otellogdriver.delivery.feed import Feed

_WORTH = 16 << 10
"""Bytes whose encoding and compression cost about as much as one part does, however small it is."""
_EACH, _LONGEST = 0.001, 5
"""Seconds that each feed that waits adds to the wait of all, so that the cost of the parts as such stays below a tenth
of a core; together at most so many times the batch delay."""
_LITTLE = 4 << 10
"""Bytes: where less waits, it goes after `_SOON` seconds, but at most `_OFTEN` times in a batch delay. A host that
prints more than 60 KiB/s has more waiting by then, and has only as many requests as the batch delay allows."""
_SOON, _OFTEN = 0.01, 3


class Waiting:
    """See the module's text. `delay` is the batch delay, `size` that of a request in bytes, `time` the loop's clock."""

    def __init__(self, delay: float, size: int, time: Callable[[], float]) -> None:
        self.feeds: dict[Feed, tuple[float, int]] = {}
        """In order -> since when each waits, and how many of its bytes are counted. Read by other threads."""
        self._delay = delay
        self._size = size
        self._time = time
        self._bytes = 0
        self._gathered = 0.0
        """When the last batch was gathered."""

    def add(self, feed: Feed) -> bool:
        """Have a feed wait, or count anew one that does. Whether all may have to wait less long now."""
        is_first = not self.feeds
        since, counted = self.feeds.get(feed) or (self._time(), 0)
        pending = feed.pending
        self.feeds[feed] = since, pending
        self._bytes += pending - counted
        return is_first or self._is_full()

    def remove(self, feeds: Iterable[Feed]) -> None:
        for feed in feeds:
            self._bytes -= self.feeds.pop(feed, (0.0, 0))[1]

    def first(self, room: int) -> list[Feed]:
        """The first feeds, as many as a request of `room` bytes has room for; they stay. The others are not looked at:
        with a thousand of them that would cost more than their lines."""
        self._gathered = self._time()
        share = quota(room, len(self.feeds))
        first: list[Feed] = []
        for feed in self.feeds:
            if room <= 0:
                break
            first.append(feed)
            room -= min(share, feed.pending) + feed.around
        return first

    def left(self, is_behind: bool) -> float:
        """Seconds until the feed that has waited longest is to go, together with what waits by then. `is_behind`: a
        feed had more than its share of the last batch, so what waits has waited long enough."""
        if self._is_full():
            return 0.0
        since = 0.0 if is_behind else next(iter(self.feeds.values()))[0]
        due = since + max(self._delay, min(len(self.feeds) * _EACH, _LONGEST * self._delay))
        soon = max(since + _SOON, self._gathered + self._delay / _OFTEN)
        return (soon if soon < due and self._is_little() else due) - self._time()

    def _is_full(self) -> bool:
        """Whether enough waits for a request to go at once. Many small parts wait until the delay is over."""
        return self._bytes >= max(self._size, len(self.feeds) * _WORTH)

    def _is_little(self) -> bool:
        """Whether no more than `_LITTLE` waits. The feeds are asked: what came after a feed was added is not
        counted."""
        left = _LITTLE
        for feed in self.feeds:
            left -= feed.pending
            if left < 0:
                return False
        return True
