"""A `docker logs -f` that the engine cuts at its default time-out is told from one that its user ends."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import pytest

from otellogdriver.codec import python
from otellogdriver.delivery.recipe import container_of
from otellogdriver.driver.driver import Driver
from otellogdriver.engine import protocol
from otellogdriver.engine.http import Server
from otellogdriver.engine.listener import Listener
from otellogdriver.engine.readlogs import LogReader
from otellogdriver.resource import Host
from otellogdriver.settings.options import Settings, plugin_settings
from tests.fakes.engine import frame


@pytest.mark.parametrize(("age", "told"), ((1.0, True), (0.1, False)))
async def test_cut_at_the_default_time_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, age: float, told: bool
) -> None:
    monkeypatch.setattr(protocol, "_ENGINE_TIMEOUT", 1.0)
    environ = {
        "OTELLOGDRIVER_STATE_DIRECTORY": str(tmp_path / ".state"),
        "OTELLOGDRIVER_FIFO_DIRECTORY": str(tmp_path),
    }
    driver = Driver(plugin_settings(environ)[0], environ, python, Host("test"))
    driver.recover()
    entry = driver.store.create("abc", str(tmp_path / "fifo"), {}, 1 << 20)
    entry.stream.append(frame(b"hello"))
    logs = LogReader(driver)
    server = Server(protocol.application(driver, logs))
    listener = Listener(str(tmp_path / "socket"), 10)
    await server.start(listener, 10)
    driver.store.describe(entry)
    session = driver.add(container_of(entry), Settings(), entry)
    try:
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "socket"))
        body = json.dumps({"Info": {"ContainerID": "abc"}, "Config": {"Tail": -1, "Follow": True}})
        writer.write(
            f"POST /LogDriver.ReadLogs HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        await reader.readuntil(b"hello\n")
        assert len(session.followers) == 1
        await asyncio.sleep(age)
        writer.close()
        async with asyncio.timeout(5):
            while session.followers:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0)
    finally:
        logs.close()
        await driver.close()
        await server.close()
        listener.close()
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any("--timeout 0" in text for text in warnings) == told
