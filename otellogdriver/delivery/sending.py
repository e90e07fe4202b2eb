"""Requests of one destination: sent, judged, taken apart where they fail, given up where they must be.

In: parts, when the pump has seen to their order. Out: each part is *settled*, once all of its records have a fate; or
it is *set apart*, which frees the lane, and settled later. Lives on the event loop.

A fault stays in its ring. What fails is sorted into four:
- The destination is away or denies us: the gate closes for all, the same bytes go again without end.
- The data are refused: the request is taken apart, first by containers, in groups that go side by side; a container
  that fails by itself is set apart. There a task of its own halves, in order, until the record stands alone; only a
  record that failed by itself is given up. Nobody else waits for that, its failed requests are paced, and the container
  stays apart until QUIET seconds have passed without another one.
- The request broke off, got no answer in time, was denied: that may be the destination or what is in the request. An
  *empty* request tells: if it fails as well, the destination is down. If it passes at once, the request is taken apart
  like a refused one. The record alone is tried again with growing pauses, and given up as `refused` after POISON_AGE,
  if the destination has taken other records meanwhile; where it takes none, it is down after all. Where nothing else
  was there to be sent, the record after it is tried once: the one case in which two lines may change places, if the
  destination is back at that very moment.
- The collector says that it cannot take the request now (429, 503). That may be its state, or a limit for one
  container: while it says so, the tries are of one container after another, and a request of others may go beside them.
  Whoever is not taken while others are is set apart; where patience is asked for (429, Retry-After), nothing is given
  up.
"""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from otellogdriver.delivery.feed import Feed, Part
from otellogdriver.delivery.gate import LONGEST_WISH, Gate
from otellogdriver.delivery.offloop import off_loop
from otellogdriver.delivery.tally import Tally
from otellogdriver.export.client import prepare
from otellogdriver.export.destination import Destination
from otellogdriver.export.outcome import Client, Delivered, Denied, Outcome, Refused, Retry, Unread
from otellogdriver.export.request import AROUND, SCOPE, record_ends, resource_logs
from otellogdriver.loop import Semaphore

log = logging.getLogger(__name__)

POISON_AGE = 300.0
"""Seconds for which a record that fails by itself, and is not refused, is tried again before it is given up."""
QUIET = 300.0
"""Seconds that a container stays apart after its last record that failed."""
LEARNED = 600.0
"""Seconds for which a destination's limit to the size of a request is remembered."""
HELD = 32 << 20
"""Bytes of parts that are set apart, all together; beyond it whoever has more to set apart waits."""
_GROUPS = 8
"""Groups into which a request of many containers is taken apart at a time, and requests at a time of what is apart."""
_PACE, _BURST = 200.0, 200.0
"""Failed requests a second, for each container, while it is taken apart; so many may come at once."""
_FIRST_PAUSE, _LONGEST_PAUSE, _UNPROVEN_PAUSE = 0.25, 30.0, 5.0
"""Seconds between two tries of a record that fails by itself; the last one while nothing shows that the destination
takes others: then it may be down, and its return must not be missed for long."""
_PROOFS = 2
"""Failures of a record by itself, each after the destination has taken others since the one before: less may be the
moment at which the destination came back."""
_TURN, _LONGEST_TURN = 0.05, 1.0
"""Seconds for which what is apart leaves the next try to others, where the collector asked for patience."""
_WHOLE = 2
"""Times that a request is tried which the collector itself says it cannot take now, until only a container of it is."""
_STRIKES, _UNPROVEN_STRIKES = 3, 10
"""Such failures of one container while the collector takes others in between, until it is set apart; and where it has
not taken any yet."""
_LEAST = 4096
"""Least limit, in bytes, that is learned: below it a single record decides."""
_PAUSE = 1.0
"""Seconds after a fault of ours."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A request failed for the sake of what is in it. `why`: `refused`, `denied`; `poison` and `fault` (of ours) are
    known only by their repetition; with `throttled` the collector asks for patience, of `after` seconds. `for_now`: by
    the collector's own word it may be taken later."""

    why: str
    reason: str
    too_large: bool = False
    for_now: bool = False
    after: float = 0.0


_End = Delivered | Unread | Denied | Trouble
"""What a request comes to. Denied: the destination denies everything, and `otlp-refused` is `drop`."""


