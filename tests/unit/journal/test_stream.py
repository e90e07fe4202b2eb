"""A stream in segment files: what the model test (tests/property/test_journal_model.py) does not ask."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from otellogdriver.journal.reader import Reader
from otellogdriver.journal.segment import Found, scan
from otellogdriver.journal.stream import Stream
from tests.scene import LONG, content


def pack(stream: Stream, before: int) -> None:
    for index, segment in enumerate(stream.segments[:-1]):
        if segment.start < before:
            stream.segments[index] = segment.pack()
            segment.path.unlink()


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[Stream]:
    made = Stream(tmp_path, segment_size=1000)
    yield made
    made.sync = False
    made.close()


def test_segments_are_named_by_their_offset_and_hold_no_more_than_their_size(stream: Stream) -> None:
    stream.append(bytes(2500))
    assert [path.name for path in sorted(stream.directory.iterdir())] == [
        "00000000000000000000.log",
        "00000000000000001000.log",
        "00000000000000002000.log",
    ]
    assert [path.stat().st_size for path in sorted(stream.directory.iterdir())] == [1000, 1000, 500]
    assert {path.stat().st_mode & 0o777 for path in stream.directory.iterdir()} == {0o600}


def test_the_directory_is_described_before_a_segment_is_made_in_it(tmp_path: Path) -> None:
    calls = []

    def describe() -> None:
        (tmp_path / "later").mkdir(exist_ok=True)
        calls.append(len(list((tmp_path / "later").iterdir())))

    stream = Stream(tmp_path / "later", describe, 10)
    assert not calls and not (tmp_path / "later").exists()
    stream.append(bytes(25))
    stream.close()
    assert calls == [0, 1, 2]


def test_a_pipe_that_is_empty_raises_and_one_that_has_ended_gives_zero(stream: Stream) -> None:
    source, sink = os.pipe()
    os.set_blocking(source, False)
    with pytest.raises(BlockingIOError):
        stream.splice(source, 100)
    os.write(sink, b"x" * 1500)
    assert stream.splice(source, 1 << 20) == 1000
    assert stream.splice(source, 1 << 20) == 500
    os.close(sink)
    assert stream.splice(source, 1 << 20) == 0
    os.close(source)
    assert content(stream) == b"x" * 1500


def test_an_append_that_fails_half_way_leaves_the_stream_as_it_was(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.append(b"a" * 900)
    real, left = os.pwrite, [1]

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(OSError, match="No space"):
        stream.append(b"b" * 2000)
    left[0] = 100
    stream.append(b"c" * 2000)
    assert content(stream) == b"a" * 900 + b"c" * 2000
    assert content(Stream(stream.directory)) == b"a" * 900 + b"c" * 2000


def test_a_reader_jumps_to_the_next_byte_that_is_kept(stream: Stream) -> None:
    stream.append(bytes(range(250)) * 16)
    stream.segments[1].path.unlink()
    os.truncate(stream.segments[2].path, 10)
    reader, buffer = Reader(stream), memoryview(bytearray(5000))
    assert reader.read(0, buffer) == (0, 1000)
    assert reader.read(1000, buffer) == (2000, 10)
    assert reader.read(1500, buffer[:5]) == (2000, 5)
    assert reader.read(2010, buffer) == (3000, 1000)
    assert reader.read(4000, buffer) == (4000, 0)
    assert reader.read(9000, buffer) == (9000, 0)
    reader.close()


def test_segments_of_another_size_are_continued(tmp_path: Path) -> None:
    first = Stream(tmp_path, segment_size=300)
    first.append(b"1" * 700)
    first.close()
    second = Stream(tmp_path, segment_size=1000)
    second.append(b"2" * 2000)
    second.close()
    third = Stream(tmp_path, segment_size=100)
    third.append(b"3" * 150)
    third.close()
    assert content(Stream(tmp_path)) == b"1" * 700 + b"2" * 2000 + b"3" * 150


def test_packed_segments_are_read_as_before_and_never_written(tmp_path: Path) -> None:
    stream = Stream(tmp_path, segment_size=1000)
    data = os.urandom(300) * 12
    stream.append(data[:3500])
    reader, buffer = Reader(stream), memoryview(bytearray(100))
    assert reader.read(100, buffer) == (100, 100)
    pack(stream, 3000)
    assert reader.read(150, buffer) == (150, 100)  # the file it has open is gone by name only
    reader.close()
    assert content(stream) == data[:3500]
    stream.truncate(3000)  # the torn start of a frame was all that the last segment had
    stream.close()
    again = Stream(tmp_path, segment_size=8000)
    assert again.end == 3000
    again.append(data[3000:])
    again.close()
    assert content(Stream(tmp_path)) == data
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".gz", ".gz", ".gz", ".log"]


def test_a_crash_while_packing_leaves_the_whole_file(tmp_path: Path) -> None:
    stream = Stream(tmp_path, segment_size=100)
    stream.append(b"z" * 250)
    stream.close()
    (tmp_path / "00000000000000000000.log.gz").write_bytes(b"cut sho")
    (tmp_path / "00000000000000000000.log.new").write_bytes(b"cut")
    before = sorted(tmp_path.iterdir())
    assert content(Stream(tmp_path)) == b"z" * 250
    assert sorted(tmp_path.iterdir()) == before  # who looks deletes nothing
    assert [path.name for path in scan(tmp_path).leftovers] == [
        "00000000000000000000.log.gz",
        "00000000000000000000.log.new",
    ]


def test_readers_and_the_writer_need_no_lock(tmp_path: Path) -> None:
    stream = Stream(tmp_path, segment_size=5000)
    data = os.urandom(1000)
    done = threading.Event()
    faults = []

    def read() -> None:
        reader, buffer, offset = Reader(stream), memoryview(bytearray(777)), 0
        while not (done.is_set() and offset == stream.end):
            at, got = reader.read(offset, buffer)
            wanted = (data * 3)[at % 1000 : at % 1000 + got]
            if at != offset or bytes(buffer[:got]) != wanted:
                faults.append((offset, at, got))
                break
            offset += got
        reader.close()

    readers = [threading.Thread(target=read) for _ in range(3)]
    for thread in readers:
        thread.start()
    for _ in range(500):
        stream.append(data)
    done.set()
    for thread in readers:
        thread.join(LONG)
    stream.close()
    assert faults == []


def test_with_sync_the_disk_confirms_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    stream = Stream(tmp_path, segment_size=100, sync=True)
    stream.append(bytes(250))
    assert len(synced) == 2  # the two that are closed
    stream.flush()
    stream.close()
    assert len(synced) == 4


def test_a_disk_that_does_not_confirm_leaves_no_file_open(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    stream.append(bytes(1000))
    stream.sync = True
    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", refuse)
        for _ in range(3):
            with pytest.raises(OSError, match="Input/output"):
                stream.append(bytes(10))
    assert stream.end == 1000
    stream.append(bytes(10))
    assert len(os.listdir("/proc/self/fd")) == before
    assert stream.end == 1010


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_where_the_next_file_cannot_be_made_the_last_one_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(number, os.strerror(number), path)
        return os_open(path, flags, mode)

    os_open = os.open
    stream = Stream(tmp_path, segment_size=100)
    data = bytes(range(250))
    stream.append(data[:60])
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        stream.append(data[60:150])
        stream.append(data[150:230])
    stream.append(data[230:])
    assert [(segment.start, segment.stored()) for segment in stream.segments] == [(0, 230), (230, 20)]
    stream.close()
    assert content(Stream(tmp_path)) == data


def test_where_no_file_takes_the_next_byte_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even one that is open, but whose directory is gone: nobody would find what is written there."""
    stream = Stream(tmp_path / "stream", segment_size=100)
    (tmp_path / "stream").mkdir()
    stream.append(bytes(100))
    for segment in stream.segments:
        segment.path.unlink()
    (tmp_path / "stream").rmdir()
    with pytest.raises(FileNotFoundError):
        stream.append(b"x")
    assert stream.end == 100
    stream.close()


