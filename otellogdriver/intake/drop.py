"""What of a FIFO's bytes cannot be kept: whole lines are dropped, and counted by reason.

In: a FIFO that is to be emptied although its bytes may have no place. They are read into memory; what cannot be written
is dropped up to a frame boundary, and the torn last frame stays for the next try. Only the thread that reads the FIFO
uses it. State moves only with success: whatever raises leaves the bytes in the FIFO or here, and never uncounted.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass

from otellogdriver.codec.contract import MAX_FRAME
from otellogdriver.journal.reader import Reader
from otellogdriver.journal.stream import Stream

log = logging.getLogger(__name__)

CHUNK = 256 << 10
"""Bytes read at a time."""
_HEAD = 12
"""Bytes of a frame that say on which of a container's streams the line was."""
_UNKNOWN = 16 << 20
"""Bytes that may follow the last known frame boundary (in an outage); where dropping begins they are walked over."""

Count = Callable[[bytes | bytearray | memoryview, int, int, bool], tuple[int, int, int, int]]
"""`Codec.count`: (chunk, start, offset, final) -> (stdout lines, stderr lines, damaged bytes, frame boundary)."""


@dataclass(slots=True)
class Dropped:
    """What a FIFO gave up for one reason."""

    lines: list[int]
    bytes: int = 0


