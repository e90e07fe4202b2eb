"""FIFOs whose threads hang in a disk are emptied by one more thread, so that their containers do not wait.

In: FIFOs whose threads may be in the disk, once a second (`look`). Out: calls of `rescue` for those that hang, until
none does. This thread may hang as well (the kernel keeps a pipe locked while it writes to a slow disk); then it is left
with that FIFO until it comes back, and another one takes the rest. Without trouble there is no thread.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Iterable
from functools import partial
from typing import Protocol

from otellogdriver.pool import Thread

log = logging.getLogger(__name__)

_EACH, _ALL = 1 << 20, 32 << 20
"""Bytes that are kept in memory for each FIFO, and for all together: beyond, whole lines are dropped."""
_HANGS = 2.0
"""Seconds after which a read of a FIFO, which never waits, counts as hanging."""
_READS = 8
"""Reads of one FIFO before it is the others' turn."""
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
_PAUSE, _PAUSE_EACH = 0.005, 0.0005
"""Seconds between two reads of a FIFO: at least, and for each that hangs."""


class Member(Protocol):
    path: str

    @property
    def hangs(self) -> bool:
        """Whether somebody else is to empty it."""

    def rescue(self, fd: int, most: int) -> bool:
        """Read `fd` once, keep at most so many bytes; whether there may be more."""


class Rescue:
    """One per driver. `look` is called by one thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        """Held where members come and go, never while anything is read."""
        self._round: _Round | None = None
        self._beyond_help: set[Member] = set()

    def look(self, fifos: Iterable[Member]) -> None:
        """Have those that hang emptied. Never waits. Raises RuntimeError or MemoryError where no thread can be had; the
        next look does it then."""
        hanging = {fifo for fifo in fifos if fifo.hangs}
        self._beyond_help &= hanging
        with self._lock:
            if self._round and self._round.hangs and self._round.at:
                self._beyond_help.add(self._round.at)
                self._round = None
            wanted = hanging - self._beyond_help
            if self._round:
                self._round.members |= wanted
            elif wanted:
                log.warning("the disk does not answer: %d FIFOs are read into memory", len(wanted))
                made = _Round(wanted)
                Thread(partial(self._run, made), "rescue").start()
                self._round = made

    def _run(self, round: _Round) -> None:
        try:
            while self._goes_on(round):
                for member in list(round.members):
                    round.read(member)
                time.sleep(max(_PAUSE, len(round.members) * _PAUSE_EACH))
        finally:
            round.close()
            with self._lock:
                if self._round is round:
                    self._round = None
                elif round.at:  # it was only slow: the next look has it emptied again
                    self._beyond_help.discard(round.at)

    def _goes_on(self, round: _Round) -> bool:
        with self._lock:
            round.members = {member for member in round.members if member.hangs}
            if not round.members and self._round is round:
                self._round = None
            return self._round is round


class _Round:
    """The work of one thread."""

    def __init__(self, members: set[Member]) -> None:
        self.members = members
        self.at: Member | None = None
        self._since = math.inf
        self._files: dict[Member, int] = {}

    @property
    def hangs(self) -> bool:
        return time.monotonic() - self._since > _HANGS

    def read(self, member: Member) -> None:
        """Empty one FIFO, or a good part of it."""
        self.at, self._since = member, time.monotonic()
        most = min(_EACH, _ALL // max(1, len(self.members)))
        try:
            if member not in self._files:
                self._files[member] = os.open(member.path, _FLAGS)
            for _ in range(_READS):
                if not member.rescue(self._files[member], most):
                    break
        except (OSError, MemoryError):
            pass  # nothing there, or a shortage: tried again in a moment
        except Exception:
            log.exception("reading a FIFO into memory failed")
        self._since = math.inf

    def close(self) -> None:
        for fd in self._files.values():
            os.close(fd)
