"""Many busy FIFOs, read by one thread: every byte arrives, and each FIFO can be had back at once."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from otellogdriver.intake.crowd import PAUSE, Crowd
from otellogdriver.intake.fifo import Limit
from tests.scene import LONG, content, lines, until
from tests.unit.intake.pipe import Pipe

MANY = 12


class Busy(Pipe):
    """One that is written all the time."""

    def __init__(self, directory: Path, crowd: Crowd, limit: Limit) -> None:
        super().__init__(directory, 64 << 10)
        self.written = bytearray()
        self.threads: set[str] = set()
        self.start(limit, crowd=crowd)

    def notify(self) -> None:
        self.threads.add(threading.current_thread().name)

    def print(self, number: int, size: int = 150) -> None:
        data = lines(number, number + 1, size=size)
        self.write(data)
        self.written += data

    def stop(self) -> None:
        super().stop()
        self.hang_up()


def busy(folder: Path, limit: Limit) -> Iterator[list[Busy]]:
    crowd = Crowd()
    made = [Busy(folder / str(number), crowd, limit) for number in range(MANY)]
    yield made
    for each in made:
        each.fifo.abandon()
        assert each.fifo.join(LONG)


@pytest.fixture
def many(tmp_path: Path) -> Iterator[list[Busy]]:
    yield from busy(tmp_path, Limit(1 << 40, "drop-oldest"))


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[list[Busy]]:
    yield from busy(tmp_path, Limit(20_000, "drop-newest"))


def write_until_lent(many: list[Busy], size: int = 150) -> int:
    """Lines to all in turn, until each of them has been read by the crowd's thread."""
    number = 0

    def all_lent() -> bool:
        nonlocal number
        for each in many:
            each.print(number, size)
        number += 1
        return all("crowd" in each.threads for each in many)

    until(all_lent)
    return number


def crowd_threads() -> int:
    return sum(thread.name == "crowd" for thread in threading.enumerate())


def test_every_byte_arrives_whoever_reads(many: list[Busy]) -> None:
    number = write_until_lent(many)
    assert crowd_threads() == 1
    for index, each in enumerate(many):  # more than a pipe holds, so that some come back to their own threads
        for more in range(number, number + 400 * index):
            each.print(more)
    for each in many:
        each.stop()
        assert content(each.stream) == bytes(each.written)
        assert each.fifo.bytes_read == len(each.written) and each.fifo.dropped == {}
    until(lambda: crowd_threads() == 0)


def test_stop_of_a_lent_fifo_is_quick_and_whole(many: list[Busy]) -> None:
    write_until_lent(many)
    for each in many:
        each.print(10**6)
        began = time.monotonic()
        each.stop()
        assert time.monotonic() - began < 2.0
        assert content(each.stream) == bytes(each.written)


def switches(thread: threading.Thread) -> str:
    return (
        Path(f"/proc/self/task/{thread.native_id}/status").read_text().split("voluntary_ctxt_switches:")[1].split()[0]
    )


def test_lent_fifos_that_are_quiet_wake_nobody(many: list[Busy]) -> None:
    write_until_lent(many)
    until(lambda: all(content(each.stream) == bytes(each.written) for each in many))
    crowd = next(thread for thread in threading.enumerate() if thread.name == "crowd")
    own = [each.fifo._thread for each in many]
    task = Path(f"/proc/self/task/{crowd.native_id}/status")
    until(lambda: "S (sleeping)" in task.read_text())
    time.sleep(2 * PAUSE)  # not a wait for something: the end of the pause that it may be in
    before = [switches(thread) for thread in (crowd, *own)]
    time.sleep(0.3)  # the time in which nothing may happen
    assert [switches(thread) for thread in (crowd, *own)] == before
    many[0].print(10**6)
    until(lambda: content(many[0].stream) == bytes(many[0].written))
    for each in many:
        each.stop()


def test_a_line_after_a_while_is_read_at_once_and_those_that_follow_together(many: list[Busy]) -> None:
    write_until_lent(many)
    until(lambda: all(content(each.stream) == bytes(each.written) for each in many))
    time.sleep(2 * PAUSE)  # not a wait for something: what comes now comes after a while
    reads: list[int] = []
    note = many[0].fifo._notify

    def count() -> None:
        reads.append(many[0].stream.end)
        note()

    many[0].fifo._notify = count
    first = many[0].stream.end
    for number in range(10**6, 10**6 + 100):
        many[0].print(number)
    until(lambda: content(many[0].stream) == bytes(many[0].written))
    assert reads[0] > first and len(reads) < 30
    for each in many:
        each.stop()


