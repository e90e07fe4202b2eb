"""A driver with a receiver, and the lives of one container with it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from otellogdriver.driver.driver import Driver
from otellogdriver.telemetry.account import Accounts
from tests.fakes.engine import frame
from tests.scene import soon

CONTAINER = "c" * 64


async def prints(driver: Driver, tmp_path: Path, lines: int, endpoint: str = "", **options: str) -> None:
    """One life of the container, which has the log-opts `options`: start, print, stop. Lines 3, 13 … are errors."""
    file = str(tmp_path / secrets.token_hex(32))
    os.mkfifo(file)
    fd = os.open(file, os.O_RDWR)
    config = options | ({"otlp-endpoint": endpoint} if endpoint else {})
    try:
        await driver.start_logging(file, {"ContainerID": CONTAINER, "ContainerName": "/web", "Config": config})
        os.write(
            fd, b"".join(frame(b"%sline %d" % (b"ERROR " * (number % 10 == 3), number)) for number in range(lines))
        )
        await driver.stop_logging(file)
    finally:
        os.close(fd)
        os.unlink(file)


async def delivered(accounts: Accounts, lines: int) -> None:
    """Wait until the container has delivered so many lines."""
    await soon(lambda: [account.counts.delivered for account in accounts()][:1] == [lines])
