"""A state directory of an earlier version is read, resumed, delivered and shown for ever after."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from otellogdriver.codec import python
from otellogdriver.codec.contract import EncodeOptions
from otellogdriver.delivery.feed import BUFFER, Feed
from otellogdriver.engine.readlogs import LogReader, ReadConfig
from otellogdriver.journal import layout
from otellogdriver.journal.cursor import Cursor, Position
from otellogdriver.journal.entry import Entry
from otellogdriver.journal.store import Store
from tests.data.frames.log_entry import LogEntry
from tests.fakes.engine import frames
from tests.scene import bodies, files, line, lines, number

SAMPLE = Path(__file__).parents[2] / "data" / "state"
WEB, DB = "a" * 64, "b" * 64
DB_LINES = [line(20, 100) + b" and its end", *(line(number, 100) for number in range(21, 40))]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    shutil.copytree(SAMPLE / "v1", tmp_path / "state")
    return tmp_path / "state"


def undelivered(entry: Entry, role: str) -> list[bytes]:
    """The bodies of what one destination has not got, in order; they are delivered then."""
    cursor = Cursor(entry.stream.directory / role)
    feed = Feed(entry, cursor, python, EncodeOptions(), b"")
    found: list[bytes] = []
    buffer = memoryview(bytearray(BUFFER))
    try:
        while feed.needs_work and (part := feed.take(buffer, 1 << 20, 1, False)) is not None:
            found += bodies(part.payload)
            feed.settle(part)
            feed.commit()
        assert feed.counters.passed.damaged_bytes == 0
        return found
    finally:
        feed.close()


def test_the_sample_is_the_one_that_was_written() -> None:
    """It must not be made again by a later driver."""
    made = {str(path.relative_to(SAMPLE)): path.stat().st_size for path in files(SAMPLE)}
    assert sum(made.values()) < 25_000 and len(made) == 19
    metas = [json.loads((SAMPLE / name).read_bytes()) for name in made if name.endswith("meta.json")]
    assert [meta["version"] for meta in metas] == [1, 1, 1]


def test_every_stream_is_found_with_what_is_known_of_it(state: Path) -> None:
    store = Store(state)
    first, second, db = store.open()
    assert [entry.container_id for entry in (first, second, db)] == [WEB, WEB, DB]
    assert [entry.sequence for entry in (first, second, db)] == [0, 1, 0]
    assert [entry.file[:25] for entry in (first, second, db)] == [f"/run/docker/logging/{digit * 5}" for digit in "123"]
    assert first.info["ContainerName"] == "/web" and first.info["Config"]["otlp-mirror"] == "http://127.0.0.1:2"
    assert db.info["ContainerLabels"] == {"app": "db"}
    assert [entry.stream.ended_at is None for entry in (first, second, db)] == [False, False, True]
    assert [segment.packed for segment in first.stream.segments] == [True, True, False]
    store.delete_remains()
    assert not list(state.rglob("*.new"))


def test_each_destination_gets_exactly_what_it_has_not_got(state: Path) -> None:
    first, second, db = Store(state).open()
    assert [undelivered(first, role) for role in layout.ROLES] == [[], []]
    assert undelivered(second, layout.MAIN) == [line(number, 100) for number in range(130, 160)]
    assert undelivered(second, layout.MIRROR) == [line(number, 100) for number in range(110, 160)]
    assert undelivered(db, layout.MAIN) == DB_LINES
    first, second, db = Store(state).open()
    assert [undelivered(entry, layout.MAIN) for entry in (first, second, db)] == [[], [], []]


def test_the_torn_slot_falls_back_to_the_other(state: Path) -> None:
    db = Store(state).open()[2]
    cursor = Cursor(db.stream.directory / layout.MAIN)
    assert cursor.position == Position(2574, (2320, -1)) and not cursor.damaged


def test_what_has_not_ended_goes_on_where_it_was(state: Path) -> None:
    db = Store(state).open()[2]
    db.stream.append(lines(40, 50, size=100))
    db.stream.close()
    again = Store(state).open()[2]
    assert undelivered(again, layout.MAIN) == DB_LINES + [line(number, 100) for number in range(40, 50)]


@pytest.mark.parametrize("tail", [-1, 70])
async def test_docker_logs_shows_every_line(state: Path, tail: int) -> None:
    store = Store(state)
    store.open()
    driver: Any = SimpleNamespace(codec=python, store=store, active={})
    logs, shown = LogReader(driver), bytearray()

    async def write(data: bytes) -> None:
        shown.extend(data)

    try:
        await logs.read(WEB, ReadConfig(tail=tail), write)
    finally:
        logs.close()
    assert [number(LogEntry.FromString(each).line) for each in frames(bytes(shown))] == list(range(160))[
        -tail if tail > 0 else 0 :
    ]


def test_a_stream_of_a_later_version_is_left_as_it_is(state: Path, caplog: pytest.LogCaptureFixture) -> None:
    meta = next(state.glob(f"containers/{DB}/*/{layout.META}"))
    meta.write_text(meta.read_text().replace('"version":1', '"version":2'))
    (meta.parent / "segments").mkdir()
    before = {path: path.read_bytes() for path in files(meta.parent)}
    store = Store(state)
    assert [entry.container_id for entry in store.open()] == [WEB, WEB]
    assert "later version" in caplog.text and store.unread == set()
    store.trim(DB)
    store.expire(0, 0)
    assert {path: path.read_bytes() for path in files(meta.parent)} == before
    assert store.create(DB, "/run/docker/logging/" + "4" * 64, {}, 0).stream.directory != meta.parent
