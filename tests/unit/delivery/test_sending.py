"""What fails is taken apart, and costs the record that fails: by a client that does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from otellogdriver.delivery import sending as sending_module
from otellogdriver.delivery.gate import LONGEST
from otellogdriver.export.client import prepare
from otellogdriver.export.outcome import Delivered, Denied, Outcome, Refused, Retry, Unread
from tests.fakes.engine import frame
from tests.fakes.received import count_records
from tests.scene import LONG, line, lines, soon
from tests.unit.delivery.accounting import fates
from tests.unit.delivery.pump_scene import Scene

MARK = b"poison"


def marked(begin: int, end: int, bad: set[int]) -> bytes:
    """Frames of lines, the bad ones with the mark."""
    texts = {each: line(each) + (MARK if each in bad else b"") for each in range(begin, end)}
    return b"".join(frame(text, b"stdout", each + 1) for each, text in texts.items())


def refuse(body: bytes) -> Outcome:
    return Refused("bad")


def answering(to_marked: Callable[[bytes], Outcome]) -> Callable[[bytes], asyncio.Future[Outcome]]:
    async def answer(body: bytes) -> Outcome:
        return to_marked(body) if MARK in body else Delivered()

    return answer  # type: ignore[return-value]


# Refused


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
    monkeypatch.setattr(sending_module, "_BURST", 10.0)
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
        monkeypatch.setattr(sending_module, "QUIET", quiet)
        scene.write("a", lines(begin, begin + 100))
        scene.write("b", marked(begin, begin + 100, {begin + 7} if begin < 200 else set()))
        await scene.settled()
        both = [body for body in client.bodies[before:] if len(count_records(body)) == 2]
        assert len(both) == {0: 1, 100: 0, 200: 1}[begin]
    assert client.of("a") == [*range(300)]
    assert client.of("b") == [each for each in range(300) if each not in (7, 107)]


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


# Poison


KINDS: dict[str, Outcome] = {
    "denied": Denied("403"),
    "reset": Retry("unreachable", "reset", broke=True),
    "timeout": Retry("timeout", "no answer", broke=True),
    "gateway": Retry("unavailable", "502", broke=True),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_request_that_fails_while_the_destination_is_well_costs_the_culprit(
    scene: Scene, kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sending_module, "POISON_AGE", 0.5)
    monkeypatch.setattr(sending_module, "_FIRST_PAUSE", 0.01)
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
    monkeypatch.setattr(sending_module, "POISON_AGE", 0.2)
    monkeypatch.setattr(sending_module, "_FIRST_PAUSE", 0.01)
    client = scene.start(answering(lambda body: KINDS["reset"]))
    scene.feed("a")
    scene.write("a", marked(0, 10, {0}))
    await scene.settled()
    assert client.of("a") == [*range(1, 10)]
    assert scene.feeds["a"].counters.given_up == {"refused": 1}


async def test_a_destination_that_takes_no_records_is_down_though_it_answers_empty_requests(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending_module, "POISON_AGE", 0.1)
    monkeypatch.setattr(sending_module, "_FIRST_PAUSE", 0.01)
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


async def test_a_destination_that_fails_empty_requests_is_down_and_nothing_is_given_up(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending_module, "POISON_AGE", 0.05)
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


async def test_unavailable_for_one_request_while_others_are_taken_is_its_own_fault(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending_module, "POISON_AGE", 0.3)
    monkeypatch.setattr(sending_module, "_FIRST_PAUSE", 0.01)
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


@pytest.mark.parametrize("after", [None, 0.3])
async def test_patience_that_is_asked_for_one_container_alone_costs_no_other(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, after: float | None
) -> None:
    """Quiet ones among them: nothing else is under way that would show that the destination is well. Nothing is given
    up, and what was held back comes in order when the collector has had enough patience."""
    monkeypatch.setattr(sending_module, "POISON_AGE", 0.1)
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


# Denied for good


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


# Answers


async def test_partial_success_within_what_is_taken_apart_is_counted(scene: Scene) -> None:
    async def answer(body: bytes) -> Outcome:
        return Refused("bad") if MARK in body else Delivered(rejected=1)

    client = scene.start(answer)
    for name in ("a", "b"):
        scene.feed(name)
    scene.write("a", lines(0, 10))
    scene.write("b", marked(0, 8, {3}))
    await scene.settled()
    b = fates(scene.feeds["b"])
    pieces = sum("b".ljust(64, "0") in count_records(body) and MARK not in body for body in client.bodies)
    assert b["refused"] == 1 and b["rejected"] == pieces and b["delivered"] == 7 - pieces
    assert fates(scene.feeds["a"])["rejected"] == 1


async def test_an_answer_that_is_too_long_is_an_error_that_is_not_tried_again(scene: Scene) -> None:
    client = scene.start(answering(lambda body: Unread("longer than 4 MiB")))
    scene.feed("a")
    scene.write("a", marked(0, 10, {3}))
    await scene.settled()
    assert scene.feeds["a"].counters.given_up == {"unread": 10} and len(client.bodies) == 1
    assert scene.pump.tally.outcomes == {"unread": 1}


# Faults of ours


async def test_faults_while_a_request_is_made_cost_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending_module, "_PAUSE", 0.01)
    monkeypatch.setattr("otellogdriver.delivery.pump._DISK_PAUSE", 0.01)
    calls = [0]

    def faulty(*arguments: object) -> bytes:
        calls[0] += 1
        if calls[0] % 3:
            raise (MemoryError(), RuntimeError("can't start new thread"))[calls[0] % 2]
        return prepare(*arguments)  # type: ignore[arg-type]

    client = scene.start(answering(refuse))
    monkeypatch.setattr(sending_module, "prepare", faulty)
    for name in ("a", "b", "c"):
        scene.feed(name)
        scene.write(name, marked(0, 50, {20, 21} if name == "c" else set()))
    await scene.settled()
    assert client.of("a") == client.of("b") == [*range(50)]
    assert client.of("c") == [each for each in range(50) if each not in (20, 21)]
    assert calls[0] > 10


async def test_what_is_apart_takes_no_more_memory_than_it_may(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sending_module, __import__("otellogdriver.delivery.pump", fromlist=["pump"])):
        monkeypatch.setattr(module, "HELD", 20_000)
    monkeypatch.setattr("otellogdriver.delivery.pump._DISK_PAUSE", 0.02)
    monkeypatch.setattr("otellogdriver.delivery.batch._APART", 10_000)
    most = [0]

    async def answer(body: bytes) -> Outcome:
        most[0] = max(most[0], scene.pump._sending.held)
        return refuse(body) if MARK in body else Delivered()

    client = scene.start(answer, size=10_000)
    names = [f"{index:02x}" for index in range(20)]
    for name in names:
        scene.feed(name)
        scene.write(name, marked(0, 200, {100}))
    await scene.settled()
    assert all(client.of(name) == [each for each in range(200) if each != 100] for name in names)
    assert 10_000 < most[0] < 80_000
