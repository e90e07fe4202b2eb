"""What an earlier run left: which streams are resumed, which FIFOs are read."""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from otellogdriver.delivery.pumps import cursor_at
from otellogdriver.delivery.recipe import container_of
from otellogdriver.driver import recovery
from otellogdriver.journal.cursor import Cursor, Position
from otellogdriver.journal.entry import Entry
from otellogdriver.journal.store import Store
from otellogdriver.journal.stream import Stream
from tests.scene import lines

ID = "c" * 64


class Driver:
    """Keeps what recovery asks for."""

    def __init__(self, root: Path) -> None:
        self.environ: Mapping[str, str] = {}
        self.store = Store(root / ".state")
        self.sessions: dict[str, Any] = {}
        self.unresumed: dict[Entry, None] = {}
        self.added: list[Any] = []
        self.resumed: list[str] = []
        self.trimmed: list[str] = []

    def add(self, container: Any, settings: Any, entry: Entry) -> Any:
        session = SimpleNamespace(container=container, entry=entry, stream=entry.stream, finished=False, poked=0)
        session.finish = lambda: setattr(session, "finished", True)
        session.poke = lambda: setattr(session, "poked", session.poked + 1)
        self.added.append(session)
        return session

    def read(self, session: Any, resumed: bool) -> None:
        assert resumed
        self.sessions[session.entry.file] = session
        self.resumed.append(session.entry.file)

    def changed(self, session: Any) -> None:
        pass

    def trim(self, container_id: str) -> None:
        self.trimmed.append(container_id)

    def kept(self, settings: Any) -> int:
        return 1 << 20

    def segment_size(self, settings: Any) -> int:
        return 1 << 20


def fifo(root: Path) -> str:
    file = str(root / secrets.token_hex(32))
    os.mkfifo(file)
    return file


def left(root: Path, file: str, delivered: Callable[[int], int], ended: bool = False, container: str = ID) -> None:
    """A stream of ten lines as an earlier run leaves it; `delivered`: how far, of its end."""
    store = Store(root / ".state")
    store.open()
    entry = store.create(container, file, {"ContainerID": container, "ContainerName": "/web"}, 0)
    store.describe(entry)
    entry.stream.append(lines(0, 10))
    cursor = Cursor(entry.stream.directory / "cursor")
    cursor.commit(Position(delivered(entry.stream.end)), False)
    cursor.close()
    if ended:
        entry.stream.finish(time.time())
        entry.stream.mark_ended()
    entry.stream.close()


def resume(driver: Driver) -> bool:
    return recovery.resume(driver, recovery.looks(driver))


def resumed(root: Path) -> Driver:
    driver = Driver(root)
    assert resume(driver)
    return driver


