"""One stream: the bytes of one FIFO, kept in segment files and addressed by their offset in the stream.

In: bytes, by `splice` from a pipe or by `append`. Out: bytes, by `Reader.read` at any offset that is kept. It knows no
frames, and it never deletes by itself (see store.py).

Threads: the FIFO thread owns `end` and the open segment; any thread may read below `end`. The list of segments only
grows at its end (FIFO thread) and shrinks at its start (store); both are single operations on a list, and readers take
a snapshot, so nobody waits for a lock.
"""

from __future__ import annotations

import errno
import gzip
import logging
import os
import stat
import threading
import zlib
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

SEGMENT_SIZE = 8 << 20
"""Bytes in a segment: the grain of deleting. Small enough that delivered data goes before the kernel writes it back,
big enough that creating files costs nothing per line."""

_SUFFIX = ".log"
_PACKED = ".log.gz"
_ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Segment:
    start: int
    path: Path

    @property
    def packed(self) -> bool:
        return self.path.name.endswith(_PACKED)

    def stored(self) -> int:
        """Bytes of the stream that the file holds, as far as can be told without reading all of it. Raises OSError."""
        size = self.path.stat().st_size
        if not self.packed:
            return size
        with self.path.open("rb") as file:
            file.seek(max(0, size - 4))
            return int.from_bytes(file.read(4), "little")  # gzip's ISIZE


_ADVANCING = threading.Lock()
"""Held for the time of two comparisons, so one for all streams is enough."""


def _nothing() -> None:
    return None


