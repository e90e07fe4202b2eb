"""The driver in this process, with real FIFOs: what the process-level tests (tests/faults) cannot arrange."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from otellogdriver.delivery import pump as pump_module
from otellogdriver.delivery import pumps as pumps_module
from otellogdriver.driver import driver as driver_module
from otellogdriver.driver import recovery
from otellogdriver.errors import DriverError, OptionError, ProtocolError
from otellogdriver.intake.fifo import Fifo
from otellogdriver.journal.entry import Entry
from otellogdriver.telemetry.account import Accounts
from tests.scene import LONG, files, in_pipe, lines, number, soon
from tests.unit.driver.driver_scene import Scene


async def test_a_pump_goes_when_nobody_needs_it_and_equal_settings_share_one(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pumps_module, "_IDLE", 0.05)
    driver = scene.start()
    open_files = [await scene.container() for _ in range(3)]
    open_files.append(await scene.container(otlp_headers="a=b"))
    for file in open_files:
        scene.write(file, lines(0, 1))
    await scene.server.reach(records=4)
    assert len(driver.pumps) == 2
    for file in open_files:
        await scene.stop(file)
    await soon(lambda: not driver.pumps)
    file = await scene.container()
    scene.write(file, lines(0, 1))
    await scene.server.reach(records=5)
    assert len(driver.pumps) == 1
    await scene.stop(file)


# Faults


async def test_a_thread_that_cannot_be_had_is_told_and_leaves_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = scene.start()
    monkeypatch.setattr(driver_module, "_START_PATIENCE", 0.1)
    descriptors = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        file = scene.fifo()
        with pytest.raises(DriverError, match="thread"):
            await driver.start_logging(file, {"ContainerID": "a" * 64, "ContainerName": "/web"})
    assert driver.active == {} and driver.sessions == {}
    await soon(lambda: not list(files(scene.root / ".state")))
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 1  # the FIFO that this test holds


def no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


async def test_a_thread_that_is_there_a_moment_later_starts_the_container(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.start()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        starting = asyncio.create_task(scene.container())
        await asyncio.sleep(0.2)
    scene.write(await starting, lines(0, 10))
    await scene.server.reach(records=10)


async def test_fifos_that_find_no_thread_at_the_start_are_read_when_there_is_one(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.start()
    opened = [await scene.container() for _ in range(5)]
    for file in opened:
        scene.write(file, lines(0, 1))
    await scene.server.reach(records=5)
    await scene.driver.close()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        scene.start()
        assert all(session.is_unread for session in scene.driver.sessions.values())
        for file in opened:
            scene.write(file, lines(1, 2))
    await scene.server.reach(records=10)
    assert not any(session.is_unread for session in scene.driver.sessions.values())


class Frozen:
    """A file system whose writes wait until they are let go: calls of the journal that change anything on disk."""

    CALLS = ("mkdir", "replace", "rename", "unlink", "truncate", "ftruncate", "pwrite", "splice", "fdatasync", "fsync")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self.thawed = threading.Event()
        self._loop_thread = threading.get_ident()
        self.on_loop: list[str] = []
        for name in self.CALLS:
            monkeypatch.setattr(os, name, self._waiting(name, getattr(os, name)))
        real = os.open

        def open_(path: str, flags: int, *arguments: Any, **more: Any) -> int:
            if flags & os.O_CREAT and str(path).startswith(str(root)):
                self._wait("open")
            return real(path, flags, *arguments, **more)

        monkeypatch.setattr(os, "open", open_)

    def _wait(self, name: str) -> None:
        if threading.get_ident() == self._loop_thread:
            self.on_loop.append(name)
            return
        self.thawed.wait(20)

    def _waiting(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            self._wait(name)
            return real(*arguments, **more)

        return call


async def test_while_the_disk_is_frozen_calls_are_answered_and_then_nothing_is_lost(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "_STOP_PATIENCE", 0.5)
    scene.start()
    old = await scene.container()
    scene.write(old, lines(0, 10))
    await scene.server.reach(records=10)
    frozen = Frozen(monkeypatch, scene.root)
    try:
        loop = asyncio.get_running_loop()
        scene.write(old, lines(10, 20))
        began = loop.time()
        new = await scene.container()
        assert loop.time() - began < 0.5
        scene.write(new, lines(20, 30))
        began = loop.time()
        await scene.driver.stop_logging(old)
        assert loop.time() - began < 1.5
        scene.driver.room.check()
        scene.driver._sweep()
    finally:
        frozen.thawed.set()
    await scene.server.reach(records=30)
    assert sorted(number(record.body) for record in scene.server.records()) == [*range(30)]
    assert frozen.on_loop == [], "the event loop must not touch the disk"


async def test_a_timer_that_fails_is_not_the_last_one(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_module, "_SWEEP_EVERY", 0.02)
    driver = scene.start()
    calls: list[int] = []

    def broken() -> None:
        calls.append(1)
        raise MemoryError

    monkeypatch.setattr(driver._workers, "start_missing", broken)
    await soon(lambda: len(calls) >= 3)
    assert driver.supervisor.faults >= 3


async def test_stop_is_answered_though_the_fifo_is_never_drained(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(driver_module, "_STOP_PATIENCE", 0.1)
    scene.start()
    file = await scene.container()
    with monkeypatch.context() as patched:
        patched.setattr(Fifo, "stop", lambda _: None)  # as where the disk hangs
        await scene.driver.stop_logging(file)
    assert "not drained" in caplog.text
    await scene.stop(file)


async def test_a_state_directory_that_is_none_keeps_nobody_waiting(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    (scene.root / ".state").write_text("a file")
    with caplog.at_level(logging.ERROR):
        driver = scene.start()
        file = await scene.container()
        scene.write(file, lines(0, 1000))
        await soon(lambda: driver.ended.totals().dropped.get("disk_error") == 1000)
        await scene.stop(file)
    assert driver.ended.totals().dropped == {"disk_error": 1000}
    assert "nothing is resumed" in caplog.text


async def test_what_is_looked_at_again_keeps_no_call_waiting(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fails at the start, and is slow afterwards."""
    driver = scene.start()
    file = await scene.container("a" * 64)
    scene.write(file, lines(0, 10))
    await scene.server.reach(records=10)
    await driver.close()
    answers, real, looks = threading.Event(), recovery.look, []

    def look(environ: Mapping[str, str], entry: Entry) -> recovery.Found:
        looks.append(entry)
        if len(looks) == 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        assert answers.wait(LONG)
        return real(environ, entry)

    monkeypatch.setattr(recovery, "look", look)
    driver = scene.start()
    await soon(lambda: len(looks) == 2)
    other = await scene.container("b" * 64)
    scene.write(other, lines(10, 20))
    await scene.server.reach(records=20)
    answers.set()
    scene.write(file, lines(20, 30))
    await scene.server.reach(records=30)
    assert sorted(driver.sessions) == sorted([file, other])


