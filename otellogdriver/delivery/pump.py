"""Feeds -> requests -> one destination: fair, in order, never waiting for more than it must.

In: feeds that say they have work (`poke`). Out: parts of them, handed on in batches to `sending.py`; what is settled
there is committed. One pump per destination; lives on the event loop, encodes and compresses in worker threads, writes
cursors in others.

- A *lane* gathers feeds in turn, has a batch built and hands it on. Several lanes overlap building and sending, and
  keep several requests in flight (`otlp-concurrency`).
- Order: a part is sent when the earlier one of its feed is settled, so a container's lines arrive in the order they
  were printed, also across retries. A feed has at most two parts under way. One whose earlier part is set apart goes
  there, too; nothing else waits for it.
- Size: what waits goes out after `batch-delay`, or at once when `batch-size` is reached, which no request passes unless
  a single record does. Many small parts wait longer, for each costs as much as a hundred lines.
- Memory: at most one body per lane, one alone until the destination has taken something, and no new one while the gate
  is closed; of what is set apart, `sending.HELD`. An outage costs disk only.
- Faults: whatever cannot be read, built or committed stays as it was, and is tried again after a pause. A lane that
  ends is started again. `stalled` tells whom all of this has failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import cast

from otellogdriver.delivery.feed import BUFFER, Feed, Part
from otellogdriver.delivery.offloop import off_loop
from otellogdriver.delivery.sending import HELD, Sending
from otellogdriver.export.client import prepare
from otellogdriver.export.destination import Destination
from otellogdriver.export.outcome import Client
from otellogdriver.export.request import AROUND, SCOPE, resource_logs
from otellogdriver.journal.cursor import Position
from otellogdriver.loop import Event, Lock

_FAIR = 64 << 10
"""Least bytes a feed may put into a batch when many want to."""
_APART = 256 << 10
"""Most bytes in a part of a feed that is set apart."""
_WORTH = 16 << 10
"""Bytes whose encoding and compression cost about as much as a part does by itself."""
_EACH, _LONGEST = 0.0006, 3
"""Seconds that each of many feeds lets the others wait, so that parts by themselves take less than a tenth of a core;
at most so many times the batch delay."""
_TRIES = 10
"""Of putting things right after a fault, at once."""
_DISK_PAUSE = 1.0
"""Seconds between two tries of what has failed by a fault of the disk, of memory, of ours."""
_SLOW_CLOSE = 2.0
"""Seconds that requests in flight get to end when the driver goes away."""
STALLED = 60.0
"""Seconds after which work that nobody has looked at is stalled."""

_workspace = threading.local()
log = logging.getLogger(__name__)


def _buffer() -> memoryview:
    """This worker thread's buffer to read the journal into; the threads are shared by all pumps."""
    try:
        return cast(memoryview, _workspace.buffer)
    except AttributeError:
        _workspace.buffer = buffer = memoryview(bytearray(BUFFER))
        return buffer


@dataclass(eq=False, slots=True)
class _Taken:
    """A part that is under way. `done` when the next one of its feed may be handed on."""

    part: Part
    done: asyncio.Future[None]


@dataclass(eq=False, slots=True)
class _Known:
    """What the pump knows of a feed. Read by other threads, written on the loop."""

    queued: bool = False
    """It will be read soon."""
    busy: bool = False
    """It is just being read."""
    taken: list[_Taken] = field(default_factory=list)
    """Its parts that are under way, in order."""
    looked: float = 0.0
    """Loop time of the last look at it."""


@dataclass(slots=True)
class _Batch:
    """`body` is the request of all `parts` but those of feeds that were apart when it was built."""

    taken: list[_Taken]
    shared: list[Part]
    body: bytes
    before: list[asyncio.Future[None]]


