"""Sessions that are over linger for a while; what they came to stays."""

from __future__ import annotations

import pytest

from otellogdriver.driver import ended as ended_module
from tests.scene import lines, soon
from tests.unit.driver.driver_scene import Scene


async def test_ended_sessions_are_forgotten_and_the_totals_stay(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended_module, "_LINGER", 0.05)
    driver = scene.start()
    for _ in range(5):
        file = await scene.container()
        scene.write(file, lines(0, 10))
        await scene.stop(file)
    await scene.server.reach(records=50)
    await soon(lambda: not driver.active)
    assert driver.sessions == {}
    totals = driver.ended.totals()
    assert (totals.delivered, totals.read, totals.dropped) == (50, 5 * len(lines(0, 10)), {})


async def test_no_more_than_a_bound_of_ended_sessions_linger(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended_module, "_LINGER_MOST", 10)
    driver = scene.start()
    for _ in range(40):
        file = await scene.container()
        scene.write(file, lines(0, 1))
        await scene.stop(file)
    await soon(lambda: driver.ended.totals().delivered == 40)
    await soon(lambda: len(driver.ended) == len(driver.active))
    assert len(driver.active) <= 11
