"""Requests to one destination: each is sent until it has an `End`, which is the destination's or its own.

In: a request. Out: its `End`. Counts each try in `tally`, and tells the gate what the try shows. Lives on the event
loop. Failures are of four kinds:
- The destination is away or denies us: the gate closes for all, and the same bytes are sent again without end.
- The data are refused: that is an end.
- The request broke off, got no answer in time or was denied: the cause may be the destination, or what is in the
  request. An *empty* request tells which: if it fails as well, the destination is down; if it passes at once, the end
  is `Trouble`.
- The collector says that it cannot take the request now (429, 503): an end, because the cause may be the collector's
  state, or a limit for one container.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from otellogdriver.delivery.gate import LONGEST_WISH, Gate
from otellogdriver.delivery.tally import Tally
from otellogdriver.export.client import prepare
from otellogdriver.export.destination import Destination
from otellogdriver.export.outcome import Body, Client, Delivered, Denied, Outcome, Refused, Retry, Unread
from otellogdriver.export.request import SCOPE, resource_logs
from otellogdriver.pool import Pool

log = logging.getLogger(__name__)

LEARNED = 600.0
"""Seconds for which a destination's limit to the size of a request is remembered."""
_LEAST = 4096
"""Least limit, in bytes, that is learned: below it a single record decides."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A request failed because of what is in it. `why`: `refused`, `denied`; `poison` and `fault` (of ours), which are
    certain only when they happen again; `throttled`, where the collector asks for patience. `for_now`: the collector
    itself says that it may take the request later, after `after` seconds."""

    why: str
    reason: str
    too_large: bool = False
    for_now: bool = False
    after: float = 0.0


End = Delivered | Unread | Denied | Trouble
"""What a request comes to. Denied: the destination denies everything, and `otlp-refused` is `drop`."""


def postponed_by(outcome: Outcome) -> Trouble | None:
    """The trouble, where the collector itself says that it cannot take the request now; else None."""
    match outcome:
        case Retry("unavailable", reason, after, False):
            return Trouble("poison", reason, for_now=True, after=after or 0.0)
        case Retry("throttled", reason, after, False):
            return Trouble("throttled", reason, for_now=True, after=min(after or 0.0, LONGEST_WISH))
    return None


