"""FIFO -> journal, with real FIFOs and threads: every byte in order, or whole lines dropped and counted."""

from __future__ import annotations

import errno
import fcntl
import logging
import math
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otellogdriver.codec import python
from otellogdriver.intake import crowd as crowd_module
from otellogdriver.intake import drop as drop_module
from otellogdriver.intake import fifo as fifo_module
from otellogdriver.intake.crowd import Crowd
from otellogdriver.intake.fifo import PIPE_SIZE, Fifo, Limit
from tests.fakes.engine import pieces
from tests.scene import LONG, content, in_pipe, lines, until
from tests.unit.intake.pipe import Pipe


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    made = Pipe(tmp_path)
    yield made
    made.hang_up()
    if hasattr(made, "fifo"):
        made.fifo.abandon()
        assert made.fifo.join(LONG)


# Every byte


def test_everything_arrives_in_order_over_many_segments(pipe: Pipe) -> None:
    pipe.start()
    data = lines(0, 30_000, size=150)
    pipe.write(data)
    pipe.stop()
    assert content(pipe.stream) == data
    assert pipe.fifo.bytes_read == len(data)
    assert len(pipe.stream.segments) == -(-len(data) // (1 << 20))
    assert pipe.notified > 0 and pipe.fifo.dropped == {}


def test_stop_reads_what_is_in_the_fifo(pipe: Pipe) -> None:
    data = lines(0, 500)
    pipe.write(data)
    pipe.start()
    pipe.stop()
    assert content(pipe.stream) == data


def test_what_is_written_just_before_stop_is_read(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The FIFO is found empty, then the last line is written, then StopLogging comes."""
    real = os.splice

    def splice(*arguments: int, **more: int) -> int:
        try:
            return real(*arguments, **more)
        except BlockingIOError:
            if not pipe.fifo._stopping:
                pipe.write(lines(0, 1))
                pipe.fifo.stop()
            raise

    monkeypatch.setattr(os, "splice", splice)
    pipe.start()
    until(lambda: pipe.ends)
    assert pipe.numbers() == [0]


def test_the_fifo_ends_when_nobody_can_write_it_any_more(pipe: Pipe) -> None:
    pipe.start()
    pipe.write(lines(0, 10))
    until(lambda: pipe.stream.end)
    pipe.hang_up()
    until(lambda: pipe.ends)
    assert pipe.numbers() == list(range(10))


def test_a_resumed_fifo_without_writer_ends_at_once(pipe: Pipe) -> None:
    pipe.hang_up()
    pipe.start(resumed=True)
    until(lambda: pipe.ends)


def test_a_new_fifo_without_writer_waits_for_one(pipe: Pipe) -> None:
    pipe.hang_up()
    pipe.start()
    pipe.fd = os.open(pipe.path, os.O_RDWR)
    pipe.write(lines(0, 10))
    until(lambda: pipe.stream.end)
    assert pipe.ends == 0
    pipe.stop()


def test_a_fifo_that_is_gone_ends(pipe: Pipe, caplog: pytest.LogCaptureFixture) -> None:
    os.unlink(pipe.path)
    pipe.start()
    until(lambda: pipe.ends)
    assert "is gone" in caplog.text


def test_abandon_leaves_the_rest_to_the_next_run(pipe: Pipe) -> None:
    pipe.start(Limit(1, "block"))
    pipe.write(lines(0, 10))
    until(lambda: pipe.stream.end)
    pipe.write(lines(10, 20))
    pipe.fifo.abandon()
    assert pipe.fifo.join(LONG)
    assert in_pipe(pipe.fd) == len(lines(10, 20))
    pipe.ends = 0
    pipe.start(resumed=True)
    pipe.stop()
    assert pipe.numbers() == list(range(20))


def test_waking_and_stopping_an_ended_fifo_does_nothing(pipe: Pipe) -> None:
    pipe.start()
    pipe.stop()
    taken = [os.open("/dev/null", os.O_RDWR) for _ in range(50)]  # numbers that were the thread's are in use again
    for _ in range(100):
        pipe.fifo.wake()
        pipe.fifo.stop()
    for fd in taken:
        os.close(fd)
    assert pipe.ends == 1


def test_an_idle_fifo_costs_no_wake_up(pipe: Pipe) -> None:
    pipe.start()
    pipe.write(lines(0, 10))
    until(lambda: pipe.stream.end)
    task = Path(f"/proc/self/task/{pipe.fifo._thread.native_id}/status")

    def switches() -> str:
        return task.read_text().split("voluntary_ctxt_switches:")[1].split()[0]

    until(lambda: "S (sleeping)" in task.read_text())
    before = switches()
    time.sleep(0.3)  # not a wait for something: the time in which nothing may happen
    assert switches() == before


def test_lines_that_come_one_by_one_are_read_together(pipe: Pipe) -> None:
    pipe.start()
    began = time.monotonic()
    for each in range(100):
        pipe.write(lines(each, each + 1))
        time.sleep(0.002)  # not a wait for something: the pace of the container
    pipe.stop()
    assert pipe.numbers() == list(range(100))
    assert pipe.notified < 5 + (time.monotonic() - began) / (crowd_module.PAUSE / 4)


def test_a_stop_ends_the_pause(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd_module, "_PAUSE_LONGEST", 1000.0)
    pipe.start(patience=1000.0)
    written = 0

    def pauses() -> bool:
        nonlocal written
        if not in_pipe(pipe.fd):
            pipe.write(lines(written, written + 1))
            written += 1
        return time.monotonic() - since > 0.2

    since = time.monotonic()
    until(pauses)
    assert in_pipe(pipe.fd)
    began = time.monotonic()
    pipe.stop()
    assert time.monotonic() - began < 10
    assert pipe.numbers() == list(range(written))


def test_a_busy_pipe_grows_and_a_quiet_one_shrinks(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fifo_module, "_QUIET", 0.05)
    pipe.start()

    def size() -> int:
        return fcntl.fcntl(pipe.fd, fcntl.F_GETPIPE_SZ)

    deadline = time.monotonic() + 20
    grown = size()
    while grown < PIPE_SIZE and time.monotonic() < deadline:
        pipe.write(lines(0, 2000, size=100))
        grown = max(grown, size())
    assert grown >= PIPE_SIZE // 4
    until(lambda: size() == 64 << 10)


def test_a_pipe_that_is_small_from_the_start_grows(pipe: Pipe) -> None:
    """A user with many pipes gets no larger ones than this."""
    fcntl.fcntl(pipe.fd, fcntl.F_SETPIPE_SZ, 4096)
    pipe.start()

    def grows() -> bool:
        pipe.write(lines(0, 200, size=100))
        return fcntl.fcntl(pipe.fd, fcntl.F_GETPIPE_SZ) >= 64 << 10

    until(grows)


def test_a_pipe_that_an_earlier_driver_has_grown_shrinks(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fifo_module, "_QUIET", 0.05)
    fcntl.fcntl(pipe.fd, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    pipe.start(resumed=True)
    pipe.write(lines(0, 1))
    until(lambda: fcntl.fcntl(pipe.fd, fcntl.F_GETPIPE_SZ) == 64 << 10)


def test_a_pipe_that_nobody_may_resize_is_read_all_the_same(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    pipe.start()
    pipe.write(lines(0, 20_000, size=100))
    pipe.stop()
    assert pipe.numbers() == list(range(20_000))
    assert "tried again" not in caplog.text


def test_the_pipe_of_a_fifo_that_is_lent_grows(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the crowd would give it back at each read, and its own thread, which reads more often, lend it again."""
    monkeypatch.setattr(crowd_module, "_FEW", 0)
    fifo = pipe.start()
    some = lines(0, 300, size=100)  # more than half a pipe

    def grows() -> bool:
        pipe.write(some if fifo in fifo._crowd._lent.values() else lines(0, 1))
        return fcntl.fcntl(pipe.fd, fcntl.F_GETPIPE_SZ) > 64 << 10

    assert 32 << 10 < len(some) < 60 << 10
    until(grows)


def test_where_splice_is_refused_bytes_are_copied_and_that_is_said_once(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "splice", refuse)
    pipe.start()
    data = lines(0, 30_000, size=100)
    pipe.write(data)
    pipe.stop()
    assert content(pipe.stream) == data
    assert [record.levelname for record in caplog.records] == ["WARNING"]


# Limits


def test_drop_newest_drops_whole_lines_and_counts_them(pipe: Pipe) -> None:
    pipe.start(Limit(100_000, "drop-newest"))
    pipe.write(lines(0, 20_000, size=50))
    pipe.stop()
    kept = pipe.numbers()
    assert kept == list(range(len(kept)))
    dropped = pipe.fifo.dropped["journal_full"]
    assert len(kept) + dropped.lines[0] == 20_000 and dropped.lines[1] == 0
    assert dropped.bytes + pipe.stream.end == len(lines(0, 20_000, size=50))
    assert 100_000 - 200 <= pipe.stream.end <= 100_000 + PIPE_SIZE


def test_drop_newest_goes_on_when_there_is_room(pipe: Pipe) -> None:
    pipe.start(Limit(50_000, "drop-newest"))
    pipe.write(lines(0, 5000, size=50))
    until(lambda: in_pipe(pipe.fd) == 0 and pipe.fifo.dropped)
    pipe.stream.advance(delivered=pipe.stream.end)
    pipe.write(lines(5000, 5100, b"stderr", size=50))
    pipe.stop()
    kept = pipe.numbers()
    assert kept == sorted(kept) and kept[-100:] == list(range(5000, 5100))
    assert len(kept) + sum(pipe.fifo.dropped["journal_full"].lines) == 5100


def test_dropping_begins_at_the_last_whole_frame(pipe: Pipe) -> None:
    """The frame that was cut when the limit was reached is dropped whole, its begin taken out of the journal again."""
    pipe.start(Limit(1, "drop-newest"))
    whole = lines(0, 2, size=5000)
    third = lines(2, 3, size=5000)
    pipe.write(whole + third[:3000])
    until(lambda: pipe.stream.end == len(whole) + 3000)
    pipe.write(third[3000:] + lines(3, 4))
    pipe.stop()
    assert pipe.numbers() == [0, 1]
    assert pipe.fifo.dropped["journal_full"].lines == [2, 0]


def test_block_makes_the_writer_wait_until_there_is_room(pipe: Pipe) -> None:
    pipe.start(Limit(200_000, "block"))
    assert pipe.stream.read_since < math.inf
    data = lines(0, 20_000, size=100)
    writer = threading.Thread(target=pipe.write, args=(data,))
    writer.start()
    until(lambda: pipe.fifo.blocked)
    until(lambda: pipe.stream.read_since == math.inf, what="nobody reads, so nothing grows old")
    assert pipe.stream.end < len(data) - (2 << 20) or pipe.stream.end <= 200_000 + PIPE_SIZE
    while writer.is_alive():
        pipe.stream.advance(delivered=pipe.stream.end)
        if pipe.fifo.blocked:
            pipe.fifo.wake()
        writer.join(0.001)
    pipe.stop()  # drains over the limit
    assert pipe.stream.read_since < math.inf
    assert content(pipe.stream) == data
    assert pipe.fifo.dropped == {}


def test_block_does_not_miss_room_that_is_made_while_it_looks(pipe: Pipe) -> None:
    def full() -> bool:
        pipe.stream.advance(delivered=pipe.stream.end)  # the answer is out of date before it is given
        if pipe.fifo.blocked:
            pipe.fifo.wake()
        return True

    pipe.start(Limit(1 << 40, "block", full))
    pipe.write(lines(0, 20_000, size=100))
    until(lambda: in_pipe(pipe.fd) == 0)
    assert pipe.fifo.dropped == {}


def test_what_is_delivered_at_once_is_not_dropped_for_the_others_sake(pipe: Pipe) -> None:
    pipe.start(Limit(1 << 30, "drop-newest", full=lambda: True))
    for begin in range(0, 3000, 100):
        pipe.write(lines(begin, begin + 100, size=100))
        until(lambda: in_pipe(pipe.fd) == 0)
        pipe.stream.advance(delivered=pipe.stream.end)
    pipe.write(lines(3000, 6000, size=100))
    pipe.stop()
    kept = pipe.numbers()
    assert kept[:3000] == list(range(3000))
    assert len(kept) + sum(pipe.fifo.dropped["journal_full"].lines) == 6000


def test_the_walk_to_where_dropping_begins_is_short(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drop_module, "_UNKNOWN", 1 << 18)
    walked = []

    def count(chunk: bytes | bytearray | memoryview, start: int, offset: int, final: bool) -> tuple[int, int, int, int]:
        walked.append(len(chunk))
        return python.count(chunk, start, offset, final)

    limit = Limit(8 << 20, "drop-newest")
    pipe.fifo = Fifo(pipe.path, pipe.stream, limit, count, notify=lambda: None, ended=pipe.end, crowd=Crowd())
    pipe.fifo.start()
    pipe.write(lines(0, 60_000, size=200))
    pipe.stop()
    assert pipe.fifo.dropped
    assert max(walked) <= (1 << 18) + 2 * PIPE_SIZE  # each byte about once, never all at once


# A disk that takes no more


class Disk:
    """`os.splice` and `os.pwrite` that fail, write less or work, by a random generator; `broken` fails them all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
        self.random = random.Random(seed)
        self.broken = False
        self.rate = 0.2
        self.real_splice, self.real_pwrite = os.splice, os.pwrite
        monkeypatch.setattr(os, "splice", self.splice)
        monkeypatch.setattr(os, "pwrite", self.pwrite)

    def fail(self) -> bool:
        return self.broken or self.random.random() < self.rate

    def splice(self, source: int, target: int, most: int, offset_dst: int) -> int:
        if self.fail():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.real_splice(source, target, self.random.randint(1, most), offset_dst=offset_dst)

    def pwrite(self, fd: int, data: memoryview, offset: int) -> int:
        if self.fail():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.real_pwrite(fd, data[: self.random.randint(1, len(data))], offset)


@pytest.mark.parametrize("seed", range(12))
def test_a_disk_full_now_and_then_loses_whole_lines_and_counts_them(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(fifo_module, "_AGAIN", 0.001)
    disk = Disk(monkeypatch, seed)
    policy = ("drop-oldest", "drop-newest", "block")[seed % 3]
    pipe.start(Limit(300_000 if policy == "drop-newest" else 1 << 40, policy))
    rng = random.Random(seed)
    data = lines(0, 8000, size=40) + lines(8000, 8100, size=15_000)
    while data:
        size = rng.choice((1, 7, 300, 5000, 60_000))
        pipe.write(data[:size])
        data = data[size:]
        if rng.random() < 0.2:
            pipe.stream.advance(delivered=pipe.stream.end)
    disk.rate = 0.0
    pipe.stop()
    kept = pipe.numbers()
    assert kept == sorted(set(kept))
    dropped = pipe.fifo.dropped
    assert len(kept) + sum(sum(each.lines) for each in dropped.values()) == 8100
    assert set(dropped) <= {"disk_full", "journal_full"}


def test_a_broken_disk_blocks_nobody_and_heals(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk(monkeypatch, 0)
    disk.rate, disk.broken = 0.0, True
    pipe.start()
    with caplog.at_level(logging.INFO):
        pipe.write(lines(0, 20_000, size=100))  # more than the pipe holds: this returns because it is read
        until(lambda: in_pipe(pipe.fd) == 0)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    disk.broken = False
    pipe.write(lines(20_000, 20_100))
    pipe.stop()
    assert pipe.numbers()[-100:] == list(range(20_000, 20_100))
    assert len(pipe.numbers()) + sum(pipe.fifo.dropped["disk_full"].lines) == 20_100


@pytest.mark.parametrize("spliced", [True, False])
def test_with_block_a_full_disk_makes_the_container_wait(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, spliced: bool
) -> None:
    monkeypatch.setattr(fifo_module, "_AGAIN", 0.01)
    disk = Disk(monkeypatch, 0)
    disk.rate, disk.broken = 0.0, True
    if not spliced:

        def refuse(*_: object, **__: object) -> int:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

        monkeypatch.setattr(os, "splice", refuse)
    pipe.start(Limit(1 << 40, "block"))
    data = lines(0, 20_000, size=100)
    writer = threading.Thread(target=pipe.write, args=(data,))
    writer.start()
    until(lambda: pipe.fifo.blocked)
    writer.join(0.2)
    assert writer.is_alive()
    disk.broken = False
    writer.join(LONG)
    pipe.stop()
    assert content(pipe.stream) == data
    assert pipe.fifo.dropped == {}


def test_a_directory_that_cannot_be_written_is_a_disk_error(pipe: Pipe, tmp_path: Path) -> None:
    (tmp_path / "stream").write_text("a file")
    pipe.start()
    pipe.write(lines(0, 100))
    until(lambda: in_pipe(pipe.fd) == 0 and pipe.fifo.dropped)
    (tmp_path / "stream").unlink()
    pipe.write(lines(100, 200))
    pipe.stop()
    assert pipe.numbers()[-100:] == list(range(100, 200))
    assert len(pipe.numbers()) + sum(pipe.fifo.dropped["disk_error"].lines) == 200


def test_pieces_dropped_count_as_one_line(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, 0)
    disk.rate, disk.broken = 0.0, True
    pipe.start()
    pipe.write(pieces(b"a" * 200_000) + lines(0, 1) + pieces(b"b" * 20_000, b"stderr"))
    pipe.stop()
    assert pipe.fifo.dropped["disk_full"].lines == [2, 1]


# Faults


def test_what_a_writer_left_is_read_although_something_was_short_when_it_went(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A FIFO that nobody has open forgets what is in it."""
    short, asked = threading.Event(), threading.Event()
    short.set()
    real = os.eventfd

    def eventfd(*arguments: int) -> int:
        asked.set()
        if short.is_set():
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(*arguments)

    monkeypatch.setattr(fifo_module, "_AGAIN", 0.01)
    monkeypatch.setattr(os, "eventfd", eventfd)
    pipe.write(lines(0, 10))
    pipe.start()
    assert asked.wait(20)
    pipe.hang_up()
    short.clear()
    until(lambda: pipe.ends)
    assert pipe.numbers() == list(range(10))


def test_a_fault_while_reading_does_not_leave_the_fifo_unread(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fifo_module, "_AGAIN", 0.01)
    faults = [OSError(errno.EMFILE, "Too many open files"), RuntimeError("a fault of ours"), None]
    real: Callable[..., int] = os.open

    def opened(path: object, *rest: int) -> int:
        if path == pipe.path and (fault := faults.pop(0) if faults else None):
            raise fault
        return real(path, *rest)

    monkeypatch.setattr(os, "open", opened)
    pipe.start()
    pipe.write(lines(0, 20_000, size=100))
    pipe.stop()
    assert pipe.numbers() == list(range(20_000))
    assert caplog.text.count("reading failed") == 1, "said once a minute"


@pytest.mark.measures
def test_many_fifos_cost_little_memory_and_leave_no_descriptor(tmp_path: Path) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    before, open_before = resident(), descriptors()
    pipes = []
    for index in range(200):
        pipes.append(Pipe(tmp_path / str(index)))
        pipes[-1].start()
        pipes[-1].write(lines(0, 1))
    for each in pipes:
        until(lambda each=each: each.stream.end)  # type: ignore[misc]
    assert (resident() - before) / 200 < 100 << 10
    for each in pipes:
        each.stop()
        each.hang_up()
    assert descriptors() == open_before
    assert all(each.numbers() == [0] for each in pipes)
