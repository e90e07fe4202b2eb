"""Accounts over sessions that come and go: what a container came to never falls while the container is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from otellogdriver.driver.driver import Driver
from otellogdriver.telemetry.account import Accounts
from otellogdriver.telemetry.samples import journal_room
from tests.unit.telemetry.life import delivered, prints


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