class Requests:
    """See the module's text. `say` logs, `opened` is called when requests may go again; neither may raise."""

    def __init__(
        self,
        destination: Destination,
        client: Client,
        executor: Pool,
        say: Callable[[int, str, str], None],
        opened: Callable[[], None],
        *,
        hold: bool = True,
    ) -> None:
        self.gate = Gate()
        self.tally = Tally()
        self.closing = False
        self.proved = False
        """The destination has taken something."""
        self.taken = float("-inf")
        """When it took records last."""
        self._destination = destination
        self._client = client
        self._executor = executor
        self._say = say
        self._has_opened = opened
        self._hold = hold
        self._loop = asyncio.get_running_loop()
        self._empty = prepare(destination, [])
        self._limit = (0, 0.0)
        self._took = (0, 0.0)
        """The largest request that was taken lately, in bytes, and until when that is remembered."""

    @property
    def limit(self) -> int:
        """Bytes of a request that the destination is known to take; a large number if nothing is known."""
        size, until = self._limit
        return size if self._loop.time() < until else 1 << 40

    @property
    def largest(self) -> int:
        """Bytes of a request that the destination certainly takes: a smaller one that it calls too large is refused for
        another reason. 0 if nothing is known."""
        size, until = self._took
        return size if self._loop.time() < until else 0

    async def body(self, entries: Iterable[tuple[bytes, Sequence[bytes | memoryview]]]) -> Body:
        """The request made of pairs (encoded resource, pieces of payload), as `prepare` makes it."""
        pieces = [piece for resource, payload in entries for piece in resource_logs(resource, payload, SCOPE)]
        return await self._executor.submit(lambda: prepare(self._destination, pieces)).awaited()

    async def send(self, body: Body, records: int, size: int, alone: bool, since: float) -> End:
        """Send one request until it has an end. It has so many `records` and `size` bytes before compression. `since`:
        loop time at which the collector itself said that it cannot take these records now; if it says so again and has
        taken others meanwhile, the gate stays open. `alone`: as for `Client.send`."""
        try:
            while True:
                await self.gate.admit()
                outcome = await self.once(body, records, size, alone)
                match outcome:
                    case Delivered() | Unread():
                        self._opened()
                        return outcome
                    case Refused(reason, too_large):
                        self._opened()
                        return Trouble("refused", reason, too_large and size > self.largest)
                trouble, postponed = self.suspected(outcome), postponed_by(outcome)
                if postponed and since < self.taken:
                    self.gate.withdrawn()  # nobody else is to wait for this
                    return postponed
                self.failed(outcome)
                if trouble:
                    well, denied = await self.ask()
                    if denied or well:
                        return denied or trouble
                elif postponed:
                    return postponed
        except BaseException:
            self.gate.withdrawn()
            raise

    async def ask(self) -> tuple[bool, Denied | None]:
        """Send empty requests until the destination takes one: (whether it took the first, None). With
        `otlp-refused=drop` a denial is an end, too: (False, the denial)."""
        at_once = True
        try:
            while True:
                if self.closing:
                    raise asyncio.CancelledError
                await self.gate.admit()
                outcome = await self.health()
                if isinstance(outcome, Delivered | Unread | Refused):
                    self._opened()
                    return at_once, None
                at_once = False
                if denied := self.final(outcome):
                    self._opened()
                    return False, denied
                self.failed(outcome)
        except BaseException:
            self.gate.withdrawn()
            raise

    def final(self, outcome: Outcome) -> Denied | None:
        """The denial, where it is an end: it is the destination's own, and `otlp-refused` is `drop`; else None."""
        return outcome if isinstance(outcome, Denied) and not outcome.local and not self._hold else None

    async def health(self) -> Outcome:
        """What becomes of an empty request, which shows how the destination is."""
        return await self.once(self._empty, 0)

    async def is_well(self) -> bool:
        """Whether the destination answers an empty request."""
        return isinstance(await self.health(), Delivered | Unread | Refused)

    async def once(self, body: Body, records: int, size: int = 0, alone: bool = False) -> Outcome:
        """One request, counted."""
        started = self._loop.time()
        self.tally.in_flight += 1
        try:
            outcome = await self._client.send(body, alone)
        except Exception as error:  # it never raises, so this is a fault of ours; perhaps for the sake of this request
            outcome = Retry("fault", f"sending failed: {error!r}", broke=True)
        finally:
            self.tally.in_flight -= 1
        self.tally.observe(self._loop.time() - started)
        self.tally.sent_bytes += sum(map(len, body))
        self.tally.count(outcome.kind)
        if records and isinstance(outcome, Delivered):
            now = self._loop.time()
            self.taken, self.proved = now, True
            self._took = max(size, self.largest), now + LEARNED
        return outcome

    def suspected(self, outcome: Denied | Retry) -> Trouble | None:
        """The trouble with the request, if the destination turns out to be well; None if the request cannot be the
        cause."""
        match outcome:
            case Denied(reason, local):
                return None if local else Trouble("poison" if self._hold else "denied", reason)
            case Retry(kind, reason, _, True):
                return Trouble("fault" if kind == "fault" else "poison", reason)
        return None

    def _opened(self) -> None:
        was_open = self.gate.is_open
        self.gate.opened()
        self._has_opened()
        if not was_open:
            log.info("%s takes records again", self._destination.label)

    def failed(self, outcome: Denied | Retry) -> None:
        """Close the gate, and say why."""
        if isinstance(outcome, Denied):
            self.gate.failed("denied", outcome.reason)
            self._say(logging.ERROR, "denied", f"{outcome.reason}; lines are kept in the journal until this is mended")
        else:
            self.gate.failed(outcome.kind, outcome.reason, outcome.after)
            self._say(logging.WARNING, outcome.kind, f"{outcome.reason}; lines are kept in the journal")
        if self.closing:
            raise asyncio.CancelledError

    def learn(self, size: int) -> None:
        """Lower the limit: a request of `size` bytes, with more than one record in it, was too large."""
        self._limit = max(_LEAST, self.largest, min(self.limit, size) // 2), self._loop.time() + LEARNED
        text = f"requests are too large for it; they have at most {self._limit[0]} bytes for {LEARNED:g} s"
        self._say(logging.WARNING, "too large", text)

    async def close(self) -> None:
        await self._client.close()
