"""When a destination may be sent to: always, or, after a failure, by one probe at a time with growing pauses.

While the gate is closed, everybody waits; one waiter is let through as a probe when the pause is over. Success opens
the gate for all, its failure closes it for longer. So an unreachable collector gets one request a second however many
containers wait, and delivery is back within a second after it returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable

from otellogdriver.loop import Event

FIRST = 0.05
"""First pause in seconds after a failure."""
LONGEST = {"unreachable": 0.8, "timeout": 0.8, "unavailable": 0.8, "throttled": 5.0, "denied": 10.0}
"""Longest pause in seconds for each kind of failure. Short where a probe costs next to nothing."""
LONGEST_WISH = 600.0
"""Longest pause in seconds that a collector may ask for (Retry-After, RetryInfo): a mistyped one must not silence a
host for days."""


class Gate:
    """One per destination; used on the event loop only."""

    def __init__(self, jitter: Callable[[], float] = random.random) -> None:
        self._jitter = jitter
        self._failures = 0
        self._until = 0.0
        self._closed = False
        self._probing = False
        self._changed = Event()
        self.last_failure = ""

    @property
    def is_open(self) -> bool:
        return not self._closed

    @property
    def pause_left(self) -> float:
        """Seconds until the next probe may go; 0 when open."""
        return max(0.0, self._until - asyncio.get_running_loop().time()) if self._closed else 0.0

    async def admit(self) -> None:
        """Wait for the permission to send one request. The caller reports its outcome by `opened` or `failed`, or, if
        there is none, by `withdrawn`."""
        while self._closed:
            if self._probing:
                self._changed.clear()
                await self._changed.wait()
                continue
            self._probing = True
            try:
                while pause := self.pause_left:  # what becomes of an earlier request may make it longer, or end it
                    self._changed.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._changed.wait(), pause)
            except BaseException:
                self.withdrawn()
                raise
            return

    def opened(self) -> None:
        """The destination answered as it should (also when it refused the data)."""
        self._closed = self._probing = False
        self._failures = 0
        self._until = 0.0
        self.last_failure = ""
        self._tell()

    def failed(self, kind: str, reason: str, wish: float | None = None) -> float:
        """The destination failed; `wish` is the pause that it asks for. Returns the pause before the next probe, in
        seconds."""
        self.last_failure = reason
        self._failures += 1
        longest = LONGEST.get(kind, 1.0)
        grown = min(longest, FIRST * 2 ** min(self._failures - 1, 20))
        pause: float = grown * (0.5 + self._jitter() / 2)
        if wish is not None:
            pause = max(pause, min(wish, LONGEST_WISH))
        self._until = max(self._until, asyncio.get_running_loop().time() + pause)
        self._closed = True
        self._probing = False
        self._tell()
        return pause

    def withdrawn(self) -> None:
        """The request ends without an outcome that says anything of the destination."""
        self._probing = False
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
