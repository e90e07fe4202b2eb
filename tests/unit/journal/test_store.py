"""All streams of a state directory: found again, kept within limits, deleted whole."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from otellogdriver.errors import JournalError
from otellogdriver.journal import store as store_module
from otellogdriver.journal.age import Clock
from otellogdriver.journal.store import Entry, Store
from tests.scene import content, files

ONE, TWO = "1" * 64, "2" * 64
INFO: dict[str, Any] = {"ContainerID": ONE, "Config": {"labels": "a"}, "ContainerEnv": ["TOKEN=secret"]}


def made(store: Store, container: str = ONE, fifo: str = "f", keep: int = 0, data: bytes = b"") -> Entry:
    entry = store.create(container, f"/run/docker/logging/{fifo}", INFO, keep, segment_size=100)
    if data:
        entry.stream.append(data)
        entry.stream.close()
    return entry


def ended(entry: Entry, when: float = 1.0) -> Entry:
    """As when its FIFO is finished and everything in it is delivered."""
    entry.stream.finish(when)
    entry.stream.advance(delivered=entry.stream.end)
    entry.live = False
    return entry


def test_what_is_created_is_found_again_in_order(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    assert store.open() == []
    for index in range(12):
        made(store, fifo=f"fifo{index}", data=b"%d" % index)
    made(store, TWO, data=b"two")
    found = Store(tmp_path / "state").open()
    assert [content(entry.stream) for entry in found] == [b"%d" % index for index in range(12)] + [b"two"]
    assert [entry.file for entry in found[:2]] == ["/run/docker/logging/fifo0", "/run/docker/logging/fifo1"]
    assert all(entry.info == INFO for entry in found)


def test_only_root_can_read_what_may_be_secret(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    store.open()
    made(store, data=b"x")
    for path in (tmp_path / "state").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_meta_json_is_there_before_the_first_byte_and_is_never_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "state")

    def stop(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", stop)
        entry = made(store)
        meta = entry.stream.directory / "meta.json"
        with pytest.raises(OSError, match="No space"):
            entry.stream.append(b"x")
    assert not meta.exists() and not list(meta.parent.glob("*.log"))
    entry.stream.append(b"x")
    entry.stream.close()
    assert json.loads(meta.read_bytes()) == {"version": 1, "file": "/run/docker/logging/f", "info": INFO}


def test_a_state_directory_that_cannot_be_written_is_said_and_tried_again_with_the_first_byte(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file")
    store = Store(tmp_path / "state")
    entry = made(store)
    assert caplog.records[-1].levelno == logging.ERROR and "cannot write" in caplog.text
    with pytest.raises(OSError, match="Not a directory"):
        entry.stream.append(b"x")
    with pytest.raises(JournalError, match=str(tmp_path / "state")):
        Store(tmp_path / "state").open()
    (tmp_path / "state").unlink()
    entry.stream.append(b"x")
    entry.stream.close()
    assert [found.info for found in Store(tmp_path / "state").open()] == [INFO]


def test_foreign_and_damaged_things_are_left_alone_and_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path / "state")
    good = made(store, data=b"good")
    cut = made(store, TWO, fifo="c" * 64, data=b"cut")
    meta = cut.stream.directory / "meta.json"
    meta.write_bytes(meta.read_bytes()[:20])
    base = tmp_path / "state" / "containers"
    (base / "file").write_text("?")
    (base / ONE / "notes.txt").write_text("?")
    (base / ONE / "00000007-").mkdir()
    (base / ONE / "00000008-link").symlink_to("/nowhere")
    (good.stream.directory / "00000000000000000100.log").symlink_to("/nowhere")
    (good.stream.directory / "00000000000000000200.log").mkdir()
    before = sorted(base.rglob("*"))
    with caplog.at_level(logging.WARNING):
        found = Store(tmp_path / "state").open()
    assert [content(entry.stream) for entry in found] == [b"good", b"cut"]
    assert found[1].info == {} and found[1].file == str(tmp_path / ("c" * 64))
    assert len(caplog.records) == 4 and {record.levelname for record in caplog.records} == {"WARNING"}
    assert sorted(base.rglob("*")) == before


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", '{"file":1,"info":[]}', "[" * 100_000, '{"file":"x","info":3}']
)
def test_no_meta_json_stops_the_others(tmp_path: Path, text: str) -> None:
    store = Store(tmp_path / "state")
    bad, good = made(store, fifo="bad", data=b"bad"), made(store, TWO, data=b"good")
    (bad.stream.directory / "meta.json").write_text(text)
    assert [content(entry.stream) for entry in Store(tmp_path / "state").open()] == [b"bad", b"good"]
    assert good.info == INFO


def test_segments_go_when_they_lie_before_and_the_last_one_of_a_live_stream_never(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    entry = made(store, data=bytes(350))
    assert store.drop_segments(entry, 199) == 100
    assert store.drop_segments(entry, 200) == 100
    assert store.drop_segments(entry, 350) == 100
    assert (entry.stream.start, entry.stream.size) == (300, 50)
    ended(entry)
    assert store.drop_segments(entry, 350) == 50
    assert entry.stream.size == 0


def test_two_that_delete_at_once_delete_no_more_than_one(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    for round_ in range(30):
        entry = made(store, fifo=str(round_), data=bytes(5000))
        threads = [threading.Thread(target=store.drop_segments, args=(entry, 2500)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert entry.stream.start == 2500


def test_trim_keeps_what_docker_logs_wants_and_all_that_is_not_delivered(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    old = ended(made(store, fifo="old", keep=500, data=bytes(300)))
    new = made(store, fifo="new", keep=500, data=bytes(950))
    store.trim(ONE)  # nothing of the new stream is delivered, and the old one is over what is kept
    assert store.of_container(ONE) == [new]
    assert not old.stream.directory.exists() and new.stream.start == 0
    new.stream.advance(delivered=250)
    store.trim(ONE)
    assert new.stream.start == 200
    new.stream.advance(delivered=950)
    store.trim(ONE)
    assert 500 - 100 <= new.stream.size <= 500 + 100


def test_with_nothing_to_keep_a_stopped_stream_goes_whole(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    entry = ended(made(store, keep=0, data=bytes(50)))
    store.trim(ONE)
    assert store.of_container(ONE) == [] and not entry.stream.directory.parent.exists()


def test_stopped_containers_go_by_age_and_the_oldest_beyond_the_total(tmp_path: Path) -> None:
    store = Store(tmp_path / "state", Clock(steady=0))
    now = time.time()
    for index in range(6):
        ended(made(store, f"{index}" * 64, keep=1000, data=bytes(100)), now - index * 100)
    live = made(store, "a" * 64, keep=1000, data=bytes(100))
    waiting = made(store, "b" * 64, keep=1000, data=bytes(100))
    waiting.stream.finish(1.0)
    store.expire(350, 1 << 40)
    assert sorted({entry.container_id[0] for entry in store.entries()}) == ["0", "1", "2", "3", "a", "b"]
    store.expire(1e9, 2 * (100 + store_module.OVERHEAD))
    assert sorted({entry.container_id[0] for entry in store.entries()}) == ["0", "1", "a", "b"]
    assert content(live.stream) and content(waiting.stream)


def test_many_small_stopped_containers_are_bounded_too(tmp_path: Path) -> None:
    """A file costs more than the bytes in it."""
    store = Store(tmp_path / "state")
    for index in range(50):
        ended(made(store, f"{index:064d}", keep=1000, data=b"x"), 1000.0 + index)
    store.expire(1e12, 10 * (1 + store_module.OVERHEAD))
    assert [entry.container_id for entry in store.entries()] == [f"{index:064d}" for index in range(40, 50)]
    assert len(list(files(tmp_path))) == 10 * 3  # meta.json, segment, ended


def test_a_crash_while_deleting_does_not_send_the_stream_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "state")
    entry = ended(made(store, data=bytes(50)))

    class Crash(BaseException):
        pass

    def crash(*_: object, **__: object) -> None:
        (next((tmp_path / "state" / "containers" / ONE).iterdir()) / "ended").unlink()
        raise Crash

    with monkeypatch.context() as patched, pytest.raises(Crash):
        patched.setattr(shutil, "rmtree", crash)
        store.remove(entry)
    assert Store(tmp_path / "state").open() == []
    assert list((tmp_path / "state" / "containers").iterdir()) == []


def test_a_container_that_restarts_all_the_time_keeps_its_last_runs(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    for index in range(130):
        ended(made(store, fifo=f"{index}", keep=1 << 20, data=b"x"))
    live = made(store, fifo="live", keep=1 << 20, data=b"x")
    store.trim(ONE)
    kept = store.of_container(ONE)
    assert len(kept) == 100 and kept[-1] is live and kept[0].file.endswith("/31")


def test_a_clock_that_jumps_deletes_nothing_and_dates_anew_what_ended_by_the_wrong_one(tmp_path: Path) -> None:
    """A host that starts in 1970 and is put right: what stopped before that is not fifty years old."""
    wall, boot, year = 1000.0, 0.0, 365 * 86400.0
    store = Store(tmp_path / "state", Clock(lambda: wall, lambda: boot))
    earlier = ended(made(store, ONE, keep=1000, data=b"x"), 50 * year - 3600)  # before the host was started again
    wall, boot = wall + 100, boot + 100
    now = ended(made(store, TWO, keep=1000, data=b"x"), wall)
    store.expire(86400, 1 << 40)
    wall, boot = 50 * year, boot + 10
    store.expire(86400, 1 << 40)
    assert {*store.entries()} == {earlier, now}
    assert abs((now.stream.ended_at or 0) - 50 * year) < 20
    assert abs((now.stream.directory / "ended").stat().st_mtime - 50 * year) < 20
    for _ in range(143):  # nearly a day: what ended an hour before is old by then, the other one nearly
        wall, boot = wall + 600, boot + 600
        store.expire(86400, 1 << 40)
    assert [*store.entries()] == [now]
    wall, boot = wall + 7200, boot + 7200
    store.expire(86400, 1 << 40)
    assert [*store.entries()] == []