class Pump:
    """See the module's text. `committed` is called after each commit; cursors are written in the threads of `files`."""

    def __init__(
        self,
        destination: Destination,
        client: Client,
        executor: Executor,
        committed: Callable[[Feed], None],
        *,
        files: Executor | None = None,
        lanes: int = 4,
        delay: float = 0.2,
        size: int = 1 << 20,
        hold: bool = True,
        sync: bool = False,
    ) -> None:
        self.destination = destination
        self._wake = Event()
        self._sending = Sending(
            destination, client, executor, self._settle, self._free, self._put_back, self._wake.set, hold=hold
        )
        self.gate, self.tally = self._sending.gate, self._sending.tally
        self._executor = executor
        self._files = files or executor
        self._committed = committed
        self._delay = delay
        self._size = size
        self._sync = sync
        self._loop = asyncio.get_running_loop()
        self._ready: deque[Feed] = deque()
        self._queued_bytes = 0
        self._oldest = 0.0
        self._turn = Lock()
        self._building = False
        self._reading: list[Feed] = []
        """Those that the batch which is just built has marked as busy."""
        self._unbuilt: list[Part] = []
        """What has been taken for it."""
        self._made: _Batch | None = None
        """One that no lane has yet."""
        self._known: dict[Feed, _Known] = {}
        self._timers: dict[Feed, asyncio.TimerHandle] = {}
        self._positions: dict[Feed, Position] = {}
        """To be committed."""
        self._committing: dict[Feed, Position] = {}
        self._committer: asyncio.Task[None] | None = None
        self._holding = 0
        self._closing = False
        self._lanes: set[asyncio.Task[None]] = set()
        for _ in range(lanes):
            self._start_lane()

    # Feeds.

    def poke(self, feed: Feed, is_next: bool = False) -> None:
        """The feed may have work; `is_next`: its turn has come."""
        known = self._known.get(feed)
        if known is None:
            known = self._known[feed] = _Known(looked=self._loop.time())
        if known.queued or len(known.taken) >= 2 or not feed.needs_work:
            return
        if not self._ready:
            self._oldest = self._loop.time()
        (self._ready.appendleft if is_next else self._ready.append)(feed)
        known.queued = True
        self._queued_bytes += feed.pending
        if len(self._ready) == 1 or self._is_full():
            self._wake.set()

    def begin(self, feed: Feed) -> None:
        """Write down where the feed begins, so that the next start knows that this destination was there already."""
        self._write_down(feed, feed.position)

    def will_look(self, feed: Feed) -> bool:
        """Whether the pump looks at the feed by itself before long, so that it needs no `poke`. Any thread."""
        known = self._known.get(feed)
        return known is not None and (known.queued or bool(known.taken))

    def is_under_way(self, feed: Feed) -> bool:
        """Whether something of the feed is just being taken, or taken and not yet committed."""
        known = self._known.get(feed)
        return known is not None and bool(
            known.busy or known.taken or feed in self._positions or feed in self._committing
        )

    def is_idle(self, feed: Feed) -> bool:
        """Whether nothing of the feed waits, is read or is under way."""
        known = self._known.get(feed)
        return known is None or not (known.queued or known.busy or self.is_under_way(feed) or feed.needs_work)

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

    def _is_full(self) -> bool:
        """Enough waits for a request to go at once. Many small parts are not worth it before the delay is over."""
        return self._queued_bytes >= max(self._size, len(self._ready) * _WORTH)

    @property
    def _patience(self) -> float:
        """Seconds that the first feed waits for others."""
        return max(self._delay, min(len(self._ready) * _EACH, _LONGEST * self._delay))

    async def skip(self, feed: Feed, to: int, spares_one: bool = False) -> None:
        """Have the feed give up what is before offset `to`, unless it is just being read. Never raises. `spares_one`:
        not a line that is all there is."""
        known = self._known.get(feed)
        if known is None:
            known = self._known[feed] = _Known(looked=self._loop.time())
        if known.busy:
            return
        known.busy = True
        skipped = False
        try:
            skipped = await off_loop(self._executor, lambda: feed.skip(to, spares_one))
        except Exception as error:
            self._sending.say(logging.ERROR, "journal", f"{feed.stream.directory} cannot be skipped: {error!r}")
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
        self._positions.pop(feed, None)
        self._sending.forget(feed)
        known = self._known.pop(feed, None)
        if known and known.queued and feed in self._ready:
            self._ready.remove(feed)

    async def close(self) -> None:
        """Stop: nothing new is gathered, requests in flight get a moment, what is unsent stays in the journal."""
        self._closing = self._sending.closing = True
        for timer in self._timers.values():
            timer.cancel()
        if self.tally.in_flight:
            await asyncio.wait(self._lanes, timeout=_SLOW_CLOSE)
        lanes = list(self._lanes)
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        await self._sending.close()
        committer = self._committer
        if committer:
            await asyncio.wait([committer], timeout=_SLOW_CLOSE)
            committer.cancel()

    # Lanes.

    def _start_lane(self) -> None:
        if not self._closing:
            lane = self._loop.create_task(self._lane(), name="lane")
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
        self._sending.say(logging.ERROR, "lane", f"a lane has ended, and is started again: {fault!r}")

    async def _lane(self) -> None:
        while not self._closing:
            try:
                async with self._turn:
                    if self._made is None:
                        await self._build(await self._gather())
                    batch, self._made = self._made, None
            except Exception as error:
                self.tally.count("fault")
                self._sending.say(logging.ERROR, "fault", f"a request cannot be built: {error!r}; it is tried again")
                await asyncio.sleep(_DISK_PAUSE)
                if not self._building:
                    self._ask_all()
                continue
            if batch is None:
                continue
            self._holding += 1
            try:
                while not await self._is_brought(batch):
                    with contextlib.suppress(Exception):
                        await asyncio.sleep(_DISK_PAUSE)
            finally:
                self._holding -= 1
                self._wake.set()

    async def _is_brought(self, batch: _Batch) -> bool:
        """Nobody else has the batch: there may be no memory even for a call that never raises."""
        with contextlib.suppress(Exception):
            await self._bring(batch)
            return True
        return False

    def _ask_all(self) -> None:
        """After a fault it is not certain who is marked as what, for even to undo that may have failed. Again where
        this does, too: a lack of memory passes."""
        for _ in range(_TRIES):
            with contextlib.suppress(Exception):
                self._take_back()
                for feed in self._reading:
                    if feed in self._known:
                        self._known[feed].busy = False
                self._reading = []
                for feed, known in list(self._known.items()):
                    known.queued = feed in self._ready
                    self.poke(feed)
                    if not known.queued:
                        self._watch(feed)
                    if feed.exhausted and not self.is_under_way(feed):
                        self._tell(feed)
                self._wake.set()
                return

    def _take_back(self) -> None:
        """Have the feeds take again what was not made a batch of."""
        while self._unbuilt:
            self._unbuilt[-1].feed.put_back(self._unbuilt[-1])
            self._unbuilt.pop()

    async def _gather(self) -> list[Feed]:
        """Wait until something is worth sending; the feeds that go into one batch. They stay queued."""
        while True:
            if self._ready and ((self.gate.is_open and self._sending.proved) or not self._holding):
                left = self._oldest + self._patience - self._loop.time()
                if left <= 0 or self._is_full():
                    return self._first()
            else:
                left = -1.0
            self._wake.clear()
            if left > 0:
                handle = self._loop.call_later(left, self._wake.set)
                await self._wake.wait()
                handle.cancel()
            else:
                await self._wake.wait()

    def _first(self) -> list[Feed]:
        """The first of the feeds that wait, as many as one request has room for. The others stay as they are: looking
        at a thousand for each request would cost more than their lines."""
        room = min(self._size, self._sending.limit)
        quota = max(_FAIR, room // len(self._ready))
        first: list[Feed] = []
        for feed in self._ready:
            if room <= 0:
                break
            first.append(feed)
            room -= min(quota, feed.pending) + len(feed.resource) + AROUND
        return first

    async def _build(self, feeds: list[Feed]) -> None:
        """Have a batch made of these feeds. Whatever this raises, it is made, or what is to be sent of them is queued
        again."""
        if self._reading or self._unbuilt:
            self._ask_all()
        known = {feed: self._known[feed] for feed in feeds if feed in self._known}
        apart = {feed for feed in known if self._sending.is_apart(feed)}
        late = apart if self._sending.held > HELD else set()
        reading = [feed for feed, each in known.items() if not each.busy and feed not in late]
        parts: list[Part] = []
        self._reading, self._unbuilt, self._building = reading, parts, True
        try:
            for feed in reading:
                known[feed].busy = True
            chosen = set(feeds)
            self._ready = deque(feed for feed in self._ready if feed not in chosen)
            self._queued_bytes = sum(feed.pending for feed in self._ready)
            others = bool(self._ready)
            body, left, failed = await off_loop(self._executor, lambda: self._encode(reading, apart, parts))
            self._made = self._batch(parts, body, apart) if parts else None
            parts.clear()
        except BaseException:
            self._ask_all()
            raise
        finally:
            self._building = False
            for feed in reading:
                known[feed].busy = False
            self._reading = []
        try:
            self._ask_again(known, reading, left, failed, late, others)
        except Exception as error:  # the batch is there all the same, and who waits for it
            self.tally.count("fault")
            self._sending.say(logging.ERROR, "fault", f"feeds cannot be asked again: {error!r}; all are")
            self._ask_all()

    def _ask_again(
        self,
        known: dict[Feed, _Known],
        reading: list[Feed],
        left: list[Feed],
        failed: list[Feed],
        late: Collection[Feed],
        others: bool,
    ) -> None:
        """Queue or watch those of which a batch was made; `others` wait that it had no room for."""
        now = self._loop.time()
        for each in known.values():
            each.queued, each.looked = False, now
        for feed in (*failed, *late):
            self._watch(feed, _DISK_PAUSE)
        for feed in reversed(left):
            if feed in self._known:
                self.poke(feed, is_next=True)
        for feed in reading:
            if feed in self._known and feed not in failed:
                self.poke(feed)
                if not known[feed].queued:
                    self._watch(feed)
        for feed in reading:
            if feed.exhausted and not self.is_under_way(feed):  # whoever asked while it was read was put off
                self._tell(feed)
        if others or left or any(feed.is_cut for feed in reading):  # it has waited for its turn already
            self._oldest = 0.0
            self._wake.set()

    def _batch(self, parts: list[Part], body: bytes, apart: Collection[Feed]) -> _Batch:
        """The parts become those under way of their feeds; all or, if this raises, none."""
        taken = [_Taken(part, self._loop.create_future()) for part in parts]
        found = [self._known[part.feed] for part in parts]
        before = [each.taken[-1].done for each in found if each.taken]
        batch = _Batch(taken, [part for part in parts if part.feed not in apart], body, before)
        longer = [[*each.taken, one] for each, one in zip(found, taken, strict=True)]
        for each, all_taken in zip(found, longer, strict=True):
            each.taken = all_taken
        return batch

    def _encode(
        self, feeds: list[Feed], apart: Collection[Feed], parts: list[Part]
    ) -> tuple[bytes, list[Feed], list[Feed]]:
        """Worker thread: (body of the request, feeds that had no room, feeds that cannot be read). What is taken is
        added to `parts`; of feeds that are apart it is not in the body."""
        buffer = _buffer()
        observed = time.time_ns()
        cap = min(self._size, self._sending.limit)
        quota = max(_FAIR, cap // len(feeds)) if feeds else cap
        pieces: list[bytes] = []
        left: list[Feed] = []
        failed: list[Feed] = []
        used = 0
        for index, feed in enumerate(feeds):
            around = len(feed.resource) + AROUND
            alone = feed in apart
            budget = min(_APART, cap - around) if alone else min(quota, cap - used - around)
            if budget <= 0 and used and not alone:
                left += feeds[index:]
                break
            try:
                part = feed.take(buffer, max(1, budget), observed, strict=used > 0 and not alone)
            except Exception as error:  # a fault of the disk, or of ours, must not stop the other containers
                self._sending.say(logging.ERROR, "journal", f"{feed.stream.directory} cannot be read: {error!r}")
                failed.append(feed)
                continue
            if part is None:
                if feed.is_cut:  # its next record does not fit in any more
                    left.append(feed)
                continue
            parts.append(part)
            if part.payload and not alone:
                pieces.extend(resource_logs(feed.resource, part.payload, SCOPE))
                used += part.size + around
        return prepare(self.destination, pieces) if pieces else b"", left, failed

    async def _bring(self, batch: _Batch) -> None:
        """Hand the parts on, each when the earlier one of its feed is settled or set apart; never raises."""
        while True:
            try:
                while batch.before:
                    await asyncio.shield(batch.before[0])
                    batch.before.pop(0)
                parts = [taken.part for taken in batch.taken if self._is_open(taken)]
                shared = [part for part in parts if not self._sending.is_apart(part.feed)]
                together = set(shared)
                for part in parts:
                    if part not in together:
                        self._sending.set_apart(part)
                if shared:
                    await self._sending.deliver(shared, batch.body if shared == batch.shared else None)
                return
            except Exception as error:
                self.tally.count("fault")
                self._sending.say(logging.ERROR, "fault", f"a request cannot be sent: {error!r}; it is tried again")
                await asyncio.sleep(_DISK_PAUSE)

    def _is_open(self, taken: _Taken) -> bool:
        known = self._known.get(taken.part.feed)
        return known is not None and taken in known.taken and not self._sending.holds(taken.part)

    def _free(self, part: Part) -> None:
        """The part is set apart: later ones of its feed may follow it there."""
        for taken in self._known[part.feed].taken if part.feed in self._known else ():
            if taken.part is part and not taken.done.done():
                taken.done.set_result(None)

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
        """Every record of the part has its fate."""
        feed = part.feed
        known = self._known.get(feed)
        taken = next((each for each in known.taken if each.part is part), None) if known else None
        if known is None or taken is None:
            return
        known.taken = [each for each in known.taken if each is not taken]
        if not taken.done.done():
            taken.done.set_result(None)
        known.looked = self._loop.time()
        self._wake.set()
        feed.settle(part)
        self._write_down(feed, part.behind)
        self._tell(feed)
        self.poke(feed)

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
        if not known.queued and len(known.taken) < 2:  # else it is watched again once it has been read
            self._watch(feed)

    # Cursors.

    def _write_down(self, feed: Feed, position: Position) -> None:
        self._positions[feed] = position
        self._commit_again()

    async def _commit(self) -> None:
        """Write positions down until none is left; of several of a feed the last."""
        try:
            while self._positions:
                self._committing, self._positions = self._positions, {}
                try:
                    await off_loop(self._files, self._write)
                except Exception as error:  # no thread, no memory: the positions stay to be written
                    self._positions = {**self._committing, **self._positions}
                    self.tally.count("fault")
                    self._sending.say(logging.ERROR, "cursor", f"cursors cannot be written: {error!r}; tried again")
                    if self._closing:
                        return
                    await asyncio.sleep(_DISK_PAUSE)
                    continue
                done, self._committing = self._committing, {}
                for feed in done:
                    self._tell(feed)
        finally:
            self._committing = {}
            self._committer = None
            if self._positions and not self._closing:  # it was ended by a fault
                self._loop.call_later(_DISK_PAUSE, self._commit_again)

    def _commit_again(self) -> None:
        if self._committer is None and self._positions:
            self._committer = self._loop.create_task(self._commit(), name="commit")

    def _write(self) -> None:
        """Thread of `files`."""
        for feed, position in list(self._committing.items()):
            feed.commit(position, self._sync)

    def _tell(self, feed: Feed) -> None:
        try:
            self._committed(feed)
        except Exception:  # else nothing of these containers would ever be sent again
            log.exception("after a commit of %s", feed.stream.directory)