def test_limits_hold_for_lent_fifos(limited: list[Busy]) -> None:
    write_until_lent(limited, 50)
    for each in limited:
        for more in range(2000):
            each.print(more)
    for each in limited:
        each.stop()
        dropped = each.fifo.dropped["journal_full"].bytes
        assert dropped and each.stream.end < 100_000 and dropped + each.stream.end == len(each.written)


class Member:
    """Has something to say, always."""

    def __init__(self, answers: list[bool | Exception]) -> None:
        self.answers = answers
        self.reads = self.told = 0
        self.woken = threading.Event()
        self.fd = os.eventfd(1, os.EFD_CLOEXEC)

    def read(self) -> bool:
        self.reads += 1
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer

    def tell(self) -> None:
        self.told += 1

    def wake(self) -> None:
        self.woken.set()

    def close(self, crowd: Crowd) -> None:
        crowd.take_back(self, self.fd)
        os.close(self.fd)


def test_who_says_no_is_given_back(caplog: pytest.LogCaptureFixture) -> None:
    crowd = Crowd()
    steady, ending, broken = members = Member([]), Member([True, False]), Member([ValueError("a fault")])
    for member in members:
        assert crowd.lend(member, member.fd)
    assert ending.woken.wait(5) and broken.woken.wait(5) and not steady.woken.is_set()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert (ending.reads, broken.reads) == (2, 1)
    crowd.take_back(steady, steady.fd)
    until(lambda: crowd_threads() == 0)
    assert crowd.lend(steady, steady.fd)  # it begins again
    assert crowd_threads() == 1
    for member in members:
        member.close(crowd)
    until(lambda: crowd_threads() == 0)


def test_what_cannot_be_waited_for_is_not_lent(tmp_path: Path) -> None:
    crowd, member = Crowd(), Member([])
    with open(tmp_path / "file", "wb") as file:
        assert not crowd.lend(member, file.fileno())
    until(lambda: crowd_threads() == 0)
    assert crowd.lend(member, member.fd)
    member.close(crowd)
    until(lambda: crowd_threads() == 0)


def test_the_least_patience_counts() -> None:
    crowd, slow, hasty = Crowd(), Member([]), Member([])
    assert crowd.lend(slow, slow.fd)
    assert crowd.lend(hasty, hasty.fd, 0.001)
    until(lambda: slow.reads > 20)
    for member in (slow, hasty):
        member.close(crowd)


