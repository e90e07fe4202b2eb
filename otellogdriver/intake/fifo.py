"""FIFO -> journal: one thread per FIFO, so that a container never waits for anything but this file.

In: the FIFO that the engine made. Out: its bytes, appended to a `Stream`; `notify` is called (from this thread) after
bytes were added, `ended` once when the thread is done. It knows bytes only; where it must drop, it asks `count` (the
codec's) for frame boundaries, so that what is dropped are whole lines, counted.

How it waits: `poll` on the FIFO and an eventfd, without a time-out, so an idle container costs nothing. On a busy FIFO
it pauses a little after each read, so that the next read is big: fewer system calls here, and fewer wake-ups of this
thread by the engine's writes. The pause follows the fill level: pipes are grown up to PIPE_SIZE when busy (best effort)
and shrunk again when quiet, because the kernel limits what all pipes of a user hold. Where more than a few FIFOs have
something, one thread reads them while their own wait (see crowd.py), except those that fill their pipes.

When it drops (`reason`): the undelivered limit with policy `drop-newest` (`journal_full`), a disk that takes no more
(`disk_full`, `disk_error`). It then reads into memory, gives each new whole frame a chance to be written, and goes back
to splicing as soon as one is. With `block` it stops reading instead until there is room, unless it is told to stop.

Where the disk hangs, and the thread with it, another thread empties the FIFO into memory (`rescue`, `Aside`); what it
took is put in its place when the disk has answered.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import math
import os
import select
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from otellogdriver.intake.aside import Aside, peek
from otellogdriver.intake.crowd import PAUSE, Crowd
from otellogdriver.intake.drop import Count, Drop, Dropped, reason_of
from otellogdriver.journal.stream import Overtaken, Stream
from otellogdriver.pool import Thread, nothing

log = logging.getLogger(__name__)

PIPE_SIZE = 1 << 20
"""Bytes a busy pipe is grown to: the kernel's default bound for processes without CAP_SYS_RESOURCE."""
_PIPE_DEFAULT = 64 << 10
_BUSY = 0.02
"""Seconds between two reads below which a FIFO counts as busy."""
_PAUSE_MIN, _PAUSE_FULL = 0.0005, 0.005
"""Least pause in seconds, and the longest one before the next look at a pipe that was more than half full; else the
longest one is the crowd's."""
_QUIET = 10.0
"""Seconds of silence after which a grown pipe is shrunk."""
_WAITING = 64 << 10
"""Bytes that each container may have waiting while the whole driver is over its limit: what is delivered at once is
never dropped or blocked for the others' sake."""
_AGAIN = 0.25
"""Seconds after which reading is tried again after a fault or a shortage."""
_HANGS = 0.5
"""Seconds after which a thread that has not come back from the disk counts as hanging."""
_TELL = 60.0
"""Seconds between two log lines about the same trouble."""
_STACK = 256 << 10
"""Bytes of stack per thread; Python needs about a tenth for what runs here. 1,000 threads must be cheap."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How much may wait for delivery, and what happens beyond it. `full` is the whole driver's limit."""

    size: int
    policy: str
    full: Callable[[], bool] = lambda: False


