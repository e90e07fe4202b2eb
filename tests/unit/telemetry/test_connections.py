"""A connection whose task has ended is closed, so that the caller can try again."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from otellogdriver.telemetry.connections import Runner, Served
from otellogdriver.telemetry.doors import Doors
from tests.scene import LONG


async def answer(_: web.Request) -> web.Response:
    return web.Response(text="well")


@pytest.mark.parametrize("doors", [False, True])
async def test_a_connection_ends_with_the_task_that_serves_it(doors: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    application = web.Application()
    application.router.add_get("/", answer)
    runner = Doors().runner(application) if doors else Runner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = "http://{}:{}/".format(*runner.addresses[0])
    real: Any = Served.start
    missing = [1, 1]

    async def start(handler: Served) -> None:
        if missing:
            missing.pop()
            raise MemoryError
        await real(handler)

    monkeypatch.setattr(Served, "start", start)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as session:
            while missing:
                with pytest.raises(aiohttp.ClientError):
                    async with session.post(url):
                        pass
            async with session.get(url) as response:
                assert await response.text() == "well"
    finally:
        async with asyncio.timeout(LONG):
            await runner.cleanup()
