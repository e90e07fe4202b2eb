"""Parts of several feeds as one request, with real streams."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otellogdriver.delivery.batch import Batch, Taken, quota
from otellogdriver.delivery.feed import Feed, Part
from otellogdriver.export.client import prepare
from otellogdriver.export.request import SCOPE, resource_logs
from tests.fakes.received import read_records
from tests.scene import lines, number
from tests.unit.delivery.pump_scene import DESTINATION, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    for feed in made.feeds.values():
        feed.close()
        feed.stream.close()
    made.executor.shutdown()


def filled(scene: Scene, name: str, count: int = 10) -> Feed:
    feed = scene.feed(name)
    feed.stream.append(lines(0, count))
    return feed


def silent(*_: Any) -> None:
    pass


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_the_request_has_the_parts_in_turn_and_they_can_be_sent_alone(scene: Scene, compression: str) -> None:
    destination = replace(DESTINATION, compression=compression)
    feeds = [filled(scene, name, 10 + index) for index, name in enumerate("abc")]
    batch = Batch(feeds, (), 1 << 20)
    batch.encode(destination, silent)
    assert [part.feed for part in batch.parts] == feeds and batch.shared == batch.parts
    assert [part.records for part in batch.parts] == [10, 11, 12]
    whole = [piece for part in batch.parts for piece in resource_logs(part.feed.resource, part.payload, SCOPE)]
    assert batch.body == prepare(destination, whole)
    for part in batch.parts:
        alone = b"".join(resource_logs(part.feed.resource, part.payload, SCOPE))
        assert [number(record.body) for record in read_records(alone)] == [*range(part.records)]
        assert sum(map(len, part.payload)) == part.size


def test_no_request_passes_its_size_and_who_has_no_room_is_left(scene: Scene) -> None:
    feeds = [filled(scene, f"{index:02x}", 100) for index in range(30)]
    batch = Batch(feeds, (), 100_000)
    batch.encode(DESTINATION, silent)
    assert 50_000 < sum(map(len, batch.body)) <= 100_000
    assert len(batch.left) >= 30 - len(batch.parts)
    assert quota(100_000, 30) >= 100_000 // 30


def test_what_is_apart_is_taken_but_not_in_the_request(scene: Scene) -> None:
    feeds = [filled(scene, name) for name in "ab"]
    batch = Batch(feeds, {feeds[1]}, 1 << 20)
    batch.encode(DESTINATION, silent)
    assert [part.feed for part in batch.parts] == feeds and [part.feed for part in batch.shared] == feeds[:1]
    assert sum(1 for _ in read_records(b"".join(batch.body))) == 10


def test_a_feed_that_cannot_be_read_fails_alone(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    feeds = [filled(scene, name) for name in "abc"]
    take, told = Feed.take, []

    def broken(feed: Feed, *arguments: Any, **named: Any) -> Any:
        if feed is feeds[1]:
            raise OSError("the disk")
        return take(feed, *arguments, **named)

    monkeypatch.setattr(Feed, "take", broken)
    batch = Batch(feeds, (), 1 << 20)
    batch.encode(DESTINATION, lambda *said: told.append(said))
    assert batch.failed == [feeds[1]] and len(batch.parts) == 2 and told


def test_what_is_put_back_is_taken_again(scene: Scene) -> None:
    feeds = [filled(scene, name) for name in "ab"]
    first = Batch(feeds, (), 1 << 20)
    first.encode(DESTINATION, silent)
    first.put_back()
    assert first.parts == [] and all(feed.needs_work and feed.counters.passed.lines == [0, 0] for feed in feeds)
    second = Batch(feeds, (), 1 << 20)
    second.encode(DESTINATION, silent)
    assert sum(1 for _ in read_records(b"".join(second.body))) == 20


def test_a_part_that_nobody_waits_for_is_free_all_the_same(scene: Scene) -> None:
    feed = filled(scene, "a")
    batch = Batch([feed], (), 1 << 20)
    batch.encode(DESTINATION, silent)
    taken = Taken(batch.parts[0])
    taken.free()
    assert taken.is_free and taken.freed is None


def test_a_part_for_which_there_is_no_place_goes_back_into_the_journal(scene: Scene) -> None:
    """Else its lines would be lost: nobody knows of it."""

    class Full(list[Part]):
        def append(self, _: Part) -> None:
            raise MemoryError

    feed = filled(scene, "a")
    batch = Batch([feed], (), 1 << 20)
    batch.parts = Full()
    with pytest.raises(MemoryError):
        batch.encode(DESTINATION, silent)
    batch.put_back()
    assert (feed.offset, feed.pending) == (0, feed.stream.end)
