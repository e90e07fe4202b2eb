"""Requests of many containers: sent, and taken apart where they fail, so that who did not fail goes on.

In: parts, when the pump has seen to their order. Out: each part is *settled*, once all of its records have a fate; or
it is set apart (`apart.py`), which frees the lane, and settled there. Lives on the event loop.

- A request that fails because of what is in it is taken apart by containers, in groups that are sent side by side; a
  container that fails by itself is set apart.
- Where the collector says that it cannot take a request now (429, 503), the request's containers are tried one after
  another for as long as it says so, and a request of other containers may go beside them. A container that is not taken
  while others are is set apart; so is one that is by itself for long, if the destination answers an empty request.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from otellogdriver.delivery.apart import TURN, Apart
from otellogdriver.delivery.fates import Fates
from otellogdriver.delivery.feed import Feed, Part
from otellogdriver.delivery.requests import Requests, Trouble
from otellogdriver.export.outcome import Body

_GROUPS = 8
"""Groups into which a request of many containers is taken apart at a time."""
_STRIKES, _UNPROVEN_STRIKES = 3, 10
"""Times that a container may be put off, while the collector takes others in between, before it is set apart; and times
where the collector has not taken anything yet."""

ALONE = 30.0
"""Seconds for which the only container that has something to be sent is put off, until an empty request tells whether
that is for the sake of its lines; and between two of these requests."""


def _groups(parts: Sequence[Part]) -> list[Sequence[Part]]:
    """The groups into which a request of these parts is taken apart: at most _GROUPS, of one size."""
    each = max(1, -(-len(parts) // _GROUPS))
    return [parts[at : at + each] for at in range(0, len(parts), each)]


async def _all(deliveries: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait until each has ended. Raises what one has raised, but not before: what is still under way would be sent a
    second time."""
    for end in await asyncio.gather(*deliveries, return_exceptions=True):
        if end is not None:
            raise end


class Sending:
    """See the module's text. `settled` is called for each part at its end, `leave_out` when `postponed` has more.
    Neither may raise."""

    def __init__(
        self,
        requests: Requests,
        apart: Apart,
        fates: Fates,
        settled: Callable[[Part], None],
        leave_out: Callable[[], None],
    ) -> None:
        self.postponed: set[Feed] = set()
        """Feeds of which the collector says that it cannot take something now: nothing more of them is to be handed on,
        but a request of others may be."""
        self._requests = requests
        self._apart = apart
        self._fates = fates
        self._settled = settled
        self._leave_out = leave_out
        self._loop = asyncio.get_running_loop()

    async def deliver(
        self, parts: Sequence[Part], body: Body | None = None, alone: bool = False, since: float = math.inf
    ) -> None:
        """Send the parts, until each is settled or set apart. `body` is the request of all of them, if it has been
        made. `alone`: they were in a request that failed, so they must not share a connection with other requests.
        `since`: loop time at which they were postponed, together with others."""
        for part in parts:
            if not part.records:
                self._settled(part)
        parts = [part for part in parts if part.records]
        if not parts:
            return
        if body is None:
            body = await self._body(parts)
        size = sum(part.size + part.feed.around for part in parts)
        end = await self._requests.send(body, sum(part.records for part in parts), size, alone, since)
        if isinstance(end, Trouble) and end.for_now:
            is_first = since == math.inf
            since = min(since, self._loop.time())
            parts = await self._in_turn(parts, since)
            # Mostly the collector was busy for a moment: then the others are one request, as before.
            groups = [parts] if is_first else _groups(parts)
            await _all(self.deliver(group, since=since) for group in groups)
        elif not isinstance(end, Trouble):
            self._fates.account([(part, part.records) for part in parts], end)
            for part in parts:
                self._settled(part)
        elif len(parts) > 1:
            if end.too_large:
                self._requests.learn(size)
            if len(parts) <= _GROUPS:  # the one that fails is not waited for: the next lines of the others are
                for part in parts:
                    self._apart.set_apart(part)
                return
            await _all(self.deliver(group, alone=True) for group in _groups(parts))
        else:
            self._apart.set_apart(parts[0], end)

    async def _in_turn(self, parts: Sequence[Part], since: float) -> list[Part]:
        """Try the part of one container after another, at the gate's pace, until the collector takes one; returns those
        that are left. One that fails again and again, while the collector takes others, is set apart. `since`: loop
        time at which all of them failed."""
        waiting, feeds = deque(parts), {part.feed for part in parts}
        failed = dict.fromkeys(parts, since)
        strikes = dict.fromkeys(parts, 0)
        try:
            self.postponed |= feeds
            self._leave_out()
            while waiting:
                part = waiting.popleft()
                body, size = await self._body([part]), part.size + part.feed.around
                end = await self._requests.send(body, part.records, size, False, failed[part])
                if not isinstance(end, Trouble):
                    self._fates.account([(part, part.records)], end)
                    self._settled(part)
                    break
                if end.for_now:
                    proved, is_only = self._requests.proved, len(self.postponed) == 1
                    is_odd = failed[part] < self._requests.taken
                    strikes[part] += is_odd or not proved and not is_only
                    failed[part] = now = self._loop.time()
                    is_culprit = False
                    if is_only and end.why != "throttled" and now - since >= ALONE:
                        since, is_culprit = now, await self._requests.is_well()
                    if not is_culprit and strikes[part] < (_STRIKES if proved else _UNPROVEN_STRIKES):
                        await asyncio.sleep(TURN if waiting or not is_odd else max(TURN, end.after))
                        waiting.append(part)
                        continue
                    if not is_culprit and not proved:  # perhaps the destination takes nothing from anybody
                        self._apart.set_apart(part)
                        continue
                self._apart.set_apart(part, end)
        finally:
            self.postponed -= feeds
        return list(waiting)

    async def _body(self, parts: Sequence[Part]) -> Body:
        """The request of these parts."""
        return await self._requests.body((part.feed.resource, part.payload) for part in parts)