def _segments(directory: Path) -> tuple[list[Segment], int]:
    """The segments on disk, in order, and the offset behind the last one."""
    found: list[Segment] = []
    end = 0
    try:
        entries = sorted(entry.name for entry in os.scandir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return [], 0
    for name in entries:
        stem = name.removesuffix(_PACKED) if name.endswith(_PACKED) else name.removesuffix(_SUFFIX)
        path = directory / name
        if name == stem or len(stem) != 20 or not stem.isdecimal() or not stat.S_ISREG(path.lstat().st_mode):
            continue
        if found and found[-1].start == int(stem):
            path.unlink()  # a crash between making the packed file and deleting the other: the first one is whole
            continue
        found.append(Segment(int(stem), path))
    for segment in found[-1:]:
        end = segment.start + segment.stored()
    return found, end


class Stream:
    """See the module's text. `describe` is called to (re)make the directory before a segment is made in it."""

    def __init__(
        self,
        directory: Path,
        describe: Callable[[], None] = lambda: None,
        segment_size: int = SEGMENT_SIZE,
        sync: bool = False,
    ) -> None:
        self.directory = directory
        self._describe = describe
        self.segment_size = segment_size
        self.sync = sync
        self._fd = -1
        self.segments, self.end = _segments(directory)
        self._open_start = self.segments[-1].start if self.segments else 0
        self._fresh = not self.segments
        self.sealed = False
        """The last segment is not written any more, so it may go like the others."""
        self._boundary = self._delivered = self.segments[0].start if self.segments else 0
        self.ended_at: float | None = None
        try:
            self.ended_at = (directory / _ENDED).stat().st_mtime
        except OSError:
            pass

    @property
    def start(self) -> int:
        """Offset of the first byte kept."""
        segments = self.segments
        try:
            return segments[0].start
        except IndexError:
            return self.end

    @property
    def size(self) -> int:
        """Bytes kept on disk."""
        return self.end - self.start

    @property
    def boundary(self) -> int:
        """A frame boundary somewhere in the stream, as late as is known."""
        return self._boundary

    @property
    def delivered(self) -> int:
        """Everything before is delivered or given up, to each destination."""
        return self._delivered

    @property
    def undelivered(self) -> int:
        return self.end - self._delivered

    def advance(self, *, delivered: int = 0, boundary: int = 0) -> None:
        """Move positions: forwards only, and not beyond the end. Any thread: who delivers says what is delivered, who
        decodes says where a frame begins, and where two say it the later place counts. Never raises, never waits."""
        end = self.end
        with _ADVANCING:
            self._delivered = max(self._delivered, min(delivered, end))
            self._boundary = max(self._boundary, min(boundary, end))

    def pack(self, before: int) -> None:
        """Compress the closed segments that lie wholly before `before`; readers do not notice. Raises OSError."""
        for index, segment in enumerate(list(self.segments)[:-1]):
            if self.segments[index + 1].start > before:
                break
            if segment.packed:
                continue
            packed = segment.path.with_name(f"{segment.start:020d}{_PACKED}")
            temporary = packed.with_suffix(".new")
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(gzip.compress(segment.path.read_bytes(), 1))
            os.replace(temporary, packed)
            self.segments[index] = Segment(segment.start, packed)
            segment.path.unlink(missing_ok=True)

    def behind(self, offset: int) -> int:
        """Where the segment that holds `offset` ends."""
        return next((segment.start for segment in list(self.segments) if segment.start > offset), self.end)

    # Writing: the FIFO thread.

    def _room(self) -> int:
        """Make sure that a segment with room is open; the number of bytes that it still takes. Raises OSError."""
        if self._fd < 0:
            self._fresh = self._fresh or not self.segments or self.segments[-1].packed
            if not self._fresh:
                self._fd = os.open(self.segments[-1].path, os.O_RDWR | os.O_CLOEXEC)
        if self._fresh or self.end - self._open_start >= self.segment_size:
            path = self.directory / f"{self.end:020d}{_SUFFIX}"
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._describe()
            self._close_segment()
            self._fd = os.open(path, flags, 0o600)
            self._open_start, self._fresh = self.end, False
            self.sealed = False  # before the new one is in the list, or it could be taken for the old one
            self.segments.append(Segment(self.end, path))
        return self.segment_size - (self.end - self._open_start)

    def splice(self, pipe: int, most: int) -> int:
        """Move up to `most` bytes from the pipe; the number moved, 0 at the end of the pipe.

        Raises BlockingIOError when the pipe is empty, OSError(EINVAL) where the file system cannot splice, other
        OSErrors when the disk cannot take more.
        """
        room = self._room()
        moved = os.splice(pipe, self._fd, min(most, room), offset_dst=self.end - self._open_start)
        self.end += moved
        return moved

    def append(self, data: bytes | memoryview) -> None:
        """Write all of `data`, or nothing: on OSError the stream ends where it did before."""
        view = memoryview(data)
        before = self.end
        try:
            while view:
                room = self._room()
                written = os.pwrite(self._fd, view[:room], self.end - self._open_start)
                if not written:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                self.end += written
                view = view[written:]
        except OSError:
            self.truncate(before)
            raise

    def truncate(self, offset: int) -> None:
        """Cut the stream so that it ends at `offset`. Only for bytes that no reader has used. Never raises: bytes
        that stay in a file beyond `end` are overwritten by what comes next."""
        while len(self.segments) > 1 and self.segments[-1].start >= offset:
            segment = self.segments.pop()
            self._close_segment()
            segment.path.unlink(missing_ok=True)
        self.end = offset
        if self.segments and not self._fresh and not self.segments[-1].packed:
            self._open_start = self.segments[-1].start
            try:
                os.truncate(self.segments[-1].path, offset - self._open_start)
            except OSError:
                pass

    def resume_at(self, offset: int) -> None:
        """Go on at an offset behind the last byte on disk (bytes were lost): the next segment begins there."""
        self._close_segment()
        self.end, self._fresh = offset, True
        if not self.segments:
            self.advance(delivered=offset, boundary=offset)

    def seal(self, least: int = 1) -> None:
        """Begin a new segment with the next byte, if the last one has `least` bytes: the disk is short of space, and a
        segment that is written cannot be deleted. Never raises."""
        if self.segments and not self._fresh and self.end - self._open_start >= least:
            try:
                self._close_segment()
            except OSError as error:
                log.error("%s: the disk does not confirm what was written: %s", self.directory, error)
            self._fresh = self.sealed = True

    def _close_segment(self) -> None:
        if self._fd >= 0:
            try:
                self.flush()
            finally:
                fd, self._fd = self._fd, -1
                os.close(fd)

    def flush(self) -> None:
        """With `journal-sync`: have the disk take what was written. Raises OSError."""
        if self.sync and self._fd >= 0:
            os.fdatasync(self._fd)

    def close(self) -> None:
        """Let go of the open file; the FIFO thread's last act."""
        self._close_segment()

    def settle(self) -> None:
        """Nothing will ever be written here again: forget what only a writer needs."""
        self._describe = _nothing

    def finish(self, when: float) -> None:
        """Mark the end of the FIFO, on disk, too, so that the next start need not look for it. Never raises."""
        self.ended_at = when
        if self.segments:
            try:
                fd = os.open(self.directory / _ENDED, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
                os.close(fd)
            except OSError:
                pass


class Reader:
    """Reads one stream by offset, keeping the current segment open. One thread at a time."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._fd = -1
        self._segment: Segment | None = None
        self._unpacked: memoryview | None = None

    def read(self, offset: int, buffer: memoryview) -> tuple[int, int]:
        """Fill `buffer` with bytes from `offset` on, from one or more segments: (offset of the first byte, bytes read).

        The offset returned is higher than the one asked for where bytes are gone (deleted or lost): it is the next one
        that is kept. (offset, 0) means there is nothing at or behind the offset. Raises OSError.
        """
        end = self.stream.end
        filled = 0
        while filled < len(buffer) and offset + filled < end:
            segments = list(self.stream.segments)
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
                self._open(segment.path)
            except FileNotFoundError:
                # It may just have been packed: then its other file is there.
                other = segment.path.with_name(f"{segment.start:020d}{_PACKED}")
                try:
                    self._open(other)
                except FileNotFoundError:
                    return 0
            self._segment = segment
        if self._unpacked is None:
            return os.preadv(self._fd, [buffer], at)
        part = self._unpacked[at : at + len(buffer)]
        buffer[: len(part)] = part
        return len(part)

    def _open(self, path: Path) -> None:
        if not path.name.endswith(_PACKED):
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            return
        try:
            self._unpacked = memoryview(gzip.decompress(path.read_bytes()))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            log.warning("%s is damaged (%s): its lines are lost to `docker logs`", path, error)
            self._unpacked = memoryview(b"")

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._segment, self._unpacked = -1, None, None