def test_faults_of_the_thread_do_not_end_it(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    crowd, member = Crowd(), Member([])
    assert crowd.lend(member, member.fd)
    fault = [MemoryError()]

    def pause(patience: float = PAUSE) -> float:
        if fault:
            raise fault.pop()
        return 0.001

    monkeypatch.setattr(crowd, "pause", pause)
    until(lambda: not fault)
    reads = member.reads
    until(lambda: member.reads > reads + 2)
    member.close(crowd)
    assert "tried again" in caplog.text


def test_a_fault_between_two_rounds_that_cannot_even_be_logged_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    crowd, member = Crowd(), Member([])
    faults = [MemoryError()] * 2

    def fail(*_: object) -> bool:
        if faults:
            raise faults.pop()
        return False

    monkeypatch.setattr(crowd, "_is_done", fail)
    monkeypatch.setattr("otellogdriver.intake.crowd.log.error", fail)
    assert crowd.lend(member, member.fd)
    until(lambda: not faults and member.reads > 2)
    monkeypatch.undo()
    member.close(crowd)


def test_a_read_that_fails_without_a_word_is_not_taken_for_one_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    crowd, broken, other = Crowd(), Member([ValueError("a fault")]), Member([])
    failed = threading.Event()

    def fail(*_: object) -> None:
        failed.set()
        broken.close(crowd)
        raise MemoryError

    monkeypatch.setattr("otellogdriver.intake.crowd.log.exception", fail)
    monkeypatch.setattr("otellogdriver.intake.crowd._HANGS", 0.05)
    assert crowd.lend(broken, broken.fd)
    assert failed.wait(20)
    until(lambda: crowd_threads() == 0)
    time.sleep(0.1)  # longer than what counts as hanging
    assert crowd.lend(other, other.fd)
    other.close(crowd)
    until(lambda: crowd_threads() == 0)


def test_who_is_given_back_hears_of_it_though_waking_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    crowd, member, woken = Crowd(), Member([False]), threading.Event()
    faults: list[Exception] = [OSError(28, "No space left on device"), MemoryError()]

    def wake() -> None:
        if faults:
            raise faults.pop()
        woken.set()

    monkeypatch.setattr(member, "wake", wake)
    assert crowd.lend(member, member.fd)
    assert woken.wait(20)
    monkeypatch.undo()
    member.close(crowd)


def test_who_cannot_be_woken_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    crowd, deaf, steady, other = Crowd(), Member([False]), Member([]), Member([True, False])
    heals = threading.Event()

    def wake() -> None:
        if not heals.is_set():
            raise OSError(28, "No space left on device")
        deaf.woken.set()

    monkeypatch.setattr(deaf, "wake", wake)
    assert crowd.lend(deaf, deaf.fd) and crowd.lend(steady, steady.fd)
    until(lambda: deaf.reads == 1)
    reads = steady.reads
    until(lambda: steady.reads > reads + 2, within=5)
    assert crowd.lend(other, other.fd) and other.woken.wait(5) and not deaf.woken.is_set()
    steady.close(crowd)
    assert crowd_threads() == 1  # it is all that knows of who has not heard
    heals.set()
    assert deaf.woken.wait(5)
    until(lambda: crowd_threads() == 0)
    for member in (deaf, other):
        member.close(crowd)


def test_without_a_thread_nobody_is_lent(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none)
    member, before = Member([]), len(os.listdir("/proc/self/fd"))
    assert not Crowd().lend(member, member.fd)
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_pause_grows_with_the_crowd() -> None:
    crowd = Crowd()
    assert not crowd.is_one and crowd.pause() == PAUSE and crowd.pause(0.01) == 0.01
    crowd.note(*(Member([]) for _ in range(100)))
    assert crowd.is_one and crowd.pause() == pytest.approx(0.1)
    crowd.note(*(Member([]) for _ in range(1000)))
    assert crowd.pause() == 0.4


class Listed(Member):
    """One of those whose calls are listed in their order."""

    def __init__(self, calls: list[str]) -> None:
        super().__init__([])
        self.calls = calls
        self.go = threading.Event()
        self.go.set()

    def read(self) -> bool:
        self.calls.append("read")
        assert self.go.wait(LONG)
        return super().read()

    def tell(self) -> None:
        self.calls.append("tell")
        super().tell()


def lent_without_a_thread(monkeypatch: pytest.MonkeyPatch, crowd: Crowd, *members: Member) -> None:
    """The rounds are the test's own."""
    with monkeypatch.context() as patch:
        patch.setattr("otellogdriver.intake.crowd.Thread", lambda *_: SimpleNamespace(start=lambda: None))
        for member in members:
            assert crowd.lend(member, member.fd)


def end(crowd: Crowd, *members: Member) -> None:
    for member in members:
        member.close(crowd)
    crowd._tell()
    assert crowd._is_done()


def test_who_was_read_tells_of_it_when_all_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    crowd, members = Crowd(), [Listed(calls) for _ in range(3)]
    lent_without_a_thread(monkeypatch, crowd, *members)
    last = crowd._round(0.0)
    assert not crowd._is_done()
    crowd._round(last)
    assert calls == [*["read"] * 3, *["tell"] * 3, *["read"] * 3]
    assert crowd.size == 3
    end(crowd, *members)
    assert calls[9:] == ["tell"] * 3


def test_who_cannot_tell_keeps_the_others_from_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise MemoryError

    crowd, mute, well = Crowd(), Member([]), Member([])
    lent_without_a_thread(monkeypatch, crowd, mute, well)
    monkeypatch.setattr(mute, "tell", fail)
    crowd._round(crowd._round(0.0))
    assert (well.reads, well.told, mute.reads) == (2, 1, 2) and not mute.woken.is_set()
    assert len(caplog.records) == 1
    end(crowd, mute, well)


def test_a_read_that_hangs_keeps_nobody_from_telling(monkeypatch: pytest.MonkeyPatch) -> None:
    crowd, well, hanging = Crowd(), Listed([]), Listed([])
    hanging.go.clear()
    lent_without_a_thread(monkeypatch, crowd, well, hanging)
    thread = threading.Thread(target=crowd._round, args=(0.0,))
    thread.start()
    until(lambda: crowd.hangs)
    assert (well.calls, hanging.calls) == (["read"], ["read"])
    crowd.relieve()
    assert well.told == 1 and well.woken.is_set() and hanging.woken.is_set()
    hanging.go.set()
    thread.join(LONG)
    end(crowd, well, hanging)
