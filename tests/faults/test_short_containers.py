"""Many containers that print a line and end while the collector is away: what they cost, and that all of it arrives."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.engine import Engine
from tests.fakes.server_thread import ServerThread
from tests.scene import lines, number, until

FEW = 300
"""More than keep their sessions: what comes after them waits on disk alone."""
MEMORY = 16 << 20
CALL, SCRAPE = 0.05, 0.3
"""Seconds; or twice what the first ones took, where the machine has something else to do."""


def resident(engine: Engine) -> int:
    assert engine.process
    return int(Path(f"/proc/{engine.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(engine: Engine) -> int:
    assert engine.process
    return len(os.listdir(f"/proc/{engine.process.pid}/fd"))


def timed(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def p99(seconds: list[float]) -> float:
    return sorted(seconds)[len(seconds) * 99 // 100]


def test_sessions_that_no_scrape_saw_are_in_the_sums(engine: Engine, collector: ServerThread) -> None:
    """More of them end between two scrapes than are kept visible."""
    read = 0
    for index in range(FEW):
        container = engine.container(f"job-{index}")
        container.start()
        printed = lines(0, 2)
        container.write(printed)
        read += len(printed)
        container.stop()
    collector.reach(records=2 * FEW, within=30)
    until(lambda: engine.metric("otellogdriver_driver_delivered_records_total") == 2 * FEW)
    assert engine.metric("otellogdriver_driver_read_bytes_total") == read
    assert engine.metric("otellogdriver_delivered_records_total") < 2 * FEW, (
        "the first ones are forgotten by themselves"
    )


@pytest.mark.measures
@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_short_containers_in_an_outage(engine: Engine, collector: ServerThread, count: int) -> None:
    collector.down()
    calls: list[float] = []

    def come_and_go(begin: int, end: int) -> None:
        for index in range(begin, end):
            container = engine.container("job")
            calls.append(timed(container.start))
            container.write(lines(index, index + 1))
            calls.append(timed(container.stop))
            engine.containers.remove(container)

    come_and_go(0, FEW)
    until(lambda: engine.metric("otellogdriver_open_streams") == 0)
    memory, files = resident(engine), descriptors(engine)
    usual, usual_scrape = p99(calls), min(timed(engine.metrics) for _ in range(5))
    come_and_go(FEW, count)
    until(lambda: engine.metric("otellogdriver_open_streams") == 0)
    waiting = engine.metric("otellogdriver_driver_undelivered_bytes")
    assert waiting == sum(len(lines(index, index + 1)) for index in range(count))
    more = resident(engine) - memory
    scrapes = [timed(engine.metrics) for _ in range(10)]
    print(
        f"{count} containers: {more / 2**20:.1f} MiB, {descriptors(engine)} files ({files} with {FEW}), "
        f"calls: p99 {p99(calls) * 1e3:.1f} ms ({usual * 1e3:.1f}), "
        f"scrape {min(scrapes) * 1e3:.0f} ms ({usual_scrape * 1e3:.0f})"
    )
    collector.up()
    until(lambda: collector.server.taken >= count, within=120)
    assert sorted(number(record.body) for record in collector.server.records()) == list(range(count))
    until(lambda: engine.metric("otellogdriver_driver_delivered_records_total") == count)
    assert engine.metric("otellogdriver_driver_dropped_lines_total") == 0
    assert more < MEMORY and descriptors(engine) <= files + 20
    assert p99(calls) < max(CALL, 2 * usual) and min(scrapes) < max(SCRAPE, 2 * usual_scrape)
