"""A disk that hangs: the FIFO is emptied all the same, and afterwards every line is in its place, or counted."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otellogdriver.intake import crowd as crowd_module
from otellogdriver.intake import fifo as fifo_module
from otellogdriver.intake import rescue as rescue_module
from otellogdriver.intake.crowd import Crowd
from otellogdriver.intake.fifo import Limit
from otellogdriver.intake.rescue import Rescue
from tests.scene import LONG, in_pipe, lines, until
from tests.unit.intake.pipe import NO_LIMIT, Pipe


class Disk:
    """Calls that write wait while it is frozen; `late` ones have moved their bytes before they wait."""

    CALLS = ("splice", "pwrite", "mkdir", "fdatasync", "truncate")

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.thawed = threading.Event()
        self.thawed.set()
        self.late = False
        self.waiting = 0
        for name in self.CALLS:
            monkeypatch.setattr(os, name, self._slow(getattr(os, name)))

    def _slow(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            if self.late:
                found = real(*arguments, **more)
                self._wait()
                return found
            self._wait()
            return real(*arguments, **more)

        return call

    def _wait(self) -> None:
        self.waiting += 1
        assert self.thawed.wait(60)
        self.waiting -= 1


class Watch:
    """Looks as often as the driver does in a test's time."""

    def __init__(self, rescue: Rescue, crowd: Crowd, scenes: list[Pipe]) -> None:
        self._over = threading.Event()
        self._rescue, self._crowd, self._scenes = rescue, crowd, scenes
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(0.02):
            self._crowd.relieve()
            with contextlib.suppress(MemoryError):  # a thread that does not begin soon enough: the next look has one
                self._rescue.look([scene.fifo for scene in self._scenes])

    def close(self) -> None:
        self._over.set()
        self._thread.join()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr(fifo_module, "_HANGS", 0.05)
    monkeypatch.setattr(crowd_module, "_HANGS", 0.05)
    return Disk(monkeypatch)


@pytest.fixture
def open_scene(tmp_path: Path, disk: Disk) -> Iterator[Callable[..., Pipe]]:
    scenes: list[Pipe] = []
    rescue, crowd = Rescue(), Crowd()
    watch = Watch(rescue, crowd, scenes)

    def made(limit: Limit = NO_LIMIT, sync: bool = False) -> Pipe:
        scene = Pipe(tmp_path / str(len(scenes)), sync=sync)
        scene.start(limit, crowd=crowd)
        scenes.append(scene)  # not before it has a reader: somebody is looking
        return scene

    yield made
    disk.thawed.set()
    for scene in scenes:
        scene.stop()
        scene.hang_up()
    watch.close()
    until(lambda: not any(thread.name == "rescue" for thread in threading.enumerate()))


@pytest.mark.parametrize("fresh", [True, False], ids=["nothing on disk yet", "something on disk"])
def test_what_comes_while_the_disk_hangs_is_read_and_is_in_its_place_afterwards(
    open_scene: Callable[..., Pipe], disk: Disk, fresh: bool
) -> None:
    scene = open_scene()
    if not fresh:
        scene.write(lines(0, 10) + lines(10, 11)[:7])
        until(lambda: scene.stream.end)
    disk.thawed.clear()
    scene.write(lines(0, 5000, size=150) if fresh else lines(10, 11)[7:] + lines(11, 5000, size=150))
    until(lambda: in_pipe(scene.fd) == 0, what="somebody else reads")
    disk.thawed.set()
    scene.write(lines(5000, 5100))
    scene.stop()
    assert scene.numbers() == list(range(5100))
    assert scene.fifo.dropped == {}
    assert scene.fifo.bytes_read == scene.stream.end