def test_finish_is_found_again_but_leaves_nothing_of_an_empty_stream(tmp_path: Path) -> None:
    empty = Stream(tmp_path / "empty")
    empty.finish(5.0)
    empty.mark_ended()
    assert empty.ended_at == 5.0 and not (tmp_path / "empty").exists()
    stream = Stream(tmp_path)
    stream.append(b"x")
    assert Stream(tmp_path).ended_at is None
    stream.finish(5.0)
    assert Stream(tmp_path).ended_at is None
    stream.mark_ended()
    stream.close()
    assert Stream(tmp_path).ended_at == 5.0


def test_positions_move_forwards_only_and_not_beyond_the_end(stream: Stream) -> None:
    stream.append(bytes(100))
    stream.advance(delivered=40, boundary=60)
    stream.advance(delivered=30, boundary=70)
    assert (stream.delivered, stream.boundary, stream.undelivered) == (40, 70, 60)
    stream.advance(boundary=50)
    assert (stream.delivered, stream.boundary) == (40, 70)
    stream.advance(delivered=1000, boundary=1000)
    assert (stream.delivered, stream.boundary, stream.undelivered) == (100, 100, 0)


def test_two_that_move_a_position_at_once_move_it_to_the_later_place(stream: Stream) -> None:
    stream.append(bytes(900))
    began = threading.Barrier(3)

    def move(first: int) -> None:
        began.wait(30)
        for offset in range(first, 900, 3):
            stream.advance(delivered=offset)
            assert stream.delivered >= offset

    with ThreadPoolExecutor(3) as threads:
        for each in [threads.submit(move, first) for first in range(3)]:
            each.result(30)
    assert stream.delivered == 899


