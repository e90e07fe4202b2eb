"""One stream: the bytes of one FIFO, kept in segment files and addressed by their offset in the stream.

In: bytes, by `splice` from a pipe or by `append`. Out: bytes, by `Reader.read` at any offset that is kept. It knows no
frames. It deletes nothing but what its own last writes left beyond `end` (`truncate`); the rest is the store's.

Threads: the FIFO thread owns `end` and the open segment; any thread may read below `end`, and move positions. The list
of segments grows and is cut at its end (FIFO thread) and shrinks at its start (store); each is a single operation on a
list, and readers take a snapshot, so nobody waits for a lock.

State moves only with success: after an OSError or a MemoryError of any method the stream is as it was before the call,
here and for the next start, and the call may be repeated.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from otellogdriver.journal import layout
from otellogdriver.journal.segment import Found, Segment, scan

log = logging.getLogger(__name__)

SEGMENT_SIZE = 8 << 20
"""Bytes in a segment: the grain of deleting. Small enough that delivered data goes before the kernel writes it back,
big enough that creating files costs nothing per line."""

_ADVANCING = threading.Lock()
"""Held for the time of two comparisons, so one for all streams is enough."""


class Overtaken(Exception):
    """`data` was moved out of the pipe, but is not to be the stream's next bytes; it is not in the stream."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data


