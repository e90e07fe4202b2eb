"""The scene of tests with a pump, after each of which every line must be accounted for; the bench of those without."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from otellogdriver.delivery import patience
from tests.unit.delivery.accounting import check
from tests.unit.delivery.feed_scene import Bench
from tests.unit.delivery.pump_scene import Scene


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(tmp_path)
    yield made
    await made.close()
    check(made.feeds.values())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "stream")
    yield made
    made.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], float]:
    """The clock of a feed's patience: to be moved, it says what time it is."""
    now = [1000.0]

    class Time(ModuleType):
        @staticmethod
        def monotonic() -> float:
            return now[0]

    def forward(seconds: float) -> float:
        now[0] += seconds
        return now[0]

    monkeypatch.setattr(patience, "time", Time("time"))
    return forward
