"""Many FIFOs that all have something to say: one thread reads them in turn, while their own threads wait.

In: FIFOs, lent by their threads (`lend`, `take_back`). Out: calls of `read`; a FIFO of which that says no is given back
(`wake`). A thousand threads that wake for a line each would cost more than the lines: each has to get the interpreter's
lock, and all the others that wait for it.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import Protocol

from otellogdriver.pool import Thread

log = logging.getLogger(__name__)

_FEW = 4
"""FIFOs that are no crowd."""
_HANGS = 0.5
"""Seconds after which a read that has not come back counts as hanging in the disk."""
_PAUSE, _PAUSE_LONGEST, _PAUSE_EACH = 0.005, 0.4, 0.0005
"""Seconds between two reads of a busy FIFO: at least, at most, and for each busy FIFO. It is what coalescing may add to
a line's latency."""


class Member(Protocol):
    def read(self) -> bool:
        """Read once; whether to go on."""

    def wake(self) -> None:
        """Your own thread is to look after you."""


class Crowd:
    """Shared by all FIFOs. Its lock is never held while anything is read."""

    def __init__(self) -> None:
        self._second = 0
        self._now: set[Member] = set()
        self._before = 0
        self._lock = threading.Lock()
        self._lent: set[Member] = set()
        self._thread: threading.Thread | None = None
        self._since = math.inf
        """When the read began that is under way."""

    def note(self, member: Member) -> None:
        """The FIFO had something. Races cost nothing but a count."""
        second = int(time.monotonic())
        if second != self._second:
            self._before = len(self._now) if second == self._second + 1 else 0
            self._second, self._now = second, set()
        self._now.add(member)

    @property
    def size(self) -> int:
        """FIFOs that had something within the last second or two."""
        return max(self._before, len(self._now))

    @property
    def is_one(self) -> bool:
        return self.size > _FEW

    @property
    def pause(self) -> float:
        """Seconds between two reads of a busy FIFO."""
        return min(_PAUSE_LONGEST, max(_PAUSE, self.size * _PAUSE_EACH))

    def lend(self, member: Member) -> bool:
        """Have `member` read in turn with the others, until it is taken back or given back. False where the system
        gives no thread for it, or the one that there is hangs in a disk."""
        with self._lock:
            if self.hangs:
                return False
            if self._thread is None:
                thread = Thread(self._run, "crowd")
                try:
                    thread.start()
                except (RuntimeError, MemoryError):
                    return False
                self._thread = thread
            self._lent.add(member)
        return True

    def take_back(self, member: Member) -> None:
        with self._lock:
            self._lent.discard(member)

    @property
    def hangs(self) -> bool:
        """Whether a read has not come back from the disk."""
        return time.monotonic() - self._since > _HANGS

    def relieve(self) -> None:
        """Give all back, if the thread hangs, so that it takes nobody with it."""
        if not self.hangs:
            return
        with self._lock:
            lent, self._lent = self._lent, set()
        for member in lent:
            member.wake()

    def _run(self) -> None:
        while True:
            time.sleep(self.pause)
            with self._lock:
                lent = list(self._lent)
                if not lent:
                    self._thread = None
                    return
            for member in lent:
                self._since = time.monotonic()
                try:
                    goes_on = member.read()
                except Exception:
                    log.exception("reading a FIFO failed")
                    goes_on = False
                self._since = math.inf
                if not goes_on:
                    self.take_back(member)
                    member.wake()
