"""The cursor file: a position survives a crash at any instant and damage of either slot."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from otellogdriver.journal.cursor import Cursor, Position
from tests.scene import LONG


def committed(path: Path, *positions: Position) -> None:
    cursor = Cursor(path)
    for position in positions:
        cursor.commit(position)
    cursor.close()


def test_without_a_file_the_stream_begins_at_zero(tmp_path: Path) -> None:
    cursor = Cursor(tmp_path / "cursor")
    assert cursor.position == Position(0) and not cursor.damaged


@pytest.mark.parametrize(("number", "damaged"), [(errno.EMFILE, False), (errno.EIO, False), (errno.EISDIR, True)])
def test_a_file_that_cannot_be_read_is_not_taken_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, damaged: bool
) -> None:
    """Everything would be sent again because of a shortage."""
    path = tmp_path / "cursor"
    committed(path, Position(5))

    def fails(_: Path, most: int) -> bytes:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr("otellogdriver.journal.cursor.read", fails)
        if damaged:
            assert Cursor(path).damaged
        else:
            with pytest.raises(OSError):
                Cursor(path)
    assert Cursor(path).position == Position(5)


def test_the_last_position_is_found_again(tmp_path: Path) -> None:
    last = Position(7_000_000_000_000, (6_999_999_999_999, -1))
    committed(tmp_path / "cursor", Position(1), Position(2), last)
    assert Cursor(tmp_path / "cursor").position == last
    committed(tmp_path / "cursor", Position(3))
    assert Cursor(tmp_path / "cursor").position == Position(3)
    assert (tmp_path / "cursor").stat().st_size == 128
    assert (tmp_path / "cursor").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("commits", [1, 2, 3, 4])
def test_a_write_torn_at_any_byte_leaves_the_position_before(tmp_path: Path, commits: int) -> None:
    path = tmp_path / "cursor"
    positions = [Position(1000 + step, (step, -1)) for step in range(commits)]
    committed(path, *positions)
    before = path.read_bytes().ljust(128, b"\0")
    committed(path, Position(9999, (-1, 77)))
    after = path.read_bytes().ljust(128, b"\0")
    for cut in range(129):
        slot = 64 * ((commits + 1) % 2)
        torn = bytearray(before)
        torn[slot : slot + min(cut, 64)] = after[slot : slot + min(cut, 64)]
        path.write_bytes(torn)
        assert Cursor(path).position in (positions[-1], Position(9999, (-1, 77)))


def test_any_flipped_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "cursor"
    committed(path, Position(1), Position(2))
    whole = path.read_bytes()
    for at in range(len(whole)):
        data = bytearray(whole)
        data[at] ^= 0x10
        path.write_bytes(data)
        found = Cursor(path)
        assert found.position in (Position(1), Position(2)) and not found.damaged


@pytest.mark.parametrize("data", [b"?", b"\0" * 128, b"OLC1" * 32, os.urandom(1000)])
def test_where_both_slots_are_damaged_the_stream_is_sent_from_its_start(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "cursor"
    path.write_bytes(data)
    cursor = Cursor(path)
    assert cursor.position == Position(0) and cursor.damaged
    cursor.commit(Position(5))
    cursor.close()
    assert Cursor(path).position == Position(5)


def test_a_position_counts_in_memory_also_when_it_cannot_be_written(tmp_path: Path) -> None:
    cursor = Cursor(tmp_path / "missing" / "cursor")
    with pytest.raises(FileNotFoundError):
        cursor.commit(Position(5))
    assert cursor.position == Position(5)
    (tmp_path / "missing").mkdir()
    cursor.commit(Position(6))
    cursor.close()
    assert Cursor(tmp_path / "missing" / "cursor").position == Position(6)


def test_needed_is_the_begin_of_the_oldest_unfinished_line() -> None:
    assert Position(100).needed == 100
    assert Position(100, (40, -1)).needed == 40
    assert Position(100, (40, 0)).needed == 0


def test_a_write_that_fails_half_way_leaves_the_other_slot_however_often_it_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = Cursor(tmp_path / "cursor")
    for offset in (1, 2, 3):
        cursor.commit(Position(offset))
    real = os.pwrite

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        real(fd, data[:30], offset)
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", pwrite)
        for offset in (4, 5, 6):
            with pytest.raises(OSError, match="Input/output"):
                cursor.commit(Position(offset))
            assert cursor.position == Position(offset)
            assert Cursor(tmp_path / "cursor").position == Position(3)
    cursor.write()
    cursor.close()
    assert Cursor(tmp_path / "cursor").position == Position(6)


def test_who_closes_does_not_wait_for_a_disk_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cursor = Cursor(tmp_path / "cursor")
    begun, goes_on = threading.Event(), threading.Event()
    before = len(os.listdir("/proc/self/fd"))

    def fdatasync(fd: int) -> None:
        begun.set()
        assert goes_on.wait(30)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    cursor.move(Position(5))
    writer = threading.Thread(target=cursor.write, args=(True,))
    writer.start()
    assert begun.wait(30)
    cursor.move(Position(7))  # as the loop does meanwhile
    cursor.close()
    goes_on.set()
    writer.join(LONG)
    assert Cursor(tmp_path / "cursor").position == Position(5)
    cursor.write()
    assert Cursor(tmp_path / "cursor").position == Position(7)
    assert len(os.listdir("/proc/self/fd")) == before
