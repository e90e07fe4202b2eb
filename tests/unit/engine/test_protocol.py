"""Calls in, answers out, whatever the driver does. What a real socket adds is in tests/faults/test_hostile.py."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import ClientSession, UnixConnector

from otellogdriver.driver.driver import Driver
from otellogdriver.engine.http import Server
from otellogdriver.engine.listener import Listener
from otellogdriver.engine.protocol import application
from otellogdriver.engine.readlogs import LogReader
from otellogdriver.errors import OptionError, ProtocolError
from tests.scene import LONG

INFO = {"ContainerID": "a" * 64, "ContainerName": "/web"}


class Behind:
    """A driver that notes its calls and then does what `outcome` says."""

    def __init__(self) -> None:
        self.plugin = SimpleNamespace(read_logs=True)
        self.calls: list[tuple[str, str]] = []
        self.outcome: BaseException | None = None
        self.hold: asyncio.Event | None = None
        self.finished = 0

    async def start_logging(self, file: str, _: Any) -> None:
        await self._do("start", file)

    async def stop_logging(self, file: str) -> None:
        await self._do("stop", file)

    async def _do(self, call: str, file: str) -> None:
        self.calls.append((call, file))
        if self.hold:
            await self.hold.wait()
        if self.outcome:
            raise self.outcome
        self.finished += 1


@pytest.fixture
def behind() -> Behind:
    return Behind()


@pytest.fixture
async def client(behind: Behind, tmp_path: Path) -> AsyncIterator[ClientSession]:
    server = Server(application(cast(Driver, behind), cast(LogReader, None)))
    with Listener(path := str(tmp_path / "socket"), 100) as listener:
        await server.start(listener, 100)
        async with ClientSession("http://x", connector=UnixConnector(path)) as made:
            yield made
        await server.close()


async def call(client: ClientSession, name: str, body: Any = None) -> tuple[int, Any]:
    data = b"" if body is None else json.dumps(body).encode()
    async with client.post(f"/{name}", data=data, headers={"Content-Type": ""}) as response:
        return response.status, json.loads(await response.read())


async def test_the_calls_of_the_engine(client: ClientSession, behind: Behind) -> None:
    assert await call(client, "Plugin.Activate") == (200, {"Implements": ["LogDriver"]})
    assert await call(client, "LogDriver.Capabilities") == (200, {"Cap": {"ReadLogs": True}})
    behind.plugin.read_logs = False
    assert await call(client, "LogDriver.Capabilities") == (200, {"Cap": {"ReadLogs": False}})
    assert await call(client, "LogDriver.StartLogging", {"File": "/f", "Info": INFO}) == (200, {"Err": ""})
    assert await call(client, "LogDriver.StopLogging", {"File": "/f"}) == (200, {"Err": ""})
    assert behind.calls == [("start", "/f"), ("stop", "/f")]


async def test_a_stop_repeated_after_a_lost_connection_has_no_body(client: ClientSession, behind: Behind) -> None:
    assert await call(client, "LogDriver.StopLogging") == (200, {})
    assert behind.calls == []


@pytest.mark.parametrize("fault", [OptionError("otlp-endpoint: no"), ProtocolError("File: no")])
async def test_what_a_user_can_mend_is_shown_to_the_user(
    client: ClientSession, behind: Behind, fault: Exception
) -> None:
    behind.outcome = fault
    status, answer = await call(client, "LogDriver.StartLogging", {"File": "/f", "Info": INFO})
    assert status == 400 and answer == {"Err": str(fault)}


async def test_a_fault_of_ours_is_said_without_its_text(
    client: ClientSession, behind: Behind, caplog: pytest.LogCaptureFixture
) -> None:
    behind.outcome = RuntimeError("with a secret in it")
    status, answer = await call(client, "LogDriver.StartLogging", {"File": "/f", "Info": INFO})
    assert status == 500 and "RuntimeError" in answer["Err"] and "secret" not in answer["Err"]
    assert "failed" in caplog.text


@pytest.mark.parametrize("fault", [OptionError("x"), ProtocolError("x"), RuntimeError("x"), OSError(5, "x")])
async def test_stop_never_has_an_error(client: ClientSession, behind: Behind, fault: Exception) -> None:
    """The engine would leak the FIFO and never let go of the plugin."""
    behind.outcome = fault
    assert await call(client, "LogDriver.StopLogging", {"File": "/f"}) == (200, {"Err": ""})


async def test_one_slow_call_does_not_delay_another(client: ClientSession, behind: Behind) -> None:
    behind.hold = asyncio.Event()
    slow = [asyncio.create_task(call(client, "LogDriver.StopLogging", {"File": f"/{index}"})) for index in range(20)]
    async with asyncio.timeout(LONG):
        while len(behind.calls) < 20:
            await asyncio.sleep(0.002)
        assert await call(client, "LogDriver.Capabilities") == (200, {"Cap": {"ReadLogs": True}})
    assert not any(task.done() for task in slow)
    behind.hold.set()
    assert await asyncio.gather(*slow) == [(200, {"Err": ""})] * 20


async def test_a_caller_that_hangs_up_leaves_no_call_half_done(client: ClientSession, behind: Behind) -> None:
    behind.hold = asyncio.Event()
    task = asyncio.create_task(call(client, "LogDriver.StartLogging", {"File": "/f", "Info": INFO}))
    async with asyncio.timeout(LONG):
        while not behind.calls:
            await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        behind.hold.set()
        while not behind.finished:
            await asyncio.sleep(0.002)
    assert behind.finished == 1
