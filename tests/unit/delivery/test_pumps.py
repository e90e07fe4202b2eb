"""Which containers share a pump, and when one goes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from otellogdriver.delivery.pumps import Pumps, cursor_at, destinations
from otellogdriver.journal.cursor import Cursor, Position
from otellogdriver.journal.stream import Stream
from otellogdriver.pool import Pool
from otellogdriver.resource import this_host
from otellogdriver.settings.options import resolve

Later = list[tuple[float, Callable[[], None]]]


@pytest.fixture
async def made() -> AsyncIterator[tuple[Pumps, Later]]:
    later: Later = []
    pool = Pool(1, "test")
    pumps = Pumps(this_host({}), pool, pool, lambda _: None, lambda when, what: later.append((when, what)))
    yield pumps, later
    await pumps.close()
    pool.shutdown()


async def test_containers_with_one_destination_share_a_pump(made: tuple[Pumps, Later]) -> None:
    pumps, _ = made
    settings = resolve({"otlp-endpoint": "http://c:1", "otlp-mirror": "http://d:1"}, {})
    main, mirror = (pumps.take(place, settings) for _, place in destinations(settings))
    assert main is not mirror and len(pumps) == 2
    assert pumps.take(destinations(settings)[0][1], settings) is main
    other = resolve({"otlp-endpoint": "http://c:1", "batch-size": "64k"}, {})
    assert pumps.take(destinations(other)[0][1], other) is not main
    assert len(pumps) == len(list(pumps)) == 3


async def test_a_pump_stays_while_somebody_uses_it_and_a_while_longer(made: tuple[Pumps, Later]) -> None:
    pumps, later = made
    settings = resolve({}, {})
    (_, place), *_ = destinations(settings)
    pump = pumps.take(place, settings)
    pumps.take(place, settings)
    pumps.release(pump)
    assert not later
    pumps.release(pump)
    (seconds, close), *_ = later
    assert seconds > 1 and pumps.take(place, settings) is pump
    close()
    assert len(pumps) == 1, "it came into use again"
    pumps.release(pump)
    later[-1][1]()
    assert len(pumps) == 0


def test_the_cursor_of_each_destination_has_a_name_of_its_own() -> None:
    places = destinations(resolve({"otlp-mirror": "http://d:1"}, {}))
    assert [role for role, _ in places] == ["cursor", "cursor-mirror"]
    assert places[1][1].endpoints == ("http://d:1",)


def test_a_mirror_that_is_added_later_begins_where_the_main_destination_is(tmp_path: Path) -> None:
    stream = Stream(tmp_path)
    stream.append(b"x" * 1000)
    assert cursor_at(stream, "cursor").position == cursor_at(stream, "cursor-mirror").position == Position()
    main = Cursor(tmp_path / "cursor")
    main.commit(Position(700, (600, -1)))
    assert cursor_at(stream, "cursor-mirror").position == Position(700, (600, -1))
    mirror = Cursor(tmp_path / "cursor-mirror")
    mirror.commit(Position(100))
    assert cursor_at(stream, "cursor-mirror").position == Position(100), "it was there already"
    for each in (main, mirror):
        each.close()
    stream.close()