def test_a_sealed_segment_that_is_cut_is_written_again_and_counted_once(stream: Stream) -> None:
    stream.append(b"a" * 100)
    stream.seal()
    stream.truncate(0)
    assert not stream.sealed
    stream.append(b"b" * 50)
    assert [segment.start for segment in stream.segments] == [0] and content(stream) == b"b" * 50
    stream.seal()
    stream.truncate(20)
    stream.append(b"c" * 1500)
    assert [segment.start for segment in stream.segments] == [0, 1000]
    assert content(stream) == content(Stream(stream.directory)) == b"b" * 20 + b"c" * 1500


def test_who_reads_sees_an_append_as_a_whole_or_not_at_all(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a line could be sent and, when its append fails, be dropped as well."""
    stream.append(b"a" * 900)
    ends: list[int] = []
    real = os.pwrite

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        ends.append(stream.end)
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    stream.append(b"b" * 3000)
    assert ends == [900] * 4 and stream.end == 3900


def test_bytes_that_were_moved_count_though_there_was_no_memory_to_say_how_many(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, sink = os.pipe()
    os.write(sink, b"x" * 100)
    real = os.splice

    def splice(*args: int, **offsets: int) -> int:
        real(*args, **offsets)
        raise MemoryError

    with monkeypatch.context() as patched, pytest.raises(MemoryError):
        patched.setattr(os, "splice", splice)
        stream.splice(source, 60)
    stream.splice(source, 1000)
    os.close(source)
    os.close(sink)
    assert content(stream) == b"x" * 100


def test_a_file_in_which_there_is_something_is_never_written_over(tmp_path: Path) -> None:
    stream = Stream(tmp_path, found=Found())  # as when nobody could look
    (tmp_path / f"{0:020d}.log").write_bytes(b"lines")
    with pytest.raises(FileExistsError):
        stream.append(b"x")
    assert content(Stream(tmp_path)) == b"lines"
