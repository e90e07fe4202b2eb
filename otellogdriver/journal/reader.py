"""Reads a stream by offset, from whatever files it is in: several readers and the writer do not know of each other.

In: an offset. Out: the bytes from there on, or from the next place that is kept. The list of segments is read as it is
at that moment; a file that is gone since then was deleted or packed.
"""

from __future__ import annotations

import errno
import gzip
import logging
import os
import zlib
from bisect import bisect_right
from pathlib import Path
from typing import TYPE_CHECKING

from otellogdriver.journal import layout
from otellogdriver.journal.segment import Segment

if TYPE_CHECKING:
    from otellogdriver.journal.stream import Stream

log = logging.getLogger(__name__)


class Reader:
    """Reads one stream, keeping the current segment open. One thread at a time. With `waits=False` it reads what is in
    memory alone (the page cache has what was written lately) and raises BlockingIOError for what the disk would have to
    be asked for."""

    def __init__(self, stream: Stream, waits: bool = True) -> None:
        self.stream = stream
        self._flags = 0 if waits else os.RWF_NOWAIT
        self._fd = -1
        self._segment: Segment | None = None
        self._unpacked: memoryview | None = None

    def read(self, offset: int, buffer: memoryview) -> tuple[int, int]:
        """Fill `buffer` with bytes from `offset` on, from one or more segments: (offset of the first byte, bytes read).

        The offset returned is higher than the one asked for where bytes are gone (deleted or lost): it is the next one
        that is kept. (offset, 0) means there is nothing at or after the offset. Raises OSError, MemoryError; then it
        may be called again.
        """
        end = self.stream.end
        filled = 0
        while filled < len(buffer) and offset + filled < end:
            segments = list(self.stream.segments)
            index = len(segments) - 1  # the last one, most often
            if index >= 0 and segments[index].start > offset + filled:
                index = bisect_right(segments, offset + filled, key=lambda segment: segment.start) - 1
            got = 0
            if index >= 0:
                segment = segments[index]
                most = min(len(buffer) - filled, end - offset - filled)
                if index + 1 < len(segments):
                    most = min(most, segments[index + 1].start - offset - filled)
                if most > 0:
                    try:
                        got = self._copy(segment, offset + filled - segment.start, buffer[filled : filled + most])
                    except OSError:
                        if not filled:
                            raise
            if got:
                filled += got
            elif filled:
                break
            elif index + 1 < len(segments):
                offset = segments[index + 1].start
            else:
                break
        return offset, filled

    def _copy(self, segment: Segment, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from a segment; 0 where the segment has nothing there (any more)."""
        if self._segment is not segment:
            self.close()
            try:
                self._open(segment.path, segment.packed)
            except FileNotFoundError:
                try:
                    self._open(segment.packed_path, True)  # it may just have been packed
                except FileNotFoundError:
                    return 0
            self._segment = segment
        if self._unpacked is None:
            try:
                return os.preadv(self._fd, [buffer], at, self._flags)
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP or not self._flags:
                    raise
                return os.preadv(self._fd, [buffer], at)  # a file system in memory: nothing to wait for
        part = self._unpacked[at : at + len(buffer)]
        buffer[: len(part)] = part
        return len(part)

    def _open(self, path: Path, packed: bool) -> None:
        if packed and self._flags:
            raise BlockingIOError(errno.EAGAIN, "it would have to be unpacked")
        if not packed:
            self._fd = os.open(path, os.O_RDONLY | layout.AT_ONCE)
            return
        try:
            self._unpacked = memoryview(gzip.decompress(layout.read(path)))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            log.warning("%s is damaged (%s): its lines are lost to `docker logs`", path, error)
            self._unpacked = memoryview(b"")

    def close(self) -> None:
        """Let go of the open file. May be called again."""
        fd, self._fd, self._segment, self._unpacked = self._fd, -1, None, None
        if fd >= 0:
            os.close(fd)
