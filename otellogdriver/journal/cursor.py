"""How far a stream is delivered to one destination: 128 bytes that survive a crash at any instant.

Two slots (see layout.py) are written in turn, so that a torn write leaves the older one whole. The slot with a right
checksum and the higher sequence counts. Everything before `offset` is delivered or given up, but for the open groups
(unfinished lines), which are read again from where they begin.

Memory and disk: `position` is the truth for this process. It moves as soon as a request is answered, whatever the disk
does, so that no line is sent twice and limits count at once; what may be deleted goes by it, too, because what is
delivered is not needed by a next start either. The file is the truth for the next start. It may be behind, never ahead:
what is between is sent twice. So `move` is for the event loop, and `write` for a thread that may wait for the disk.
"""

from __future__ import annotations

import os
import threading
import zlib
from pathlib import Path
from typing import NamedTuple

from otellogdriver.errors import may_pass
from otellogdriver.journal.layout import AT_ONCE, SLOT, SLOT_CRC, SLOT_MAGIC, SLOT_SIZE, read


class Position(NamedTuple):
    """A place in a stream: everything before `offset` is done, except the groups that begin at `opens`."""

    offset: int = 0
    opens: tuple[int, int] = (-1, -1)

    @property
    def needed(self) -> int:
        """The first byte of the stream that may still be read by who continues here."""
        if self.opens == (-1, -1):
            return self.offset
        return min([self.offset, *(begin for begin in self.opens if begin >= 0)])


class Cursor:
    """The file of one position. `move` and `write` may be called from different threads. Making it reads the file, and
    raises OSError, MemoryError where that may pass."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._sequence = 0
        self._fd = -1
        self._writing = threading.Lock()
        self._closed = False
        self.damaged = False
        self._written = self._load()
        self.position = self._written or Position()

    def _load(self) -> Position | None:
        try:
            data = read(self._path, 2 * SLOT_SIZE)
        except FileNotFoundError:
            return None
        except OSError as error:
            if may_pass(error):  # "delivered from the start" would have everything sent again
                raise
            self.damaged = True
            return None
        best: Position | None = None
        for at in (0, SLOT_SIZE):
            slot = data[at : at + SLOT.size + SLOT_CRC.size]
            if len(slot) < SLOT.size + SLOT_CRC.size:
                continue
            magic, sequence, offset, out, err = SLOT.unpack_from(slot)
            (crc,) = SLOT_CRC.unpack_from(slot, SLOT.size)
            if magic != SLOT_MAGIC or crc != zlib.crc32(slot[: SLOT.size]):
                continue
            if best is None or sequence > self._sequence:
                best, self._sequence = Position(offset, (out, err)), sequence
        self.damaged = best is None and bool(data)
        return best

    def move(self, position: Position) -> None:
        """The position counts from now on in this process. Never raises, touches no disk; `write` is to follow."""
        self.position = position

    def write(self, sync: bool = False) -> None:
        """Write down the position as it is now, if it is not; with `sync` the disk confirms it. May wait for the disk.
        Raises OSError: then the file says what it said, and the next call tries again."""
        try:
            with self._writing:
                position = self.position
                if position != self._written:
                    self._put(position, sync)
                    self._written = position
        finally:
            if self._closed:
                self.close()

    def _put(self, position: Position, sync: bool) -> None:
        sequence = self._sequence + 1
        slot = SLOT.pack(SLOT_MAGIC, sequence, position.offset, *position.opens)
        slot = (slot + SLOT_CRC.pack(zlib.crc32(slot))).ljust(SLOT_SIZE, b"\0")
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | AT_ONCE, 0o600)
        at = SLOT_SIZE * (sequence % 2)
        while slot:
            written = os.pwrite(self._fd, slot, at)
            slot, at = slot[written:], at + written
        if sync:
            os.fdatasync(self._fd)
        self._sequence = sequence  # not before: after a write that failed the same slot is tried, the other is whole

    def commit(self, position: Position, sync: bool = False) -> None:
        """`move` and `write`. Raises OSError; the position counts in memory all the same."""
        self.move(position)
        self.write(sync)

    def close(self) -> None:
        """Let go of the file, now and after each later write. Does not wait for a write that is under way: that one
        closes it."""
        self._closed = True
        if self._writing.acquire(blocking=False):
            try:
                self._let_go()
            finally:
                self._writing.release()

    def _let_go(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
