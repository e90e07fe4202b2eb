"""Feeds -> requests -> one destination, with real streams and a client that does as it is told."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from otellogdriver.delivery import batch as batch_module
from otellogdriver.delivery import pump as pump_module
from otellogdriver.delivery.batch import Batch
from otellogdriver.delivery.feed import Feed, Part
from otellogdriver.export.outcome import Delivered, Outcome, Retry
from tests.fakes.engine import frame
from tests.fakes.received import count_records
from tests.scene import lines, soon
from tests.unit.delivery.accounting import check
from tests.unit.delivery.pump_scene import DESTINATION, Scene

# Order and shares


async def test_many_containers_share_requests_and_each_keeps_its_order(scene: Scene) -> None:
    rng = random.Random(1)

    async def answer(_: bytes) -> Outcome:
        await asyncio.sleep(rng.uniform(0, 0.01))
        return Retry("unavailable", "no") if rng.random() < 0.2 else Delivered()

    client = scene.start(answer, delay=0.001)
    names = [f"{index:02x}" for index in range(12)]
    for name in names:
        scene.feed(name)
    for begin in range(0, 300, 10):
        for name in rng.sample(names, 6):
            end = scene.feeds[name].stream.end
            scene.write(name, lines(end // len(lines(0, 1)), end // len(lines(0, 1)) + rng.randint(1, 10)))
        await asyncio.sleep(0.001 if begin % 3 else 0)
    await scene.settled()
    for name in names:
        found = client.of(name)
        assert found == list(range(len(found))) and found
    assert len(client.bodies) < 300


async def test_lines_wait_no_longer_than_the_delay_and_share_a_request(scene: Scene) -> None:
    client = scene.start(delay=0.1)
    for index in range(20):
        scene.feed(f"{index:02x}")
    began = asyncio.get_running_loop().time()
    for name in scene.feeds:
        scene.write(name, lines(0, 20))
    await scene.settled()
    assert len(client.bodies) == 1
    assert 0.09 < asyncio.get_running_loop().time() - began < 5


async def test_a_request_is_not_kept_once_it_is_taken(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for the next one would else hold megabytes for as long as nobody prints."""
    made: list[weakref.ref[Batch]] = []
    take = pump_module.Pump._take

    def noted(pump: pump_module.Pump, batch: Batch) -> None:
        made.append(weakref.ref(batch))
        take(pump, batch)

    monkeypatch.setattr(pump_module.Pump, "_take", noted)
    scene.start(delay=0.001)
    for name in "abcdef":
        scene.feed(name)
        scene.write(name, lines(0, 20))
        await scene.settled()
    assert len(made) >= 6
    await soon(lambda: not any(batch() for batch in made))