def test_what_is_just_being_read_when_the_disk_comes_back_does_not_wait_for_the_next_line(
    open_scene: Callable[..., Pipe], disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, readv = open_scene(), os.readv
    scene.write(lines(0, 10))
    until(lambda: scene.stream.end)

    def meanwhile(fd: int, buffers: list[memoryview]) -> int:
        """The FIFO is empty, nobody knows of the bytes yet, and the thread that hung looks at it again."""
        got = readv(fd, buffers)
        disk.thawed.set()
        until(lambda: not disk.waiting)
        time.sleep(0.2)
        return got

    disk.thawed.clear()
    monkeypatch.setattr(os, "readv", meanwhile)
    scene.write(lines(10, 20))
    until(lambda: scene.stream.end == len(lines(0, 20)))
    assert scene.numbers() == list(range(20))


def test_memory_is_bounded_and_what_it_cannot_hold_is_dropped_by_whole_lines(
    open_scene: Callable[..., Pipe], disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rescue_module, "_EACH", 100_000)
    scene = open_scene()
    scene.write(lines(0, 10) + lines(10, 11, size=150)[:70])
    until(lambda: scene.stream.end)
    disk.thawed.clear()
    scene.write(lines(10, 11, size=150)[70:] + lines(11, 20_000, size=150))
    until(lambda: in_pipe(scene.fd) == 0)
    assert scene.fifo.set_aside < 100_000 + (512 << 10)
    disk.thawed.set()
    until(lambda: scene.fifo.set_aside == 0)
    scene.write(lines(20_000, 20_100, size=150))
    scene.stop()
    kept = scene.numbers()
    assert kept == sorted(set(kept)) and kept[:500] == list(range(500)) and kept[-100:] == list(range(20_000, 20_100))
    assert len(kept) + sum(scene.fifo.dropped["disk_error"].lines) == 20_100
    assert set(scene.fifo.dropped) == {"disk_error"}


def test_a_call_that_has_moved_its_bytes_comes_first(open_scene: Callable[..., Pipe], disk: Disk) -> None:
    scene = open_scene()
    scene.write(lines(0, 10))
    until(lambda: scene.stream.end)
    disk.late = True
    disk.thawed.clear()
    scene.write(lines(10, 20))
    until(lambda: disk.waiting)
    scene.write(lines(20, 30))
    until(lambda: scene.fifo.hangs)
    disk.thawed.set()
    scene.stop()
    assert scene.numbers() == list(range(30))


@pytest.mark.parametrize("first", ["the read", "the call"])
def test_a_call_that_comes_back_while_its_fifo_is_read_keeps_the_order(
    open_scene: Callable[..., Pipe], disk: Disk, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """The last read and the call take one piece of the FIFO each, of whole frames or not."""
    scene = open_scene()
    scene.write(lines(0, 10))
    until(lambda: scene.stream.end)
    disk.thawed.clear()
    aside, real = scene.fifo._aside, scene.fifo._aside.read
    last = lines(30, 40)

    def come_back() -> None:
        disk.thawed.set()
        until(lambda: not scene.stream.is_untouched)

    def read(fd: int, head: bytes) -> int:
        is_last = aside.size >= len(lines(10, 20))
        if is_last and first == "the call":
            come_back()
            scene.write(last[33:])
        got = real(fd, head)
        if is_last and first == "the read":
            scene.write(last[33:])
            come_back()
        return got

    monkeypatch.setattr(aside, "read", read)
    scene.write(lines(10, 20))
    until(lambda: aside.sure == len(lines(10, 20)))
    scene.write(lines(20, 30) + last[:33])
    until(lambda: scene.stream.end == len(lines(0, 40)))
    scene.stop()
    assert scene.numbers() == list(range(40))


@pytest.mark.parametrize("sync", [False, True], ids=["plain", "journal-sync"])
@pytest.mark.parametrize("seed", range(4))
def test_a_disk_that_hangs_again_and_again_loses_nothing(
    open_scene: Callable[..., Pipe], disk: Disk, monkeypatch: pytest.MonkeyPatch, seed: int, sync: bool
) -> None:
    monkeypatch.setattr(rescue_module, "_EACH", 1 << 26)
    monkeypatch.setattr(rescue_module, "_ALL", 1 << 28)
    chance = random.Random(seed)
    scenes = [open_scene(sync=sync) for _ in range(3)]
    over = threading.Event()

    def freeze() -> None:
        while not over.wait(chance.uniform(0.01, 0.2)):
            disk.thawed.clear()
            over.wait(chance.uniform(0.01, 0.3))
            disk.thawed.set()

    freezing = threading.Thread(target=freeze)
    freezing.start()
    try:
        for begin in range(0, 6000, 100):
            for scene in scenes:
                data = lines(begin, begin + 100, size=chance.choice((20, 150, 1500)))
                cut = chance.randrange(len(data))
                scene.write(data[:cut])
                scene.write(data[cut:])
    finally:
        over.set()
        freezing.join()
        disk.thawed.set()
    for scene in scenes:
        scene.stop()
        assert scene.numbers() == list(range(6000))
        assert scene.fifo.dropped == {}


def test_a_container_that_ends_meanwhile_is_written_when_the_disk_answers(
    open_scene: Callable[..., Pipe], disk: Disk
) -> None:
    scene = open_scene()
    disk.thawed.clear()
    scene.write(lines(0, 3000, size=150))
    until(lambda: in_pipe(scene.fd) == 0)
    scene.fifo.stop()
    assert not scene.fifo.join(0.2)
    disk.thawed.set()
    assert scene.fifo.join(2 * LONG)
    assert scene.numbers() == list(range(3000))


def test_the_driver_goes_away_and_takes_nothing_with_it(open_scene: Callable[..., Pipe], disk: Disk) -> None:
    scene = open_scene()
    disk.thawed.clear()
    scene.write(lines(0, 3000, size=150))
    until(lambda: in_pipe(scene.fd) == 0)
    scene.fifo.abandon()
    disk.thawed.set()
    assert scene.fifo.join(2 * LONG)
    assert scene.numbers() == list(range(3000))


def test_with_block_the_container_waits_for_the_disk(open_scene: Callable[..., Pipe], disk: Disk) -> None:
    scene, other = open_scene(Limit(1 << 40, "block")), open_scene()
    disk.thawed.clear()
    for each in (scene, other):
        each.write(lines(0, 100))
    until(lambda: in_pipe(other.fd) == 0)
    assert in_pipe(scene.fd) == len(lines(0, 100)) and not scene.fifo.set_aside


def test_many_that_are_read_in_turn_are_all_rescued(open_scene: Callable[..., Pipe], disk: Disk) -> None:
    scenes = [open_scene() for _ in range(12)]
    for begin in range(0, 2000, 10):
        for scene in scenes:
            scene.write(lines(begin, begin + 10))
    disk.thawed.clear()
    for scene in scenes:
        scene.write(lines(2000, 4000, size=150))
    until(lambda: not any(in_pipe(scene.fd) for scene in scenes))
    disk.thawed.set()
    for scene in scenes:
        scene.stop()
        assert scene.numbers() == list(range(4000))


class Stubborn:
    """A FIFO that hangs whoever reads it, as the kernel's lock of a pipe does."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.go = threading.Event()
        self.read = threading.Event()
        self.is_slow = True

    @property
    def hangs(self) -> bool:
        return not self.go.is_set()

    def rescue(self, fd: int, most: int) -> bool:
        self.read.set()
        until(lambda: self.go.is_set() or not self.is_slow)
        return False


def test_a_fifo_that_hangs_whoever_reads_it_takes_no_other_with_it(
    open_scene: Callable[..., Pipe], disk: Disk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rescue_module, "_HANGS", 0.05)
    os.mkfifo(tmp_path / "stubborn")
    stubborn, rescue = Stubborn(str(tmp_path / "stubborn")), Rescue()
    try:
        rescue.look([stubborn])
        assert stubborn.read.wait(60)
        scene = open_scene()
        disk.thawed.clear()
        scene.write(lines(0, 100))
        until(lambda: scene.fifo.hangs)

        def emptied() -> bool:
            rescue.look([stubborn, scene.fifo])
            return in_pipe(scene.fd) == 0

        until(emptied)
    finally:
        stubborn.go.set()


def test_a_fifo_whose_reading_was_only_slow_is_read_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A processor that is given to others takes as long as a disk that hangs."""
    monkeypatch.setattr(rescue_module, "_HANGS", 0.05)
    os.mkfifo(tmp_path / "slow")
    slow, rescue = Stubborn(str(tmp_path / "slow")), Rescue()
    rescue.look([slow])
    assert slow.read.wait(60)
    time.sleep(0.1)
    rescue.look([slow])  # it is given up
    slow.read.clear()
    slow.is_slow = False

    def read_again() -> bool:
        rescue.look([slow])
        return slow.read.is_set()

    until(read_again)
    slow.go.set()