@dataclass(eq=False, slots=True)
class _Apart:
    """A container's feed that is set apart, and how far its first part is."""

    feed: Feed
    parts: deque[tuple[Part, Trouble | None]] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None
    until: float = 0.0
    """It stays apart until then."""
    group: int = 1 << 20
    """Records that are tried together where nothing is known of them: more after a success, fewer after a failure."""
    postponed: float = float("inf")
    """When the collector itself said last that it cannot take this now; minus infinity where it is known to take
    others."""
    begun: bool = False
    at: int = 0
    """Record of the part that is next."""
    bad: int = 0
    """There is a bad one before this record, if it is beyond `at`."""
    since: float = -1.0
    """When the record at `at` failed first by itself."""
    failed: float = 0.0
    """When it failed last, and"""
    proofs: int = 0
    """how often it has failed after the destination took others since the failure before."""
    pause: float = _FIRST_PAUSE
    tokens: float = _BURST
    filled: float = 0.0


def _postponed(outcome: Outcome) -> Trouble | None:
    """What the collector itself says it cannot take now."""
    match outcome:
        case Retry("unavailable", reason, after, False):
            return Trouble("poison", reason, for_now=True, after=after or 0.0)
        case Retry("throttled", reason, after, False):
            return Trouble("throttled", reason, for_now=True, after=min(after or 0.0, LONGEST_WISH))
    return None


