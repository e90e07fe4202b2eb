"""The gate of a destination: one probe at a time, pauses that grow to a bound, wishes that are kept."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest

from otellogdriver.delivery.gate import FIRST, LONGEST, Gate


def now() -> float:
    return asyncio.get_running_loop().time()


async def admitted(gate: Gate, count: int) -> list[asyncio.Task[None]]:
    """Waiters, all of which have begun to wait."""
    tasks = [asyncio.create_task(gate.admit()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


def passed(tasks: list[asyncio.Task[None]]) -> int:
    return sum(task.done() for task in tasks)


async def end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_open_gate_lets_everybody_through() -> None:
    gate = Gate()
    assert passed(await admitted(gate, 100)) == 100
    assert gate.is_open and gate.pause_left == 0


async def test_a_closed_gate_lets_one_probe_through_when_the_pause_is_over() -> None:
    gate = Gate(jitter=lambda: 1.0)
    began = now()
    assert gate.failed("unreachable", "no") == FIRST
    tasks = await admitted(gate, 10)
    assert passed(tasks) == 0 and not gate.is_open
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=10)
    assert passed(tasks) == 1 and now() - began >= FIRST
    gate.opened()
    await asyncio.wait(tasks, timeout=10)
    assert passed(tasks) == 10 and gate.is_open


async def test_each_failed_probe_is_followed_by_one_more() -> None:
    gate = Gate(jitter=lambda: 0.0)
    gate.failed("unreachable", "no")
    tasks = await admitted(gate, 5)
    for probe in range(1, 4):
        while passed(tasks) < probe:
            await asyncio.wait([task for task in tasks if not task.done()], return_when=asyncio.FIRST_COMPLETED)
        assert passed(tasks) == probe
        gate.failed("unreachable", "no")
    await end(tasks)


@pytest.mark.parametrize("kind", [*LONGEST, "something new"])
async def test_pauses_grow_to_a_bound_that_depends_on_the_failure(kind: str) -> None:
    for jitter in (0.0, 1.0):
        gate = Gate(jitter=lambda jitter=jitter: jitter)  # type: ignore[misc]
        pauses = [gate.failed(kind, "no") for _ in range(200)]
        assert pauses == sorted(pauses)
        assert pauses[-1] == LONGEST.get(kind, 1.0) * (0.5 + jitter / 2)
        assert pauses[0] == FIRST * (0.5 + jitter / 2)


async def test_where_a_probe_costs_nothing_delivery_is_back_within_a_second() -> None:
    assert all(LONGEST[kind] < 1 for kind in ("unreachable", "timeout", "unavailable"))


async def test_a_wish_is_kept_up_to_a_bound() -> None:
    gate = Gate(jitter=lambda: 0.0)
    assert gate.failed("throttled", "later", 30.0) == 30.0
    assert 29 < gate.pause_left <= 30
    assert Gate().failed("throttled", "later", 86400.0) == 600.0
    assert Gate(jitter=lambda: 1.0).failed("throttled", "later", 0.0) == FIRST


async def test_a_wish_is_not_cut_short_by_the_failures_of_other_requests() -> None:
    gate = Gate()
    gate.failed("throttled", "later", 30.0)
    gate.failed("unavailable", "no")
    assert gate.pause_left > 29
    gate.opened()
    gate.failed("unavailable", "no")  # a new trouble, and the old wish is forgotten
    assert gate.pause_left < 1


async def test_a_wish_that_comes_while_the_probe_waits_is_kept_too() -> None:
    gate = Gate(jitter=lambda: 0.0)
    gate.failed("unreachable", "no")
    tasks = await admitted(gate, 1)
    gate.failed("throttled", "later", 0.3)
    began = now()
    await asyncio.wait(tasks, timeout=10)
    assert passed(tasks) == 1 and now() - began > 0.25


async def test_a_cancelled_probe_is_replaced() -> None:
    gate = Gate()
    gate.failed("unreachable", "no")
    tasks = await admitted(gate, 2)
    tasks[0].cancel()
    await asyncio.wait(tasks[1:], timeout=10)
    assert passed(tasks[1:]) == 1
    waiting = await admitted(gate, 1)
    gate.withdrawn()  # the probe's request was cancelled
    await asyncio.wait(waiting, timeout=10)
    assert passed(waiting) == 1


async def test_a_success_of_an_earlier_request_opens_the_gate() -> None:
    gate = Gate()
    gate.failed("throttled", "later", 100.0)
    tasks = await admitted(gate, 3)
    gate.opened()
    assert gate.last_failure == ""
    await asyncio.wait(tasks, timeout=10)
    assert passed(tasks) == 3
    assert passed(await admitted(gate, 1)) == 1


async def test_a_probe_that_meets_a_fault_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    gate.failed("unreachable", "no")
    faults = [MemoryError()]

    class Once(asyncio.Event):
        async def wait(self) -> Literal[True]:
            if faults:
                raise faults.pop()
            return await super().wait()

    gate._changed = Once()  # type: ignore[assignment]
    with pytest.raises(MemoryError):
        await gate.admit()
    await asyncio.wait_for(gate.admit(), 10)
