"""Feeds -> requests -> one destination: fair, in order, never waiting for more than it must.

In: feeds that may have work (`poke`). Out: parts of them, handed on in batches to `sending.py`, or to `apart.py` where
their feed is set apart; what is settled there is committed. One pump per destination. Lives on the event loop; encodes
and compresses in worker threads, writes cursors in others.

- A *lane* gathers the feeds whose turn it is (`waiting.py`), has a batch built and hands it on. Several lanes overlap
  building and sending, and keep several requests in flight (`otlp-concurrency`).
- Order: a part is sent when the earlier one of its feed is settled, so a container's lines arrive in the order they
  were printed, also across retries. A feed has at most two parts under way. One whose earlier part is set apart goes
  there, too; nothing else waits for it.
- Memory: at most one request per lane, only one until the destination has taken something, and no new one while the
  gate is closed; `apart.HELD` bytes of what is set apart. An outage costs disk only.
- Faults: what cannot be read, built or committed stays as it was, and is tried again after a pause. A lane that ends is
  started again. `stalled` names the feeds that were forgotten all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from otellogdriver.delivery.apart import HELD, Apart
from otellogdriver.delivery.batch import Batch, Taken
from otellogdriver.delivery.cursors import Cursors
from otellogdriver.delivery.fates import Fates
from otellogdriver.delivery.feed import Feed, Part
from otellogdriver.delivery.requests import Requests
from otellogdriver.delivery.sending import Sending
from otellogdriver.delivery.waiting import Waiting
from otellogdriver.export.destination import Destination
from otellogdriver.export.outcome import Client
from otellogdriver.insist import NO_MEMORY
from otellogdriver.loop import Event, Lock, begin
from otellogdriver.pool import Pool

_TRIES = 10
"""Times that putting things right after a fault is tried at once."""
_DISK_PAUSE = 1.0
"""Seconds between two tries of what the disk, a lack of memory or a fault of ours has made fail."""
_SLOW_CLOSE = 2.0
"""Seconds that requests in flight get to end when the driver goes away."""
STALLED = 60.0
"""Seconds after which a feed with work at which the pump has not looked is stalled."""

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Known:
    """What the pump knows of a feed. Read by other threads, written on the loop."""

    busy: bool = False
    """It is just being read."""
    taken: list[Taken] = field(default_factory=list)
    """Its parts that are under way, in order."""
    looked: float = 0.0
    """Loop time of the last look at it."""


class Pump:
    """See the module's text. `committed` is called after each commit; cursors are written in the threads of `files`."""

    def __init__(
        self,
        destination: Destination,
        client: Client,
        executor: Pool,
        committed: Callable[[Feed], None],
        *,
        files: Pool | None = None,
        lanes: int = 4,
        delay: float = 0.2,
        size: int = 2 << 20,
        hold: bool = True,
        sync: bool = False,
    ) -> None:
        self.destination = destination
        self._wake = Event()
        fates = Fates(destination.label)
        self._say = fates.say
        self._requests = Requests(destination, client, executor, fates.say, self._wake.set, hold=hold)
        self._apart = Apart(self._requests, fates, executor, self._settle, self._free, self._put_back)
        self._sending = Sending(self._requests, self._apart, fates, self._settle, self._leave_out)
        self.gate, self.tally = self._requests.gate, self._requests.tally
        self._executor = executor
        self._committed = committed
        self._delay = delay
        self._size = size
        self._loop = asyncio.get_running_loop()
        self._waiting = Waiting(delay, size, self._loop.time)
        self._is_behind = False
        """A feed had more than its share of the last batch."""
        self._turn = Lock()
        self._batch: Batch | None = None
        """The batch that is just built, or that could not be built."""
        self._made: Batch | None = None
        """A batch that is built, and that no lane has yet."""
        self._known: dict[Feed, _Known] = {}
        self._timers: dict[Feed, asyncio.TimerHandle] = {}
        self._cursors = Cursors(files or executor, sync, self._has_written, self._cannot_write)
        self._holding = 0
        self._closing = False
        self._lanes: set[asyncio.Task[None]] = set()
        for _ in range(lanes):
            self._start_lane()

    # Feeds.

    def poke(self, feed: Feed) -> None:
        """Queue the feed if it has work."""
        known = self._known.get(feed)
        if known is None:
            known = self._known[feed] = _Known(looked=self._loop.time())
        if len(known.taken) >= 2 or not (feed in self._waiting.feeds or feed.needs_work):
            return
        if self._waiting.add(feed):
            self._wake.set()

    def begin(self, feed: Feed) -> None:
        """Write down where the feed begins, so that the next start knows that this destination was there already."""
        feed.begin()
        self._cursors.write(feed)

    def will_look(self, feed: Feed) -> bool:
        """Whether the pump looks at the feed by itself before long, so that it needs no `poke`. Any thread."""
        known = self._known.get(feed)
        return known is not None and (feed in self._waiting.feeds or bool(known.taken))

    def is_under_way(self, feed: Feed) -> bool:
        """Whether something of the feed is just being taken, or taken and not yet committed."""
        known = self._known.get(feed)
        return known is not None and (known.busy or bool(known.taken) or feed in self._cursors)

    def is_idle(self, feed: Feed) -> bool:
        """Whether nothing of the feed waits, is just being read or is under way."""
        known = self._known.get(feed)
        waits = feed in self._waiting.feeds
        return known is None or not (waits or known.busy or self.is_under_way(feed) or feed.needs_work)

    def stalled(self) -> list[Feed]:
        """Feeds with work at which nobody has looked for a minute, though the destination is well: a fault of ours."""
        if not self.gate.is_open:
            return []
        before = self._loop.time() - STALLED
        return [
            feed
            for feed, known in self._known.items()
            if known.looked < before and not known.busy and not known.taken and feed.needs_work
        ]

    def let_go(self, feed: Feed) -> None:
        """Have the feed close the segment that it read last, unless it reads it just now."""
        known = self._known.get(feed)
        if known is None or not known.busy:
            feed.let_go()

    async def skip(self, feed: Feed, to: int, spares_one: bool = False) -> None:
        """Have the feed give up what is before offset `to`, unless the feed is just being read. `spares_one`: do not
        give up a line that is all there is. Never raises."""
        known = self._known.get(feed)
        if known is None:
            known = self._known[feed] = _Known(looked=self._loop.time())
        if known.busy:
            return
        known.busy = True
        skipped = False
        try:
            skipped = await self._executor.ended(lambda: feed.skip(to, spares_one))
        except Exception as error:
            self._say(logging.ERROR, "journal", f"{feed.stream.directory} cannot be skipped: {error!r}")
        finally:
            known.busy = False
        if skipped or feed.exhausted:
            self._tell(feed)
        self.poke(feed)

    def forget(self, feed: Feed) -> None:
        """The feed is exhausted or leaves; nothing of it is in flight."""
        timer = self._timers.pop(feed, None)
        if timer:
            timer.cancel()
        self._cursors.forget(feed)
        self._apart.forget(feed)
        self._waiting.remove([feed])
        self._known.pop(feed, None)

    async def close(self) -> None:
        """Stop: nothing new is gathered, requests in flight get a moment, what is unsent stays in the journal."""
        self._closing = self._requests.closing = True
        for timer in self._timers.values():
            timer.cancel()
        if self.tally.in_flight:
            await asyncio.wait(self._lanes, timeout=_SLOW_CLOSE)
        lanes = list(self._lanes)
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        await self._apart.close()
        await self._requests.close()
        await self._cursors.close(_SLOW_CLOSE)

    # Lanes.

    def _start_lane(self) -> None:
        if not self._closing:
            lane = begin(self._lane, "lane")
            self._lanes.add(lane)
            lane.add_done_callback(self._lane_ended)

    def _lane_ended(self, lane: asyncio.Task[None]) -> None:
        """A lane never ends by itself; one that did all the same is started again."""
        self._lanes.discard(lane)
        if self._closing:
            return
        fault = None if lane.cancelled() else lane.exception()
        self._loop.call_later(_DISK_PAUSE, self._start_lane)
        self.tally.count("fault")
        self._say(logging.ERROR, "lane", f"a lane has ended, and is started again: {fault!r}")

    async def _lane(self) -> None:
        while not self._closing:
            try:
                async with self._turn:
                    if self._made is None:
                        await self._build(await self._gather())
                    batch, self._made = self._made, None
            except Exception as error:
                self.tally.count("fault")
                self._say(logging.ERROR, "fault", f"a request cannot be built: {error!r}; it is tried again")
                await asyncio.sleep(_DISK_PAUSE)
                if not (self._batch and self._batch.is_building):
                    self._ask_all()
                continue
            if batch is None:
                continue
            self._holding += 1
            is_brought = False
            try:
                while not is_brought:
                    try:
                        await self._bring(batch)
                        is_brought = True
                    except Exception:  # it never raises, but there may be no memory for the call itself
                        time.sleep(NO_MEMORY)  # nobody else has the batch
            finally:
                self._holding -= 1
                self._wake.set()
            batch = None  # else its request is kept until the next one, however long that takes

    def _ask_all(self) -> None:
        """Put all marks right, and ask every feed for work. After a fault no mark is certain, because undoing it may
        have failed, too. Where this fails it is tried again, because a lack of memory passes."""
        for _ in range(_TRIES):
            with contextlib.suppress(Exception):
                if self._batch:
                    self._batch.put_back()
                    for feed in self._batch.feeds:
                        if feed in self._known:
                            self._known[feed].busy = False
                    self._batch = None
                for feed in list(self._known):
                    self._look(feed)
                self._wake.set()
                return

    def _look(self, feed: Feed) -> None:
        """Queue the feed if it has work, else watch it; report it if it is exhausted."""
        self.poke(feed)
        if feed not in self._waiting.feeds:
            self._watch(feed)
        if feed.exhausted and not self.is_under_way(feed):  # whoever asked while it was read was put off
            self._tell(feed)

    async def _gather(self) -> list[Feed]:
        """Wait until something is worth sending. Returns the feeds that go into one batch; they go on waiting."""
        while True:
            is_free = self._holding <= bool(self._sending.postponed)
            left = -1.0
            if self._waiting.feeds and (is_free or (self.gate.is_open and self._requests.proved)):
                left = self._waiting.left(self._is_behind)
                if left <= 0:
                    return self._waiting.first(min(self._size, self._requests.limit))
            self._wake.clear()
            if left > 0:
                handle = self._loop.call_later(left, self._wake.set)
                await self._wake.wait()
                handle.cancel()
            else:
                await self._wake.wait()

    async def _build(self, feeds: list[Feed]) -> None:
        """Have a batch made of these feeds, which are the first that wait. If this raises, either the batch is made, or
        the feeds wait again, after the others."""
        if self._batch:
            self._ask_all()
        apart = self._apart.among(feeds)
        late = self._sending.postponed.union(apart if self._apart.held > HELD else ())
        found = [(feed, self._known[feed]) for feed in feeds if feed not in late]
        reading = [feed for feed, known in found if not known.busy and len(known.taken) < 2]
        self._batch = batch = Batch(reading, apart, min(self._size, self._requests.limit))
        try:
            for feed in reading:
                self._known[feed].busy = True
            await self._executor.ended(lambda: batch.encode(self.destination, self._say))
            self._take(batch)
            self._batch = None
            if batch.parts:
                self._made = batch
        except BaseException:
            batch.is_building = False
            self._waiting.remove(feeds)
            self._ask_all()
            raise
        try:
            self._ask_again(batch, feeds, late)
        except Exception as error:  # the batch is there all the same, and who waits for it
            self.tally.count("fault")
            self._say(logging.ERROR, "fault", f"feeds cannot be asked again: {error!r}; all are")
            self._ask_all()

    def _take(self, batch: Batch) -> None:
        """Enter the parts as under way, and their feeds as no longer being read. If this raises, nothing has
        changed."""
        taken = [Taken(part) for part in batch.parts]
        found = [self._known[part.feed] for part in batch.parts]
        read = [self._known[feed] for feed in batch.feeds]
        longer = [[*each.taken, one] for each, one in zip(found, taken, strict=True)]
        entering, leaving = zip(found, longer, strict=True), iter(read)  # before anything changes: it takes memory
        batch.taken = taken
        for each, all_taken in entering:
            each.taken = all_taken
        for each in leaving:
            each.busy = False

    def _ask_again(self, batch: Batch, feeds: list[Feed], late: Iterable[Feed]) -> None:
        """Queue or watch the feeds of which a batch was made: those it had no room for stay the first. `late`: those
        that had to be left out."""
        now, left, is_cut = self._loop.time(), set(batch.left), False
        gone = []
        for feed in feeds:
            if known := self._known.get(feed):
                known.looked = now
                if feed not in left or len(known.taken) >= 2:
                    gone.append(feed)
        self._waiting.remove(gone)
        for feed in (*batch.failed, *late):
            self._watch(feed, _DISK_PAUSE)
        for feed in batch.feeds:
            if feed in self._known and feed not in batch.failed:
                self._look(feed)
                is_cut = is_cut or (feed.is_cut and feed not in left)
        self._is_behind = is_cut

    async def _bring(self, batch: Batch) -> None:
        """Hand the parts on, each when the earlier part of its feed is settled or set apart. Where that takes longer
        than the batch delay, because a request gets no answer, the other parts go first. Never raises."""
        waiting, patience = batch.taken, self._delay
        while waiting:
            try:
                late = await self._late(waiting, patience)
                parts = [taken.part for taken in waiting if taken not in late and self._is_open(taken)]
                apart = self._apart.among([part.feed for part in parts])
                shared = [part for part in parts if part.feed not in apart]
                for part in parts:
                    if part.feed in apart:
                        self._apart.set_apart(part)
                if shared:
                    await self._sending.deliver(shared, batch.body if shared == batch.shared else None)
                waiting, patience = [taken for taken in waiting if taken in late], math.inf
            except Exception as error:
                self.tally.count("fault")
                self._say(logging.ERROR, "fault", f"a request cannot be sent: {error!r}; it is tried again")
                await asyncio.sleep(_DISK_PAUSE)

    async def _late(self, waiting: Iterable[Taken], patience: float) -> set[Taken]:
        """The parts of which an earlier one is still in the way after `patience` seconds."""
        until = self._loop.time() + patience
        late = set()
        for taken in waiting:
            while earlier := self._earlier(taken):
                if self._is_left_out(earlier):
                    break
                if (left := until - self._loop.time()) <= 0:
                    late.add(taken)
                    break
                earlier.freed = earlier.freed or self._loop.create_future()
                await asyncio.wait([earlier.freed], timeout=None if left == math.inf else left)
        return late

    def _earlier(self, taken: Taken) -> Taken | None:
        """The part of the same feed that must be settled or set apart before this one is handed on."""
        known = self._known.get(taken.part.feed)
        if known is None or taken not in known.taken:
            return None
        at = known.taken.index(taken)
        return known.taken[at - 1] if at and not known.taken[at - 1].is_free else None

    def _is_left_out(self, earlier: Taken) -> bool:
        """Whether nothing waits for this part any more: it is postponed, and the part after it has been put back into
        the journal."""
        feed = earlier.part.feed
        taken = self._known[feed].taken if feed in self._known and feed in self._sending.postponed else []
        return len(taken) == 2 and taken[0] is earlier and self._put_back(taken[1].part)

    def _leave_out(self) -> None:
        """Have batches go without the parts that follow postponed ones; requests of other feeds may go."""
        for feed in self._sending.postponed:
            for earlier in self._known[feed].taken[:1] if feed in self._known else ():
                if earlier.freed and not earlier.freed.done() and self._is_left_out(earlier):
                    earlier.freed.set_result(None)
                    earlier.freed = None
        self._wake.set()

    def _is_open(self, taken: Taken) -> bool:
        known = self._known.get(taken.part.feed)
        return known is not None and taken in known.taken and not self._apart.holds(taken.part)

    def _free(self, part: Part) -> None:
        """The part is set apart: later ones of its feed may follow it there."""
        for taken in self._known[part.feed].taken if part.feed in self._known else ():
            if taken.part is part:
                taken.free()

    def _put_back(self, part: Part) -> bool:
        """Leave the part in the journal for the time being; False if the feed has gone on since."""
        known = self._known.get(part.feed)
        if known is None or known.busy or not known.taken or known.taken[-1].part is not part:
            return False
        if not part.feed.put_back(part):
            return False
        self._free(part)
        known.taken.pop()
        self._watch(part.feed, _DISK_PAUSE)
        return True

    def _settle(self, part: Part) -> None:
        """Every record of the part has its fate. Never raises: nobody else would settle it."""
        while True:
            try:
                self._enter_end(part)
                return
            except MemoryError:
                time.sleep(NO_MEMORY)

    def _enter_end(self, part: Part) -> None:
        """May be called again where it raises MemoryError: until the part is settled nothing has been counted."""
        feed = part.feed
        known = self._known.get(feed)
        if known is None:
            return
        for taken in known.taken:
            if taken.part is part:
                break
        else:
            return
        left, now = [each for each in known.taken if each is not taken], self._loop.time()
        self._cursors.write(feed)  # soon, not now
        feed.settle(part)
        known.taken, known.looked = left, now  # not before: from now on nobody asks for its end
        taken.free()
        self._wake.set()
        self._tell(feed)
        self.poke(feed)

    def _has_written(self, feed: Feed) -> None:
        """The feed's cursor is written, which may have been the last that its stream waited for."""
        if feed.stream.ended_at is not None or self.is_idle(feed):
            self._tell(feed)

    def _cannot_write(self, error: Exception) -> None:
        self.tally.count("fault")
        self._say(logging.ERROR, "cursor", f"cursors cannot be written: {error!r}; tried again")

    def _watch(self, feed: Feed, seconds: float | None = None) -> None:
        """An unfinished record is looked at again when it is too old, a journal that cannot be read after `seconds`."""
        if (
            self._closing
            or feed not in self._known
            or (seconds is None and (not feed.unfinished or feed.stream.ended_at is not None))
        ):
            return
        when = self._loop.time() + (max(0.0, feed.wait) + 0.01 if seconds is None else seconds)
        timer = self._timers.get(feed)
        if timer is None or when < timer.when():
            if timer:
                timer.cancel()
            self._timers[feed] = self._loop.call_at(when, self._look_again, feed)

    def _look_again(self, feed: Feed) -> None:
        self._timers.pop(feed, None)
        if feed not in self._known:
            return
        self.poke(feed)
        known = self._known[feed]
        if feed not in self._waiting.feeds and len(known.taken) < 2:  # else it is watched again once it has been read
            self._watch(feed)

    def _tell(self, feed: Feed) -> None:
        try:
            self._committed(feed)
        except Exception:  # else nothing of these containers would ever be sent again
            log.exception("after a commit of %s", feed.stream.directory)