async def test_who_is_queued_behind_others_waits_for_more_lines_as_long_as_they_do(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Feeds that always wait would else be taken as fast as requests can be built, each time with next to nothing."""
    taken = Counter[Feed]()
    take = pump_module.Pump._take

    def counted(pump: pump_module.Pump, batch: Batch) -> None:
        taken.update(part.feed for part in batch.parts)
        take(pump, batch)

    async def answer(_: bytes) -> Outcome:
        await asyncio.sleep(0.02)
        return Delivered()

    monkeypatch.setattr(pump_module.Pump, "_take", counted)
    delay = 1.0
    scene.start(answer, delay=delay, size=20_000)
    names = [f"{index:02x}" for index in range(20)]
    for name in names:
        scene.feed(name)
    loop = asyncio.get_running_loop()
    began, number = loop.time(), 0
    while loop.time() - began < 3 * delay:
        for name in names:
            scene.write(name, lines(number, number + 1, size=200))
        number += 1
        await asyncio.sleep(0.005)
    rounds = (loop.time() - began) / delay + 1
    await scene.settled()
    assert number > 10 * rounds
    assert max(taken.values()) <= 3.5 * rounds


async def test_a_request_looks_at_no_more_containers_than_it_has_room_for(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = Counter[Feed]()
    poke = pump_module.Pump.poke

    def counted(pump: pump_module.Pump, feed: Feed) -> None:
        looked[feed] += 1
        poke(pump, feed)

    monkeypatch.setattr(pump_module.Pump, "poke", counted)
    client = scene.start(delay=0.1, size=16 << 10)
    for index in range(60):
        scene.feed(f"{index:02x}")
    for name in scene.feeds:
        scene.write(name, lines(0, 100))
    await scene.settled()
    assert len(client.bodies) >= 10
    assert looked.total() < 60 * 10  # each a few times, and not all 60 with each request


async def test_who_shares_a_request_with_one_that_waits_for_an_answer_goes_before_it(scene: Scene) -> None:
    """The other's earlier lines are on their way and get no answer; its later ones have to wait for that."""
    answered = asyncio.Event()

    async def answer(body: bytes) -> Outcome:
        if count_records(body) == {"f".ljust(64, "0"): 7}:
            await answered.wait()
        return Delivered()

    client = scene.start(answer, delay=0.05)
    for name in "fab":
        scene.feed(name)
    scene.write("a", lines(0, 1))
    scene.write("b", lines(0, 1))
    await scene.settled()  # the destination is known to be well
    scene.write("f", lines(0, 7))
    await soon(lambda: client.in_flight)
    for begin in range(1, 31, 10):
        scene.write("f", lines(6 + begin, 16 + begin))
        for name in ("a", "b"):
            scene.write(name, lines(begin, begin + 10))
        began = asyncio.get_running_loop().time()
        await soon(lambda: len(client.of("a")) == len(client.of("b")) == begin + 10)  # noqa: B023
        assert asyncio.get_running_loop().time() - began < 5
    assert client.of("f") == []
    answered.set()
    await scene.settled()
    assert client.of("f") == list(range(37))
    check(scene.feeds.values())


async def test_what_fills_a_request_does_not_wait(scene: Scene) -> None:
    client = scene.start(delay=60.0, size=100_000)
    scene.feed("a")
    scene.write("a", lines(0, 1))
    await asyncio.sleep(0)
    assert client.bodies == []
    scene.write("a", lines(1, 1001, size=100))
    scene.feed("b")
    scene.write("b", lines(0, 1000, size=100))
    await soon(lambda: len(client.taken) >= 2000)


async def test_no_request_is_longer_than_a_collector_takes(scene: Scene) -> None:
    client = scene.start()
    for name in ("a", "b", "c"):
        scene.feed(name)
        scene.write(name, lines(0, 20_000, size=300) + frame(b"00020000 " + b"x" * ((2 << 20) - 100)))
    scene.feed("d")
    scene.write("d", frame(b"00000000 " + b"y" * 1_900_000) * 4)
    await scene.settled()
    assert max(map(len, client.bodies)) <= 4 << 20
    assert client.of("a") == [*range(20_001)] and client.of("d") == [0] * 4


async def test_a_quiet_container_does_not_wait_for_a_noisy_one(scene: Scene) -> None:
    async def answer(_: bytes) -> Outcome:
        await asyncio.sleep(0.005)
        return Delivered()

    client = scene.start(answer)
    scene.feed("a", segment_size=8 << 20)
    scene.feed("b")
    scene.write("a", lines(0, 60_000, size=200))  # half a dozen requests
    await soon(lambda: len(client.bodies) >= 2)
    sent = len(client.bodies)
    scene.write("b", lines(0, 1))
    await soon(lambda: client.of("b"))
    first = next(index for index, body in enumerate(client.bodies) if "b".ljust(64, "0") in count_records(body))
    assert first - sent <= 3
    await scene.settled()


async def test_a_feed_has_two_batches_at_most_and_a_lane_one_request(scene: Scene) -> None:
    hold = asyncio.Event()

    async def answer(_: bytes) -> Outcome:
        await hold.wait()
        return Delivered()

    client = scene.start(answer, lanes=3, size=200_000)
    hold.set()
    for name in ("a", "b", "c", "d"):
        scene.feed(name)
        scene.write(name, lines(0, 1))
    await scene.settled()  # until a destination has taken something it gets one request at a time
    hold.clear()
    for in_flight, name in enumerate(("a", "b", "c"), 1):
        scene.write(name, lines(1, 1000, size=100))
        await soon(lambda in_flight=in_flight: client.in_flight == in_flight)  # type: ignore[misc]
    scene.write("d", lines(1, 1000, size=100))
    for name in scene.feeds:
        scene.write(name, lines(1000, 2000, size=100))
    assert max(len(scene.pump._known[feed].taken) for feed in scene.feeds.values()) <= 2
    hold.set()
    await scene.settled()
    assert client.most_in_flight == 3
    assert all(client.of(name) == [*range(2000)] for name in scene.feeds)


# Faults of ours and the end


async def test_a_feed_that_cannot_be_read_stops_no_other(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump_module, "_DISK_PAUSE", 0.01)
    client = scene.start()
    faults = [OSError(5, "Input/output error"), RuntimeError("a fault of ours"), OSError(5, "Input/output error")]
    bad = scene.feed("a")
    real = bad.take

    def take(*arguments: object) -> object:
        if faults:
            raise faults.pop()
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(bad, "take", lambda *a, **k: take(*a, *k.values()))
    scene.feed("b")
    for name in ("a", "b"):
        scene.write(name, lines(0, 10))
    await scene.settled()
    assert client.of("a") == client.of("b") == [*range(10)]


async def test_a_client_that_fails_once_costs_nothing(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    answers = [MemoryError(), RuntimeError("a fault of ours")]

    async def answer(body: bytes) -> Outcome:
        if answers and body:
            raise answers.pop()
        return Delivered()

    client = scene.start(answer)
    for name in ("a", "b"):
        scene.feed(name)
        scene.write(name, lines(0, 10))
    await scene.settled()
    assert client.of("a") == client.of("b") == [*range(10)]
    assert scene.feeds["a"].counters.given_up == {}
    assert "a fault of ours" in caplog.text


async def test_who_is_told_of_a_commit_cannot_stop_the_pump(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    client = scene.start()

    def committed(_: Feed) -> None:
        raise RuntimeError("a fault of ours")

    scene.pump._committed = committed
    for name in ("a", "b"):
        scene.feed(name)
    for begin in range(0, 50, 10):
        for name in scene.feeds:
            scene.write(name, lines(begin, begin + 10))
        await scene.settled()
    assert client.of("a") == client.of("b") == [*range(50)]
    assert "a fault of ours" in caplog.text


async def test_close_leaves_what_is_not_answered_to_the_next_start(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump_module, "_SLOW_CLOSE", 0.1)
    seen: Counter[str] = Counter()

    async def answer(body: bytes) -> Outcome:
        seen.update(count_records(body).keys())
        await asyncio.sleep(3600 if seen.total() > 1 else 0)
        return Delivered()

    client = scene.start(answer)
    scene.feed("a")
    scene.write("a", lines(0, 10))
    await scene.settled()
    scene.write("a", lines(10, 20))
    await soon(lambda: len(client.bodies) == 2)
    began = asyncio.get_running_loop().time()
    await scene.pump.close()
    assert client.closed and asyncio.get_running_loop().time() - began < 5
    assert scene.feeds["a"].delivered == scene.feeds["a"].stream.end // 2
    scene.feeds["a"].close()
    scene.feeds["a"].stream.close()
    again = scene.start()
    scene.feed("a")
    scene.pump.poke(scene.feeds["a"])
    await scene.settled()
    assert again.of("a") == [*range(10, 20)]


async def test_an_outage_holds_no_more_than_a_body_for_each_lane(scene: Scene) -> None:
    away = [True]

    async def answer(_: bytes) -> Outcome:
        return Retry("unreachable", "no") if away[0] else Delivered()

    client = scene.start(answer, lanes=2, size=1000)
    names = [f"{index:02x}" for index in range(20)]
    for name in names:
        scene.feed(name)
        scene.write(name, lines(0, 100))
    await soon(lambda: len(client.bodies) >= 3)
    assert sum(len(scene.pump._known[feed].taken) for feed in scene.feeds.values()) <= 2 * 20
    assert len(set(client.bodies)) <= 2
    away[0] = False
    await scene.settled()
    assert all(client.of(name) == [*range(100)] for name in names)


async def test_an_unfinished_line_is_sent_when_it_is_old(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otellogdriver.delivery.patience.MAX_AGE", 0.1)
    client = scene.start()
    scene.feed("a")
    scene.write("a", frame(b"00000007 prompt> ", partial=(False, "ab" * 32, 1)))
    await soon(lambda: client.of("a") == [7])
    await scene.settled()


async def test_skip_is_counted_and_the_rest_goes_on(scene: Scene) -> None:
    away = [True]

    async def answer(_: bytes) -> Outcome:
        return Retry("unreachable", "no") if away[0] else Delivered()

    client = scene.start(answer)
    feed = scene.feed("a", segment_size=8 << 20)
    scene.write("a", lines(0, 40_000, size=200))
    await soon(lambda: client.bodies and scene.pump.is_under_way(feed) and not scene.pump._known[feed].busy)
    in_flight = feed.offset
    await scene.pump.skip(feed, feed.stream.end // 10 * 9)
    assert feed.delivered > in_flight
    away[0] = False
    await scene.settled()
    dropped = feed.counters.given_up["journal_full"]
    found = client.of("a")
    assert len(found) + dropped == 40_000 and dropped > 10_000
    assert found == sorted(set(found)) and found[0] == 0 and found[-3500:] == [*range(36_500, 40_000)]


async def test_faults_while_a_request_is_built_or_committed_leave_everything_as_it_was(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread, no memory, a fault of ours: at any call."""
    monkeypatch.setattr(pump_module, "_DISK_PAUSE", 0.01)
    client = scene.start()
    calls, rng = [0], random.Random(3)

    def faulty(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            calls[0] += 1
            if rng.random() < 0.2:
                raise (MemoryError(), RuntimeError("can't start new thread"), RecursionError())[calls[0] % 3]
            return real(*arguments, **named)

        return call

    for name in ("prepare", "resource_logs", "_buffer", "Taken"):
        monkeypatch.setattr(batch_module, name, faulty(getattr(batch_module, name)))
    monkeypatch.setattr(Batch, "put_back", faulty(Batch.put_back))
    monkeypatch.setattr(scene.executor, "submit", faulty(scene.executor.submit))
    for name in ("_take", "_ask_again"):
        monkeypatch.setattr(scene.pump, name, faulty(getattr(scene.pump, name)))
    for name in ("a", "b", "c"):
        scene.feed(name)
    for begin in range(0, 100, 20):
        for name in scene.feeds:
            scene.write(name, lines(begin, begin + 20))
        await scene.settled()
    assert all(client.of(name) == [*range(100)] for name in scene.feeds)
    check(scene.feeds.values(), printed=100)
    assert calls[0] > 30 and scene.pump.tally.outcomes["fault"] > 5


@pytest.mark.parametrize("call", ["_build", "_bring"])
async def test_a_batch_that_is_made_is_brought_though_memory_ends_at_that_moment(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(pump_module, "_DISK_PAUSE", 0.01)
    client = scene.start()
    real, missing = getattr(scene.pump, call), [1]

    async def scarce(argument: Any) -> None:
        if call == "_build":
            await real(argument)
        if missing:
            missing.pop()
            raise MemoryError
        if call == "_bring":
            await real(argument)

    monkeypatch.setattr(scene.pump, call, scarce)
    scene.feed("a")
    scene.write("a", lines(0, 10))
    await scene.settled()
    assert client.of("a") == [*range(10)] and not missing
    check(scene.feeds.values(), printed=10)


async def test_parts_are_entered_all_or_none_whatever_finds_no_memory(scene: Scene, testcapi: Any) -> None:
    """The first, second, third … allocation fails."""
    scene.start()
    known = []
    for name in ("a", "b"):
        feed = scene.feed(name)
        feed.stream.append(lines(0, 10))
        known.append(scene.pump._known.setdefault(feed, pump_module._Known()))
    batch = Batch([*scene.feeds.values()], (), 1 << 20)
    batch.encode(DESTINATION, lambda *_: None)
    for number in range(1000):
        for each in known:
            each.busy = True
        testcapi.set_nomemory(number, number + 1)
        try:
            scene.pump._take(batch)
            break
        except MemoryError:
            pass
        finally:
            testcapi.remove_mem_hooks()
        assert [(each.busy, each.taken) for each in known] == [(True, [])] * 2, number
    assert number > 5 and [(each.busy, len(each.taken)) for each in known] == [(False, 1)] * 2


async def test_a_part_is_settled_though_memory_is_short_at_first(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    client = scene.start()
    feed = scene.feed("a")
    faults = [MemoryError()] * 2
    real = feed.settle

    def settle(part: Part) -> None:
        if faults:
            raise faults.pop()
        real(part)

    monkeypatch.setattr(feed, "settle", settle)
    scene.write("a", lines(0, 10))
    await scene.settled()
    assert client.of("a") == [*range(10)] and not faults
    check(scene.feeds.values(), printed=10)


async def test_a_lane_that_ends_is_started_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump_module, "_DISK_PAUSE", 0.01)
    client = scene.start(lanes=2)
    for lane in list(scene.pump._lanes):
        lane.cancel()
    scene.feed("a")
    scene.write("a", lines(0, 10))
    await scene.settled()
    assert client.of("a") == [*range(10)]


async def test_work_at_which_nobody_looks_is_told(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump_module, "STALLED", 0.05)
    monkeypatch.setattr(pump_module, "_DISK_PAUSE", 60.0)
    scene.start()
    feed = scene.feed("a")
    scene.write("a", lines(0, 10))
    await scene.settled()
    assert scene.pump.stalled() == []
    for lane in list(scene.pump._lanes):
        lane.cancel()
    scene.write("a", lines(10, 20))
    await soon(lambda: scene.pump.stalled() == [feed])


async def test_the_loop_does_not_wait_for_a_slow_disk(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """journal-sync, 200 containers, 8 ms for each fdatasync: cursors are written elsewhere, requests do not wait."""
    threads: list[int] = []

    def fdatasync(_: int) -> None:
        time.sleep(0.008)
        threads.append(threading.get_ident())

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    client = scene.start(sync=True)
    names = [f"{index:03x}" for index in range(200)]
    for name in names:
        scene.feed(name)
    for begin in (0, 5):
        for name in names:
            scene.write(name, lines(begin, begin + 5))
        await soon(lambda begin=begin: len(client.taken) == 200 * (begin + 5))  # type: ignore[misc]
    assert len(threads) < 400, "the second requests did not wait for the cursors of the first"
    await soon(lambda: len(threads) >= 200)
    assert threading.get_ident() not in threads
    assert all(client.of(name) == [*range(10)] for name in names)


async def test_where_a_mirror_begins_is_written_down_at_once(scene: Scene) -> None:
    async def answer(_: bytes) -> Outcome:
        return Retry("unreachable", "no")

    scene.start(answer)
    feed = scene.feed("a")
    scene.pump.begin(feed)
    path = feed.stream.directory / "cursor"
    await soon(path.exists)
    assert feed.delivered == 0


async def test_what_is_just_being_taken_is_under_way(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The feed's offset is at its end before the part is known: whoever took the feed for done would lose the part."""
    taken, go_on = threading.Event(), threading.Event()
    take = Feed.take

    def slow(feed: Feed, *args: Any, **options: Any) -> Any:
        part = take(feed, *args, **options)
        taken.set()
        go_on.wait(10)
        return part

    monkeypatch.setattr(Feed, "take", slow)
    client = scene.start(delay=0.001)
    feed = scene.feed("aa")
    scene.write("aa", lines(0, 5))
    feed.stream.ended_at = time.time()
    scene.pump.poke(feed)
    try:
        await soon(taken.is_set)
        assert feed.exhausted and scene.pump.is_under_way(feed)
    finally:
        go_on.set()
    await scene.settled()
    assert client.of("aa") == list(range(5))