class Fifo:
    """One FIFO on its way into one stream. `start` it once; `stop` and `abandon` may be called from any thread.
    `crowd` is shared by all FIFOs; `resumed`: the FIFO is of a container that runs already; `patience`: seconds that
    lines may wait for more of them."""

    def __init__(
        self,
        path: str,
        stream: Stream,
        limit: Limit,
        count: Count,
        *,
        notify: Callable[[], None],
        ended: Callable[[], None],
        crowd: Crowd,
        resumed: bool = False,
        patience: float = PAUSE,
    ) -> None:
        self.path = path
        self.stream = stream
        self.bytes_read = 0
        self.blocked = False
        self.abandoned = False
        self.failing = False
        """The last try to read was in vain, and there has been none since that was not."""
        self._limit = limit
        self._drop = Drop(stream, count)
        self._aside = Aside(count, self._drop.torn, self._drop.note)
        self._aside_lock = threading.Lock()
        self._away = math.inf
        """Monotonic time since when a thread may be in a call that waits for the disk; infinity where none is."""
        self._moved = b""
        """What a call that was overtaken has moved; it belongs with what is set aside."""
        self.finishing = self._has_died = False
        """The thread reads no more; it has ended by a fault."""
        self._notify = notify
        self._ended = ended
        self._resumed = resumed
        self._crowd = crowd
        self._patience = patience
        self._opened = self._wake = -1
        self._stopping = False
        self._spliceable = True
        self._pipe_size = _PIPE_DEFAULT
        self._told = -_TELL
        self._wake_lock = threading.Lock()
        self._fd = -1
        self._reading = threading.Lock()
        """Held by the thread that reads: the FIFO's own, or the crowd's."""
        self._thread = Thread(self._run, f"fifo-{os.path.basename(path)[:12]}")

    @property
    def dropped(self) -> dict[str, Dropped]:
        """Reason -> what was given up for it."""
        return self._drop.dropped

    @property
    def is_alive(self) -> bool:
        """Whether the thread, which was started, runs, or has said that it is at the FIFO's end. The thread itself is
        not asked, because that takes a lock, and all threads are looked at every second."""
        return not self._has_died

    def start(self) -> None:
        """Raises RuntimeError or MemoryError where the system gives no more threads."""
        before = threading.stack_size(_STACK)
        try:
            self._thread.start()
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
        is_done = False
        try:
            self._read_to_the_end()
            is_done = True
        finally:
            self._has_died = not is_done
            self._crowd.stirred = True

    def _read_to_the_end(self) -> None:
        """Whatever comes in between: a FIFO that nobody reads blocks its container for good."""
        with self._reading:
            while not self.abandoned:
                self._set_out()
                try:
                    if self._read_all():
                        break
                except FileNotFoundError:
                    if not self._resumed:
                        log.warning("FIFO %s is gone before it was read", self.path)
                    break
                except BaseException as error:  # no file numbers, no memory, a fault of ours
                    self.failing = self._crowd.stirred = True
                    self._tell(error)
                self._away = math.inf
                time.sleep(_AGAIN)
            self._finish()
        with contextlib.suppress(OSError):  # it is closed all the same
            if self._opened >= 0:
                os.close(self._opened)
        self._close_wake()
        self._ended()
        self._notify = self._ended = nothing  # else only the garbage collector would ever free whom they belong to

    def _finish(self) -> None:
        """Write what is still held, and let go of the journal's file."""
        self.finishing = True
        for what in (self._put_back, self._drop.abandon, self.stream.close):
            try:
                what()
            except Exception as error:
                self._tell(error)

    def _tell(self, error: BaseException) -> None:
        now = time.monotonic()
        if now - self._told >= _TELL:
            self._told = now
            try:
                log.error("FIFO %s: reading failed, tried again: %s: %s", self.path, type(error).__name__, error)
            except MemoryError:
                pass

    def _read_all(self) -> bool:
        """Read until the FIFO's end, or until told to leave. Raises OSError, MemoryError; nothing is lost, because
        the FIFO stays open: what is in one that nobody has open is gone."""
        if self._opened < 0:
            self._opened = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        if not stat.S_ISFIFO(os.fstat(self._opened).st_mode):
            log.error("%s is not a FIFO, left alone", self.path)
            return True
        self._ask_size(self._opened)  # small where its user has too many (a rootless engine), grown after a crash
        if self._wake < 0:
            self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._read_open(self._opened)
        return True

    def _close_wake(self) -> None:
        with self._wake_lock:
            wake, self._wake = self._wake, -1
            with contextlib.suppress(OSError):
                if wake >= 0:
                    os.close(wake)

    def _pause(self, seconds: float) -> None:
        bell = select.poll()
        bell.register(self._wake, select.POLLIN)
        self._wait(bell, seconds)

    def _read_open(self, fd: int) -> None:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        bell = select.poll()
        bell.register(self._wake, select.POLLIN)
        had_writer = self._resumed
        last, pause = 0.0, _PAUSE_MIN
        while not self.abandoned:
            if self._aside.size:
                self._put_back()
                self._took(0)
            if self._must_block():
                self.stream.read_since = math.inf
                self._wait(bell, None)
                continue
            stopping = self._stopping  # asked before the FIFO is: the last lines are written before StopLogging
            try:
                moved = self._move(fd)
            except BlockingIOError:
                if self._is_overtaken():
                    continue
                if stopping:
                    return
                self._is_read()
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
                if self._is_overtaken():
                    continue
                if had_writer or self._stopping:
                    return
                had_writer = any(source == fd for source, _ in self._wait(poll, None))
                continue
            had_writer = True
            self._took(moved)
            self._grow(fd, moved)
            now, longest = time.monotonic(), self._crowd.pause(self._patience)
            is_busy = now - last < max(_BUSY, 1.25 * longest)
            last = now
            if moved > self._pipe_size // 2:
                pause = min(_PAUSE_FULL, pause / 2) if pause > _PAUSE_MIN else 0.0
            elif not is_busy:
                pause = 0.0
            elif moved <= self._pipe_size // 4:
                pause = min(longest, max(_PAUSE_MIN, longest / 8, pause * 1.5))
            if self._stopping:
                continue
            may_wait = moved <= self._pipe_size // 4 and (pause > longest / 4 or not is_busy)
            if may_wait and self._crowd.is_one and self._lend(fd, bell):
                last, pause = time.monotonic(), 0.0
            elif pause:
                self._wait(bell, pause)

    def _took(self, moved: int) -> None:
        self._count(moved)
        self._crowd.note(self)
        self._notify()
        self._drop.note_boundary()

    def _count(self, moved: int) -> None:
        self.bytes_read += moved
        self._is_read()
        if self.stream.sync:
            try:
                self.stream.flush()
            except OSError as error:
                log.error("%s: the disk does not confirm what was written: %s", self.stream.directory, error)

    def _is_read(self) -> None:
        self.failing = False
        if self.stream.read_since == math.inf:
            self.stream.read_since = time.monotonic()

    def _lend(self, fd: int, bell: select.poll) -> bool:
        """Wait while the crowd's thread reads this FIFO, until it gives it back or somebody rings; False: it cannot."""
        self._fd = fd
        self._reading.release()
        try:
            lent = self._crowd.lend(self, fd, self._patience)
            if lent:
                self._wait(bell, _QUIET if self._pipe_size > _PIPE_DEFAULT else None)
                self._crowd.take_back(self, fd)
        finally:
            self._reading.acquire()
            self._set_out()
            self._fd = -1
        return lent

    def read(self) -> bool:
        """Read once for the FIFO's own thread, which waits; whether it may go on waiting. What is not plain (nothing
        there, the end, a fault, a limit, a full pipe) is left to that thread, which meets it again."""
        if not self._reading.acquire(blocking=False):
            return False
        try:
            if self._fd < 0 or self._stopping or not self._drop.may_pass_by or self._aside.size or not self._spliceable:
                return False
            if self._limit.policy != "drop-oldest" and self._over_limit():
                return False
            self._set_out()
            moved = self._splice(self._fd)
            if moved:
                self._count(moved)
                self._drop.note_boundary()
            self._grow(self._fd, moved)  # its own thread would not see that it is full: it reads more often
            return 0 < moved <= self._pipe_size // 2
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self._away = math.inf
            self._reading.release()

    def tell(self) -> None:
        """The crowd has read."""
        self._notify()

    # Where a thread hangs in the disk.

    @property
    def is_away(self) -> bool:
        """Whether the thread is in a call that may wait for the disk."""
        return self._away != math.inf

    @property
    def hangs(self) -> bool:
        """Whether the thread that reads has not come back from the disk, and the container would have to wait."""
        away = time.monotonic() - self._away
        return away > _HANGS and self._limit.policy != "block" and not self.finishing

    @property
    def set_aside(self) -> int:
        """Bytes in memory that were read while the thread hung."""
        return self._aside.size

    def rescue(self, fd: int, most: int) -> bool:
        """Another thread: read the FIFO (`fd`) once into memory, up to `most` bytes, if its own thread hangs; whether
        there may be more. Raises BlockingIOError, OSError, MemoryError before anything is taken."""
        with self._aside_lock:
            if not self.hangs or self._aside.sure < self._aside.size:
                return False
            head = peek(fd)
            if not self.stream.is_untouched:
                return False  # the thread is on its way back
            got = self._aside.read(fd, head)
            self.bytes_read += got
            if self._aside.sure == self._aside.size:
                self._aside.keep_within(most)
            return got > 0

    def _is_overtaken(self) -> bool:
        """Whether something was taken out of the FIFO before what the thread comes back with; from now on nothing is.
        What is just being taken is waited for, else it would lie there until the container's next line."""
        with self._aside_lock:
            self._set_out()
            return self._aside.size > 0

    def _splice(self, fd: int) -> int:
        try:
            return self.stream.splice(fd, PIPE_SIZE, self._is_overtaken)
        except Overtaken as error:
            self._moved = error.data
            self._put_back()
            return len(error.data)

    def _put_back(self) -> None:
        """Take what was set aside on its usual way. Raises MemoryError, and nothing is lost."""
        with self._aside_lock:
            self._away = math.inf
        if self._aside.size:
            self._drop.hold(self._aside.joined(self._moved))
            self._aside.clear()
            self._moved = b""
            self._set_out()
            self._drop.settle("journal_full", self._may_write, self._waits_for)

    # Means.

    def _set_out(self) -> None:
        """From now on the thread may be in a call that waits for the disk."""
        self._away = time.monotonic()
        self._crowd.stirred = True  # afterwards: whoever looks sees one or the other

    def _wait(self, poll: select.poll, timeout: float | None) -> list[tuple[int, int]]:
        self._away = math.inf
        events = poll.poll(None if timeout is None else timeout * 1000)
        self._set_out()
        for source, _ in events:
            if source == self._wake:
                try:
                    os.eventfd_read(self._wake)
                except BlockingIOError:
                    pass
        return events

    def _grow(self, fd: int, moved: int) -> None:
        """Make more room in a pipe that was more than half full."""
        if moved > self._pipe_size // 2 and self._pipe_size < PIPE_SIZE:
            self._resize(fd, min(PIPE_SIZE, self._pipe_size * 4))

    def _resize(self, fd: int, size: int) -> None:
        try:
            self._pipe_size = fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, size)
        except OSError:
            # The user's pipe budget is used up, or the pipe holds more than the smaller size: it stays as it is.
            self._ask_size(fd)

    def _ask_size(self, fd: int) -> None:
        with contextlib.suppress(OSError):
            self._pipe_size = fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)

    def _over_limit(self) -> bool:
        stream = self.stream
        waiting = stream.waiting
        if waiting < self._limit.size and not (waiting >= _WAITING and self._limit.full()):
            return False
        # A line that is longer than the limit is not cut by it: it does not wait for the destination but for its rest.
        return not self._drop.holds_one_line(stream.end - waiting)

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
        if not self._drop.may_pass_by or (self._limit.policy == "drop-newest" and self._over_limit()):
            return self._move_or_drop(fd, "journal_full")
        if not self._spliceable:
            return self._move_or_drop(fd, "disk_error")
        try:
            return self._splice(fd)
        except BlockingIOError:
            raise
        except OSError as error:
            if error.errno == errno.EINVAL:
                log.warning("the file system of %s cannot splice: copying instead", self.stream.directory)
                self._spliceable = False
                return self._move(fd)
            reason = reason_of(error)
            moved = -1 if self._waits_for(reason) else self._move_or_drop(fd, reason)
            self.stream.seal()
            return moved

    def _waits_for(self, reason: str) -> bool:
        """Whether the container is to wait until the disk has room; if so, somebody may wake us."""
        self.blocked = self._limit.policy == "block" and reason == "disk_full" and not self._stopping
        if self.blocked:
            self.stream.read_since = math.inf
        return self.blocked

    def _move_or_drop(self, fd: int, reason: str) -> int:
        """Without splice."""
        moved = self._drop.read(fd, reason, self._may_write, self._waits_for)
        if self._drop.held:
            self.stream.seal()
        return moved

    def _may_write(self) -> bool:
        return not (self._limit.policy == "drop-newest" and self._over_limit())
