"""Feeds -> requests -> one destination: fair, in order, never waiting for more than it must.

In: feeds that say they have work (`poke`). Out: requests to the destination's client; after each the parts in it are
committed. One pump per destination; lives on the event loop, encodes and compresses in worker threads.

- A *lane* gathers feeds in turn, has a batch built, sends it, commits. Several lanes overlap building and sending, and
  keep several requests in flight (`otlp-concurrency`).
- Order: a batch is sent only when every earlier batch with records of the same container is done, so a container's
  lines arrive in the order they were printed, also across retries. A feed has at most two batches outstanding.
- Size: what waits goes out after `batch-delay`, or at once when `batch-size` is reached; when more waits, requests grow
  up to MAX_REQUEST. Many small parts wait longer, for each costs as much as a hundred lines.
- Memory: at most one body per lane, one alone until the destination has taken something, and no new one while the gate
  is closed. An outage costs disk only.
- A batch that the collector refuses is halved, and what is refused of it again, to find the culprits; they are given up
  and counted. A destination that denies us is probed slowly while the journal holds (`otlp-refused=hold`).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import cast

from otellogdriver.delivery.feed import BUFFER, Feed, Part
from otellogdriver.delivery.gate import Gate
from otellogdriver.delivery.tally import Tally
from otellogdriver.export.client import prepare, restore
from otellogdriver.export.destination import Destination
from otellogdriver.export.outcome import Client, Delivered, Denied, Outcome, Refused, Retry
from otellogdriver.export.request import SCOPE, halves, records_by_container, resource_logs

log = logging.getLogger(__name__)

MAX_REQUEST = 2_600_000
"""Bytes of an uncompressed request. Collectors' gRPC servers take 4 MiB by default, a single record may have 2 MiB, and
beyond this size a request gains nothing but memory."""
_FAIR = 64 << 10
"""Least bytes a feed may put into a batch when many want to."""
_TRIES = 64
"""Requests, at most, that are made to find what is bad in one that was refused: about three bad records in ten
thousand."""
_WORTH = 16 << 10
"""Bytes whose encoding and compression cost about as much as a part does by itself."""
_EACH, _LONGEST = 0.0006, 3
"""Seconds that each of many feeds lets the others wait, so that parts by themselves take less than a tenth of a core;
at most so many times the batch delay."""
_DISK_PAUSE = 1.0
"""Seconds between two tries to read a journal that cannot be read."""
_SLOW_CLOSE = 2.0
"""Seconds that requests in flight get to end when the driver goes away."""

_workspace = threading.local()


def _buffer() -> memoryview:
    """This worker thread's buffer to read the journal into; the threads are shared by all pumps."""
    try:
        return cast(memoryview, _workspace.buffer)
    except AttributeError:
        _workspace.buffer = buffer = memoryview(bytearray(BUFFER))
        return buffer


@dataclass(slots=True)
class _Known:
    """What the pump knows of a feed. Read by other threads, written on the loop."""

    queued: bool = False
    """It will be read soon."""
    busy: bool = False
    """It is just being read."""
    outstanding: int = 0
    """Parts of it that are taken and not yet committed."""


@dataclass(slots=True)
class _Batch:
    parts: list[Part]
    body: bytes
    records: int
    before: list[asyncio.Future[None]]
    done: asyncio.Future[None]


