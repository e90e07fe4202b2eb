"""How far a stream is delivered: 128 bytes that survive a crash at any instant.

Two slots of 64 bytes are written in turn, so that a torn write leaves the older one whole:

    slot = magic "OLC1" · sequence u64 · offset u64 · begin of the open stdout group i64 (-1: none) · same for stderr
           · CRC-32 of the bytes before · zeros up to 64 bytes      (all little-endian)

The slot with a right checksum and the higher sequence counts. Everything before `offset` is delivered or given up, but
for the open groups (unfinished lines), which are read again from where they begin.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

_SLOT = struct.Struct("<4sQQqq")
_CRC = struct.Struct("<I")
_SIZE = 64
_MAGIC = b"OLC1"


@dataclass(frozen=True, slots=True)
class Position:
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
    """The file of one position. Not thread-safe: the pump alone commits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sequence = 0
        self._fd = -1
        self.damaged = False
        self.position = self._load()

    def _load(self) -> Position:
        try:
            data = self._path.read_bytes()
        except OSError:
            return Position()
        best: Position | None = None
        for at in (0, _SIZE):
            slot = data[at : at + _SLOT.size + _CRC.size]
            if len(slot) < _SLOT.size + _CRC.size:
                continue
            magic, sequence, offset, out, err = _SLOT.unpack_from(slot)
            (crc,) = _CRC.unpack_from(slot, _SLOT.size)
            if magic != _MAGIC or crc != zlib.crc32(slot[: _SLOT.size]):
                continue
            if best is None or sequence > self._sequence:
                best, self._sequence = Position(offset, (out, err)), sequence
        self.damaged = best is None and bool(data)
        return best or Position()

    def commit(self, position: Position, sync: bool = False) -> None:
        """Write the position down. Raises OSError; the position counts in memory all the same."""
        self.position = position
        self._sequence += 1
        slot = _SLOT.pack(_MAGIC, self._sequence, position.offset, *position.opens)
        slot += _CRC.pack(zlib.crc32(slot))
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.pwrite(self._fd, slot.ljust(_SIZE, b"\0"), _SIZE * (self._sequence % 2))
        if sync:
            os.fdatasync(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
