"""Containers that are set apart: what of theirs fails is narrowed down to the records that fail by themselves.

In: parts (`set_apart`), in the order of their feed. Out: each part is *settled*, in the same order, once all of its
records have a fate. A task for each container halves what fails until a record stands alone; only a record that failed
by itself is given up. No other container waits for that. Failed requests are paced, and the container stays apart until
QUIET seconds have passed without one. Lives on the event loop.

A record that is refused is given up at once. A record whose requests break off, get no answer in time or are denied,
while the destination is well, is tried again with growing pauses. After POISON_AGE it is given up as `refused`, if the
destination has taken other records meanwhile; if it takes none, the destination is down after all. Where nothing else
was to be sent, the record after it is tried once. This is the one case in which two lines may change places: if the
destination is back at that very moment. Where patience is asked for (429, Retry-After), nothing is given up.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from otellogdriver.delivery.fates import Fates
from otellogdriver.delivery.feed import Feed, Part
from otellogdriver.delivery.requests import End, Requests, Trouble, postponed_by
from otellogdriver.export.outcome import Delivered, Refused, Unread
from otellogdriver.export.request import record_ends
from otellogdriver.loop import Semaphore, begin
from otellogdriver.pool import Pool

POISON_AGE = 300.0
"""Seconds for which a record that fails by itself, and is not refused, is tried again before it is given up."""
QUIET = 300.0
"""Seconds that a container stays apart after its last record that failed."""
HELD = 32 << 20
"""Bytes of all parts that are set apart; beyond it, what else is to be set apart waits in the journal."""
_PACE, _BURST = 200.0, 200.0
"""Failed requests a second of each container that is taken apart, and how many of them may come at once."""
_FIRST_PAUSE, _LONGEST_PAUSE, _UNPROVEN_PAUSE = 0.25, 30.0, 5.0
"""Seconds between two tries of a record that fails by itself: at first, at most, and at most while nothing shows that
the destination takes others. Then it may be down, and its return must not be missed for long."""
_PROOFS = 2
"""Failures of a record by itself, with others taken before each, until it is given up: with fewer, the destination may
just have come back."""
_AGAIN = (0.0, 1.0, 3.0)
"""Seconds before a record is tried again when the one after it has been taken: the destination may be back just now.
More than once where it says by itself what it cannot take, because that may change with each request."""
TURN, _LONGEST_TURN = 0.05, 1.0
"""Seconds for which others may try first, where the collector asked for patience: at first, and at most."""
_PAUSE = 1.0
"""Seconds after a fault of ours."""
_AT_ONCE = 8
"""Requests at a time, of all containers that are apart."""


@dataclass(eq=False, slots=True)
class _Suspect:
    """A container's feed that is set apart, and how far its first part is."""

    feed: Feed
    parts: deque[tuple[Part, Trouble | None]] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None
    until: float = 0.0
    """It stays apart until then."""
    group: int = 1 << 20
    """Records that are tried together where nothing is known of them: more after a success, fewer after a failure."""
    postponed: float = float("inf")
    """Loop time at which the collector itself last said that it cannot take this now; minus infinity where it is known
    to take others, or to be well."""
    begun: bool = False
    at: int = 0
    """The place in the part of the record that is next."""
    ahead: int = 0
    """Records of the next part that have their fate already."""
    bad: int = 0
    """If this is more than `at`: one of the records from `at` to before this one is known to fail."""
    since: float = -1.0
    """When the record at `at` failed first by itself."""
    failed: float = 0.0
    """When it failed last."""
    proofs: int = 0
    """How often it has failed after the destination took others since the failure before."""
    pause: float = _FIRST_PAUSE
    tokens: float = _BURST
    filled: float = 0.0