def _groups(parts: Sequence[Part]) -> list[Sequence[Part]]:
    """Into which a request is taken apart at a time."""
    each = max(1, -(-len(parts) // _GROUPS))
    return [parts[at : at + each] for at in range(0, len(parts), each)]


def _size(part: Part) -> int:
    """Bytes that a part takes in a request."""
    return part.size + len(part.feed.resource) + AROUND


class Sending:
    """See the module's text. `settled` is called for each part at its end, `freed` when one has been set apart: later
    parts of the same feed may be handed on. `put_back` leaves a part in the journal, if it can; `opened` is called when
    requests may go again, `leave_out` when `postponed` has more. None of them may raise."""

    def __init__(
        self,
        destination: Destination,
        client: Client,
        executor: Executor,
        settled: Callable[[Part], None],
        freed: Callable[[Part], None],
        put_back: Callable[[Part], bool],
        opened: Callable[[], None],
        leave_out: Callable[[], None],
        *,
        hold: bool = True,
    ) -> None:
        self.gate = Gate()
        self.tally = Tally()
        self.proved = False
        """The destination has taken something."""
        self.held = 0
        """Bytes of parts that are set apart."""
        self.closing = False
        self._destination = destination
        self._client = client
        self._executor = executor
        self._settled = settled
        self._freed = freed
        self._put_back = put_back
        self._has_opened = opened
        self._leave_out = leave_out
        self._hold = hold
        self._loop = asyncio.get_running_loop()
        self._empty = prepare(destination, [])
        self._apart: dict[Feed, _Apart] = {}
        self.postponed: set[Feed] = set()
        """Of these the collector itself cannot take something now: nothing more of them is to be handed on, but a
        request of others may be."""
        self._slots = Semaphore(_GROUPS)
        self._taken = float("-inf")
        """When the destination took records last."""
        self._limit = (0, 0.0)
        self._took = (0, 0.0)
        """The largest request that was taken lately, in bytes, and until when that is remembered."""
        self._said: dict[str, float] = {}

    @property
    def limit(self) -> int:
        """Bytes of a request that the destination is known to take; a large number if nothing is known."""
        size, until = self._limit
        return size if self._loop.time() < until else 1 << 40

    @property
    def _largest(self) -> int:
        """Bytes that the destination takes for certain: what is refused as too large below that, is not."""
        size, until = self._took
        return size if self._loop.time() < until else 0

    def is_apart(self, feed: Feed) -> bool:
        """Whether parts of this feed must not share a request with others now."""
        apart = self._apart.get(feed)
        return apart is not None and (bool(apart.parts) or self._loop.time() < apart.until)

    def holds(self, part: Part) -> bool:
        """Whether the part is set apart and not yet settled."""
        apart = self._apart.get(part.feed)
        return apart is not None and any(each is part for each, _ in apart.parts)

    def forget(self, feed: Feed) -> None:
        """The feed goes; nothing of it is under way."""
        apart = self._apart.pop(feed, None)
        if apart and apart.task:
            apart.task.cancel()

    async def close(self) -> None:
        """Stop what is set apart; it stays in the journal. The lanes' requests are the pump's to end."""
        self.closing = True
        tasks = [apart.task for apart in self._apart.values() if apart.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.close()

    # Requests of many containers.

    async def deliver(
        self, parts: Sequence[Part], body: bytes | None = None, alone: bool = False, since: float = float("inf")
    ) -> None:
        """Send until each part is settled or set apart. `body` is the request of all of them, if it has been made.
        `alone`: something of what was sent together has failed, and is not to break the connection of the rest.
        `since`: when they were postponed, together with others."""
        for part in parts:
            if not part.records:
                self._settled(part)
        parts = [part for part in parts if part.records]
        if not parts:
            return
        if body is None:
            body = await self._body(parts)
        size = sum(map(_size, parts))
        end = await self._send(body, sum(part.records for part in parts), size, alone, _WHOLE, since)
        if isinstance(end, Trouble) and end.for_now:
            since = min(since, self._loop.time())
            parts = await self._in_turn(parts, since)
            await asyncio.gather(*(self.deliver(group, since=since) for group in _groups(parts)))
        elif not isinstance(end, Trouble):
            self._account([(part, part.records) for part in parts], end)
            for part in parts:
                self._settled(part)
        elif len(parts) > 1:
            if end.too_large:
                self._learn(size)
            if len(parts) <= _GROUPS:  # the one that fails is not waited for: the next lines of the others are
                for part in parts:
                    self.set_apart(part)
                return
            await asyncio.gather(*(self.deliver(group, alone=True) for group in _groups(parts)))
        else:
            self.set_apart(parts[0], end)

    async def _in_turn(self, parts: Sequence[Part], since: float) -> list[Part]:
        """Try one container after another, at the gate's pace, until the collector takes one; the others are left.
        Whoever fails again and again, while the collector takes others, is set apart. `since`: when all failed."""
        waiting, feeds = deque(parts), {part.feed for part in parts}
        failed = dict.fromkeys(parts, since)
        strikes = dict.fromkeys(parts, 0)
        self.postponed |= feeds
        self._leave_out()
        self._has_opened()  # something of others may go
        try:
            while waiting:
                part = waiting.popleft()
                end = await self._send(await self._body([part]), part.records, _size(part), False, 1, failed[part])
                if not isinstance(end, Trouble):
                    self._account([(part, part.records)], end)
                    self._settled(part)
                    break
                if end.for_now:
                    is_odd = failed[part] < self._taken
                    strikes[part] += is_odd or not self.proved
                    failed[part] = self._loop.time()
                    if strikes[part] < (_STRIKES if self.proved else _UNPROVEN_STRIKES):
                        await asyncio.sleep(_TURN if waiting or not is_odd else max(_TURN, end.after))
                        waiting.append(part)
                        continue
                self.set_apart(part, end)
        finally:
            self.postponed -= feeds
        return list(waiting)

    async def _body(self, parts: Sequence[Part]) -> bytes:
        """The request of these parts."""
        pieces = [piece for part in parts for piece in resource_logs(part.feed.resource, part.payload, SCOPE)]
        return await off_loop(self._executor, lambda: prepare(self._destination, pieces))

    async def _send(self, body: bytes, records: int, size: int, alone: bool, tries: int, since: float) -> _End:
        """One request of `size` bytes before compression, repeated until it has an end; where the collector itself
        cannot take it now, by so many `tries`, by one where it has taken others since the last one (`since`)."""
        while True:
            await self.gate.admit()
            outcome = await self._once(body, records, size, alone)
            match outcome:
                case Delivered() | Unread():
                    self._opened()
                    return outcome
                case Refused(reason, too_large):
                    self._opened()
                    return Trouble("refused", reason, too_large and size > self._largest)
            trouble, postponed = self._suspected(outcome), _postponed(outcome)
            if postponed and since < self._taken:
                self.gate.withdrawn()  # nobody else is to wait for this
                return postponed
            if postponed:
                since = self._loop.time()
                tries -= 2 if postponed.after else 1
            self._failed(outcome)
            if trouble:
                well, denied = await self._ask()
                if denied or well:
                    return denied or trouble
            elif postponed and tries <= 0:
                return postponed

    async def _ask(self) -> tuple[bool, Denied | None]:
        """Ask the destination how it is, by empty requests, until it is well: (whether it was at once, None). With
        `otlp-refused=drop` a denial is an end, too."""
        at_once = True
        while True:
            if self.closing:
                raise asyncio.CancelledError
            await self.gate.admit()
            outcome = await self._once(self._empty, 0)
            if isinstance(outcome, Delivered | Unread | Refused):
                self._opened()
                return at_once, None
            at_once = False
            if isinstance(outcome, Denied) and not outcome.local and not self._hold:
                self._opened()
                return False, outcome
            self._failed(outcome)

    async def _once(self, body: bytes, records: int, size: int = 0, alone: bool = False) -> Outcome:
        """One request, counted."""
        started = self._loop.time()
        self.tally.in_flight += 1
        try:
            outcome = await self._client.send(body, alone)
        except asyncio.CancelledError:
            self.gate.withdrawn()
            raise
        except Exception as error:  # it never raises, so this is a fault of ours; perhaps for the sake of this request
            outcome = Retry("fault", f"sending failed: {error!r}", broke=True)
        finally:
            self.tally.in_flight -= 1
        self.tally.observe(self._loop.time() - started)
        self.tally.sent_bytes += len(body)
        match outcome:
            case Delivered():
                self.tally.count("delivered")
                if records:
                    now = self._loop.time()
                    self._taken, self.proved = now, True
                    self._took = max(size, self._largest), now + LEARNED
            case Refused():
                self.tally.count("refused")
            case Denied():
                self.tally.count("denied")
            case Unread():
                self.tally.count("unread")
            case Retry(kind):
                self.tally.count(kind)
        return outcome

    def _suspected(self, outcome: Denied | Retry) -> Trouble | None:
        """What is wrong with the request, if the destination is well."""
        match outcome:
            case Denied(reason, local):
                return None if local else Trouble("poison" if self._hold else "denied", reason)
            case Retry(kind, reason, _, True):
                return Trouble("fault" if kind == "fault" else "poison", reason)
        return None

    def _opened(self) -> None:
        if not self.gate.is_open:
            log.info("%s takes records again", self._destination.label)
        self.gate.opened()
        self._has_opened()

    def _failed(self, outcome: Denied | Retry) -> None:
        """Close the gate, and say why."""
        if isinstance(outcome, Denied):
            self.say(logging.ERROR, "denied", f"{outcome.reason}; lines are kept in the journal until this is mended")
            self.gate.failed("denied", outcome.reason)
        else:
            self.say(logging.WARNING, outcome.kind, f"{outcome.reason}; lines are kept in the journal")
            self.gate.failed(outcome.kind, outcome.reason, outcome.after)
        if self.closing:
            raise asyncio.CancelledError

    def _learn(self, size: int) -> None:
        """A request of so many bytes was too large, with more than one record in it."""
        self._limit = max(_LEAST, self._largest, min(self.limit, size) // 2), self._loop.time() + LEARNED
        text = f"requests are too large for it; they have at most {self._limit[0]} bytes for {LEARNED:g} s"
        self.say(logging.WARNING, "too large", text)

    # What is set apart.

    def set_apart(self, part: Part, trouble: Trouble | None = None) -> None:
        """Take this part over, after those of the same feed. `trouble`: it failed as a whole. While HELD bytes of
        others are apart, it goes back into the journal if it can."""
        apart = self._apart.get(part.feed)
        if apart is None:
            apart = self._apart[part.feed] = _Apart(part.feed)
        if self.held > HELD and not apart.parts and self._put_back(part):
            apart.until = self._loop.time() + QUIET
            return
        part.payload = [b"".join(part.payload)]  # no longer a piece of a whole request
        if trouble and trouble.for_now:
            apart.postponed = float("-inf")
        self._start(apart)
        apart.parts.append((part, trouble))
        self.held += part.size
        self._freed(part)

    def _start(self, apart: _Apart) -> None:
        if apart.task is None and not self.closing:
            apart.task = self._loop.create_task(self._work(apart), name="apart")

    async def _work(self, apart: _Apart) -> None:
        """Settle the parts of one feed, one after another."""
        try:
            while apart.parts:
                part, trouble = apart.parts[0]
                await self._persist(apart, part, trouble)
                apart.parts.popleft()
                apart.begun, apart.at, apart.bad = False, 0, 0
                self.held -= part.size
                self._settled(part)
        finally:
            apart.task = None
            if apart.parts and not self.closing:  # it was ended by a fault
                self._loop.call_later(_PAUSE, self._start, apart)
            elif not apart.parts and self._loop.time() >= apart.until and self._apart.get(apart.feed) is apart:
                del self._apart[apart.feed]

    async def _persist(self, apart: _Apart, part: Part, trouble: Trouble | None) -> None:
        """Go through a part, whatever faults of ours there are: a shortage may last, but what fails for POISON_AGE at
        the same place otherwise is given up."""
        since, place = self._loop.time(), -1
        while True:
            try:
                await self._through(apart, part, trouble)
                return
            except Exception as error:
                self.say(logging.ERROR, "fault", f"a request cannot be made: {error!r}; it is tried again")
                now = self._loop.time()
                if apart.at != place:
                    since, place = now, apart.at
                if now - since > POISON_AGE and not isinstance(error, OSError | MemoryError):
                    self._give_up(part, part.records - apart.at, "fault", repr(error))
                    return
                await asyncio.sleep(_PAUSE)

    async def _through(self, apart: _Apart, part: Part, trouble: Trouble | None) -> None:
        """Bring each record of a part to its fate, in order."""
        payload = b"".join(part.payload)
        ends = await off_loop(self._executor, lambda: record_ends(payload)) if payload else []
        if not apart.begun:
            apart.begun, apart.at, apart.bad = True, 0, 0
            await asyncio.sleep(trouble.after if trouble else 0)
            if trouble and trouble.why in ("refused", "denied"):
                apart.until = self._loop.time() + (0 if trouble.too_large else QUIET)
                if len(ends) == 1:
                    self._give_up(part, 1, trouble.why, trouble.reason)
                    apart.at = 1
                elif trouble.too_large:
                    self._learn(len(payload) + len(part.feed.resource) + AROUND)
                else:
                    apart.bad = len(ends)
        while apart.at < len(ends):
            await self._step(apart, part, payload, ends)

    async def _step(self, apart: _Apart, part: Part, payload: bytes, ends: list[int]) -> None:
        """One request with the next records of a part."""
        at = apart.at
        fresh = apart.bad <= at
        number = min(apart.group, len(ends) - at) if fresh else max(1, (apart.bad - at) // 2)
        begin = ends[at - 1] if at else 0
        room = bisect_right(ends, begin + self.limit - len(part.feed.resource) - AROUND) - at
        number = max(1, min(number, room))
        taken = self._taken
        end = await self._try(part, payload[begin : ends[at + number - 1]], number)
        if not isinstance(end, Trouble):
            self._account([(part, number)], end)
            apart.at, apart.since, apart.pause = at + number, -1.0, _FIRST_PAUSE
            if fresh and number == apart.group:
                apart.group = min(2 * apart.group, 1 << 20)
            return
        size = ends[at + number - 1] - begin
        if end.too_large and number > 1:
            self._learn(size)
            if size > self.limit:
                return
        apart.until = self._loop.time() + QUIET
        if number > 1:
            apart.bad = at + number
            if fresh:
                apart.group = max(1, number // 2)
            if end.for_now:
                await asyncio.sleep(max(_FIRST_PAUSE, end.after))
            await self._pace(apart)
        elif await self._is_hopeless(apart, part, payload, ends, end, taken):
            apart.at, apart.bad = apart.at + 1, max(apart.bad, apart.at + 1)
            apart.since, apart.pause = -1.0, _FIRST_PAUSE
            await self._pace(apart)

    async def _is_hopeless(
        self, apart: _Apart, part: Part, payload: bytes, ends: list[int], trouble: Trouble, taken: float
    ) -> bool:
        """The record at `apart.at` failed by itself: whether it is given up now. If not, a pause has passed. `taken` is
        when others had been taken last as it was tried."""
        now = self._loop.time()
        if apart.since < 0:
            apart.since = now
            apart.failed, apart.proofs = now, 0
            name = part.feed.entry.info.get("ContainerName", "")
            log.warning(
                "%s: record %d of those from offset %d of %s %s fails by itself, while the destination is well: %s",
                self._destination.label,
                apart.at,
                part.begin,
                name,
                part.feed.entry.container_id[:12],
                trouble.reason,
            )
        if trouble.why in ("refused", "denied"):
            self._give_up(part, 1, trouble.why, trouble.reason, apart.at)
            return True
        apart.proofs += apart.failed < taken
        apart.failed = now
        if now - apart.since >= POISON_AGE and trouble.why != "throttled":
            if self._taken <= apart.since and apart.at + 1 < len(ends):
                # Nothing else was sent meanwhile: the next record shows whether the destination takes any.
                end = await self._try(part, payload[ends[apart.at] : ends[apart.at + 1]], 1)
                if not isinstance(end, Trouble):
                    self._account([(part, 1)], end)
                    begin = ends[apart.at - 1] if apart.at else 0
                    again = await self._try(part, payload[begin : ends[apart.at]], 1)  # it may be back just now
                    if isinstance(again, Trouble):
                        why = "fault" if trouble.why == "fault" else "refused"
                        self._give_up(part, 1, why, trouble.reason, apart.at)
                    else:
                        self._account([(part, 1)], again)
                    apart.at += 1
                    return True
            if apart.proofs >= _PROOFS:
                self._give_up(part, 1, "fault" if trouble.why == "fault" else "refused", trouble.reason, apart.at)
                return True
        await asyncio.sleep(max(apart.pause, trouble.after))
        is_odd = self._taken > apart.since and trouble.why != "throttled"
        longest = _LONGEST_PAUSE if is_odd else _UNPROVEN_PAUSE
        apart.pause = min(2 * apart.pause, longest)
        return False

    async def _try(self, part: Part, payload: bytes, records: int) -> _End:
        """Some records of a feed that is set apart. They are no probe of a gate that is closed, an empty request is;
        and what they meet closes the gate only if others meet it, too."""
        size = len(payload) + len(part.feed.resource) + AROUND
        pieces = resource_logs(part.feed.resource, [payload], SCOPE)
        body = await off_loop(self._executor, lambda: prepare(self._destination, pieces))
        apart, pause = self._apart.get(part.feed), _TURN
        while True:
            if not self.gate.is_open:
                _, denied = await self._ask()
                if denied:
                    return denied
            async with self._slots:
                outcome = await self._once(body, records, size, alone=True)
            match outcome:
                case Delivered() | Unread():
                    return outcome
                case Refused(reason, too_large):
                    return Trouble("refused", reason, too_large and size > self._largest)
            trouble = self._suspected(outcome)
            if trouble:
                health = await self._once(self._empty, 0)
                if isinstance(health, Delivered | Unread | Refused):
                    return trouble
                if isinstance(health, Denied) and not health.local and not self._hold:
                    return health
                self._failed(health)
                continue
            if apart and (postponed := _postponed(outcome)):
                if apart.postponed < self._taken:
                    return postponed
                apart.postponed = self._loop.time()
            self._failed(outcome)
            await asyncio.sleep(pause)  # others have the first word
            pause = min(2 * pause, _LONGEST_TURN)

    async def _pace(self, apart: _Apart) -> None:
        now = self._loop.time()
        apart.tokens = min(_BURST, apart.tokens + (now - apart.filled) * _PACE) - 1
        apart.filled = now
        if apart.tokens < 0:
            await asyncio.sleep(-apart.tokens / _PACE)

    # Fates.

    def _account(self, sent: Sequence[tuple[Part, int]], end: Delivered | Unread | Denied) -> None:
        """Every record that was sent has its fate. Of partial success the collector does not say which it dropped."""
        if isinstance(end, Unread | Denied):
            why = "denied" if isinstance(end, Denied) else "unread"
            for part, records in sent:
                self._give_up(part, records, why, end.reason)
            return
        total = sum(records for _, records in sent)
        rejected = min(max(0, end.rejected), total)
        if rejected:
            self.say(logging.ERROR, "rejected", f"{rejected} of {total} records rejected: {end.message}")
        elif end.message:
            self.say(logging.WARNING, "warning", f"collector says: {end.message}")
        for part, records in sent:
            share = min(rejected, records)
            rejected -= share
            part.feed.counters.delivered += records - share
            part.feed.counters.give_up("rejected", share)

    def _give_up(self, part: Part, records: int, why: str, reason: str, place: int | None = None) -> None:
        part.feed.counters.give_up(why, records)
        entry = part.feed.entry
        who = f"container {entry.info.get('ContainerName', '')} {entry.container_id[:12]}"
        where = f"stream offset {part.begin}" if place is None else f"record {place} from stream offset {part.begin}"
        self.say(logging.ERROR, why, f"{records} records given up ({why}), {who}, {where}: {reason}")

    def say(self, level: int, kind: str, text: str) -> None:
        """Log a kind of trouble once a minute; the metrics have the count."""
        now = time.monotonic()
        if now - self._said.get(kind, -60.0) >= 60.0:
            self._said[kind] = now
            label = self._destination.label
            log.log(level, "%s", text if text.startswith(label) else f"{label}: {text}")
