"""What fails by itself is found, and costs the record that fails alone; by a client that does as it is told."""

from __future__ import annotations

import asyncio

import pytest

from otellogdriver.delivery import apart, pump, requests, sending
from otellogdriver.delivery.gate import LONGEST
from otellogdriver.export.client import prepare
from otellogdriver.export.outcome import Body, Delivered, Outcome, Refused, Retry
from tests.fakes.received import count_records
from tests.scene import LONG, lines, soon
from tests.unit.delivery.accounting import fates
from tests.unit.delivery.pump_scene import KINDS, MARK, Scene, answering, marked, refuse


async def test_only_what_was_refused_by_itself_is_given_up(scene: Scene) -> None:
    alone: list[bytes] = []

    async def answer(body: bytes) -> Outcome:
        if MARK not in body:
            return Delivered()
        if sum(count_records(body).values()) == 1:
            alone.append(body)
        return Refused("bad")

    client = scene.start(answer)
    bad = set(range(0, 2000, 50))
    for name in ("a", "b", "c"):
        scene.feed(name)
    for name in ("a", "b"):
        scene.write(name, lines(0, 2000))
    scene.write("c", marked(0, 2000, bad))
    await scene.settled()
    assert client.of("a") == client.of("b") == [*range(2000)]
    assert client.of("c") == [each for each in range(2000) if each not in bad]
    assert fates(scene.feeds["c"]) == {"delivered": 2000 - len(bad), "refused": len(bad), "waiting": 0}
    assert len(alone) == len(bad)
    assert len(client.bodies) < 20 * len(bad)


async def test_a_destination_that_refuses_everything_of_one_container_is_asked_at_a_pace(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "_BURST", 10.0)
    client = scene.start(answering(refuse))
    scene.feed("a")
    scene.feed("b")
    scene.write("b", marked(0, 60, set(range(60))))
    began = asyncio.get_running_loop().time()
    while asyncio.get_running_loop().time() < began + 0.3:
        scene.write("a", lines(0, 1))
        await asyncio.sleep(0.01)
    asked = sum(MARK in body for body in client.bodies)
    assert asked <= 10 + 2 * 200 * (asyncio.get_running_loop().time() - began)
    await scene.settled()
    assert scene.feeds["b"].counters.given_up == {"refused": 60}


