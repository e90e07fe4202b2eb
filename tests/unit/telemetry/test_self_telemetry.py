"""The driver's own telemetry, where one export meets a fault."""

from __future__ import annotations

from typing import Any

import pytest

from otellogdriver.driver.driver import Driver
from otellogdriver.export.outcome import Delivered, Outcome
from otellogdriver.resource import Host
from otellogdriver.telemetry.events import Early
from otellogdriver.telemetry.self_telemetry import SelfTelemetry
from tests.scene import soon


async def test_it_goes_on_when_there_was_no_thread_or_memory(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    own = SelfTelemetry(driver, {**driver.environ, "OTEL_METRIC_EXPORT_INTERVAL": "100"}, Host("node"), 0, Early())
    faults, sent = [MemoryError(), RuntimeError("can't start new thread")], list[Any]()

    async def send(data: Any) -> Outcome:
        if faults:
            raise faults.pop()
        sent.append(data)
        return Delivered()

    monkeypatch.setattr(own._metrics, "send", send)
    await soon(lambda: len(sent) > 1)
    await own.close()
    assert caplog.text.count("own telemetry is not taken") == 1