def test_an_open_fifo_is_read_again_from_where_it_was_delivered(tmp_path: Path) -> None:
    file = fifo(tmp_path)
    left(tmp_path, file, lambda end: end // 2)
    driver = resumed(tmp_path)
    (session,) = driver.added
    assert driver.resumed == [file] and session.poked == 1 and not session.finished
    assert session.stream.delivered == len(lines(0, 10)) // 2
    assert driver.trimmed == [ID] and session.container.name == "web"


def test_a_fifo_that_is_gone_finishes_its_stream(tmp_path: Path) -> None:
    left(tmp_path, str(tmp_path / secrets.token_hex(32)), lambda end: 0)
    driver = resumed(tmp_path)
    assert driver.resumed == [] and [session.finished for session in driver.added] == [True]


def test_of_two_streams_of_one_fifo_one_is_read(tmp_path: Path) -> None:
    file = fifo(tmp_path)
    left(tmp_path, file, lambda end: 0)
    left(tmp_path, file, lambda end: 0)
    driver = resumed(tmp_path)
    assert driver.resumed == [file] and sorted(session.finished for session in driver.added) == [False, True]


@pytest.mark.parametrize("first", [recovery.UNKNOWN, ID])
def test_of_two_streams_of_one_fifo_the_one_in_use_is_read(tmp_path: Path, first: str) -> None:
    """The later one; and that of a container, if the other was read for nobody known."""
    file = fifo(tmp_path)
    for container in (first, ID) if first == ID else (ID, first):
        left(tmp_path, file, lambda end: 0, container=container)
    driver = resumed(tmp_path)
    read = driver.sessions[file].entry
    assert driver.resumed == [file]
    assert (read.container_id, read.sequence) == (ID, 1 if first == ID else 0)
    assert [session.entry is read for session in driver.added] == [not session.finished for session in driver.added]


def test_an_ended_stream_is_resumed_only_for_what_is_not_delivered(tmp_path: Path) -> None:
    for share in (0, 1):
        left(tmp_path, str(tmp_path / secrets.token_hex(32)), lambda end, share=share: end * share, ended=True)  # type: ignore[misc]
    driver = resumed(tmp_path)
    assert [session.stream.undelivered for session in driver.added] == [len(lines(0, 10))]


def test_after_a_power_cut_nothing_comes_before_what_is_delivered(tmp_path: Path) -> None:
    left(tmp_path, fifo(tmp_path), lambda end: end + 1000)
    (session,) = resumed(tmp_path).added
    assert session.stream.end == session.stream.delivered == len(lines(0, 10)) + 1000


def test_one_stream_that_cannot_be_resumed_keeps_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    files = [fifo(tmp_path), fifo(tmp_path)]
    for file in files:
        left(tmp_path, file, lambda end: 0)

    def fails(entry: Entry) -> Any:
        if entry.file == files[0]:
            raise RecursionError("nobody thought of this")
        return container_of(entry)

    monkeypatch.setattr(recovery, "container_of", fails)
    assert resumed(tmp_path).resumed == files[1:]
    assert "cannot be resumed" in caplog.text


def test_a_stream_that_cannot_be_looked_at_now_is_resumed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [fifo(tmp_path), fifo(tmp_path)]
    for file in files:
        left(tmp_path, file, lambda end: end)
    driver = Driver(tmp_path)

    def fails(stream: Stream, role: str) -> Cursor:
        if files[0][-64:] in str(stream.directory):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return cursor_at(stream, role)

    with monkeypatch.context() as patched:
        patched.setattr(recovery, "cursor_at", fails)
        assert not resume(driver)
        assert driver.resumed == files[1:]
    assert resume(driver) and driver.resumed == [files[1], files[0]]
    assert [session.stream.undelivered for session in driver.added] == [0, 0]


def test_a_fault_after_the_fifos_are_read_does_not_end_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = fifo(tmp_path)
    left(tmp_path, file, lambda end: 0)
    monkeypatch.setattr(Driver, "changed", lambda *_: [][1])
    driver = Driver(tmp_path)
    assert resume(driver) and driver.resumed == [file]


def test_orphans_that_are_still_there_are_read_as_an_unknown_container(tmp_path: Path) -> None:
    claimed, gone, left_over = fifo(tmp_path), fifo(tmp_path), fifo(tmp_path)
    os.unlink(gone)
    driver = Driver(tmp_path)
    driver.sessions[claimed] = None
    recovery.adopt(driver, [claimed, gone, left_over])
    assert driver.resumed == [left_over]
    assert [session.container.name for session in driver.added] == [recovery.UNKNOWN]


@pytest.mark.parametrize("call", ["read_bytes", "lstat", "scandir"])
def test_what_a_disk_does_not_give_for_a_moment_is_resumed_a_moment_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Whichever call fails first for a stream, it is neither forgotten nor begun anew."""
    file = fifo(tmp_path)
    left(tmp_path, file, lambda end: end // 2)
    driver = Driver(tmp_path)
    place = os if call in ("lstat", "scandir") else Path
    real = getattr(place, call)

    def refuse(path: Any, *arguments: Any, **more: Any) -> Any:
        if str(path).startswith(str(tmp_path)):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path, *arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(place, call, refuse)
        whole = resume(driver)
    assert whole == bool(driver.added)
    assert whole or resume(driver)
    (session,) = driver.added
    assert driver.resumed == [file] and session.container.name == "web"
    assert session.stream.delivered == len(lines(0, 10)) // 2
