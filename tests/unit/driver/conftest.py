"""The scene of tests with a whole driver; test_session.py and test_room.py have their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.otlp_server import OtlpServer
from tests.unit.driver.driver_scene import Scene


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with OtlpServer() as server:
        made = Scene(tmp_path / "logging", server)
        made.root.mkdir()
        yield made
        await made.close()
