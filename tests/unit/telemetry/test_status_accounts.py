"""Accounts over sessions that come and go: what a container came to never falls while the container is seen."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from otellogdriver import codec
from otellogdriver.driver.driver import Driver
from otellogdriver.resource import Host
from otellogdriver.settings.options import plugin_settings
from otellogdriver.telemetry.account import Accounts
from otellogdriver.telemetry.samples import journal_room
from tests.fakes.engine import frame
from tests.fakes.otlp_server import OtlpServer

CONTAINER = "c" * 64


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


async def prints(driver: Driver, tmp_path: Path, lines: int, endpoint: str = "") -> None:
    """One life of the container: start, print, stop."""
    file = str(tmp_path / secrets.token_hex(32))
    os.mkfifo(file)
    fd = os.open(file, os.O_RDWR)
    config = {"otlp-endpoint": endpoint} if endpoint else {}
    try:
        await driver.start_logging(file, {"ContainerID": CONTAINER, "ContainerName": "/web", "Config": config})
        os.write(fd, b"".join(frame(b"line %d" % number) for number in range(lines)))
        await driver.stop_logging(file)
    finally:
        os.close(fd)
        os.unlink(file)


async def delivered(accounts: Accounts, lines: int) -> None:
    async with asyncio.timeout(20):
        while not (found := accounts()) or found[0].counts.delivered != lines:
            await asyncio.sleep(0.01)


async def test_what_a_forgotten_session_counted_stays_with_its_container(driver: Driver, tmp_path: Path) -> None:
    accounts = Accounts(driver)
    await prints(driver, tmp_path, 5)
    await delivered(accounts, 5)
    await prints(driver, tmp_path, 2)
    await delivered(accounts, 7)
    for session in list(driver.active.values())[:1]:
        driver._forget(session)
    (account,) = accounts()
    assert (account.counts.delivered, account.counts.lines, account.container.name) == (7, [7, 0], "web")
    assert accounts()[0].counts.delivered == 7  # not added again

    for session in list(driver.active.values()):
        driver._forget(session)
    assert accounts() == []
    assert driver.totals().delivered == 7
    await prints(driver, tmp_path, 1)
    await delivered(accounts, 1)  # seen anew: nobody compares it with what was before


async def test_room_is_what_the_limit_leaves(driver: Driver, tmp_path: Path) -> None:
    accounts = Accounts(driver)
    assert journal_room(driver, accounts()) == 1 << 20
    await prints(driver, tmp_path, 100, "http://127.0.0.1:9")
    (account,) = accounts()
    assert account.undelivered > 2000
    assert journal_room(driver, [account]) == (1 << 20) - account.undelivered
    assert account.lines_printed == pytest.approx(100, rel=0.2) or account.pending == account.undelivered