class Stream:
    """See the module's text. `describe` is called to (re)make the directory before a segment is made in it. `found` is
    what the directory holds; without, the constructor looks (and raises OSError as `scan` does)."""

    __slots__ = (
        "_beyond",
        "_boundary",
        "_delivered",
        "_describe",
        "_directory",
        "_done",
        "_fd",
        "_fresh",
        "_is_marked",
        "_open_start",
        "_unsure",
        "_untidy",
        "end",
        "ended_at",
        "read_since",
        "sealed",
        "segment_size",
        "segments",
        "sync",
    )

    def __init__(
        self,
        directory: Path,
        describe: Callable[[], None] | None = None,
        segment_size: int = SEGMENT_SIZE,
        sync: bool = False,
        found: Found | None = None,
    ) -> None:
        found = scan(directory) if found is None else found
        self._directory = str(directory)
        self._describe = describe
        self.segment_size = segment_size
        self.sync = sync
        self.segments, self.end = found.segments, found.end
        """Only the FIFO thread moves the end."""
        self.ended_at = found.ended_at
        """When the FIFO was finished; None while it may still give something."""
        self._is_marked = found.ended_at is not None
        self._fd = -1
        self._open_start = self.segments[-1].start if self.segments else 0
        self._fresh = not self.segments
        """The next byte begins a new segment."""
        self._untidy = False
        """Files may hold something beyond `end`."""
        self._beyond = 0
        """Bytes after `end` that were moved there and belong to somebody else (`Overtaken`)."""
        self._unsure = False
        """The last segment may hold bytes that were moved there, and that `end` does not count."""
        self.sealed = False
        """The last segment is not written any more, so it may go like the others."""
        self._boundary = self._delivered = self._done = self.segments[0].start if self.segments else 0
        self.read_since = 0.0
        """Monotonic time since when the FIFO has been read without a break; infinity during one (`journal-full=block`).
        What waits for its rest grows old only while somebody reads. Set by who reads it."""

    @property
    def directory(self) -> Path:
        return Path(self._directory)

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

    @property
    def waiting(self) -> int:
        """Bytes that wait for delivery: the undelivered ones without those of a line that waits for its rest."""
        return self.end - max(self._delivered, self._done)

    def advance(self, *, delivered: int = 0, boundary: int = 0, done: int = 0) -> bool:
        """Move positions: forwards only, and not beyond the end; whether one may have moved. Any thread: who delivers
        says what is delivered, who decodes says where a frame begins, and where two say it the later place counts.
        `done` is like `delivered`, but for the begins of lines that wait for their rest. Never raises, never waits."""
        if delivered <= self._delivered and boundary <= self._boundary and done <= self._done:
            return False
        end = self.end
        with _ADVANCING:
            if delivered > self._delivered:
                self._delivered = max(self._delivered, min(delivered, end))
            if boundary > self._boundary:
                self._boundary = max(self._boundary, min(boundary, end))
            if done > self._done:
                self._done = max(self._done, min(done, end))
        return True

    def behind(self, offset: int) -> int:
        """Where the segment that holds `offset` ends."""
        end = self.end
        return min(end, next((segment.start for segment in list(self.segments) if segment.start > offset), end))

    # Writing: the FIFO thread.

    def _room(self, at: int) -> int:
        """Make sure that a segment is open that takes the byte at offset `at`; how many it takes. Raises OSError."""
        if self._untidy:
            self._tidy()
        if self._fd < 0 and not self._fresh:
            self._reopen()
        if (self._fresh or at - self._open_start >= self.segment_size) and not self._begin_segment(at):
            return self.segment_size
        return self.segment_size - (at - self._open_start)

    def _reopen(self) -> None:
        """Go on in the last segment, if there is one that can be written."""
        segment = self.segments[-1] if self.segments else None
        if segment is not None and not segment.packed:
            try:
                self._fd = os.open(segment.path, os.O_RDWR | layout.AT_ONCE)
                self._open_start = segment.start
                return
            except FileNotFoundError:
                log.error("%s is gone, and the lines in it: going on in another file", segment.path)
        self._fresh = True

    def _begin_segment(self, at: int) -> bool:
        """Whether it is begun: a file that cannot be made now is no reason to drop lines where the last one takes
        them. Raises OSError."""
        self.flush()
        segment = Segment(self._directory, at)
        try:
            if self._describe:
                self._describe()
            fd = _make(segment.path)
        except OSError as error:
            if self._fresh or self._fd < 0 or isinstance(error, FileNotFoundError):
                raise
            return False
        # `sealed` is of the old segment: it goes first, or it would be taken for the new one's.
        was, self.sealed = self.sealed, False
        try:
            self.segments.append(segment)
        except BaseException:
            self.sealed = was
            os.close(fd)
            raise
        before, self._fd = self._fd, fd
        self._open_start, self._fresh = at, False
        if before >= 0:
            _close(before)
        return True

    def splice(self, pipe: int, most: int, overtaken: Callable[[], bool] = lambda: False) -> int:
        """Move up to `most` bytes from the pipe; the number moved, 0 at the end of the pipe. `overtaken` is asked when
        they are moved: whether others have to come before them.

        Raises BlockingIOError when the pipe is empty, OSError(EINVAL) where the file system cannot splice, other
        OSErrors when the disk cannot take more; the bytes are still in the pipe then. Raises Overtaken with the bytes
        if others come first; after a MemoryError or OSError instead of that, the next call raises it.
        """
        if self._unsure:
            self._recount()
        if self._beyond:
            self._give_back()
        room = self._room(self.end)
        try:
            moved = os.splice(pipe, self._fd, min(most, room), offset_dst=self.end - self._open_start)
            if overtaken():
                self._beyond = moved
            else:
                self.end += moved
        except OSError:
            raise
        except BaseException:
            self._unsure = True  # no memory for the number: the bytes may be in the file, and not in the pipe any more
            raise
        if self._beyond:
            self._give_back()
        return moved

    def _give_back(self) -> None:
        data = os.pread(self._fd, self._beyond, self.end - self._open_start)
        self._beyond, self._untidy = 0, True
        raise Overtaken(data)

    @property
    def is_untouched(self) -> bool:
        """Whether a `splice` that is under way has not moved anything yet. Any thread. Raises OSError."""
        fd = self._fd
        return fd < 0 or os.fstat(fd).st_size <= self.end - self._open_start

    def _recount(self) -> None:
        """Have `end` say what the file holds. Raises OSError."""
        segment = self.segments[-1]
        self.end = max(self.end, segment.start + segment.stored())
        self._unsure = False

    def append(self, data: bytes | memoryview) -> None:
        """Write all of `data`, or nothing: readers see it when it is there as a whole. Raises OSError."""
        if self._unsure:
            self._recount()
        view, at = memoryview(data), self.end
        try:
            while view:
                room = self._room(at)
                written = os.pwrite(self._fd, view[:room], at - self._open_start)
                if not written:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                at += written
                view = view[written:]
        except Exception:
            self.truncate(self.end)
            raise
        self.end = at

    def truncate(self, offset: int) -> None:
        """Cut the stream so that it ends at `offset`. Only for bytes that no reader has used. Never raises: what the
        disk does not cut now is cut before the next byte is written."""
        self._unsure = False
        if offset < self.end:
            self._fresh = self.sealed = False  # the segment that holds the place is written again
        self.end = offset
        self._untidy = True
        try:
            self._tidy()
        except Exception as error:
            log.warning("%s: the disk does not take back what was not written whole: %s", self._directory, error)

    def _tidy(self) -> None:
        """Cut the files, so that the last one ends at `end`. Raises OSError."""
        segments, end = self.segments, self.end
        while len(segments) > 1 and segments[-1].start > end:
            self._release()
            segments[-1].path.unlink(missing_ok=True)
            segments.pop()
        if segments and not segments[-1].packed and not self._fresh:
            segment = segments[-1]
            with contextlib.suppress(FileNotFoundError):
                os.truncate(segment.path, end - segment.start)
            self._open_start = segment.start
        self._untidy = False

    def resume_at(self, offset: int) -> None:
        """Go on at an offset after the last byte on disk (bytes were lost): the next segment begins there. Raises
        OSError where the disk does not confirm what was written, and has moved all the same."""
        self.end, self._fresh = offset, True
        if not self.segments:
            self.advance(delivered=offset, boundary=offset)
        self.close()

    def seal(self, least: int = 1) -> None:
        """Begin a new segment with the next byte, if the last one has `least` bytes: the disk is short of space, and a
        segment that is written cannot be deleted. Never raises."""
        if self.segments and not self._fresh and self.end - self._open_start >= least:
            try:
                self.close()
            except Exception as error:
                log.error("%s: the disk does not confirm what was written: %s", self._directory, error)
            self._fresh = self.sealed = True

    def flush(self) -> None:
        """With `journal-sync`: have the disk take what was written. Raises OSError."""
        if self.sync and self._fd >= 0:
            os.fdatasync(self._fd)

    def close(self) -> None:
        """Let go of the open file; the FIFO thread's last act. Raises OSError where the disk does not confirm what was
        written; the file is let go of all the same."""
        try:
            if self._unsure:
                self._recount()
            self.flush()
        finally:
            self._release()

    def _release(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            _close(fd)

    # The end.

    def finish(self, when: float) -> None:
        """The FIFO has ended, and nothing more comes. In memory alone; `mark_ended` is to say it on disk."""
        if self.ended_at is None:
            self.ended_at = when
        self._describe = None

    def mark_ended(self) -> None:
        """Say on disk that the FIFO is finished, if it is and has left anything, so that the next start need not look
        for it. May wait for the disk. Raises OSError; then `Store.trim` calls it again."""
        if self.ended_at is None or self._is_marked or not self.segments:
            return
        fd = os.open(self.directory / layout.ENDED, os.O_WRONLY | os.O_CREAT | layout.AT_ONCE, 0o600)
        try:
            os.utime(fd, (self.ended_at, self.ended_at))
        finally:
            os.close(fd)
        self._is_marked = True

    def move_end(self, when: float) -> None:
        """The clock was wrong when the FIFO ended: it was at `when`. Raises OSError where that cannot be written."""
        self.ended_at, self._is_marked = when, False
        self.mark_ended()

    def settle(self) -> None:
        """Nothing will ever be written here again: forget what only a writer needs."""
        self._describe = None


def _make(path: Path) -> int:
    """A new file, open. One that an earlier try has left empty is taken; one with something in it is not ours to
    write, and what is no file gets another name. Raises OSError."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        log.warning("%s is no file, and in the way of the stream's next one: it gets another name", path)
        os.rename(path, path.with_name(path.name + layout.STRANGE))
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | layout.AT_ONCE, 0o600)
    except FileExistsError:
        fd = os.open(path, os.O_RDWR | layout.AT_ONCE)
        try:
            if os.fstat(fd).st_size == 0:
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        raise


def _close(fd: int) -> None:
    try:
        os.close(fd)
    except OSError:
        pass  # it is closed all the same, and what must be on the disk was confirmed before