async def test_a_container_that_fails_is_by_itself_for_a_while(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    client = scene.start(answering(refuse))
    for name in ("a", "b"):
        scene.feed(name)
    for begin, quiet in ((0, 300.0), (100, 0.0), (200, 0.0)):
        before = len(client.bodies)
        monkeypatch.setattr(apart, "QUIET", quiet)
        scene.write("a", lines(begin, begin + 100))
        scene.write("b", marked(begin, begin + 100, {begin + 7} if begin < 200 else set()))
        await scene.settled()
        both = [body for body in client.bodies[before:] if len(count_records(body)) == 2]
        assert len(both) == {0: 1, 100: 0, 200: 1}[begin]
    assert client.of("a") == [*range(300)]
    assert client.of("b") == [each for each in range(300) if each not in (7, 107)]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_request_that_fails_while_the_destination_is_well_costs_the_culprit(
    scene: Scene, kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(apart, "POISON_AGE", 0.5)
    monkeypatch.setattr(apart, "_FIRST_PAUSE", 0.01)
    client = scene.start(answering(lambda body: KINDS[kind]))
    for name in ("a", "b"):
        scene.feed(name)
    scene.write("a", lines(0, 100))
    scene.write("b", marked(0, 100, {40}))
    await soon(lambda: len(client.of("a")) == 100 and len(client.of("b")) == 40)
    assert scene.feeds["b"].counters.given_up == {}, "it waits by itself"
    assert b"" in client.bodies, "the destination's health was asked"
    written = 100
    async with asyncio.timeout(LONG):
        while scene.feeds["b"].delivered < scene.feeds["b"].stream.end:
            scene.write("a", lines(written, written + 1))  # which shows that the destination takes records
            written += 1
            await asyncio.sleep(0.02)
    await scene.settled()
    assert client.of("a") == [*range(written)]
    assert client.of("b") == [each for each in range(100) if each != 40]
    assert scene.feeds["b"].counters.given_up == {"refused": 1}
    assert "container" in caplog.text and "stream offset" in caplog.text and "b".ljust(12, "0") in caplog.text


async def test_the_next_record_tells_where_nothing_else_is_sent(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "POISON_AGE", 0.2)
    monkeypatch.setattr(apart, "_FIRST_PAUSE", 0.01)
    client = scene.start(answering(lambda body: KINDS["reset"]))
    scene.feed("a")
    scene.write("a", marked(0, 10, {0}))
    await scene.settled()
    assert client.of("a") == [*range(1, 10)]
    assert scene.feeds["a"].counters.given_up == {"refused": 1}


async def test_the_next_record_may_be_in_the_next_part(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that come one by one have a part each."""
    monkeypatch.setattr(apart, "POISON_AGE", 0.1)
    monkeypatch.setattr(apart, "_FIRST_PAUSE", 0.01)
    client = scene.start(answering(lambda body: KINDS["reset"]))
    feed = scene.feed("a")
    scene.write("a", marked(0, 1, {0}))
    await soon(lambda: client.bodies.count(b"") > 1)
    scene.write("a", lines(1, 10))
    await scene.settled()
    assert client.of("a") == [*range(1, 10)]
    assert fates(feed) == {"delivered": 9, "refused": 1, "waiting": 0}


async def test_a_destination_that_takes_no_records_is_down_though_it_answers_empty_requests(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "POISON_AGE", 0.1)
    monkeypatch.setattr(apart, "_FIRST_PAUSE", 0.01)
    away = [True]

    async def answer(body: bytes) -> Outcome:
        return KINDS["timeout"] if away[0] and body else Delivered()

    client = scene.start(answer)
    for name in ("a", "b"):
        scene.feed(name)
        scene.write(name, lines(0, 20))
    await soon(lambda: len(client.bodies) > 60)
    away[0] = False
    await scene.settled()
    for name in ("a", "b"):
        found = client.of(name)
        # The second record proves whether any is taken; it comes first if the destination is back at that very moment.
        assert found[:2] in ([0, 1], [1, 0]) and found[2:] == [*range(2, 20)]


async def test_unavailable_for_one_request_while_others_are_taken_is_its_own_fault(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "POISON_AGE", 0.3)
    monkeypatch.setattr(apart, "_FIRST_PAUSE", 0.01)
    monkeypatch.setitem(LONGEST, "unavailable", 0.01)
    client = scene.start(answering(lambda body: Retry("unavailable", "503")))
    for name in ("a", "b"):
        scene.feed(name)
    scene.write("b", marked(0, 10, {5}))
    written = 0
    async with asyncio.timeout(LONG):
        while scene.feeds["b"].delivered < scene.feeds["b"].stream.end:
            scene.write("a", lines(written, written + 1))
            written += 1
            await asyncio.sleep(0.02)
    await scene.settled()
    assert client.of("a") == [*range(written)]
    assert client.of("b") == [each for each in range(10) if each != 5]


@pytest.mark.parametrize("proved", [True, False])
@pytest.mark.parametrize("bad", [1, 5, 10])
async def test_unavailable_for_one_record_of_the_only_container_costs_that_record(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, bad: int, proved: bool
) -> None:
    monkeypatch.setattr(sending, "ALONE", 0.1)
    monkeypatch.setattr(apart, "POISON_AGE", 0.1)
    monkeypatch.setattr(apart, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(apart, "_AGAIN", (0.0, 0.01, 0.01))
    monkeypatch.setitem(LONGEST, "unavailable", 0.01)
    client = scene.start(answering(lambda body: Retry("unavailable", "503")))
    feed = scene.feed("a")
    if proved:
        scene.write("a", lines(0, 1))
        await scene.settled()
    scene.write("a", marked(1, 11, {bad}))
    await soon(lambda: client.of("a")[proved:] == [*range(1, bad)])
    scene.write("a", lines(11, 20))
    await scene.settled()
    assert client.of("a") == [each for each in range(not proved, 20) if each != bad]
    assert fates(feed) == {"delivered": 18 + proved, "refused": 1, "waiting": 0}


@pytest.mark.parametrize("answers_empty", [True, False])
async def test_unavailable_for_all_of_the_only_container_costs_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, answers_empty: bool
) -> None:
    monkeypatch.setattr(sending, "ALONE", 0.05)
    monkeypatch.setattr(apart, "POISON_AGE", 0.05)
    monkeypatch.setattr(apart, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(apart, "_UNPROVEN_PAUSE", 0.02)
    monkeypatch.setitem(LONGEST, "unavailable", 0.01)
    away = [True]

    async def answer(body: bytes) -> Outcome:
        return Retry("unavailable", "503") if away[0] and (body or not answers_empty) else Delivered()

    client = scene.start(answer)
    feed = scene.feed("a")
    scene.write("a", lines(0, 20))
    await soon(lambda: b"" in client.bodies and len(client.bodies) > 40)
    assert feed.counters.given_up == {}
    away[0] = False
    await scene.settled()
    assert feed.counters.given_up == {}
    # The second record proves whether any is taken; it comes first if the destination is back at that very moment.
    assert client.of("a")[2:] == [*range(2, 20)] and sorted(client.of("a")[:2]) == [0, 1]


async def test_faults_while_a_request_is_made_cost_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_PAUSE", 0.01)
    monkeypatch.setattr("otellogdriver.delivery.pump._DISK_PAUSE", 0.01)
    calls = [0]

    def faulty(*arguments: object) -> Body:
        calls[0] += 1
        if calls[0] % 3:
            raise (MemoryError(), RuntimeError("can't start new thread"))[calls[0] % 2]
        return prepare(*arguments)  # type: ignore[arg-type]

    client = scene.start(answering(refuse))
    monkeypatch.setattr(requests, "prepare", faulty)
    for name in ("a", "b", "c"):
        scene.feed(name)
        scene.write(name, marked(0, 50, {20, 21} if name == "c" else set()))
    await scene.settled()
    assert client.of("a") == client.of("b") == [*range(50)]
    assert client.of("c") == [each for each in range(50) if each not in (20, 21)]
    assert calls[0] > 10


async def test_what_is_apart_takes_no_more_memory_than_it_may(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (apart, pump):
        monkeypatch.setattr(module, "HELD", 20_000)
    monkeypatch.setattr("otellogdriver.delivery.pump._DISK_PAUSE", 0.02)
    monkeypatch.setattr("otellogdriver.delivery.batch._APART", 10_000)
    most = [0]

    async def answer(body: bytes) -> Outcome:
        most[0] = max(most[0], scene.pump._apart.held)
        return refuse(body) if MARK in body else Delivered()

    client = scene.start(answer, size=10_000)
    names = [f"{index:02x}" for index in range(20)]
    for name in names:
        scene.feed(name)
        scene.write(name, marked(0, 200, {100}))
    await scene.settled()
    assert all(client.of(name) == [each for each in range(200) if each != 100] for name in names)
    assert 10_000 < most[0] < 80_000
