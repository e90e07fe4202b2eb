"""FIFO -> journal: one thread per FIFO, so that a container never waits for anything but this file.

In: the FIFO that the engine made. Out: its bytes, appended to a `Stream`; `notify` is called (from this thread) after
bytes were added, `ended` once when the thread is done. It knows bytes only; where it must drop, it asks `count` (the
codec's) for frame boundaries, so that what is dropped are whole lines, counted.

How it waits: `poll` on the FIFO and an eventfd, without a time-out, so an idle container costs nothing. On a busy FIFO
it pauses a little after each read, so that the next read is big: fewer system calls here, and fewer wake-ups of this
thread by the engine's writes. The pause follows the fill level: pipes are grown up to PIPE_SIZE when busy (best effort)
and shrunk again when quiet, for the kernel limits what all pipes of a user may hold. Where many FIFOs are busy, their
threads wait while one reads them all (see crowd.py).

When it drops (`reason`): the undelivered limit with policy `drop-newest` (`journal_full`), a disk that takes no more
(`disk_full`, `disk_error`). It then reads into memory, gives each new whole frame a chance to be written, and goes back
to splicing as soon as one is. With `block` it stops reading instead until there is room, unless it is told to stop.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import select
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from otellogdriver.codec.contract import MAX_FRAME
from otellogdriver.intake.crowd import Crowd
from otellogdriver.journal.reader import Reader
from otellogdriver.journal.stream import Stream

log = logging.getLogger(__name__)

PIPE_SIZE = 1 << 20
"""Bytes a busy pipe is grown to: the kernel's default bound for processes without CAP_SYS_RESOURCE."""
_PIPE_DEFAULT = 64 << 10
_BUSY = 0.02
"""Seconds between two reads below which a FIFO counts as busy."""
_PAUSE_MIN = 0.0005
"""Least pause in seconds; the longest one is the crowd's."""
_LENT = 15.0
"""Seconds after which a FIFO's own thread looks after it again, should the crowd's hang with another's disk."""
_QUIET = 10.0
"""Seconds of silence after which a grown pipe is shrunk."""
_CHUNK = 256 << 10
_UNKNOWN = 16 << 20
"""Bytes that may follow the last known frame boundary (in an outage); where dropping begins they are walked over."""
_WAITING = 64 << 10
"""Bytes that each container may have waiting while the whole driver is over its limit: what is delivered at once is
never dropped or blocked for the others' sake."""
_AGAIN = 1.0
"""Seconds after which reading is tried again after a fault."""
_STACK = 256 << 10
"""Bytes of stack per thread; Python needs about a tenth for what runs here. 1,000 threads must be cheap."""

Count = Callable[[bytes | bytearray | memoryview, int, int, bool], tuple[int, int, int, int]]
"""`Codec.count`: (chunk, start, offset, final) -> (stdout lines, stderr lines, damaged bytes, frame boundary)."""


@dataclass(slots=True)
class Dropped:
    """What a FIFO gave up for one reason."""

    lines: list[int]
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Limit:
    """How much may wait for delivery, and what happens beyond it. `full` is the whole driver's limit."""

    size: int
    policy: str
    full: Callable[[], bool] = lambda: False


