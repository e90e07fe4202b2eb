"""All streams of a state directory: found again, kept within limits, deleted whole."""

from __future__ import annotations

import errno
import gzip
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from otellogdriver.errors import JournalError
from otellogdriver.journal import layout
from otellogdriver.journal import store as store_module
from otellogdriver.journal.age import Clock
from otellogdriver.journal.entry import Entry
from otellogdriver.journal.store import Store
from tests.scene import content, files

ONE, TWO = "1" * 64, "2" * 64
INFO: dict[str, Any] = {"ContainerID": ONE, "Config": {"labels": "a"}, "ContainerEnv": ["TOKEN=secret"]}


def made(store: Store, container: str = ONE, fifo: str = "f", keep: int = 0, data: bytes = b"") -> Entry:
    entry = store.create(container, f"/run/docker/logging/{fifo}", INFO, keep, segment_size=100)
    store.describe(entry)
    if data:
        entry.stream.append(data)
        entry.stream.close()
    return entry


def ended(entry: Entry, when: float = 1.0) -> Entry:
    """As when its FIFO is finished and everything in it is delivered."""
    entry.stream.finish(when)
    entry.stream.mark_ended()
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


def test_what_the_engine_says_of_every_container_is_in_memory_once(tmp_path: Path) -> None:
    """There may be a thousand; each call brings texts of its own."""
    store = Store(tmp_path / "state")
    said = json.dumps({"DaemonName": "docker-engine", "ContainerEnv": ["A=b"], "ContainerArgs": None})
    for index in range(2):
        made(store, fifo=f"fifo{index}").stream.append(b"x")
        entry = store.create(TWO, f"/run/docker/logging/other{index}", json.loads(said), 0)
        assert entry.info == json.loads(said)
        store.describe(entry)
    infos = [entry.info for entry in (*store.of_container(TWO), *Store(tmp_path / "state").open()[-2:])]
    assert infos == [json.loads(said)] * 4
    for place in (0, 1):
        assert len({id(text) for info in infos for text in (list(info)[place],)}) == 1
    assert len({id(info["DaemonName"]) for info in infos}) == 1


def test_what_only_one_container_has_is_not_in_memory_for_good(tmp_path: Path) -> None:
    """As in Python 3.12 each text is that `intern` was asked for."""

    def text() -> str:
        return "".join(["c1"] * 32)

    entry = Store(tmp_path / "state").create(ONE, "/run/docker/logging/fifo", {"ContainerID": text()}, 0)
    assert sys.intern(text()) is not entry.info["ContainerID"]


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


class CutMeanwhile(list[Any]):
    """Segments whose last one the FIFO's thread takes away as soon as somebody has asked how many there are."""

    def __len__(self) -> int:
        count = super().__len__()
        if count > 1:
            self.pop()
        return count


def test_a_list_that_is_cut_meanwhile_is_looked_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    entry = made(store, data=bytes(5000))
    entry.stream.segments = CutMeanwhile(entry.stream.segments)
    store.drop_segments(entry, 2500)
    assert not entry.faulty


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
    waiting.stream.mark_ended()
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
    again = Store(tmp_path / "state")
    assert again.open() == []
    again.delete_remains()
    assert list((tmp_path / "state" / "containers").iterdir()) == []


def test_what_is_made_while_a_directory_is_read_is_nothing_that_a_crash_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = made(Store(tmp_path / "state")).stream.directory
    half_made = directory / layout.new_name(layout.META)
    half_made.write_text("{")
    store, real = Store(tmp_path / "state"), layout.read_meta

    def meanwhile(place: Path) -> layout.Meta:
        assert store.create(ONE, "/run/docker/logging/f", INFO, 0).stream.directory == place
        return real(place)

    with monkeypatch.context() as patched:
        patched.setattr(layout, "read_meta", meanwhile)
        assert store.open() == []
    store.delete_remains()
    assert half_made.exists()
    again = Store(tmp_path / "state")
    assert len(again.open()) == 1
    again.delete_remains()
    assert not half_made.exists()


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


# Memory


MEASURES = """
import gc, sys, tracemalloc
from pathlib import Path
from otellogdriver.journal.store import Store

tracemalloc.start()
store = Store(Path(sys.argv[1]))
store.open()
gc.collect()
print(sum(entry.stream.undelivered for entry in store.entries()), tracemalloc.get_traced_memory()[0])
"""
"""Prints the bytes that wait for delivery, and those of memory that is known of them."""


@pytest.mark.measures
def test_thousands_of_ended_streams_that_wait_for_delivery_cost_little(tmp_path: Path) -> None:
    """16 MiB for 10,000 is what all that is known of them may take; the rest is for who delivers them. The count has
    the interpreter's own table of names in it, a fifth of the whole."""
    count = 2000
    store = Store(tmp_path / "state")
    info = {**INFO, "ContainerEnv": [f"VARIABLE_{index}={'x' * 40}" for index in range(40)]}
    made_one = store.create(ONE, f"{tmp_path}/{'f' * 64}", info, 0)
    made_one.stream.append(b"x" * 29)
    made_one.stream.finish(1.0)
    made_one.stream.mark_ended()
    made_one.stream.close()
    folder = made_one.stream.directory.parent
    for index in range(count):
        shutil.copytree(folder, folder.with_name(f"{index:064x}"))
    shutil.rmtree(folder)
    done = subprocess.run(  # in a process of its own: other tests hook allocations
        [sys.executable, "-c", MEASURES, str(tmp_path / "state")], capture_output=True, text=True, check=True
    )
    undelivered, size = map(int, done.stdout.split())
    each = size / count
    assert undelivered == 29 * count
    assert each * 10_000 < 12 << 20, f"{each:.0f} bytes for a stream"
    again = Store(tmp_path / "state")
    entry = again.open()[0]
    assert (entry.info, entry.file) == (info, made_one.file)