class Drop:
    """The way of one FIFO's bytes where the journal may not take them."""

    def __init__(self, stream: Stream, count: Count) -> None:
        self.dropped: dict[str, Dropped] = {}
        self.held = 0
        """Bytes in memory that have no place yet."""
        self._waiting = False
        """They may be whole frames, and wait for the disk."""
        self._cut = False
        """They may begin within a frame, whose start is in the stream and could not be read."""
        self._restless = ""
        """Why the rest of the stream's last frame was dropped, if it was and its start is still there."""
        self._stream = stream
        self._count = count
        self._buffer = bytearray()
        self._boundary = 0

    @property
    def may_pass_by(self) -> bool:
        """Whether the FIFO's next bytes may go to the stream directly."""
        return not self.held and not self._restless

    def read(self, fd: int, reason: str, may_write: Callable[[], bool], waits: Callable[[str], bool]) -> int:
        """Read what the FIFO has, and keep or drop it; the number of bytes, 0 at its end, -1 where the disk must have
        room first. `may_write`: whether the limit lets the journal take bytes; `waits`: whether they are to wait in
        memory rather than be dropped for a reason.

        Raises BlockingIOError when the FIFO is empty, MemoryError before anything is taken."""
        if self._waiting or self.held > MAX_FRAME + CHUNK:
            self.settle(reason, may_write, waits)
            if self._waiting:
                return -1
        torn = 0 if self.held else self._torn()
        at = self.held + torn
        self._make_room(at + CHUNK)
        with memoryview(self._buffer) as view, view[at : at + CHUNK] as free:
            got = os.readv(fd, [free])
        if got:
            self._hold(torn, at, got)
            self.settle(reason, may_write, waits)
        return got

    def hold(self, data: bytes) -> None:
        """Take bytes that were read from the FIFO already; `settle` is to follow. Raises MemoryError, and they are not
        taken then."""
        torn = 0 if self.held else self._torn()
        at = self.held + torn
        self._make_room(at + len(data))
        self._buffer[at : at + len(data)] = data
        self._hold(torn, at, len(data))

    def torn(self) -> bytes:
        """The start of the frame that the FIFO's next bytes go on with; empty where it cannot be read."""
        if not self.may_pass_by:
            with memoryview(self._buffer) as view, view[: self.held] as data:
                *_, boundary = self._count(data, 0, self.held, False)
            return bytes(self._buffer[boundary : self.held])
        torn = bytearray(self._torn())
        return bytes(torn) if torn and self._read_torn(torn) else b""

    def abandon(self) -> None:
        """At the end: what is held has its last chance, a torn frame whose rest never came among it."""
        if not self.held:
            return
        try:
            self._append()
        except OSError as error:
            self.settle(reason_of(error), lambda: False, lambda reason: False)
            self.note(reason_of(error), 0, 0, self.held)
        self.held, self._buffer, self._waiting = 0, bytearray(), False

    def note_boundary(self) -> None:
        """Keep the walk short that dropping begins with: while it lasts, nobody reads the FIFO."""
        stream = self._stream
        if stream.end - stream.boundary > _UNKNOWN and stream.end - self._boundary > _UNKNOWN:
            with contextlib.suppress(OSError):
                self._boundary = self._find_boundary()

    def holds_one_line(self, begin: int) -> bool:
        """Whether at most one line, whole or not, is in the stream from `begin` on. Only for what is not much."""
        stream, lines, offset = self._stream, 0, begin
        if stream.end - begin > _ONE_LINE:
            return False
        reader, buffer = Reader(stream), memoryview(bytearray(CHUNK))
        try:
            while offset < stream.end and lines <= 1:
                at, got = reader.read(offset, buffer)
                out, err, _, behind = self._count(buffer[:got], at, at + got, False)
                lines += out + err
                if behind <= offset:
                    break
                offset = behind
        except OSError:
            return False
        finally:
            reader.close()
        return lines <= 1

    def _hold(self, torn: int, at: int, size: int) -> None:
        """`size` bytes at `at` of the buffer are new, before them is room for a torn frame of the stream."""
        if torn and not self._hold_torn(torn):
            self._buffer[:size] = self._buffer[at : at + size]
            torn, self._cut = 0, True
        self.held += torn + size

    def _make_room(self, size: int) -> None:
        if len(self._buffer) < size:
            larger = bytearray(size)
            larger[: self.held] = memoryview(self._buffer)[: self.held]
            self._buffer = larger

    def _append(self) -> None:
        """Write what is held. Raises OSError, and nothing has changed then."""
        if self._restless:
            self._cut_off()
        with memoryview(self._buffer) as view, view[: self.held] as data:
            self._stream.append(data)
        self.held, self._buffer, self._waiting, self._cut = 0, bytearray(), False, False

    def _cut_off(self) -> None:
        """Take the start of a frame without its rest out of the stream. Raises OSError where it cannot be read."""
        self._boundary = self._find_boundary()
        torn = bytearray(max(0, self._stream.end - self._boundary))
        if torn:
            self._read(torn)
            self._stream.truncate(self._boundary)
            err = int(b"stderr" in torn[:_HEAD])
            self.note(self._restless, 1 - err, err, len(torn))
        self._restless = ""

    def settle(self, reason: str, may_write: Callable[[], bool], waits: Callable[[str], bool]) -> None:
        """What is held begins at a frame boundary, the stream's end. Write it if there is room, else drop its whole
        frames."""
        if may_write():  # asked when a torn frame is out of the stream, which may just be what was over the limit
            try:
                self._append()
                return
            except OSError as error:
                reason = reason_of(error)
        self._waiting = waits(reason)
        if self._waiting:
            return
        with memoryview(self._buffer) as view, view[: self.held] as data:
            out, err, _, boundary = self._count(data, 0, self.held, False)
        rest = self._buffer[boundary : self.held]
        self.note(reason, out, err, boundary)
        if self._cut and boundary:
            self._restless, self._cut = reason, False
        self._buffer[: len(rest)] = rest
        self.held = len(rest)

    def note(self, reason: str, out: int, err: int, size: int) -> None:
        """That many lines and bytes are dropped."""
        if not size:
            return
        entry = self.dropped.get(reason)
        if entry is None:
            entry = self.dropped[reason] = Dropped([0, 0])
            log.error(
                "%s: new lines of this container are dropped (%s); counted in /metrics", self._stream.directory, reason
            )
        entry.lines[0] += out
        entry.lines[1] += err
        entry.bytes += size

    def _torn(self) -> int:
        """Bytes after the stream's last frame boundary: they belong to what is to be dropped."""
        self._cut = False
        if self._restless:
            return 0  # what comes next does not go on with them
        try:
            self._boundary = self._find_boundary()
        except OSError:
            self._cut = True
            return 0
        return max(0, self._stream.end - self._boundary)

    def _hold_torn(self, size: int) -> bool:
        """Take them out of the stream; False where they cannot be read, and so stay in it."""
        with memoryview(self._buffer) as view, view[:size] as torn:
            if not self._read_torn(torn):
                return False
        self._stream.truncate(self._boundary)
        return True

    def _read_torn(self, into: bytearray | memoryview) -> bool:
        try:
            self._read(into)
        except OSError:
            return False
        return True

    def _read(self, into: bytearray | memoryview) -> None:
        """What follows the last boundary. Raises OSError."""
        reader = Reader(self._stream)
        try:
            if reader.read(self._boundary, memoryview(into)) != (self._boundary, len(into)):
                raise OSError(errno.EIO, "the end of the stream is not there")
        finally:
            reader.close()

    def _find_boundary(self) -> int:
        """The last frame boundary in the stream, but for less than a frame its end. Raises OSError."""
        stream = self._stream
        offset = max(stream.boundary, stream.start, self._boundary)
        if offset >= stream.end:
            return stream.end
        reader, buffer = Reader(stream), memoryview(bytearray(MAX_FRAME + CHUNK))
        try:
            while offset < stream.end:
                at, got = reader.read(offset, buffer)
                *_, boundary = self._count(buffer[:got], at, at + got, False)
                if boundary <= offset:
                    break
                offset = boundary
        finally:
            reader.close()
        return offset


_ONE_LINE = 4 << 20
"""Bytes that one line with its frames may have: it is cut at 2 MiB."""


def reason_of(error: OSError) -> str:
    """The reason by which lines are dropped that the disk did not take."""
    return "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "disk_error"