class Apart:
    """See the module's text. `settled` is called for each part at its end, `freed` when one has been set apart: later
    parts of the same feed may follow. `put_back` leaves a part in the journal, if it can. None of them may raise."""

    def __init__(
        self,
        requests: Requests,
        fates: Fates,
        executor: Pool,
        settled: Callable[[Part], None],
        freed: Callable[[Part], None],
        put_back: Callable[[Part], bool],
    ) -> None:
        self.held = 0
        """Bytes of parts that are set apart."""
        self._requests = requests
        self._fates = fates
        self._executor = executor
        self._settled = settled
        self._freed = freed
        self._put_back = put_back
        self._loop = asyncio.get_running_loop()
        self._suspects: dict[Feed, _Suspect] = {}
        self._slots = Semaphore(_AT_ONCE)

    def among(self, feeds: Iterable[Feed]) -> set[Feed]:
        """Those of the feeds of which parts must not share a request with others now."""
        return {feed for feed in feeds if self._is_apart(feed)} if self._suspects else set()

    def _is_apart(self, feed: Feed) -> bool:
        suspect = self._suspects.get(feed)
        return suspect is not None and (bool(suspect.parts) or self._loop.time() < suspect.until)

    def holds(self, part: Part) -> bool:
        """Whether the part is set apart and not yet settled."""
        suspect = self._suspects.get(part.feed)
        return suspect is not None and any(each is part for each, _ in suspect.parts)

    def forget(self, feed: Feed) -> None:
        """The feed goes; nothing of it is under way."""
        suspect = self._suspects.pop(feed, None)
        if suspect and suspect.task:
            suspect.task.cancel()

    async def close(self) -> None:
        """Stop what is set apart (`Requests.closing` is set); it stays in the journal."""
        tasks = [suspect.task for suspect in self._suspects.values() if suspect.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def set_apart(self, part: Part, trouble: Trouble | None = None) -> None:
        """Take the part over; it follows those of the same feed. `trouble`: with which the whole part failed. While
        HELD bytes of others are apart, the part is put back into the journal, if it can be."""
        suspect = self._suspects.get(part.feed)
        if suspect is None:
            suspect = self._suspects[part.feed] = _Suspect(part.feed)
        if self.held > HELD and not suspect.parts and self._put_back(part):
            suspect.until = self._loop.time() + QUIET
            return
        part.payload = [b"".join(part.payload)]  # no longer a piece of a whole request
        if trouble and trouble.for_now:
            suspect.postponed = float("-inf")
        self._start(suspect)
        suspect.parts.append((part, trouble))
        self.held += part.size
        self._freed(part)

    def _start(self, suspect: _Suspect) -> None:
        if suspect.task is None and not self._requests.closing:
            suspect.task = begin(partial(self._work, suspect), "apart")

    async def _work(self, suspect: _Suspect) -> None:
        """Settle the parts of one feed, one after another."""
        try:
            while suspect.parts:
                part, trouble = suspect.parts[0]
                await self._persist(suspect, part, trouble)
                suspect.parts.popleft()
                suspect.begun, suspect.at, suspect.bad = False, 0, 0
                self.held -= part.size
                self._settled(part)
        finally:
            suspect.task = None
            if suspect.parts and not self._requests.closing:  # it was ended by a fault
                self._loop.call_later(_PAUSE, self._start, suspect)
            elif not self._is_apart(suspect.feed) and self._suspects.get(suspect.feed) is suspect:
                del self._suspects[suspect.feed]

    async def _persist(self, suspect: _Suspect, part: Part, trouble: Trouble | None) -> None:
        """Go through a part, in spite of faults of ours. A lack of memory or file numbers may last; another fault for
        POISON_AGE at the same place has the rest of the part given up."""
        since, place = self._loop.time(), -1
        while True:
            try:
                await self._through(suspect, part, trouble)
                return
            except Exception as error:
                self._fates.say(logging.ERROR, "fault", f"a request cannot be made: {error!r}; it is tried again")
                now = self._loop.time()
                if suspect.at != place:
                    since, place = now, suspect.at
                if now - since > POISON_AGE and not isinstance(error, OSError | MemoryError):
                    self._fates.give_up(part, part.records - suspect.at, "fault", repr(error))
                    return
                await asyncio.sleep(_PAUSE)

    async def _through(self, suspect: _Suspect, part: Part, trouble: Trouble | None) -> None:
        """Bring each record of a part to its fate, in order."""
        payload = b"".join(part.payload)
        ends = await self._executor.submit(lambda: record_ends(payload)).awaited() if payload else []
        if not suspect.begun:
            suspect.begun, suspect.at, suspect.ahead, suspect.bad = True, suspect.ahead, 0, 0
            await asyncio.sleep(trouble.after if trouble else 0)
            if trouble and trouble.why in ("refused", "denied"):
                suspect.until = self._loop.time() + (0 if trouble.too_large else QUIET)
                if len(ends) == 1:
                    self._fates.give_up(part, 1, trouble.why, trouble.reason)
                    suspect.at = 1
                elif trouble.too_large:
                    self._requests.learn(len(payload) + part.feed.around)
                else:
                    suspect.bad = len(ends)
        while suspect.at < len(ends):
            await self._step(suspect, part, payload, ends)

    async def _step(self, suspect: _Suspect, part: Part, payload: bytes, ends: list[int]) -> None:
        """One request with the next records of a part."""
        at = suspect.at
        fresh = suspect.bad <= at
        number = min(suspect.group, len(ends) - at) if fresh else max(1, (suspect.bad - at) // 2)
        begin = ends[at - 1] if at else 0
        room = bisect_right(ends, begin + self._requests.limit - part.feed.around) - at
        number = max(1, min(number, room))
        taken = self._requests.taken
        end = await self._try(suspect, part, payload[begin : ends[at + number - 1]], number)
        if not isinstance(end, Trouble):
            self._fates.account([(part, number)], end)
            suspect.at, suspect.since, suspect.pause = at + number, -1.0, _FIRST_PAUSE
            if fresh and number == suspect.group:
                suspect.group = min(2 * suspect.group, 1 << 20)
            return
        size = ends[at + number - 1] - begin
        if end.too_large and number > 1:
            self._requests.learn(size)
            if size > self._requests.limit:
                return
        suspect.until = self._loop.time() + QUIET
        if number > 1:
            suspect.bad = at + number
            if fresh:
                suspect.group = max(1, number // 2)
            if end.for_now:
                await asyncio.sleep(max(_FIRST_PAUSE, end.after))
            await self._pace(suspect)
        elif await self._is_hopeless(suspect, part, payload, ends, end, taken):
            suspect.at, suspect.bad = suspect.at + 1, max(suspect.bad, suspect.at + 1)
            suspect.since, suspect.pause = -1.0, _FIRST_PAUSE
            await self._pace(suspect)

    async def _is_hopeless(
        self, suspect: _Suspect, part: Part, payload: bytes, ends: list[int], trouble: Trouble, taken: float
    ) -> bool:
        """The record at `suspect.at` failed by itself: whether it has its fate now. If not, a pause has passed.
        `taken`: when the destination had last taken something, as the record was tried."""
        now = self._loop.time()
        if suspect.since < 0:
            suspect.since = now
            suspect.failed, suspect.proofs = now, 0
            self._fates.suspect(part, suspect.at, trouble.reason)
        if trouble.why in ("refused", "denied"):
            self._fates.give_up(part, 1, trouble.why, trouble.reason, suspect.at)
            return True
        suspect.proofs += suspect.failed < taken
        suspect.failed = now
        why = "fault" if trouble.why == "fault" else "refused"
        if now - suspect.since >= POISON_AGE and trouble.why != "throttled":
            # Where nothing else was sent meanwhile, the next record shows whether the destination takes any.
            if self._requests.taken <= suspect.since and (found := await self._next(suspect, part, payload, ends)):
                following, record = found
                end = await self._try(suspect, following, record, 1)
                if not isinstance(end, Trouble):
                    self._fates.account([(following, 1)], end)
                    begin = ends[suspect.at - 1] if suspect.at else 0
                    for pause in _AGAIN if trouble.for_now else _AGAIN[:1]:
                        await asyncio.sleep(pause)
                        again = await self._try(suspect, part, payload[begin : ends[suspect.at]], 1)
                        if not isinstance(again, Trouble):
                            break
                    if isinstance(again, Trouble):
                        self._fates.give_up(part, 1, why, trouble.reason, suspect.at)
                    else:
                        self._fates.account([(part, 1)], again)
                    if following is part:
                        suspect.at += 1
                    else:
                        suspect.ahead = 1
                    return True
            if suspect.proofs >= _PROOFS:
                self._fates.give_up(part, 1, why, trouble.reason, suspect.at)
                return True
        await asyncio.sleep(max(suspect.pause, trouble.after))
        is_odd = self._requests.taken > suspect.since and trouble.why != "throttled"
        longest = _LONGEST_PAUSE if is_odd else _UNPROVEN_PAUSE
        suspect.pause = min(2 * suspect.pause, longest)
        return False

    async def _next(self, suspect: _Suspect, part: Part, payload: bytes, ends: list[int]) -> tuple[Part, bytes] | None:
        """The record after that at `suspect.at`, and the part that it is in; None if there is none yet."""
        if suspect.at + 1 < len(ends):
            return part, payload[ends[suspect.at] : ends[suspect.at + 1]]
        following, trouble = suspect.parts[1] if len(suspect.parts) > 1 else (part, None)
        if following is part or trouble or not following.records:
            return None
        payload = b"".join(following.payload)
        ends = await self._executor.submit(lambda: record_ends(payload)).awaited()
        return following, payload[: ends[0]]

    async def _try(self, suspect: _Suspect, part: Part, payload: bytes, records: int) -> End:
        """Send some records of a part until that has an end. Where the gate is closed, an empty request is the probe,
        and not these records. Where they break off or are denied, the gate closes only if an empty request fails,
        too."""
        size = len(payload) + part.feed.around
        body = await self._requests.body([(part.feed.resource, [payload])])
        pause = TURN
        while True:
            if not self._requests.gate.is_open:
                _, denied = await self._requests.ask()
                if denied:
                    return denied
            async with self._slots:
                outcome = await self._requests.once(body, records, size, alone=True)
            match outcome:
                case Delivered() | Unread():
                    return outcome
                case Refused(reason, too_large):
                    return Trouble("refused", reason, too_large and size > self._requests.largest)
            trouble = self._requests.suspected(outcome)
            if trouble:
                health = await self._requests.health()
                if isinstance(health, Delivered | Unread | Refused):
                    return trouble
                if denied := self._requests.final(health):
                    return denied
                self._requests.failed(health)
                continue
            if postponed := postponed_by(outcome):
                if suspect.postponed <= self._requests.taken:
                    return postponed
                suspect.postponed = self._loop.time()
            self._requests.failed(outcome)
            await asyncio.sleep(pause)  # others have the first word
            pause = min(2 * pause, _LONGEST_TURN)

    async def _pace(self, suspect: _Suspect) -> None:
        now = self._loop.time()
        suspect.tokens = min(_BURST, suspect.tokens + (now - suspect.filled) * _PACE) - 1
        suspect.filled = now
        if suspect.tokens < 0:
            await asyncio.sleep(-suspect.tokens / _PACE)