# Faults


def refused(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def test_a_disk_that_refuses_stops_nothing_is_said_once_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path / "state")
    full = made(store, keep=100, data=bytes(950))
    over, gone = ended(made(store, TWO, fifo="over", data=bytes(50))), ended(made(store, "3" * 64, data=bytes(50)))
    full.stream.advance(delivered=900)
    full.compress = True
    with monkeypatch.context() as patched:
        for name in ("unlink", "rename", "rmdir", "replace", "mkdir"):
            patched.setattr(os, name, refused)
        for _ in range(3):
            for container in (ONE, TWO, "3" * 64):
                store.trim(container)
            assert not store.remove(gone)
            while store.pack_next():
                pass
            assert store.drop_segments(full, 900) == 0
            store.expire(0, 1 << 40)
    assert len(caplog.records) == 3 and {record.levelname for record in caplog.records} == {"WARNING"}
    assert {*store.entries()} == {full, over, gone} and content(full.stream) == bytes(950)
    store.expire(1e9, 1 << 40)  # as every minute
    assert [*store.entries()] == [full] and full.stream.start == 800
    assert {path.name for path in (tmp_path / "state" / "containers").iterdir()} == {ONE}


def test_what_cannot_be_deleted_whole_is_deleted_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "state")
    entry = ended(made(store, data=bytes(50)))
    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refused)
        assert store.remove(entry)
    assert [*store.entries()] == [] and len(list(files(tmp_path))) == 3
    assert Store(tmp_path / "state").open() == []
    store.expire(1e9, 1 << 40)
    assert list((tmp_path / "state" / "containers").iterdir()) == []


def test_a_stream_without_a_byte_is_forgotten_whatever_the_disk_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "state")
    entry = made(store)
    with monkeypatch.context() as patched:
        for name in ("unlink", "rename", "rmdir"):
            patched.setattr(os, name, refused)
        assert store.remove(entry)
    assert store.of_container(ONE) == []
    store.expire(1e9, 1 << 40)
    assert list((tmp_path / "state" / "containers").iterdir()) == []


def test_what_cannot_be_looked_at_for_want_of_files_is_found_later_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "state")
    for index in range(3):
        made(store, fifo=f"fifo{index}", data=b"%d" % index)
    made(store, TWO, data=b"two")
    again = Store(tmp_path / "state")
    with monkeypatch.context() as patched:
        real = os.scandir

        def scandir(path: Any) -> Any:
            if os.fspath(path).endswith("00000001-fifo1"):
                raise OSError(errno.EMFILE, "Too many open files")
            return real(path)

        patched.setattr(os, "scandir", scandir)
        first = again.open()
    assert [content(entry.stream) for entry in first] == [b"0", b"2", b"two"]
    assert [path.name for path in again.unread] == ["00000001-fifo1"]
    assert [content(entry.stream) for entry in again.open()] == [b"1"] and not again.unread
    assert [content(entry.stream) for entry in again.of_container(ONE)] == [b"0", b"1", b"2"]
    assert again.open() == []


def test_a_stream_is_created_without_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "state")
    with monkeypatch.context() as patched:
        for name in ("open", "mkdir", "stat", "scandir", "listdir", "replace"):
            patched.setattr(os, name, refused)
        entry = store.create(ONE, "/run/docker/logging/f", INFO, 0)
        assert store.of_container(ONE) == [entry] and not store.describe(entry)
    assert not (tmp_path / "state").exists()
    assert store.describe(entry) and (entry.stream.directory / "meta.json").exists()


# Compressing


def test_segments_are_packed_one_at_a_time_after_trimming(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    entry = made(store, keep=1 << 20, data=bytes(350))
    entry.compress = True
    entry.stream.advance(delivered=350)
    assert not store.pack_next()
    store.trim(ONE)
    assert [segment.packed for segment in entry.stream.segments] == [False] * 4
    assert store.pack_next() and store.pack_next()
    assert [segment.packed for segment in entry.stream.segments] == [True, True, False, False]
    assert store.pack_next() and not store.pack_next()
    assert content(entry.stream) == bytes(350)


def test_a_segment_may_be_deleted_while_it_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compressing takes long: nothing that others need is held meanwhile."""
    store = Store(tmp_path / "state")
    entry = made(store, keep=1 << 20, data=bytes(350))
    entry.compress = True
    entry.stream.advance(delivered=350)
    store.trim(ONE)
    real = gzip.compress

    def compress(*args: Any, **how: Any) -> bytes:
        assert store.drop_segments(entry, 100) == 100
        assert store.of_container(ONE) == [entry]
        return real(*args, **how)

    monkeypatch.setattr(gzip, "compress", compress)
    assert store.pack_next()
    assert content(entry.stream) == content(Store(tmp_path / "state").open()[0].stream) == bytes(250)
    assert len(list(entry.stream.directory.glob("*.gz"))) == 0
