"""Cursors of many feeds, with a disk and threads that fail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from otellogdriver.delivery.cursors import Cursors
from otellogdriver.delivery.feed import BUFFER, Feed
from otellogdriver.journal.cursor import Cursor, Position
from otellogdriver.pool import Pool
from tests.scene import lines, soon
from tests.unit.delivery.pump_scene import Scene


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(tmp_path)
    yield made
    await made.close()


def settled(scene: Scene, name: str) -> Feed:
    feed = scene.feed(name)
    feed.stream.append(lines(0, 5))
    part = feed.take(memoryview(bytearray(BUFFER)), 1 << 20, 1, False)
    assert part is not None
    feed.settle(part)
    return feed


def on_disk(feed: Feed) -> Position:
    return Cursor(feed.stream.directory / "cursor").position


async def test_what_is_settled_is_written_and_then_said(scene: Scene) -> None:
    written: list[Feed] = []
    faults: list[Exception] = []
    cursors = Cursors(scene.executor, False, written.append, faults.append)
    feeds = [settled(scene, f"{index:02x}") for index in range(20)]
    for feed in feeds:
        cursors.write(feed)
        assert feed in cursors
    await soon(lambda: len(written) == 20)
    assert all(on_disk(feed) == Position(feed.stream.end) and feed not in cursors for feed in feeds)
    assert not faults
    await cursors.close(1.0)


async def test_what_has_no_thread_is_written_later(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otellogdriver.delivery.cursors._PAUSE", 0.01)
    faults: list[Exception] = []
    written: list[Feed] = []
    submit = scene.executor.submit

    def refusing(*arguments: Any, **named: Any) -> Any:
        if len(faults) < 3:
            raise RuntimeError("can't start new thread")
        return submit(*arguments, **named)

    monkeypatch.setattr(scene.executor, "submit", refusing)
    cursors = Cursors(scene.executor, False, written.append, faults.append)
    feed = settled(scene, "a")
    cursors.write(feed)
    await soon(lambda: written == [feed])
    assert len(faults) == 3 and on_disk(feed) == Position(feed.stream.end)
    await cursors.close(1.0)


async def test_closing_waits_for_what_is_under_way_but_not_for_a_fault(scene: Scene) -> None:
    cursors = Cursors(scene.executor, False, lambda _: None, lambda _: None)
    feed = settled(scene, "a")
    cursors.write(feed)
    await cursors.close(10.0)
    assert on_disk(feed) == Position(feed.stream.end)
    ended = Pool(1, "test")
    ended.shutdown()
    cursors = Cursors(ended, False, lambda _: None, lambda _: None)
    cursors.write(feed)
    await cursors.close(10.0)
    assert feed in cursors
