"""Accounts over sessions that come and go: what a container came to never falls while the container is seen."""

from __future__ import annotations

from pathlib import Path

from otellogdriver.driver.driver import Driver
from otellogdriver.telemetry.account import Accounts
from otellogdriver.telemetry.overview import Overview
from otellogdriver.telemetry.samples import samples
from tests.scene import soon
from tests.unit.telemetry.life import delivered, prints


async def test_what_a_forgotten_session_counted_stays_with_its_container(driver: Driver, tmp_path: Path) -> None:
    accounts = Accounts(driver)
    await prints(driver, tmp_path, 5)
    await delivered(accounts, 5)
    await prints(driver, tmp_path, 2)
    await delivered(accounts, 7)
    for session in list(driver.active.values())[:1]:
        driver.ended.forget(session)
    (account,) = accounts()
    assert (account.counts.delivered, account.counts.lines, account.container.name) == (7, [7, 0], "web")
    assert accounts()[0].counts.delivered == 7  # not added again
    overview = Overview.of(driver, accounts())
    assert overview.totals == driver.ended.totals() and overview.totals.delivered == 7

    for session in list(driver.active.values()):
        driver.ended.forget(session)
    assert accounts() == []
    assert driver.ended.totals().delivered == 7
    await prints(driver, tmp_path, 1)
    await delivered(accounts, 1)  # seen anew: nobody compares it with what was before


async def test_what_is_put_back_does_not_make_a_counter_fall(driver: Driver, tmp_path: Path) -> None:
    """It is taken again, and counted as the same lines."""
    accounts = Accounts(driver)
    await prints(driver, tmp_path, 5, "http://127.0.0.1:9")
    await soon(lambda: accounts()[0].counts.lines == [5, 0])
    before = accounts()[0].counts
    (session,) = driver.active.values()
    ((pump, feed),) = session.feeds
    await soon(lambda: bool(pump._known[feed].taken) and not pump._known[feed].busy)
    assert feed.put_back(pump._known[feed].taken[-1].part)
    assert feed.counters.passed.lines == [0, 0]
    after = accounts()[0].counts
    assert (after.lines, after.bytes, after.damaged) == (before.lines, before.bytes, before.damaged)


def records(driver: Driver, accounts: Accounts) -> dict[str, float]:
    """The container's records by severity."""
    ((_, severities, columns),) = samples(Overview.of(driver, accounts()), 0)["otellogdriver_records_total"]
    return {severity: value for severity, (value,) in zip(severities, columns, strict=True)}


async def test_records_are_counted_by_severity_over_sessions(driver: Driver, tmp_path: Path) -> None:
    accounts = Accounts(driver)
    await prints(driver, tmp_path, 5, severity="auto")
    await delivered(accounts, 5)
    await prints(driver, tmp_path, 14, severity="auto")
    await delivered(accounts, 19)
    assert records(driver, accounts) == {"none": 16, "error": 3, "fatal": 0}
    driver.ended.forget(next(iter(driver.active.values())))
    assert records(driver, accounts) == {"none": 16, "error": 3, "fatal": 0}


async def test_errors_are_there_from_0_where_a_severity_is_looked_for(driver: Driver, tmp_path: Path) -> None:
    accounts = Accounts(driver)
    await prints(driver, tmp_path, 1, "http://127.0.0.1:9", parse="json")
    assert records(driver, accounts) == {"error": 0, "fatal": 0}


async def test_records_have_no_severity_where_none_is_looked_for(driver: Driver, tmp_path: Path) -> None:
    accounts = Accounts(driver)
    await prints(driver, tmp_path, 5)
    await delivered(accounts, 5)
    assert records(driver, accounts) == {"none": 5}
