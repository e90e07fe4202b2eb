"""`/status.json`: plain values, of sessions that really ran."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from otellogdriver.delivery.tally import LATENCY_BOUNDS
from otellogdriver.driver.driver import Driver
from otellogdriver.telemetry.account import Accounts
from otellogdriver.telemetry.events import Events
from otellogdriver.telemetry.overview import Overview
from otellogdriver.telemetry.report import _median, report
from tests.scene import soon
from tests.unit.telemetry.life import CONTAINER, delivered, prints


async def test_a_container_and_its_destination(driver: Driver, tmp_path: Path) -> None:
    accounts = Accounts(driver)
    await prints(driver, tmp_path, 5)
    await delivered(accounts, 5)
    found = report(Overview.of(driver, accounts()), Events(), ["a problem"])
    assert json.loads(json.dumps(found)) == found
    assert found["ready"] and found["problems"] == ["a problem"] and found["events"] == []
    totals = found["totals"]
    assert (totals["running"], totals["delivered"], totals["dropped"], totals["full"]) == (0, 5, {}, False)
    (container,), (destination,) = found["containers"], found["destinations"]
    assert (container["id"], container["name"], container["service"]) == (CONTAINER, "web", "web")
    assert (container["delivered"], container["dropped"], container["running"]) == (5, {}, False)
    assert container["up"] and container["error"] == "" and container["destinations"] == [destination["label"]]
    assert destination["up"] and destination["requests"]["delivered"] >= 1 and destination["duration"] is not None


async def test_a_destination_that_is_away_says_why(driver: Driver, tmp_path: Path) -> None:
    accounts = Accounts(driver)
    await prints(driver, tmp_path, 5, "http://127.0.0.1:9")
    await soon(lambda: any(not pump.gate.is_open for pump in driver.pumps))
    found = report(Overview.of(driver, accounts()), Events(), [])
    (container,), (destination,) = found["containers"], found["destinations"]
    assert not container["up"] and not destination["up"]
    assert destination["error"] and container["error"].endswith(destination["error"])
    assert container["undelivered"] == found["totals"]["undelivered"] > 0


async def test_what_was_lately_logged_of_a_container_is_its_error(driver: Driver, tmp_path: Path) -> None:
    accounts, events = Accounts(driver), Events()
    await prints(driver, tmp_path, 1)
    await delivered(accounts, 1)
    events.emit(logging.LogRecord("otellogdriver", logging.ERROR, "", 0, f"{CONTAINER[:12]}: broken", (), None))
    found = report(Overview.of(driver, accounts()), events, [])
    assert found["containers"][0]["error"] == f"{CONTAINER[:12]}: broken"
    assert [(event["lost"], event["text"]) for event in found["events"]] == [(True, f"{CONTAINER[:12]}: broken")]


@pytest.mark.parametrize(
    ("counts", "median"),
    [({}, None), ({0: 1}, LATENCY_BOUNDS[0]), ({1: 3, 5: 2}, LATENCY_BOUNDS[1]), ({len(LATENCY_BOUNDS): 3}, None)],
)
def test_the_median_of_durations(counts: dict[int, int], median: float | None) -> None:
    assert _median([counts.get(place, 0) for place in range(len(LATENCY_BOUNDS) + 1)]) == median
