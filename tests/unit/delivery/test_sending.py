"""Requests of many containers, by a client that does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from otellogdriver.delivery import apart, pump
from otellogdriver.delivery.feed import Part
from otellogdriver.export.outcome import Body, Delivered, Outcome, Refused, Retry
from tests.fakes.engine import frame
from tests.fakes.received import count_records
from tests.scene import line, lines, soon
from tests.unit.delivery.pump_scene import Scene, answering, marked


async def test_batch_size_is_a_bound_in_a_backlog(scene: Scene) -> None:
    client = scene.start(size=16_384)
    for name in ("a", "b", "c"):
        scene.feed(name)
        scene.write(name, lines(0, 3000, size=100))
    scene.write("a", frame(line(3000, 50_000)) + lines(3001, 3100))
    await scene.settled()
    longer = [body for body in client.bodies if len(body) > 16_384]
    assert [sum(count_records(body).values()) for body in longer] == [1], "a record alone may be longer"
    assert client.of("a") == [*range(3100)] and client.of("b") == client.of("c") == [*range(3000)]


@pytest.mark.parametrize("after", [None, 0.3])
async def test_patience_that_is_asked_for_one_container_alone_costs_no_other(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, after: float | None
) -> None:
    """Quiet ones among them: nothing else is under way that would show that the destination is well. Nothing is given
    up, and what was held back comes in order when the collector has had enough patience."""
    monkeypatch.setattr(apart, "POISON_AGE", 0.1)
    limited = [True]
    client = scene.start(answering(lambda body: Retry("throttled", "429", after) if limited[0] else Delivered()))
    for name in ("a", "b", "c"):
        scene.feed(name)
        scene.write(name, lines(0, 1) if name != "b" else marked(0, 1, {0}))
    for count in range(1, 8):
        for name in ("a", "c"):
            scene.write(name, lines(count, count + 1))
        scene.write("b", marked(count, count + 1, {count}))
        await soon(lambda count=count: client.of("a")[-1:] == client.of("c")[-1:] == [count])  # type: ignore[misc]
    assert client.of("b") == [] and scene.feeds["b"].counters.given_up == {}
    limited[0] = False
    await scene.settled()
    assert client.of("a") == client.of("c") == client.of("b") == [*range(8)]


async def test_who_was_postponed_when_memory_ended_is_not_left_out_for_good(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "_DISK_PAUSE", 0.01)
    answers = [Retry("throttled", "429")]

    async def answer(_: bytes) -> Outcome:
        return answers.pop() if answers else Delivered()

    client = scene.start(answer)
    real, faults = scene.pump._sending._leave_out, [MemoryError()]

    def leave_out() -> None:
        if faults:
            raise faults.pop()
        real()

    monkeypatch.setattr(scene.pump._sending, "_leave_out", leave_out)
    for name in ("a", "b"):
        scene.feed(name)
        scene.write(name, lines(0, 10))
    await scene.settled()
    for name in ("a", "b"):
        scene.write(name, lines(10, 20))
    await scene.settled()
    assert not faults and client.of("a") == client.of("b") == [*range(20)]


async def test_a_collector_that_is_busy_for_a_moment_gets_few_requests(scene: Scene) -> None:
    """One container shows that it takes some again; all others are one request then."""
    answers = [Retry("unavailable", "503")]

    async def answer(_: bytes) -> Outcome:
        return answers.pop() if answers else Delivered()

    client = scene.start(answer)
    for number in range(20):
        scene.feed(f"{number:02x}")
        scene.write(f"{number:02x}", lines(0, 1))
    await scene.settled()
    assert [len(count_records(body)) for body in client.bodies] == [20, 1, 19]


async def test_the_container_that_a_collector_is_too_busy_for_is_found_within_few_requests(scene: Scene) -> None:
    client = scene.start(answering(lambda _: Retry("unavailable", "503")))
    for number in range(20):
        scene.feed(f"{number:02x}")
        scene.write(f"{number:02x}", marked(0, 1, {0}) if number == 13 else lines(0, 1))
    await soon(lambda: all(client.of(f"{number:02x}") == [0] for number in range(20) if number != 13))
    assert len(client.bodies) < 2 * 20


async def test_a_fault_in_one_group_has_no_other_sent_twice(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "_DISK_PAUSE", 0.01)
    names = [f"{number:02x}" for number in range(20)]

    async def answer(body: bytes) -> Outcome:
        containers = len(count_records(body))
        await asyncio.sleep(0.0 if containers == len(names) else 0.2)
        return Refused("bad") if containers == len(names) else Delivered()

    client = scene.start(answer)
    real, faults = scene.pump._sending._body, [MemoryError()]

    async def body(parts: Sequence[Part]) -> Body:
        if faults and len(parts) < len(names):
            raise faults.pop()
        return await real(parts)

    monkeypatch.setattr(scene.pump._sending, "_body", body)
    for name in names:
        scene.feed(name)
        scene.write(name, lines(0, 1))
    await scene.settled()
    assert not faults
    assert all(client.of(name) == [0] for name in names)
