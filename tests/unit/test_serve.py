"""The metrics port is opened again where it could not be, and then somebody answers there."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import Any

import pytest
from aiohttp import ClientSession, web

from otellogdriver import serve
from otellogdriver.engine.listener import Listener
from otellogdriver.telemetry.connections import Runner
from tests.engine.loopback import free_port


@pytest.mark.parametrize("is_bound", [False, True])
@pytest.mark.parametrize("call", ["_add_reader", "create_server", "getsockname"])
async def test_a_port_that_cannot_be_opened_at_once_answers_later(
    call: str, is_bound: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "_LISTEN_AGAIN", 0.01)
    owner: Any = Listener if call == "getsockname" else asyncio.get_running_loop()
    real, tries = getattr(owner, call), 0

    def refuse_three(*arguments: Any, **more: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries <= 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments, **more)

    page = Runner(web.Application())
    await page.setup()
    address = "127.0.0.1", free_port()
    monkeypatch.setattr(owner, call, refuse_three)
    async with asyncio.timeout(20):
        await serve._open_status(page, address, serve._bound(address) if is_bound else None)
        assert tries > 3
        async with ClientSession() as session, session.get("http://{}:{}".format(*address)) as answer:
            assert answer.status == 404
    await page.cleanup()
