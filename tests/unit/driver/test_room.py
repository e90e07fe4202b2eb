"""The limit of the whole journal, and the floor of free space."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from otellogdriver.driver import room as room_module
from otellogdriver.driver.room import Room
from otellogdriver.driver.supervisor import Supervisor
from otellogdriver.journal.store import Store
from otellogdriver.journal.stream import SEGMENT_SIZE
from otellogdriver.pool import Pool
from otellogdriver.settings.options import plugin_settings
from tests.scene import soon

MIB = 1 << 20


class Scene:
    """A room of 16 MiB with one container, with `weight` bytes."""

    def __init__(self, directory: Path, disk: Pool) -> None:
        self.woken: list[int] = []
        fifo = SimpleNamespace(blocked=True, wake=lambda: self.woken.append(1))
        self.session = SimpleNamespace(weight=0, fifo=fifo, feeds=[], kept_for_mirror=0)
        active: Any = {"entry": self.session}
        environ = {"OTELLOGDRIVER_JOURNAL_TOTAL_MAX_SIZE": "16m", "OTELLOGDRIVER_JOURNAL_MIN_FREE": "0"}
        self.store = Store(directory)
        self.room = Room(plugin_settings(environ)[0], self.store, active, disk, Supervisor())


@pytest.fixture
def disk() -> Iterator[Pool]:
    made = Pool(1, "disk")
    yield made
    made.shutdown()


async def test_over_the_limit_it_is_full_and_each_byte_is_given_up_once(
    tmp_path: Path, disk: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(tmp_path, disk)
    room = scene.room
    scene.session.weight = 18 * MIB
    room.check()
    await soon(lambda: room.full and room.free)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert room.claim(MIB) == MIB
    assert room.claim(100 * MIB) == 2 * MIB  # 2 MiB over the limit, and a sixteenth of it
    assert room.claim(100 * MIB) == 0 and scene.woken == []

    scene.session.weight = MIB
    await soon(lambda: not room.full)  # it looks again by itself
    assert scene.woken == [1]


async def test_under_the_limit_nothing_is_given_up(tmp_path: Path, disk: Pool) -> None:
    scene = Scene(tmp_path, disk)
    scene.session.weight = 16 * MIB
    scene.room.check()
    await soon(lambda: scene.room.free)
    assert not scene.room.full and scene.room.claim(MIB) == 0
    assert scene.room.left(10 * MIB) == 6 * MIB and scene.room.left(17 * MIB) == 0


async def test_what_is_kept_for_mirrors_alone_goes_first(tmp_path: Path, disk: Pool) -> None:
    scene = Scene(tmp_path, disk)
    room = scene.room
    scene.session.weight, scene.session.kept_for_mirror = 4 * MIB, 14 * MIB
    room.check()
    assert room.short and not room.full
    assert room.claim(100 * MIB) == 0
    assert room.claim_of_mirror(MIB) == MIB and room.claim_of_mirror(100 * MIB) == 2 * MIB

    scene.session.weight, scene.session.kept_for_mirror = 17 * MIB, MIB
    await soon(lambda: room.full)
    assert room.claim_of_mirror(100 * MIB) == MIB and room.claim(100 * MIB) == 2 * MIB
    scene.session.weight = scene.session.kept_for_mirror = 0
    await soon(lambda: not room.full and not room.short)


async def test_below_the_floor_of_free_space_lines_are_given_up(
    tmp_path: Path, disk: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_module, "_look", lambda root, least: (MIB, 4 * MIB))
    scene = Scene(tmp_path, disk)
    scene.room.check()
    await soon(lambda: scene.room.full)
    assert scene.room.left(0) == 0
    assert scene.room.claim(100 * MIB) == 3 * MIB + SEGMENT_SIZE
    monkeypatch.setattr(room_module, "_look", lambda root, least: (9 * MIB, 4 * MIB))
    await soon(lambda: not scene.room.full)
    assert scene.room.left(0) == 5 * MIB


async def test_a_disk_that_cannot_be_asked_limits_nothing(tmp_path: Path, disk: Pool) -> None:
    scene = Scene(tmp_path / "missing", disk)
    scene.session.weight = MIB
    scene.room.check()
    await soon(lambda: scene.room._floor is not None)
    assert not scene.room.full and scene.room.free == 0


async def test_a_look_for_which_there_was_no_memory_is_not_the_last_one(
    tmp_path: Path, disk: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Scene(tmp_path, disk).room
    supervisor: Any = room._supervisor

    def no_memory(*arguments: Any) -> None:
        for each in arguments:
            if asyncio.iscoroutine(each):
                each.close()
        raise MemoryError

    monkeypatch.setattr(room_module, "_CHECK_EVERY", 0.0)
    with monkeypatch.context() as patched:
        patched.setattr(supervisor, "task", no_memory)
        with pytest.raises(MemoryError):
            room.check()
    room.check()
    await soon(lambda: room.free)
