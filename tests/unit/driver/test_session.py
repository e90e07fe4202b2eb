"""One FIFO's life, with a real FIFO, a real pump and a client that takes everything."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from otellogdriver.codec import python
from otellogdriver.codec.contract import EncodeOptions
from otellogdriver.container import Container
from otellogdriver.delivery.feed import Feed
from otellogdriver.delivery.pump import Pump
from otellogdriver.driver.session import Session
from otellogdriver.export.destination import Destination
from otellogdriver.export.outcome import Body, Delivered, Outcome
from otellogdriver.intake.crowd import Crowd
from otellogdriver.journal.cursor import Cursor
from otellogdriver.journal.store import Store
from otellogdriver.pool import Pool
from otellogdriver.settings.options import resolve
from tests.fakes.received import count_records
from tests.scene import LONG, lines, soon

ID = "c" * 64


class Client:
    """Takes everything and counts it."""

    def __init__(self) -> None:
        self.records = 0

    async def send(self, body: Body, alone: bool = False) -> Outcome:
        await asyncio.sleep(0)
        self.records += sum(count_records(b"".join(body)).values())
        return Delivered()

    async def close(self) -> None:
        return None


class Scene:
    """A store, a pump and sessions on FIFOs that the test holds open as the engine does."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = Store(directory / "state")
        self.executor = Pool(2, "test")
        self.client = Client()
        destination = Destination(("http://127.0.0.1:1",), "http/protobuf", compression="none")
        self.pump = Pump(destination, self.client, self.executor, self.committed, delay=0.005)
        self.crowd = Crowd()
        self.changes = self.attached = 0
        self.ends: list[bool] = []
        self.sessions: list[Session] = []
        self.writers: list[int] = []

    def committed(self, feed: Feed) -> None:
        for session in self.sessions:
            if any(each is feed for _, each in session.feeds):
                session.update_delivered()

    # What a session asks of the driver.

    def attach(self, session: Session) -> None:
        self.attached += 1
        cursor = Cursor(session.stream.directory / "cursor")
        feed = Feed(session.entry, cursor, python, EncodeOptions(), b"")
        asyncio.get_running_loop().call_soon(session.attached, [(self.pump, feed)], "web")

    def changed(self, session: Session) -> None:
        self.changes += 1

    def finished(self, session: Session, orphaned: bool) -> None:
        self.ends.append(orphaned)

    def is_full(self) -> bool:
        return False

    def session(self, **options: str) -> Session:
        path = str(self.directory / secrets.token_hex(32))
        os.mkfifo(path)
        self.writers.append(os.open(path, os.O_RDWR))
        settings = resolve({key.replace("_", "-"): value for key, value in options.items()}, {})
        entry = self.store.create(ID, path, {}, 0)
        made = Session(Container(ID, "web"), settings, entry, self, python.count, self.crowd)
        self.sessions.append(made)
        return made

    async def close(self) -> None:
        for session in self.sessions:
            session.leave()
            if session.fifo:
                await asyncio.get_running_loop().run_in_executor(None, session.fifo.join, 20.0)
        await self.pump.close()
        for session in self.sessions:
            session.close()
        for fd in self.writers:
            os.close(fd)
        self.executor.shutdown()


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(tmp_path)
    yield made
    await made.close()


async def test_a_session_without_data_has_no_feed(scene: Scene) -> None:
    session = scene.session()
    session.open(resumed=False)
    assert not session.is_exhausted
    session.stop()
    await asyncio.wait_for(session.stopped, LONG)
    assert scene.attached == 0 and session.feeds == [] and session.is_exhausted


async def test_the_first_byte_makes_the_feeds_once(scene: Scene) -> None:
    session = scene.session()
    session.open(resumed=False)
    os.write(scene.writers[0], lines(0, 10))
    await soon(lambda: scene.client.records == 10)
    os.write(scene.writers[0], lines(10, 20))
    session.stop()
    await asyncio.wait_for(session.stopped, LONG)
    await soon(lambda: session.is_exhausted)
    assert scene.client.records == 20 and scene.attached == 1
    assert scene.ends == [False]
    assert session.stream.undelivered == 0 and session.dropped == {}


