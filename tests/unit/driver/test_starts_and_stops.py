"""StartLogging and StopLogging of one FIFO in every order, each while the other is at any step: callers hang up, the
engine repeats what was not answered. What is printed after an answered start is read, once and in order."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from otellogdriver.driver import driver as driver_module
from otellogdriver.driver.driver import Driver
from otellogdriver.errors import DriverError, ProtocolError
from otellogdriver.intake import fifo_file
from otellogdriver.intake.fifo import Fifo
from tests.scene import LONG, lines, number, soon
from tests.unit.driver.driver_scene import Scene

ID = "a" * 64
INFO = {"ContainerID": ID, "ContainerName": "/web"}


class Held:
    """A call that waits where it is told to, in its thread."""

    def __init__(self, real: Callable[..., Any]) -> None:
        self.reached, self.go = threading.Event(), threading.Event()
        self._real = real

    def __call__(self, *arguments: Any) -> Any:
        self.reached.set()
        self.go.wait(10)
        return self._real(*arguments)


def arrived(scene: Scene) -> list[int]:
    return [number(record.body) for record in scene.server.records()]


@pytest.mark.parametrize("step", ["_read_all", "_finish", "_ended", "mark_ended"])
async def test_a_start_while_a_stop_is_at_any_step(scene: Scene, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    driver = scene.start()
    file = await scene.container(ID)
    session = driver.sessions[file]
    scene.write(file, lines(0, 5))
    await scene.server.reach(records=5)
    assert session.fifo
    if step == "_read_all":  # the thread has not yet heard of the stop
        held = Held(session.fifo._took)
        monkeypatch.setattr(session.fifo, "_took", held)
    elif step == "mark_ended":
        held = Held(type(session.stream).mark_ended)
        monkeypatch.setattr(type(session.stream), "mark_ended", lambda stream: held(stream))
    else:
        held = Held(getattr(session.fifo, step))
        monkeypatch.setattr(session.fifo, step, held)
    scene.write(file, lines(5, 10))
    stopping = asyncio.create_task(driver.stop_logging(file))
    await soon(held.reached.is_set)
    starting = asyncio.create_task(driver.start_logging(file, INFO))
    await asyncio.sleep(0.1)  # longer than it takes where nothing holds it
    held.go.set()
    await asyncio.gather(stopping, starting)
    scene.write(file, lines(10, 20))
    await scene.server.reach(records=20)
    await scene.stop(file)
    assert arrived(scene) == [*range(20)]
    assert driver.sessions == {}


@pytest.mark.parametrize("step", ["check", "describe"])
async def test_a_stop_while_a_start_is_at_any_step(scene: Scene, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    driver = scene.start()
    monkeypatch.setattr(driver_module, "_GLANCE", 10.0)
    owner: Any = fifo_file if step == "check" else driver.store
    held = Held(getattr(owner, step))
    with monkeypatch.context() as patched:
        patched.setattr(owner, step, held)
        file = scene.fifo()
        starting = asyncio.create_task(driver.start_logging(file, INFO))
        await soon(held.reached.is_set)
        scene.write(file, lines(0, 10))
        stopping = asyncio.create_task(driver.stop_logging(file))
        again = asyncio.create_task(driver.stop_logging(file))
        await asyncio.sleep(0.1)
        assert not stopping.done()
        held.go.set()
        await asyncio.gather(starting, stopping, again)
    assert driver.sessions == {}
    await scene.server.reach(records=10)
    await driver.start_logging(file, INFO)
    scene.write(file, lines(10, 20))
    await scene.stop(file)
    await scene.server.reach(records=20)
    assert arrived(scene) == [*range(20)]


async def test_a_start_that_is_repeated_while_the_first_one_fails_is_made_itself(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not answered with the success of a session that is about to be given up."""
    driver = scene.start()
    monkeypatch.setattr(driver_module, "_START_PATIENCE", 0.1)
    file = scene.fifo()
    real, tries = Fifo.start, []

    def start(fifo: Fifo) -> None:
        tries.append(fifo)
        if len(tries) <= 3:
            raise RuntimeError("can't start new thread")
        real(fifo)

    monkeypatch.setattr(Fifo, "start", start)
    monkeypatch.setattr(driver, "_remove_fifo", lambda _: None)
    first, second = await asyncio.gather(
        driver.start_logging(file, INFO), driver.start_logging(file, INFO), return_exceptions=True
    )
    assert isinstance(first, DriverError) and second is None
    scene.write(file, lines(0, 10))
    await scene.stop(file)
    await scene.server.reach(records=10)


