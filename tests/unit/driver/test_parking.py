"""Short containers in an outage: a bounded number keeps sessions, all lines arrive in the end."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
from collections.abc import Mapping

import pytest

from otellogdriver.driver import driver as driver_module
from otellogdriver.driver import parking, recovery
from otellogdriver.driver.session import OVERHEAD, Session
from otellogdriver.journal.entry import Entry
from tests.scene import lines, number, soon
from tests.unit.driver.driver_scene import Scene

DEAD = "http://127.0.0.1:9"


async def short_lived(scene: Scene, count: int, begin: int = 0, **options: str) -> None:
    for index in range(begin, begin + count):
        file = await scene.container(**options)
        scene.write(file, lines(index, index + 1))
        await scene.stop(file)


async def test_a_bounded_number_keeps_sessions_and_the_others_follow(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parking, "BAYS", 5)
    driver = scene.start()
    await scene.server.down()
    await short_lived(scene, 40)
    await soon(lambda: len(driver.parking) >= 30)
    assert len(driver.active) <= 10
    size = len(lines(0, 1))
    assert driver.parking.bytes == len(driver.parking) * size
    await scene.server.up()
    await scene.server.reach(records=40)
    assert sorted(number(record.body) for record in scene.server.records()) == [*range(40)]
    await soon(lambda: not len(driver.parking) and driver.ended.totals().delivered == 40)
    assert driver.parking.bytes == 0 and driver.ended.totals().dropped == {}


async def test_a_dead_destination_holds_up_no_other_ones_streams(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking, "BAYS", 3)
    scene.start()
    await short_lived(scene, 20, otlp_endpoint=DEAD)
    await short_lived(scene, 20, begin=100)
    await scene.server.reach(records=20)
    assert sorted(number(record.body) for record in scene.server.records()) == [*range(100, 120)]


async def test_a_stream_that_cannot_be_looked_at_now_is_taken_up_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parking, "BAYS", 3)
    monkeypatch.setattr(driver_module, "_TAKE_UP_AGAIN", 0.05)
    driver = scene.start()
    await scene.server.down()
    await short_lived(scene, 10)
    await soon(lambda: len(driver.parking) >= 6)
    real = recovery.look
    failed: list[Entry] = []

    def look(environ: Mapping[str, str], entry: Entry) -> recovery.Found:
        if len(failed) < 20:
            failed.append(entry)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(environ, entry)

    monkeypatch.setattr(recovery, "look", look)
    await scene.server.up()
    await scene.server.reach(records=10)
    assert len(failed) == 20
    assert sorted(number(record.body) for record in scene.server.records()) == [*range(10)]


async def test_what_is_parked_is_parked_again_after_a_start(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking, "BAYS", 5)
    scene.start()
    await short_lived(scene, 30, otlp_endpoint=DEAD)
    await soon(lambda: len(scene.driver.parking) >= 20)
    await scene.driver.close()
    driver = scene.start()
    await soon(lambda: len(driver.parking) >= 24)
    assert len(driver.active) <= 6
    await asyncio.sleep(0)


async def test_what_they_cost_beside_their_lines_counts_for_the_limit_of_all(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line of some bytes takes a directory and its files."""
    monkeypatch.setattr(parking, "BAYS", 5)
    monkeypatch.setattr(driver_module, "_SWEEP_EVERY", 0.05)
    driver = scene.start(OTELLOGDRIVER_JOURNAL_TOTAL_MAX_SIZE="512k")
    await scene.server.down()
    await short_lived(scene, 30)
    assert not driver.room.short and not driver.ended.totals().dropped
    await short_lived(scene, 20, begin=30)
    await soon(lambda: driver.ended.totals().dropped)
    await soon(lambda: not driver.room.short and len(driver.parking) <= (512 << 10) // OVERHEAD)
    await scene.server.up()
    await soon(lambda: driver.ended.totals().delivered + sum(driver.ended.totals().dropped.values()) == 50)
    assert set(driver.ended.totals().dropped) == {"journal_full"} and driver.ended.totals().delivered >= 15


@pytest.mark.parametrize("policy", ["drop-newest", "block"])
async def test_where_nothing_is_to_be_given_up_they_wait_on_disk_alone_all_the_same(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    monkeypatch.setattr(parking, "BAYS", 5)
    monkeypatch.setattr(driver_module, "_SWEEP_EVERY", 0.05)
    driver = scene.start(OTELLOGDRIVER_JOURNAL_TOTAL_MAX_SIZE="64k")
    await scene.server.down()
    await short_lived(scene, 30, journal_full=policy)
    await soon(lambda: driver.room.short)
    await short_lived(scene, 10, begin=30, journal_full=policy)
    await soon(lambda: len(driver.active) <= 10)
    await scene.server.up()
    await scene.server.reach(records=40)
    assert driver.ended.totals().dropped == {}


async def test_a_stream_with_two_destinations_waits_for_the_one_that_is_dead(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parking, "BAYS", 3)
    driver = scene.start()
    await short_lived(scene, 20, otlp_mirror=DEAD)
    await scene.server.reach(records=20)
    await soon(lambda: len(driver.parking) >= 16)  # a line that is on its way just now keeps its session
    size = len(driver.parking) * len(lines(0, 1))
    assert driver.parking.sizes == (driver.parking.overhead, size) and driver.parking.bytes == size
    await scene.driver.close()
    driver = scene.start()
    await soon(lambda: len(driver.parking) >= 16 and len(driver.active) <= 4)
    await short_lived(scene, 5, begin=20, otlp_mirror=DEAD)
    await scene.server.reach(records=25)
    assert sorted(number(record.body) for record in scene.server.records()) == [*range(25)]


async def test_what_is_parked_is_freed_at_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a ring of references it would wait for the garbage collector, which looks at what is old more and more
    seldom: with thousands of containers that was a third of the memory."""
    monkeypatch.setattr(parking, "BAYS", 2)
    driver = scene.start()
    await scene.server.down()

    def sessions() -> list[object]:
        """Of this driver: a thread of another test's may just end, and leave garbage."""
        return [each for each in gc.get_objects() if isinstance(each, Session) and each._owner is driver]

    gc.collect()
    gc.disable()
    try:
        await short_lived(scene, 20)
        await soon(lambda: len(driver.parking) == 18)
        await soon(lambda: len(sessions()) == 2)
    finally:
        gc.enable()