class Pump:
    """See the module's text. `committed` is called after each commit."""

    def __init__(
        self,
        destination: Destination,
        client: Client,
        executor: Executor,
        committed: Callable[[Feed], None],
        *,
        lanes: int = 4,
        delay: float = 0.2,
        size: int = 1 << 20,
        hold: bool = True,
        sync: bool = False,
    ) -> None:
        self.destination = destination
        self.gate = Gate()
        self.tally = Tally()
        self._client = client
        self._executor = executor
        self._committed = committed
        self._delay = delay
        self._size = size
        self._hold = hold
        self._sync = sync
        self._loop = asyncio.get_running_loop()
        self._ready: deque[Feed] = deque()
        self._queued_bytes = 0
        self._oldest = 0.0
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._known: dict[Feed, _Known] = {}
        self._tails: dict[Feed, asyncio.Future[None]] = {}
        self._timers: dict[Feed, asyncio.TimerHandle] = {}
        self._holding = 0
        self._proved = False
        self._closing = False
        self._takes_some = True
        self._said: dict[str, float] = {}
        self._lanes = [self._loop.create_task(self._lane(), name=f"lane-{number}") for number in range(lanes)]

    # Feeds.

    def poke(self, feed: Feed) -> None:
        """The feed may have work."""
        known = self._known.get(feed)
        if known is None:
            known = self._known[feed] = _Known()
        if known.queued or known.outstanding >= 2 or not feed.needs_work:
            return
        known.queued = True
        if not self._ready:
            self._oldest = self._loop.time()
        self._ready.append(feed)
        self._queued_bytes += feed.pending
        if len(self._ready) == 1 or self._is_full():
            self._wake.set()

    def will_look(self, feed: Feed) -> bool:
        """Whether the pump looks at the feed by itself before long, so that it needs no `poke`. Any thread."""
        known = self._known.get(feed)
        return known is not None and (known.queued or known.outstanding > 0)

    def is_under_way(self, feed: Feed) -> bool:
        """Whether something of the feed is taken and not yet committed."""
        known = self._known.get(feed)
        return known is not None and known.outstanding > 0

    def is_idle(self, feed: Feed) -> bool:
        """Whether nothing of the feed waits, is read or is under way."""
        known = self._known.get(feed)
        return known is None or not (known.queued or known.busy or known.outstanding or feed.needs_work)

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

    async def skip(self, feed: Feed, to: int) -> None:
        """Have the feed give up what is before offset `to`, unless it is just being read."""
        known = self._known.setdefault(feed, _Known())
        if known.busy:
            return
        known.busy = True
        skipped = False
        try:
            skipped = await self._loop.run_in_executor(self._executor, feed.skip, to)
        except OSError as error:
            self._say(logging.ERROR, "journal", f"{feed.stream.directory} cannot be read: {error}")
        finally:
            known.busy = False
        if skipped:
            self._committed(feed)
        self.poke(feed)

    def forget(self, feed: Feed) -> None:
        """The feed is exhausted or leaves; nothing of it is in flight."""
        timer = self._timers.pop(feed, None)
        if timer:
            timer.cancel()
        self._tails.pop(feed, None)
        if self._known.pop(feed, _Known()).queued and feed in self._ready:
            self._ready.remove(feed)

    async def close(self) -> None:
        """Stop: nothing new is gathered, requests in flight get a moment, what is unsent stays in the journal."""
        self._closing = True
        for timer in self._timers.values():
            timer.cancel()
        if self.tally.in_flight:
            await asyncio.wait(self._lanes, timeout=_SLOW_CLOSE)
        for lane in self._lanes:
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        await self._client.close()

    # Lanes.

    async def _lane(self) -> None:
        while not self._closing:
            async with self._turn:
                feeds = await self._gather()
                batch = await self._build(feeds)
            if batch is None:
                continue
            self._holding += 1
            try:
                for earlier in batch.before:
                    await asyncio.shield(earlier)
                if batch.records:
                    await self._deliver(batch)
            except asyncio.CancelledError:
                batch.done.cancel()  # whoever waits for this batch must not go on without it
                raise
            except Exception:
                # A fault of ours must not stop the container's later lines.
                log.exception("sending to %s failed: %d records given up", self.destination.label, batch.records)
                for part in batch.parts:
                    part.feed.counters.give_up("fault", part.records)
            finally:
                self._holding -= 1
                self._wake.set()
            self._commit(batch)

    async def _gather(self) -> list[Feed]:
        """Wait until something is worth sending, and take the feeds that go into one batch."""
        while True:
            if self._ready and ((self.gate.is_open and self._proved) or not self._holding):
                left = self._oldest + self._patience - self._loop.time()
                if left <= 0 or self._is_full():
                    break
            else:
                left = -1.0
            self._wake.clear()
            if left > 0:
                handle = self._loop.call_later(left, self._wake.set)
                await self._wake.wait()
                handle.cancel()
            else:
                await self._wake.wait()
        feeds = list(self._ready)
        self._ready.clear()
        self._queued_bytes = 0
        return feeds

    async def _build(self, feeds: list[Feed]) -> _Batch | None:
        busy = [feed for feed in feeds if self._known[feed].busy]
        feeds = [feed for feed in feeds if not self._known[feed].busy]
        for feed in feeds:
            self._known[feed].busy = True
        try:
            body, parts, left, failed = await self._loop.run_in_executor(self._executor, self._encode, feeds)
        finally:
            for feed in feeds:
                self._known[feed].busy = False
        for feed in feeds + busy:
            self._known[feed].queued = False
        batch = None
        if parts:
            done = self._loop.create_future()
            before = [self._tails[part.feed] for part in parts if part.feed in self._tails]
            for part in parts:
                self._known[part.feed].outstanding += 1
                self._tails[part.feed] = done
            batch = _Batch(parts, body, sum(part.records for part in parts), before, done)
        for feed in dict.fromkeys(left + feeds):  # who had no room comes first next time; `skip` pokes the busy ones
            if feed in failed:
                self._watch(feed, _DISK_PAUSE)
                continue
            self.poke(feed)
            if not self._known[feed].queued:
                self._watch(feed)
        if left:
            self._oldest = 0.0
        return batch

    def _encode(self, feeds: list[Feed]) -> tuple[bytes, list[Part], list[Feed], list[Feed]]:
        """Worker thread: (body of the request, the parts in it, feeds that had no room, feeds that cannot be read)."""
        buffer = _buffer()
        observed = time.time_ns()
        pending = sum(feed.pending for feed in feeds)
        cap = self._size if pending <= self._size else MAX_REQUEST
        quota = max(_FAIR, cap // len(feeds)) if feeds else cap
        pieces: list[bytes] = []
        parts: list[Part] = []
        failed: list[Feed] = []
        used = 0
        for index, feed in enumerate(feeds):
            if used >= cap:
                left = feeds[index:]
                break
            try:
                part = feed.take(buffer, min(quota, cap - used), observed, strict=used > 0)
            except OSError as error:
                self._say(logging.ERROR, "journal", f"{feed.stream.directory} cannot be read: {error}")
                failed.append(feed)
                continue
            except Exception as error:  # a fault of ours must not stop the other containers
                self._say(logging.ERROR, "fault", f"{feed.stream.directory} cannot be encoded: {error!r}")
                failed.append(feed)
                continue
            if part is None:
                continue
            parts.append(part)
            if part.payload:
                entry = resource_logs(feed.resource, part.payload, SCOPE)
                pieces.extend(entry)
                used += part.size + len(feed.resource) + len(SCOPE) + 64
        else:
            left = []
        return prepare(self.destination, pieces) if pieces else b"", parts, left, failed

    def _watch(self, feed: Feed, seconds: float | None = None) -> None:
        """An unfinished record is looked at again when it is too old, a journal that cannot be read after `seconds`."""
        if self._closing or not feed.unfinished or (seconds is None and feed.stream.ended_at is not None):
            return
        when = self._loop.time() + (max(0.0, feed.wait) + 0.01 if seconds is None else seconds)
        timer = self._timers.get(feed)
        if timer is None or when < timer.when():
            if timer:
                timer.cancel()
            self._timers[feed] = self._loop.call_at(when, self._look_again, feed)

    def _look_again(self, feed: Feed) -> None:
        self._timers.pop(feed, None)
        self.poke(feed)
        known = self._known[feed]
        if not known.queued and known.outstanding < 2:  # else it is watched again once it has been read
            self._watch(feed)

    def _commit(self, batch: _Batch) -> None:
        for part in batch.parts:
            feed = part.feed
            feed.commit(part, self._sync)
            self._known[feed].outstanding -= 1
            if self._tails.get(feed) is batch.done:
                del self._tails[feed]
            try:
                self._committed(feed)
            except Exception:  # else nothing of these containers would ever be sent again
                log.exception("after a commit of %s", feed.stream.directory)
            self.poke(feed)
        batch.done.set_result(None)

    # Outcomes.

    async def _deliver(self, batch: _Batch) -> None:
        """Send until the batch is delivered or given up."""
        outcome = await self._send(batch.body)
        if isinstance(outcome, Delivered):
            for part in batch.parts:
                part.feed.counters.delivered += part.records
            self._note_rejected(batch, outcome)
            return
        by_id = {part.feed.entry.container_id: part.feed for part in batch.parts}
        request = restore(self.destination, batch.body)
        if isinstance(outcome, Denied):
            self._give_up(request, by_id, "denied", outcome.reason)
        else:
            await self._find_culprit(request, by_id, outcome.reason)

    async def _find_culprit(self, request: bytes, by_id: dict[str, Feed], reason: str) -> None:
        """`request` was refused: what is refused is halved again, in order, so that only what is bad is given up; it
        may be another container's. Where nothing of a batch is taken, the next one is halved only once."""
        tries, taken = _TRIES if self._takes_some else 2, False
        unsent: list[bytes] = []
        refused: tuple[bytes, str] | None = (request, reason)
        while refused or unsent:
            if refused:
                part, why = refused
                pair = halves(part) if tries > 0 else None
                if pair is None:
                    self._give_up(part, by_id, "refused", why)
                else:
                    unsent += reversed(pair)
                refused = None
                continue
            part = unsent.pop()
            tries -= 1
            body = await self._loop.run_in_executor(self._executor, prepare, self.destination, [part])
            outcome = await self._send(body)
            if not isinstance(outcome, Delivered):
                refused = part, outcome.reason
                continue
            taken = True
            for container, records in records_by_container(part).items():
                if container in by_id:
                    by_id[container].counters.delivered += records
        self._takes_some = taken

    async def _send(self, body: bytes) -> Delivered | Refused | Denied:
        """One request, repeated until it has an end. Denied only where `otlp-refused` is `drop`."""
        while True:
            await self.gate.admit()
            started = self._loop.time()
            self.tally.in_flight += 1
            try:
                outcome = await self._client.send(body)
            except BaseException:
                self.gate.withdrawn()
                raise
            finally:
                self.tally.in_flight -= 1
            self.tally.observe(self._loop.time() - started)
            self.tally.sent_bytes += len(body)
            end = self._judge(outcome)
            if end is not None:
                return end
            if self._closing:
                raise asyncio.CancelledError

    def _judge(self, outcome: Outcome) -> Delivered | Refused | Denied | None:
        """Tell the gate; None to try again."""
        match outcome:
            case Delivered():
                self.tally.count("delivered")
                if not self.gate.is_open:
                    log.info("%s takes records again", self.destination.label)
                self.gate.opened()
                self._proved = True
                self._wake.set()
                return outcome
            case Refused():
                self.tally.count("refused")
                self.gate.opened()
                return outcome
            case Denied(reason):
                self.tally.count("denied")
                if not self._hold:
                    self.gate.opened()
                    return outcome
                self._say(logging.ERROR, "denied", f"{reason}; lines are kept in the journal until this is mended")
                self.gate.failed("denied", reason)
                return None
            case Retry(kind, reason, after):
                self.tally.count(kind)
                self._say(logging.WARNING, kind, f"{reason}; lines are kept in the journal")
                self.gate.failed(kind, reason, after)
                return None

    def _give_up(self, request: bytes, by_id: dict[str, Feed], why: str, reason: str) -> None:
        total = 0
        for container, records in records_by_container(request).items():
            total += records
            if container in by_id:
                by_id[container].counters.give_up(why, records)
        self._say(logging.ERROR, why, f"{total} records given up: {reason}")

    def _note_rejected(self, batch: _Batch, outcome: Delivered) -> None:
        """Partial success: the collector dropped some, and says not which."""
        if outcome.rejected <= 0:
            if outcome.message:
                self._say(logging.WARNING, "warning", f"collector says: {outcome.message}")
            return
        rejected = min(outcome.rejected, batch.records)
        self._say(logging.ERROR, "rejected", f"{rejected} of {batch.records} records rejected: {outcome.message}")
        for part in batch.parts:
            share = min(rejected, part.records)
            part.feed.counters.delivered -= share
            part.feed.counters.give_up("rejected", share)
            rejected -= share

    def _say(self, level: int, kind: str, text: str) -> None:
        """Log a kind of trouble once a minute; the metrics have the count."""
        now = time.monotonic()
        if now - self._said.get(kind, -60.0) >= 60.0:
            self._said[kind] = now
            label = self.destination.label
            log.log(level, "%s", text if text.startswith(label) else f"{label}: {text}")