async def test_two_streams_for_one_fifo_are_not_read_at_once(scene: Scene) -> None:
    """What a crash leaves that comes while StartLogging is repeated."""
    driver = scene.start()
    file = await scene.container("a" * 64)
    scene.write(file, lines(0, 10))
    await scene.server.reach(records=10)
    await driver.close()
    entry = next(driver.store.entries())
    driver.store.create("a" * 64, file, entry.info, 0)
    scene.write(file, lines(10, 20))
    driver = scene.start()
    assert len(driver.sessions) == 1
    scene.write(file, lines(20, 30))
    await scene.stop(file)
    await scene.server.reach(records=30)
    assert [number(record.body) for record in scene.server.records()] == [*range(30)]
    await soon(lambda: len(list((scene.root / ".state/containers" / ("a" * 64)).iterdir())) == 1)


async def test_settings_that_cannot_be_used_fall_back_for_containers_that_run(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.start()
    file = await scene.container(service_name="shop")
    scene.write(file, lines(0, 1))
    await scene.server.reach(records=1)
    await scene.driver.close()
    with caplog.at_level(logging.WARNING):
        scene.start(OTEL_EXPORTER_OTLP_TIMEOUT="nonsense")
    assert "nonsense" in caplog.text
    with pytest.raises(OptionError, match="OTEL_EXPORTER_OTLP_TIMEOUT"):
        await scene.container()
    scene.write(file, lines(1, 2))
    await scene.stop(file)
    await soon(lambda: scene.driver.ended.totals().read > 0)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x"])
async def test_only_fifos_directly_in_the_directory(scene: Scene, name: str) -> None:
    scene.start()
    with pytest.raises(ProtocolError, match="File"):
        await scene.driver.start_logging(f"{scene.root}/{name}", {"ContainerID": "a" * 64})


@pytest.mark.parametrize("at_fault", ["option", "container"])
async def test_the_fifo_of_a_start_that_is_refused_goes(scene: Scene, at_fault: str) -> None:
    """The engine leaves it lying."""
    scene.start()
    file = scene.fifo()
    config = {"max-size": "nonsense"} if at_fault == "option" else {}
    with pytest.raises(DriverError, match=r"max-size|ContainerID"):
        identifier = "a" * 64 if at_fault == "option" else "a/b"
        await scene.driver.start_logging(file, {"ContainerID": identifier, "Config": config})
    await soon(lambda: not os.path.exists(file))


async def test_a_repeated_start_that_is_refused_leaves_the_fifo_that_is_read(scene: Scene) -> None:
    scene.start()
    file = await scene.container()
    with pytest.raises(ProtocolError):
        await scene.driver.start_logging(file, {"ContainerID": "a/b"})
    scene.write(file, lines(0, 10))
    await scene.server.reach(records=10)
    assert os.path.exists(file)


async def test_a_fifo_of_no_known_container_is_worth_a_word_when_it_says_something(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(driver_module, "_ORPHANS_AFTER", 0.05)
    file = scene.fifo()
    driver = scene.start()
    await soon(lambda: file in driver.sessions and driver.sessions[file].fifo is not None)
    assert "no known container" not in caplog.text
    scene.write(file, lines(0, 10))
    await scene.server.reach(records=10)
    assert f"{file} belongs to no known container" in caplog.text


async def test_a_clock_that_is_set_back_keeps_no_fifo_waiting_for_a_state_that_cannot_be_read(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "_ORPHANS_AFTER", 0.05)
    monkeypatch.setattr(driver_module, "_UNREADABLE", 0.2)
    (scene.root / ".state").mkdir()
    (scene.root / ".state" / "containers").symlink_to("containers")  # ELOOP for whoever looks into it
    file, real = scene.fifo(), time.time
    driver = scene.start()
    monkeypatch.setattr("time.time", lambda: real() - 86400)
    await soon(lambda: file in driver.sessions)


# The end


async def test_close_leaves_the_fifo_and_what_is_in_it(scene: Scene) -> None:
    driver = scene.start()
    file = await scene.container()
    scene.write(file, lines(0, 10))
    await scene.server.reach(records=10)
    began = asyncio.get_running_loop().time()
    await driver.close()
    assert asyncio.get_running_loop().time() - began < 4
    scene.write(file, lines(10, 20))
    assert stat.S_ISFIFO(os.stat(file).st_mode)
    scene.start()
    await scene.stop(file)
    await scene.server.reach(records=20)
    assert [number(record.body) for record in scene.server.records()] == [*range(20)]


async def test_a_clock_that_jumps_loses_no_line(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = scene.start()
    real = time.time
    file = await scene.container()
    printed = 0
    for jump in (0, 86400 * 365, -86400 * 365, 86400 * 30_000, -1_700_000_000):
        monkeypatch.setattr("time.time", lambda jump=jump: real() + jump)
        monkeypatch.setattr("time.time_ns", lambda jump=jump: int((real() + jump) * 1e9))
        scene.write(file, lines(printed, printed + 10))
        printed += 10
        await scene.server.reach(records=printed)
        driver._expire()
        other = await scene.container()
        scene.write(other, lines(0, 0))
        await scene.stop(other)
    await scene.stop(file)
    assert [number(record.body) for record in scene.server.records()] == [*range(printed)]


async def test_fifos_that_nobody_reads_for_a_minute_are_stalled(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """One has no thread; the other one's thread cannot open it."""
    monkeypatch.setattr(driver_module, "_SWEEP_EVERY", 0.02)
    monkeypatch.setattr(pump_module, "STALLED", 0.1)
    scene.start()
    opened = [await scene.container() for _ in range(2)]
    for file in opened:
        scene.write(file, lines(0, 1))
    await scene.server.reach(records=2)
    await scene.driver.close()
    real = os.open

    def no_numbers(path: str, flags: int, *arguments: Any, **more: Any) -> int:
        if path == opened[1]:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(path, flags, *arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", no_numbers)
        patched.setattr(
            Fifo, "start", lambda fifo: no_thread(fifo._thread) if fifo.path == opened[0] else fifo._thread.start()
        )
        driver = scene.start()
        assert not driver.stalled()
        await soon(lambda: {entry.file for entry in driver.stalled()} == set(opened))
        assert all(account.stalled for account in Accounts(driver)())
    await soon(lambda: not driver.stalled())
    for file in opened:
        scene.write(file, lines(1, 2))
    await scene.server.reach(records=4)


async def test_a_pump_that_looks_at_nothing_is_seen_in_spite_of_the_sweep(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "_SWEEP_EVERY", 0.02)
    monkeypatch.setattr(pump_module, "STALLED", 0.1)
    monkeypatch.setattr(pump_module, "_DISK_PAUSE", 60.0)
    driver = scene.start()
    file = await scene.container()
    scene.write(file, lines(0, 1))
    await scene.server.reach(records=1)
    await soon(lambda: driver.ended.totals().delivered == 1)
    assert not driver.stalled()
    for pump in driver.pumps:
        for lane in list(pump._lanes):
            lane.cancel()
    scene.write(file, lines(1, 2))
    await soon(lambda: len(driver.stalled()) == 1)


async def test_silent_containers_are_looked_at_seldom_and_at_once_when_one_stirs(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = scene.start()
    real, looks = driver._look_at_all, 0

    def look(now: float) -> bool:
        nonlocal looks
        looks += 1
        return real(now)

    monkeypatch.setattr(driver, "_look_at_all", look)

    def is_calm() -> bool:
        driver._sweep()
        before = looks
        for _ in range(5):
            driver._sweep()
        return looks == before

    opened = [await scene.container() for _ in range(3)]
    for number_, file in enumerate(opened):
        scene.write(file, lines(0, 1))
        await scene.server.reach(records=number_ + 1)
        await soon(is_calm)
    before = looks
    monkeypatch.setattr(driver_module, "_LOOK_AT_ALL", 0.0)
    driver._sweep()
    assert looks == before + 1
    monkeypatch.undo()
    monkeypatch.setattr(driver, "_look_at_all", look)
    frozen = Frozen(monkeypatch, scene.root)
    try:
        scene.write(opened[0], lines(1, 100))
        await soon(lambda: not is_calm() and in_pipe(scene.held[opened[0]]) == 0, what="read into memory")
    finally:
        frozen.thawed.set()
    await scene.server.reach(records=102)
    await soon(is_calm)


async def test_a_fifo_has_one_reader_though_the_driver_looks_after_it_while_it_starts(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two would take it apart, and lines would be lost: `meta.json` is just being written when the sweep comes."""
    driver = scene.start()
    describing, go = threading.Event(), threading.Event()
    real = driver.store.describe

    def describe(entry: Any) -> bool:
        describing.set()
        go.wait(10)
        return real(entry)

    monkeypatch.setattr(driver.store, "describe", describe)
    monkeypatch.setattr(driver_module, "_GLANCE", 10.0)
    starting = asyncio.create_task(scene.container())
    await soon(describing.is_set)
    driver._sweep()
    go.set()
    file = await starting
    driver._sweep()
    name = f"fifo-{Path(file).name[:12]}"
    assert [thread.name for thread in threading.enumerate()].count(name) == 1
    scene.write(file, lines(0, 2000, size=200))
    await driver.stop_logging(file)
    await scene.server.reach(records=2000)
    assert [number(record.body) for record in scene.server.records()] == [*range(2000)]
    driver._sweep()
    assert name not in [thread.name for thread in threading.enumerate()]


async def test_the_sweep_leaves_alone_who_is_looked_at_anyway(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = scene.start()
    file = await scene.container()
    scene.write(file, lines(0, 1))
    await scene.server.reach(records=1)
    session = driver.sessions[file]
    pokes: list[float] = []
    monkeypatch.setattr(session, "_told", (0, 100.0))
    monkeypatch.setattr(session, "poke", lambda: pokes.append(1))
    monkeypatch.setattr(type(session.stream), "undelivered", 1)
    driver._look_at_all(100.5)
    assert pokes == []
    driver._look_at_all(101.5)
    assert len(pokes) == 1
    driver.room.short = True
    driver._look_at_all(100.5)
    assert len(pokes) == 2
    driver.room.short = False
    session.stream.ended_at = 1.0
    driver._look_at_all(100.5)
    assert len(pokes) == 3
    monkeypatch.undo()
    session.stream.ended_at = None
