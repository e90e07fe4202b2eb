"""The scene of tests with a pump; after each, every line must be accounted for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.delivery.accounting import check
from tests.unit.delivery.pump_scene import Scene


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(tmp_path)
    yield made
    await made.close()
    check(made.feeds.values())