async def test_a_start_that_meets_a_lack_of_memory_has_not_been(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its repetition would be answered well, and nobody would read the FIFO."""
    driver, file = scene.start(), scene.fifo()
    real, made = driver._within, 0

    async def fail(seconds: float, work: Any) -> None:
        nonlocal made
        made += 1
        if made == 2:  # the session is there by then
            raise MemoryError
        await real(seconds, work)

    with monkeypatch.context() as patched:
        patched.setattr(driver, "_within", fail)
        with pytest.raises(MemoryError):
            await driver.start_logging(file, INFO)
    assert driver.sessions == {} and not driver.active
    await soon(lambda: not os.path.exists(file))
    file = scene.fifo()
    await driver.start_logging(file, INFO)
    scene.write(file, lines(0, 5))
    await scene.server.reach(records=5)
    await scene.stop(file)
    assert arrived(scene) == [*range(5)]


async def test_a_fifo_that_the_disk_keeps_from_ending_is_not_started_anew(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads would take it apart."""
    monkeypatch.setattr(driver_module, "_STOP_PATIENCE", 0.1)
    driver = scene.start()
    file = await scene.container(ID)
    session = driver.sessions[file]
    assert session.fifo
    held = Held(session.fifo._finish)
    monkeypatch.setattr(session.fifo, "_finish", held)
    await driver.stop_logging(file)
    with pytest.raises(DriverError, match="still being read"):
        await driver.start_logging(file, INFO)
    assert os.path.exists(file)
    held.go.set()
    await soon(session.stopped.done)
    await driver.start_logging(file, INFO)
    scene.write(file, lines(0, 10))
    await scene.stop(file)
    await scene.server.reach(records=10)


async def test_a_fifo_whose_writers_have_gone_is_not_taken_for_one_that_is_read(scene: Scene) -> None:
    driver = scene.start()
    file = await scene.container(ID)
    session = driver.sessions[file]
    scene.write(file, lines(0, 5))
    await scene.server.reach(records=5)
    os.close(scene.held.pop(file))
    assert session.fifo
    session.fifo.join(LONG)  # the loop has not heard of it yet
    again = asyncio.create_task(driver.start_logging(file, INFO))
    with pytest.raises(ProtocolError, match="No such file"):  # the FIFO has gone with its end
        await again
    os.mkfifo(file)
    scene.held[file] = os.open(file, os.O_RDWR)
    await driver.start_logging(file, INFO)
    scene.write(file, lines(5, 10))
    await scene.stop(file)
    await scene.server.reach(records=10)


async def test_the_stop_of_an_old_fifo_leaves_the_new_one_of_its_container(scene: Scene) -> None:
    driver = scene.start()
    old, new = await scene.container(ID), await scene.container(ID)
    scene.write(old, lines(0, 5))
    scene.write(new, lines(5, 10))
    await asyncio.gather(scene.stop(old), driver.stop_logging(old), driver.start_logging(new, INFO))
    scene.write(new, lines(10, 15))
    await scene.stop(new)
    await scene.server.reach(records=15)
    assert sorted(arrived(scene)) == [*range(15)]
    assert [entry.sequence for entry in driver.store.of_container(ID)] == [0, 1]


@pytest.mark.parametrize("seed", range(5))
async def test_starts_and_stops_at_random(scene: Scene, seed: int) -> None:
    """Calls that nobody waits for, for one FIFO that stays open as the engine holds it; then a start that is waited
    for, and lines."""
    chance = random.Random(seed)
    driver: Driver = scene.start()
    file = scene.fifo()
    printed = 0
    for _ in range(20):
        calls = []
        for _ in range(chance.randrange(1, 6)):
            call = driver.stop_logging(file) if chance.random() < 0.5 else driver.start_logging(file, INFO)
            calls.append(asyncio.create_task(call))
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
        await driver.start_logging(file, INFO)
        scene.write(file, lines(printed, printed + 3))
        printed += 3
        await asyncio.gather(*calls)
        if chance.random() < 0.3:
            await driver.stop_logging(file)
    await driver.start_logging(file, INFO)
    await scene.stop(file)
    await scene.server.reach(records=printed)
    assert sorted(arrived(scene)) == [*range(printed)]
    assert driver.sessions == {}


async def test_a_fifo_whose_reader_hangs_in_the_disk_is_not_handed_over(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may still have bytes of the FIFO in its hands: these come first, and under the name they were read for."""
    monkeypatch.setattr(driver_module, "_STOP_PATIENCE", 0.1)
    driver = scene.start()
    file = await scene.container("unknown")
    session = driver.sessions[file]
    assert session.fifo
    held = Held(session.fifo._splice)
    monkeypatch.setattr(session.fifo, "_splice", held)
    scene.write(file, lines(0, 5))
    assert await asyncio.to_thread(held.reached.wait, LONG)
    with pytest.raises(DriverError, match="still being read"):
        await driver.start_logging(file, INFO)
    assert os.path.exists(file) and not session.stopped.done()
    held.go.set()
    await driver.start_logging(file, INFO)
    assert session.stopped.done() and session.stream.end == len(lines(0, 5))
    scene.write(file, lines(5, 10))
    await scene.stop(file)
    await scene.server.reach(records=10)
    assert [(record.container, number(record.body)) for record in scene.server.records()] == [
        *(("unknown", each) for each in range(5)),
        *((ID, each) for each in range(5, 10)),
    ]
