"""Many FIFOs that all have something: one thread reads those that are ready, while their own threads wait.

In: FIFOs, lent by their threads (`lend`, `take_back`). Out: calls of `read`, and of `tell` when all that were ready are
read; a FIFO whose `read` says no is given back (`wake`). A thread that wakes for a line costs more than the line,
because it has to get the interpreter's lock from the others. So this one pauses between two rounds, in which lines
gather; the first line after a pause is read at once. It waits in the kernel while there is nothing.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import select
import threading
import time
from typing import Protocol

from otellogdriver.pool import Thread

log = logging.getLogger(__name__)

_FEW = 4
"""FIFOs that are no crowd."""
_HANGS = 0.5
"""Seconds after which a read that has not come back counts as hanging in the disk."""
PAUSE, _PAUSE_LONGEST, _PAUSE_EACH = 0.025, 0.4, 0.001
"""Seconds between two reads of a FIFO: usually, at most, and for each busy FIFO. It is what coalescing may add to a
line's latency."""
_AGAIN = 0.05
"""Seconds after which what met a lack of memory is tried again."""


class Member(Protocol):
    def read(self) -> bool:
        """Read once; whether to go on."""

    def tell(self) -> None:
        """Say that something was read. Any thread."""

    def wake(self) -> None:
        """Your own thread is to look after you."""


class Crowd:
    """Shared by all FIFOs. Its lock is never held while anything is read."""

    def __init__(self) -> None:
        self.stirred = True
        """Something has come to a FIFO or its thread, or a FIFO has come, since this was set to False. Any thread."""
        self._second = 0
        self._now: set[Member] = set()
        self._before = 0
        self._patience = PAUSE
        self._lock = threading.Lock()
        self._lent: dict[int, Member] = {}
        """By the file number of the FIFO."""
        self._untold: list[Member] = []
        """Read, and not yet told of: the loop would wake up between two reads. Changed by the thread alone."""
        self._unheard: list[Member] = []
        """Given back, and could not be woken yet. Used by the thread alone."""
        self._ready: select.epoll | None = None
        """As long as there is a thread."""
        self._bell = -1
        """Is in `_ready`, too: nobody is lent any more."""
        self._since = math.inf
        """When the read began that is under way."""

    def note(self, *members: Member) -> None:
        """These FIFOs had something. Races cost nothing but a count."""
        second = int(time.monotonic())
        if second != self._second:
            self._before = len(self._now) if second == self._second + 1 else 0
            self._second, self._now = second, set()
        self._now.update(members)

    @property
    def size(self) -> int:
        """FIFOs that had something within the last second or two."""
        return max(self._before, len(self._now))

    @property
    def is_one(self) -> bool:
        return self.size > _FEW

    def pause(self, patience: float = PAUSE) -> float:
        """Seconds between two reads of a FIFO; `patience` is what it allows if there are few."""
        return min(_PAUSE_LONGEST, max(patience, self.size * _PAUSE_EACH))

    def lend(self, member: Member, fd: int, patience: float = PAUSE) -> bool:
        """Have `member` read with the others when `fd` has something, until it is taken back or given back. False where
        the system gives no thread or file number for it, or the thread that there is hangs in a disk."""
        with self._lock:
            if self.hangs:
                return False
            try:
                ready = self._ready or self._begin()
                self._lent[fd] = member
                ready.register(fd, select.EPOLLIN)
            except (OSError, RuntimeError, MemoryError):
                self._lent.pop(fd, None)
                return False
            self._patience = min(self._patience, patience)
        return True

    def take_back(self, member: Member, fd: int) -> None:
        """Before `fd` is closed, or read by somebody else."""
        with self._lock:
            if self._ready and self._lent.get(fd) is member:
                del self._lent[fd]
                with contextlib.suppress(OSError):
                    self._ready.unregister(fd)
                if not self._lent:
                    with contextlib.suppress(OSError):  # then it waits on, for who comes next
                        os.eventfd_write(self._bell, 1)

    @property
    def hangs(self) -> bool:
        """Whether a read has not come back from the disk."""
        return time.monotonic() - self._since > _HANGS

    def relieve(self) -> None:
        """Give all back, if the thread hangs, so that it takes nobody with it."""
        if self.hangs:
            for member in list(self._lent.values()):
                member.wake()
            for member in list(self._untold):
                member.tell()

    def _begin(self) -> select.epoll:
        ready, bell = select.epoll(), os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            ready.register(bell, select.EPOLLIN)
            Thread(self._run, "crowd").start()
        except BaseException:
            ready.close()
            os.close(bell)
            raise
        self._ready, self._bell, self._patience = ready, bell, PAUSE
        return ready

    def _run(self) -> None:
        last = 0.0
        while True:
            try:
                if self._is_done():
                    return
                last = self._round(last)
            except Exception as error:  # no memory for it: who is ready stays so
                with contextlib.suppress(Exception):
                    log.error("reading FIFOs in turn failed, tried again: %r", error)
                time.sleep(_AGAIN)

    def _is_done(self) -> bool:
        with self._lock:
            if self._lent or self._unheard or self._untold or self._ready is None:
                return False
            self._ready.close()
            os.close(self._bell)
            self._ready, self._bell = None, -1
            return True

    def _round(self, last: float) -> float:
        """Read each FIFO that is ready, some time after the last round; when this one was."""
        ready = self._ready
        assert ready
        self._tell()
        found = ready.poll(_AGAIN if self._unheard else None)
        self._wake_unheard()
        early = last + self.pause(self._patience) - time.monotonic()
        if early > 0:
            time.sleep(early)
            found = ready.poll(0)
        now = time.monotonic()
        for fd, _ in found:
            member = self._lent.get(fd)
            if member is None:
                self._hush(fd)
                continue
            self._untold.append(member)
            self._since = time.monotonic()
            try:
                goes_on = member.read()
            except Exception:
                log.exception("reading a FIFO failed")
                goes_on = False
            finally:
                self._since = math.inf
            if not goes_on:
                self._give_back(member, fd)
        return now

    def _tell(self) -> None:
        """Of what the last round has read."""
        self.note(*self._untold)
        for member in self._untold:
            try:
                member.tell()
            except Exception as error:  # the next bytes say it again
                with contextlib.suppress(Exception):
                    log.error("what was read of a FIFO cannot be reported: %r", error)
        self._untold.clear()

    def _give_back(self, member: Member, fd: int) -> None:
        """The FIFO's own thread must hear of it: nobody reads it until then. The others do not wait for that."""
        self._unheard.append(member)
        self.take_back(member, fd)
        self._wake_unheard()

    def _wake_unheard(self) -> None:
        for member in list(self._unheard):
            try:
                member.wake()
            except Exception:
                continue
            self._unheard.remove(member)

    def _hush(self, fd: int) -> None:
        """The bell, or what could not be taken out."""
        with self._lock:
            if fd == self._bell:
                os.eventfd_read(fd)
            elif self._ready and fd not in self._lent:
                with contextlib.suppress(OSError):
                    self._ready.unregister(fd)
