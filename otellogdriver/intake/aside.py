"""What is read from a FIFO while its own thread hangs in a disk: kept in memory, to be put in its place later.

In: a FIFO that somebody must empty, or its container would wait for the disk. Out: the bytes, which follow what the
journal has. Memory is bounded: beyond the bound whole lines are dropped, the newest ones, and counted. Not safe for
several threads: the FIFO's lock is held around each call.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from otellogdriver.intake.drop import CHUNK, Count

Note = Callable[[str, int, int, int], None]
"""`Drop.note`: (reason, stdout lines, stderr lines, bytes) were dropped."""


class Aside:
    """See the module's text. `torn` gives the begin of the frame that the journal ends in; empty where it cannot be
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

    def read(self, fd: int) -> int:
        """Read once; the bytes, 0 at the FIFO's end. Raises BlockingIOError when it is empty, MemoryError or OSError
        before anything is taken."""
        if len(self._buffer) < self.size + CHUNK:
            self._buffer.extend(bytes(self.size + CHUNK - len(self._buffer)))
        with memoryview(self._buffer) as view, view[self.size : self.size + CHUNK] as free:
            got = os.readv(fd, [free])
        self.size += got
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
        self.size = self._kept + len(rest)
        self._note("disk_error", out, err, boundary)

    def joined(self, moved: bytes) -> bytes:
        """Everything in its order; `moved` is what the hanging call has moved. Raises MemoryError."""
        before, unsure = bytes(self._buffer[: self.sure]), bytes(self._buffer[self.sure : self.size])
        found = before + moved + unsure
        if moved and unsure:
            # The last read and the call that came back ran at the same time: only one order is whole frames.
            found = min(before + unsure + moved, found, key=self._damage)
        return found

    def clear(self) -> None:
        self._buffer, self.size, self.sure, self._kept = bytearray(), 0, 0, None

    def _damage(self, data: bytes) -> int:
        torn = self._torn()
        return self._count(torn + data, 0, len(torn) + len(data), False)[2]
