"""What a failed request says of the destination, of its size or of itself: by a client that does as it is told."""

from __future__ import annotations

import pytest

from otellogdriver.delivery import apart, pump
from otellogdriver.delivery.gate import LONGEST
from otellogdriver.export.outcome import Delivered, Denied, Outcome, Refused
from tests.fakes.engine import frame
from tests.fakes.received import count_records
from tests.scene import line, lines
from tests.unit.delivery.accounting import fates
from tests.unit.delivery.pump_scene import KINDS, MARK, Scene, answering, marked


async def test_a_limit_of_the_destination_is_learned_and_costs_no_line(scene: Scene) -> None:
    async def answer(body: bytes) -> Outcome:
        return Refused("too large", too_large=True) if len(body) > 20_000 else Delivered()

    client = scene.start(answer)
    scene.feed("a", segment_size=8 << 20)
    scene.feed("b")
    scene.write("a", lines(0, 3000, size=100))
    scene.write("b", lines(0, 10) + frame(line(10, 30_000)) + lines(11, 20))
    await scene.settled()
    assert client.of("a") == [*range(3000)]
    assert client.of("b") == [each for each in range(20) if each != 10]
    assert fates(scene.feeds["b"]) == {"delivered": 19, "refused": 1, "waiting": 0}
    before = len(client.bodies)
    scene.write("a", lines(3000, 6000, size=100))
    await scene.settled()
    assert all(len(body) <= 20_000 for body in client.bodies[before:]), "it is remembered"


async def test_too_large_for_what_is_smaller_than_what_was_taken_is_a_refusal_like_others(scene: Scene) -> None:
    client = scene.start(answering(lambda body: Refused("too large", too_large=True)))
    for name in ("a", "b"):
        scene.feed(name)
    scene.write("b", marked(0, 200, {7, 150}))
    await scene.settled()
    scene.write("a", lines(0, 2000))
    await scene.settled()
    assert client.of("b") == [each for each in range(200) if each not in (7, 150)]
    assert max(sum(count_records(body).values()) for body in client.bodies if MARK not in body) > 50


async def test_a_destination_that_fails_empty_requests_is_down_and_nothing_is_given_up(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "POISON_AGE", 0.05)
    monkeypatch.setitem(LONGEST, "denied", 0.02)
    left = [15]

    async def answer(body: bytes) -> Outcome:
        left[0] -= 1
        return KINDS["denied"] if left[0] >= 0 else Delivered()

    client = scene.start(answer)
    for name in ("a", "b"):
        scene.feed(name)
        scene.write(name, lines(0, 20))
    await scene.settled()
    assert client.of("a") == client.of("b") == [*range(20)]
    assert sum(1 for body in client.bodies if body) == 2, "the destination was asked by empty requests alone"
    assert scene.pump.tally.outcomes == {"denied": 15, "delivered": 2}


async def test_drop_gives_up_what_a_destination_denies_and_no_neighbour_of_what_a_proxy_denies(scene: Scene) -> None:
    everything = [True]

    async def answer(body: bytes) -> Outcome:
        return Denied("403") if everything[0] or MARK in body else Delivered()

    client = scene.start(answer, hold=False)
    for name in ("a", "b"):
        scene.feed(name)
        scene.write(name, lines(0, 10))
    await scene.settled()
    assert [feed.counters.given_up for feed in scene.feeds.values()] == [{"denied": 10}] * 2
    everything[0] = False
    scene.write("a", lines(10, 20))
    scene.write("b", marked(10, 20, {15}))
    await scene.settled()
    assert client.of("a") == [*range(10, 20)]
    assert client.of("b") == [each for each in range(10, 20) if each != 15]
    assert scene.feeds["b"].counters.given_up == {"denied": 11}


async def test_drop_gives_up_nothing_for_a_trouble_of_our_own(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LONGEST, "denied", 0.01)
    left = [5]

    async def answer(_: bytes) -> Outcome:
        left[0] -= 1
        return Denied("otlp-headers-file: No such file", local=True) if left[0] >= 0 else Delivered()

    client = scene.start(answer, hold=False)
    scene.feed("a")
    scene.write("a", lines(0, 10))
    await scene.settled()
    assert client.of("a") == [*range(10)]


async def test_a_fault_with_the_answer_of_a_probe_does_not_keep_the_gate_closed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where memory is short: the probe's answer is lost, and another one goes."""
    outcomes: list[Outcome] = [KINDS["reset"], Delivered(), KINDS["reset"], KINDS["reset"]]

    async def answer(_: bytes) -> Outcome:
        return outcomes.pop() if outcomes else Delivered()

    client = scene.start(answer)
    observe, faults = scene.pump.tally.observe, [MemoryError()]

    def fail(seconds: float) -> None:
        if len(outcomes) == 1 and faults:
            raise faults.pop()
        observe(seconds)

    monkeypatch.setattr(type(scene.pump.tally), "observe", lambda _, seconds: fail(seconds))
    monkeypatch.setattr(pump, "_DISK_PAUSE", 0.01)
    scene.feed("a")
    scene.write("a", lines(0, 10))
    await scene.settled()
    assert not faults and sorted(set(client.of("a"))) == [*range(10)]
