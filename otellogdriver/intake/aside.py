"""What is read from a FIFO while its own thread hangs in a disk: kept in memory, to be put in its place later.

In: a FIFO whose container would wait for the disk. Out: its bytes, which follow what the journal has. Memory is
bounded: beyond the bound the newest whole lines are dropped, counted. The FIFO's lock is held around each call.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import Any

from otellogdriver.intake.drop import CHUNK, Count
from otellogdriver.loading import load

Note = Callable[[str, int, int, int], None]
"""`Drop.note`: (reason, stdout lines, stderr lines, bytes) were dropped."""


_HEAD = 4096
"""Bytes by which what is next in a FIFO is known again: each frame has its time in nanoseconds."""


def peek(fd: int) -> bytes:
    """What a FIFO has next, which stays there: see tee(2). Raises BlockingIOError when it is empty, OSError."""
    out, into = os.pipe()
    try:
        _tee(fd, into, _HEAD)
        os.set_blocking(out, False)
        try:
            return os.read(out, _HEAD)
        except BlockingIOError:  # nothing: nobody can write the FIFO any more
            return b""
    finally:
        os.close(out)
        os.close(into)


_NONBLOCK = 2  # SPLICE_F_NONBLOCK


@cache
def _libc() -> Any:
    return load("ctypes").CDLL(None, use_errno=True)


def _tee(source: int, target: int, most: int) -> None:
    ctypes = load("ctypes")  # Python has no name for tee(2)
    if _libc().tee(source, target, ctypes.c_size_t(most), _NONBLOCK) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))  # a BlockingIOError for EAGAIN


class Aside:
    """See the module's text. `torn` gives the start of the frame that the journal ends in; empty where it cannot be
    read."""

    def __init__(self, count: Count, torn: Callable[[], bytes], note: Note) -> None:
        self.size = 0
        """Bytes kept."""
        self.sure = 0
        """Bytes of them that were in the FIFO before whatever the hanging call moves."""
        self._count = count
        self._torn = torn
        self._note = note
        self._buffer = bytearray()
        self._kept: int | None = None
        """Bytes that stay, up to a frame boundary; what follows is dropped frame by frame. None while all stays."""

    def read(self, fd: int, head: bytes) -> int:
        """Read once; the bytes, 0 at the FIFO's end. Where they are not `head`, what was next a moment ago, a call that
        hung has come back meanwhile and has moved that. Raises BlockingIOError when the FIFO is empty, MemoryError or
        OSError before anything is taken."""
        at = self.size
        if len(self._buffer) < at + CHUNK:
            self._buffer.extend(bytes(at + CHUNK - len(self._buffer)))
        with memoryview(self._buffer) as view, view[at : at + CHUNK] as free:
            got = os.readv(fd, [free])
        self.size += got
        if self._buffer[at : at + min(got, len(head))] == head[:got]:
            self.sure = self.size
        return got

    def keep_within(self, most: int) -> None:
        """Drop the newest whole lines beyond `most` bytes; to be called after `read`. Raises MemoryError, and nothing
        has changed then."""
        if self.size <= most:
            return
        if self._kept is None:
            torn = self._torn()
            *_, boundary = self._count(torn + self._buffer[: self.size], 0, len(torn) + self.size, False)
            self._kept = max(0, boundary - len(torn))
        with memoryview(self._buffer) as view, view[self._kept : self.size] as data:
            out, err, _, boundary = self._count(data, 0, len(data), False)
        rest = self._buffer[self._kept + boundary : self.size]
        self._buffer[self._kept : self._kept + len(rest)] = rest
        self.size = self.sure = self._kept + len(rest)
        self._note("disk_error", out, err, boundary)

    def joined(self, moved: bytes) -> bytes:
        """Everything in its order; `moved` is what the hanging call has moved. Raises MemoryError."""
        return bytes(self._buffer[: self.sure]) + moved + bytes(self._buffer[self.sure : self.size])

    def clear(self) -> None:
        self._buffer, self.size, self.sure, self._kept = bytearray(), 0, 0, None