class Fifo:
    """One FIFO on its way into one stream. `start` it once; `stop` and `abandon` may be called from any thread.
    `crowd` is shared by all FIFOs."""

    def __init__(
        self,
        path: str,
        stream: Stream,
        limit: Limit,
        count: Count,
        notify: Callable[[], None],
        ended: Callable[[], None],
        crowd: Crowd,
        resumed: bool = False,
    ) -> None:
        self.path = path
        self.stream = stream
        self.bytes_read = 0
        self.dropped: dict[str, Dropped] = {}
        self.blocked = False
        self._limit = limit
        self._count = count
        self._notify = notify
        self._ended = ended
        self._resumed = resumed
        self._crowd = crowd
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stopping = False
        self.abandoned = False
        self._spliceable = True
        self._pipe_size = _PIPE_DEFAULT
        self._torn = b""
        self._boundary = 0
        self._wake_lock = threading.Lock()
        self._fd = -1
        self._reading = threading.Lock()
        """Held by the thread that reads: the FIFO's own, or the crowd's."""
        self._thread = threading.Thread(target=self._run, name=f"fifo-{os.path.basename(path)[:12]}", daemon=True)

    def start(self) -> None:
        """Raises RuntimeError where the system gives no more threads."""
        before = threading.stack_size(_STACK)
        try:
            self._thread.start()
        except RuntimeError:
            self._close_wake()
            raise
        finally:
            threading.stack_size(before)

    def stop(self) -> None:
        """The container has ended: read what is in the FIFO without waiting, then end."""
        self._stopping = True
        self.wake()

    def abandon(self) -> None:
        """The driver goes away: end at once and leave the rest in the FIFO for the next run."""
        self.abandoned = True
        self.stop()

    def wake(self) -> None:
        """Look again (there may be room)."""
        with self._wake_lock:  # else the number could be another file's by now
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)

    def join(self, timeout: float) -> bool:
        """Wait for the thread's end; whether it has come."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # The thread.

    def _run(self) -> None:
        self._reading.acquire()
        try:
            while not self._read_all():
                self._pause(_AGAIN)
            self._abandon_torn()
            self.stream.close()
        except Exception:
            log.exception("FIFO %s: its end is not clean", self.path)
        finally:
            self._close_wake()
            self._ended()

    def _read_all(self) -> bool:
        """Read until the FIFO's end; False if a fault came in between (too many open files, a fault of ours): a FIFO
        that nobody reads would block its container for good."""
        fd = -1
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            self._pump(fd)
        except FileNotFoundError:
            if not self._resumed:
                log.warning("FIFO %s is gone before it was read", self.path)
        except Exception:
            log.exception("FIFO %s: reading failed", self.path)
            return self._stopping
        finally:
            if fd >= 0:
                os.close(fd)
        return True

    def _close_wake(self) -> None:
        with self._wake_lock:
            wake, self._wake = self._wake, -1
            os.close(wake)

    def _pause(self, seconds: float) -> None:
        bell = select.poll()
        bell.register(self._wake, select.POLLIN)
        self._wait(bell, seconds)

    def _pump(self, fd: int) -> None:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        bell = select.poll()
        bell.register(self._wake, select.POLLIN)
        had_writer = self._resumed
        last, pause = 0.0, _PAUSE_MIN
        while not self.abandoned:
            if self._must_block():
                self._wait(bell, None)
                continue
            stopping = self._stopping  # asked before the FIFO is: the last lines are written before StopLogging
            try:
                moved = self._move(fd)
            except BlockingIOError:
                if stopping:
                    return
                quiet = _QUIET if self._pipe_size > _PIPE_DEFAULT else None
                events = self._wait(poll, quiet)
                had_writer = had_writer or any(source == fd for source, _ in events)
                if not events:
                    self._resize(fd, _PIPE_DEFAULT)
                continue
            if moved < 0:
                self._pause(_AGAIN)
                continue
            if moved == 0:
                if had_writer or self._stopping:
                    return
                had_writer = any(source == fd for source, _ in self._wait(poll, None))
                continue
            had_writer = True
            self._took(moved)
            if moved > self._pipe_size // 2 and self._pipe_size < PIPE_SIZE:
                self._resize(fd, min(PIPE_SIZE, self._pipe_size * 4))
            now = time.monotonic()
            longest = self._crowd.pause
            if now - last < max(_BUSY, 2 * longest) and not self._stopping:
                if moved > self._pipe_size // 2:
                    pause = pause / 2 if pause > _PAUSE_MIN else 0.0
                else:
                    pause = min(longest, max(_PAUSE_MIN, longest / 8, pause * 1.5))
                if pause and not (pause > longest / 4 and self._crowd.is_one and self._lend(fd, bell)):
                    self._wait(bell, pause)
                now = time.monotonic()
            last = now

    def _took(self, moved: int) -> None:
        self.bytes_read += moved
        try:
            self.stream.flush()
        except OSError as error:
            log.error("%s: the disk does not confirm what was written: %s", self.stream.directory, error)
        self._crowd.note(self)
        self._notify()
        self._note_boundary()

    def _lend(self, fd: int, bell: select.poll) -> bool:
        """Wait while the crowd's thread reads this FIFO, until it gives it back or somebody rings; False: it cannot."""
        self._fd = fd
        self._reading.release()
        try:
            lent = self._crowd.lend(self)
            if lent:
                self._wait(bell, _LENT)
                self._crowd.take_back(self)
        finally:
            self._reading.acquire()
            self._fd = -1
        return lent

    def read(self) -> bool:
        """Read once for the FIFO's own thread, which waits; whether it may go on waiting. What is not plain (nothing
        there, the end, a fault, a limit, a full pipe) is left to that thread, which meets it again."""
        if not self._reading.acquire(blocking=False):
            return False
        try:
            if self._fd < 0 or self._stopping or self._torn or not self._spliceable:
                return False
            if self._limit.policy != "drop-oldest" and self._over_limit():
                return False
            moved = self.stream.splice(self._fd, PIPE_SIZE)
            if moved:
                self._took(moved)
            return 0 < moved <= self._pipe_size // 2
        except OSError:
            return False
        finally:
            self._reading.release()

    def _wait(self, poll: select.poll, timeout: float | None) -> list[tuple[int, int]]:
        events = poll.poll(None if timeout is None else timeout * 1000)
        for source, _ in events:
            if source == self._wake:
                try:
                    os.eventfd_read(self._wake)
                except BlockingIOError:
                    pass
        return events

    def _resize(self, fd: int, size: int) -> None:
        try:
            self._pipe_size = fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, size)
        except OSError:
            # The user's pipe budget is used up, or the pipe holds more than the smaller size: it stays as it is.
            self._pipe_size = fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)

    def _over_limit(self) -> bool:
        waiting = self.stream.undelivered
        return waiting >= self._limit.size or (waiting >= _WAITING and self._limit.full())

    def _must_block(self) -> bool:
        if self._limit.policy != "block":
            return False
        self.blocked = True  # before the look at the limit, so that whoever makes room meanwhile wakes us
        self.blocked = not self._stopping and self._over_limit()
        return self.blocked

    def _move(self, fd: int) -> int:
        """Take what the FIFO has now; the bytes taken, 0 at its end, -1 where the disk must have room first. Raises
        BlockingIOError when it is empty."""
        if self._limit.full():
            self.stream.seal(_WAITING)
        if self._torn or (self._limit.policy == "drop-newest" and self._over_limit()):
            return self._move_or_drop(fd, "journal_full")
        if not self._spliceable:
            return self._move_by_copy(fd)
        try:
            return self.stream.splice(fd, PIPE_SIZE)
        except BlockingIOError:
            raise
        except OSError as error:
            if error.errno == errno.EINVAL:
                log.warning("the file system of %s cannot splice: copying instead", self.stream.directory)
                self._spliceable = False
                return self._move(fd)
            reason = self._reason(error)
            moved = -1 if self._waits_for(reason) else self._move_or_drop(fd, reason)
            self.stream.seal()
            return moved

    def _waits_for(self, reason: str) -> bool:
        """Whether the container is to wait until the disk has room; if so, somebody may wake us."""
        self.blocked = self._limit.policy == "block" and reason == "disk_full" and not self._stopping
        return self.blocked

    def _move_by_copy(self, fd: int) -> int:
        data = os.read(fd, _CHUNK)
        while data:
            try:
                self.stream.append(data)
                break
            except OSError as error:
                reason = self._reason(error)
                if not self._waits_for(reason):
                    self._keep_or_drop(self._take_torn() + data, reason)
                    self.stream.seal()
                    break
                self.stream.seal()
                self._pause(_AGAIN)
        return len(data)

    def _move_or_drop(self, fd: int, reason: str) -> int:
        data = os.read(fd, _CHUNK)
        if data:
            self._keep_or_drop(self._take_torn() + data, reason)
        return len(data)

    def _keep_or_drop(self, data: bytes, reason: str) -> None:
        """`data` begins at a frame boundary, the stream's end. Write it if there is room, else drop its whole frames
        and keep the torn last one in memory (at most a frame) for the next try."""
        if not (self._limit.policy == "drop-newest" and self._over_limit()):
            try:
                self.stream.append(data)
                self._torn = b""
                return
            except OSError as error:
                reason = self._reason(error)
        out, err, _, boundary = self._count(data, 0, len(data), False)
        self._torn = data[boundary:]
        self._drop(reason, out, err, boundary)

    def _drop(self, reason: str, out: int, err: int, size: int) -> None:
        if not size:
            return
        entry = self.dropped.get(reason)
        if entry is None:
            entry = self.dropped[reason] = Dropped([0, 0])
            log.error(
                "%s: new lines of this container are dropped (%s); counted in /metrics", self.stream.directory, reason
            )
        entry.lines[0] += out
        entry.lines[1] += err
        entry.bytes += size

    def _take_torn(self) -> bytes:
        """The bytes behind the stream's last frame boundary, taken out of the stream when dropping begins."""
        if self._torn:
            return self._torn
        stream = self.stream
        try:
            offset = self._boundary = self._find_boundary()
            if offset >= stream.end:
                return b""
            reader, buffer = Reader(stream), memoryview(bytearray(stream.end - offset))
            try:
                at, got = reader.read(offset, buffer)
            finally:
                reader.close()
        except OSError:
            return b""
        if (at, got) != (offset, len(buffer)):
            return b""
        stream.truncate(offset)
        return bytes(buffer)

    def _find_boundary(self) -> int:
        """The last frame boundary in the stream, but for less than a frame its end. Raises OSError."""
        stream = self.stream
        offset = max(stream.boundary, stream.start, self._boundary)
        if offset >= stream.end:
            return stream.end
        reader, buffer = Reader(stream), memoryview(bytearray(MAX_FRAME + _CHUNK))
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

    def _note_boundary(self) -> None:
        """Keep the walk short that dropping begins with: while it lasts, nobody reads the FIFO."""
        known = max(self.stream.boundary, self._boundary)
        if self.stream.end - known > _UNKNOWN:
            try:
                self._boundary = self._find_boundary()
            except OSError:
                pass

    def _abandon_torn(self) -> None:
        """At the end: a torn frame whose rest never came."""
        torn, self._torn = self._torn, b""
        if torn:
            try:
                self.stream.append(torn)
            except OSError as error:
                self._drop(self._reason(error), 0, 0, len(torn))

    @staticmethod
    def _reason(error: OSError) -> str:
        return "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "disk_error"