async def test_what_is_stopped_twice_ends_once(scene: Scene) -> None:
    session = scene.session()
    session.open(resumed=False)
    for _ in range(3):
        session.stop()
    await asyncio.wait_for(session.stopped, LONG)
    session.finish()
    assert session.stopped.done()


async def test_feeds_that_could_not_be_made_are_asked_for_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    session = scene.session()
    asked: list[Session] = []
    with monkeypatch.context() as patched:
        patched.setattr(scene, "attach", asked.append)
        session.open(resumed=False)
        os.write(scene.writers[0], lines(0, 10))
        await soon(lambda: asked)
        session.poke()
        assert len(asked) == 1, "not while they are being made"
        session.attached([], "")
        session.poke()
        assert len(asked) == 2
        session.attached([], "")
    session.poke()
    await soon(lambda: scene.client.records == 10)


async def test_feeds_that_there_was_no_memory_to_ask_for_are_asked_for_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = scene.session()

    def refuse(_: Session) -> None:
        refused.append(1)
        raise MemoryError

    refused: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(scene, "attach", refuse)
        session.open(resumed=False)
        os.write(scene.writers[0], lines(0, 10))
        await soon(lambda: refused)
    session.poke()
    await soon(lambda: scene.client.records == 10)


async def test_a_thread_that_cannot_be_had_leaves_a_session_that_can_be_opened(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = scene.session()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(RuntimeError):
            session.open(resumed=False)
    assert session.is_unread
    session.open(resumed=False)
    os.write(scene.writers[0], lines(0, 10))
    await soon(lambda: scene.client.records == 10)
    assert not session.is_unread


def no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


async def test_leaving_finishes_nothing(scene: Scene) -> None:
    session = scene.session()
    session.open(resumed=False)
    os.write(scene.writers[0], lines(0, 10))
    await soon(lambda: session.stream.end)
    session.leave()
    assert session.fifo
    await asyncio.get_running_loop().run_in_executor(None, session.fifo.join, 20.0)
    await asyncio.sleep(0)
    assert session.stream.ended_at is None and not session.stopped.done()
    assert os.path.exists(session.entry.file)


async def test_the_driver_is_told_that_the_writers_of_a_fifo_are_gone(scene: Scene) -> None:
    session = scene.session()
    session.open(resumed=False)
    os.write(scene.writers[0], lines(0, 1))
    await soon(lambda: session.stream.end)
    os.close(scene.writers.pop())
    await asyncio.wait_for(session.stopped, LONG)
    assert scene.ends == [True]


async def test_no_line_is_left_waiting_for_the_next_one(scene: Scene) -> None:
    """The FIFO thread tells the loop only if the loop does not look anyway; each line comes at some instant of that."""
    session = scene.session()
    session.open(resumed=False)
    rng = random.Random(3)
    for count in range(1, 800):
        os.write(scene.writers[0], lines(count, count + 1))
        for _ in range(rng.randint(0, 4)):
            await asyncio.sleep(0)
        if rng.random() < 0.3:
            await soon(lambda count=count: scene.client.records >= count, within=5)  # type: ignore[misc]
    await soon(lambda: scene.client.records == 799, within=5)


async def test_a_lack_of_memory_while_the_loop_is_told_leaves_it_to_the_next_line(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = scene.session()
    session.open(resumed=False)
    told: list[int] = []

    def fails(*_: object) -> None:
        told.append(1)
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(session, "_tell", fails)
        os.write(scene.writers[0], lines(0, 1))
        await soon(lambda: told)
    os.write(scene.writers[0], lines(1, 2))
    await soon(lambda: scene.client.records == 2)


async def test_a_flood_is_told_to_the_loop_now_and_then(scene: Scene) -> None:
    session = scene.session()
    session.open(resumed=False)
    data = lines(0, 30_000, size=150)

    def flood() -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(scene.writers[0], view) :]

    writer = threading.Thread(target=flood)
    writer.start()
    await soon(lambda: scene.client.records == 30_000)
    writer.join(LONG)
    assert 0 < scene.changes < 2000
