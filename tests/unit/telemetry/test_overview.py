"""The driver at one moment, by sessions that really ran."""

from __future__ import annotations

from pathlib import Path

import pytest

from otellogdriver.driver.driver import Driver
from otellogdriver.telemetry.account import Accounts
from otellogdriver.telemetry.overview import Overview
from tests.unit.telemetry.life import prints


async def test_room_is_what_the_limit_leaves(driver: Driver, tmp_path: Path) -> None:
    accounts = Accounts(driver)
    assert Overview.of(driver, accounts()).journal_room == 1 << 20
    await prints(driver, tmp_path, 100, "http://127.0.0.1:9")
    (account,) = accounts()
    overview = Overview.of(driver, [account])
    assert overview.undelivered == account.undelivered > 2000
    assert overview.journal_room == (1 << 20) - account.undelivered
    assert account.lines_printed == pytest.approx(100, rel=0.2) or account.pending == account.undelivered
