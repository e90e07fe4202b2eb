"""Whether the clock can be trusted to tell how old something is.

A host without a good clock starts in 1970 or in 2099 and is put right a minute later; somebody sets it wrong and right
again. What is kept for `docker logs` must not be deleted for that, because deleting cannot be undone and waiting can.

In: the wall clock, and the boot clock, which nobody sets (it counts while the host sleeps, too). Out: whether both have
gone the same way for STEADY seconds, since this process began to look or the wall clock last jumped; and each jump, so
that what was dated by the wrong clock can be dated again. A clock that is wrong all the time, and steadily, is the
truth: nothing here could tell.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

STEADY = 600.0
"""Seconds that a clock must go steadily before something is deleted by it: more than time services need."""
_JUMP = 5.0
"""Seconds of difference between two looks that are a jump; less is a clock that is being slewed."""


@dataclass(frozen=True, slots=True)
class Jump:
    """The wall clock was set forward by `by` seconds (back, if negative). What was dated between `since` and `until`,
    as it then showed, was dated by the clock that was wrong."""

    since: float
    until: float
    by: float


def _boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clock:
    """See the module's text. Look at least every few minutes."""

    def __init__(
        self, wall: Callable[[], float] = time.time, boot: Callable[[], float] = _boot, steady: float = STEADY
    ) -> None:
        self._wall, self._boot, self._steady = wall, boot, steady
        self._last = self._since = (wall(), boot())

    def look(self) -> Jump | None:
        """The jump since the last look, if there was one."""
        now = self._wall(), self._boot()
        passed = now[1] - self._last[1]
        by = now[0] - self._last[0] - passed
        self._last, last = now, self._last
        if abs(by) < _JUMP:
            return None
        jump = Jump(self._since[0], last[0] + passed, by)
        self._since = now
        return jump

    @property
    def now(self) -> float:
        """The wall clock at the last look."""
        return self._last[0]

    @property
    def is_steady(self) -> bool:
        return self._last[1] - self._since[1] >= self._steady
