"""What the tests of this folder ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from otellogdriver import codec
from otellogdriver.driver.driver import Driver
from otellogdriver.resource import Host
from otellogdriver.settings.options import plugin_settings
from tests.fakes.otlp_server import OtlpServer


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[Driver]:
    async with OtlpServer() as server:
        environ = {
            "OTELLOGDRIVER_STATE_DIRECTORY": str(tmp_path / ".state"),
            "OTELLOGDRIVER_FIFO_DIRECTORY": str(tmp_path),
            "OTEL_EXPORTER_OTLP_ENDPOINT": server.endpoint,
            "OTELLOGDRIVER_JOURNAL_TOTAL_MAX_SIZE": "1m",
            "OTELLOGDRIVER_JOURNAL_MIN_FREE": "0",
        }
        made = Driver(plugin_settings(environ)[0], environ, codec.load("auto"), Host("node"))
        made.recover()
        yield made
        await made.close()
