"""A feed: what it encodes, where it stands after a crash, and that nothing in a journal can stop it for good."""

from __future__ import annotations

import errno
import logging
import os
from itertools import pairwise
from pathlib import Path

import pytest

from otellogdriver.delivery.feed import CHUNK
from otellogdriver.journal.cursor import Position
from tests.fakes.engine import frame, pieces
from tests.scene import bodies, line, lines, number
from tests.unit.delivery.feed_scene import Bench

# What goes out


def test_lines_become_records_in_order_and_the_cursor_follows(bench: Bench) -> None:
    bench.stream.append(lines(0, 100))
    part = bench.take()
    assert part is not None
    assert [number(body) for body in bodies(part.payload)] == list(range(100))
    assert (part.records, part.behind) == (100, Position(bench.stream.end))
    assert bench.feed.delivered == 0
    bench.feed.settle(part)
    bench.feed.commit()
    assert bench.feed.delivered == bench.feed.needed == bench.stream.end
    assert not bench.feed.needs_work
    assert bench.take() is None


def test_a_restart_goes_on_behind_what_was_committed(bench: Bench) -> None:
    bench.stream.append(lines(0, 10))
    bench.deliver()
    bench.stream.append(lines(10, 20))
    assert bench.take() is not None  # in flight at the crash
    bench.open()
    assert [number(body) for body in bench.deliver()] == list(range(10, 20))


def test_the_budget_bounds_a_part_and_nothing_is_left_out(bench: Bench) -> None:
    bench.stream.append(lines(0, 1000, size=500))
    found, sizes = [], []
    while bench.feed.needs_work:
        part = bench.take(budget=20_000)
        assert part is not None
        sizes.append(part.size)
        found += bodies(part.payload)
    assert [number(body) for body in found] == list(range(1000))
    assert max(sizes) <= 20_000 and min(sizes[:-1]) > 10_000


def test_a_record_longer_than_the_budget_goes_alone_or_waits(bench: Bench) -> None:
    bench.stream.append(frame(b"a" * 50_000) + frame(b"b"))
    assert bench.take(budget=1000, strict=True) is None
    part = bench.take(budget=1000)
    assert part is not None and bodies(part.payload) == [b"a" * 50_000]
    assert bench.deliver() == [b"b"]


def test_a_frame_longer_than_a_chunk_is_read_whole(bench: Bench) -> None:
    bench.stream.append(frame(b"a" * (CHUNK + 100_000)) + frame(b"b"))
    assert bench.deliver() == [b"a" * (CHUNK + 100_000), b"b"]
    assert bench.feed.counters.passed.damaged_bytes == 0


def test_lines_are_counted_by_stream_and_without_newline(bench: Bench) -> None:
    bench.stream.append(lines(0, 3) + lines(3, 5, b"stderr"))
    bench.deliver()
    assert bench.feed.counters.passed.lines == [3, 2]
    assert bench.feed.counters.passed.bytes == [27, 18]


# Unfinished lines and torn frames


def test_an_unfinished_line_survives_any_number_of_restarts(bench: Bench) -> None:
    long = os.urandom(1000).hex().encode() * 100
    whole = pieces(long)
    cuts = [0, 5, 17_000, 70_000, len(whole) - 3, len(whole)]
    found = []
    for begin, end in pairwise(cuts):
        bench.stream.append(lines(begin, begin + 1, b"stderr") if begin == 0 else b"")
        bench.stream.append(whole[begin:end])
        found += bench.deliver()
        bench.open()
    assert found == [line(0), long]
    assert bench.feed.counters.passed.damaged_bytes == 0


def test_a_line_without_end_is_sent_once_the_stream_has_ended(bench: Bench) -> None:
    bench.stream.append(lines(0, 1) + pieces(b"prompt> ", ended=False))
    assert bench.deliver() == [line(0)]
    assert bench.feed.unfinished and not bench.feed.exhausted
    bench.stream.finish(1.0)
    assert bench.deliver() == [b"prompt> "]
    assert bench.feed.exhausted and not bench.feed.needs_work


def test_pieces_without_end_come_out_in_bounded_records(bench: Bench) -> None:
    for ordinal in range(1, 400):
        bench.stream.append(frame(b"e" * 16384, partial=(False, "ab" * 32, ordinal)))
    bench.stream.finish(1.0)
    found = bench.deliver()
    assert b"".join(found) == b"e" * 16384 * 399
    assert max(map(len, found)) <= 2 << 20


# Damage


def test_damage_between_frames_is_skipped_and_counted(bench: Bench) -> None:
    garbage = [
        b"\0\0\0\0",
        b"\0\0\0\1\n",
        b"\xff\xff\xff\xff",
        b"plain text",
        b"\0\0\0\x20\n\x06stdout\xff",
        os.urandom(999),
    ]
    for index, each in enumerate(garbage):
        bench.stream.append(each + lines(index, index + 1))
    bench.stream.append(lines(9, 10) * 2)
    bench.stream.finish(1.0)
    assert [number(body) for body in bench.deliver()] == [0, 1, 2, 3, 4, 5, 9, 9]
    assert bench.feed.counters.passed.damaged_bytes == sum(map(len, garbage))


def test_a_segment_cut_short_loses_its_lines_and_no_others(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "stream", segment_size=4096)
    bench.stream.append(lines(0, 300, size=100))
    assert len(bench.stream.segments) > 5
    os.truncate(bench.stream.segments[2].path, 1000)
    bench.open()
    found = [number(body) for body in bench.deliver()]
    bench.stream.append(lines(300, 310, size=100))
    found += [number(body) for body in bench.deliver()]
    lost = sorted(set(range(310)) - set(found))
    assert found == sorted(found)
    assert 0 < len(lost) <= 3096 // 100 + 1 and lost == list(range(lost[0], lost[-1] + 1))
    assert 3096 <= bench.feed.counters.passed.damaged_bytes <= 3096 + 2 * 200
    bench.close()


def test_a_segment_that_is_gone_loses_its_lines_and_no_others(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "stream", segment_size=4096)
    bench.stream.append(lines(0, 300, size=100))
    bench.stream.segments[0].path.unlink()
    bench.stream.segments[3].path.unlink()
    found = [number(body) for body in bench.deliver()]
    assert found == sorted(found) and found[-1] == 299
    assert len(found) >= 300 - 2 * (4096 // 100 + 2)
    assert bench.feed.counters.passed.damaged_bytes >= 2 * 4096
    bench.close()


def test_a_cursor_behind_the_last_byte_on_disk_goes_on_there(bench: Bench) -> None:
    """A power cut may lose the journal's last bytes and keep the cursor."""
    bench.stream.append(lines(0, 100))
    bench.deliver()
    end = bench.stream.end
    bench.stream.close()
    os.truncate(bench.stream.segments[-1].path, 500)
    bench.open()
    assert bench.take() is None and bench.feed.offset == bench.stream.end == 500
    bench.stream.resume_at(end)  # as the driver does before the FIFO is read
    bench.open_feed()
    bench.stream.append(lines(100, 110))
    assert [number(body) for body in bench.deliver()] == list(range(100, 110))


def test_a_torn_cursor_means_sending_again(bench: Bench) -> None:
    for begin in (0, 10, 20):
        bench.stream.append(lines(begin, begin + 10))
        bench.deliver()
    path = bench.directory / "cursor"
    data = bytearray(path.read_bytes())
    data[64 + 8] ^= 1  # the newer slot: commit 3 is in slot 1
    path.write_bytes(data)
    bench.open()
    assert [number(body) for body in bench.deliver()] == list(range(20, 30))
    path.write_bytes(b"nonsense" * 16)
    bench.open()
    assert [number(body) for body in bench.deliver()] == list(range(30))


# Giving up


def test_skip_gives_up_whole_lines_and_counts_them(bench: Bench) -> None:
    bench.stream.append(lines(0, 100))
    size = bench.stream.end // 100
    assert bench.feed.skip(10 * size + 1)
    assert bench.feed.delivered == bench.feed.needed == 11 * size
    assert bench.feed.counters.given_up == {"journal_full": 11}
    assert [number(body) for body in bench.deliver()] == list(range(11, 100))


def test_skip_leaves_what_is_in_flight(bench: Bench) -> None:
    bench.stream.append(lines(0, 100))
    part = bench.take(budget=2000)
    assert part is not None
    assert not bench.feed.skip(10)
    assert bench.feed.delivered == 0
    bench.feed.settle(part)
    bench.feed.commit()
    assert [number(body) for body in bodies(part.payload) + bench.deliver()] == list(range(100))
    assert bench.feed.counters.given_up == {}


@pytest.mark.parametrize("target", range(0, 140_000, 7_001))
def test_a_long_line_that_is_partly_skipped_counts_once(bench: Bench, target: int) -> None:
    whole = lines(0, 1) + pieces(b"a" * 100_000) + pieces(b"b" * 20_000) + lines(1, 2)
    bench.stream.append(whole[:40_000])
    found = bench.deliver()
    bench.stream.append(whole[40_000:])
    bench.feed.skip(target)
    found += bench.deliver()
    bench.stream.finish(1.0)
    found += bench.deliver()
    assert len(found) + bench.feed.counters.given_up.get("journal_full", 0) == 4
    assert bench.feed.counters.passed.damaged_bytes == 0


def test_skip_leaves_a_line_that_is_all_there_is(bench: Bench) -> None:
    whole = pieces(b"a" * 100_000)
    for part in (whole[:70_000], whole[70_000:]):
        bench.stream.append(part)
        assert not bench.feed.skip(60_000, spares_one=True)
    assert bench.deliver() == [b"a" * 100_000]
    assert bench.feed.counters.given_up == {}


def test_skip_asks_for_an_unfinished_line_that_is_in_the_way(bench: Bench) -> None:
    bench.stream.append(pieces(b"begin", ended=False) + lines(0, 100, b"stderr"))
    assert len(bench.deliver()) == 100
    assert bench.feed.needed == 0
    assert not bench.feed.skip(1000)
    assert bench.feed.needs_work
    assert bench.deliver() == [b"begin"]
    assert bench.feed.needed == bench.stream.end
    assert bench.feed.counters.given_up == {}


@pytest.mark.parametrize("fault", ["missing", "cut", "unreadable"])
def test_skip_passes_what_is_lost_and_what_cannot_be_read(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the oldest lines give way, a hole in them must not let the journal grow past its limit."""
    bench = Bench(tmp_path / "stream", segment_size=4096)
    bench.stream.append(lines(0, 1000))
    size, path = bench.stream.end // 1000, bench.stream.segments[1].path
    if fault == "missing":
        path.unlink()
    elif fault == "cut":
        os.truncate(path, 1001)
    else:
        real = os.open
        monkeypatch.setattr(os, "open", lambda name, *rest: raise_(errno.EIO) if name == path else real(name, *rest))
    target = 20_000
    assert bench.feed.skip(target)
    assert target <= bench.feed.needed <= target + size
    given_up, damaged = bench.feed.counters.given_up["journal_full"], bench.feed.counters.passed.damaged_bytes
    assert 0 < damaged <= 4096 + 2 * size
    rest = [number(body) for body in bench.deliver()]
    assert rest == list(range(1000 - len(rest), 1000)) and len(rest) >= (bench.stream.end - target) // (size + 2)
    assert 1000 - damaged // (size - 2) - 2 <= given_up + len(rest) < 1000
    bench.close()


def test_skip_waits_where_files_are_short_and_goes_on_after(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.stream.append(lines(0, 100))
    bench.feed.let_go()
    with monkeypatch.context() as patched, pytest.raises(OSError, match="Too many"):
        patched.setattr(os, "open", lambda *_: raise_(errno.EMFILE))
        bench.feed.skip(1000)
    assert bench.feed.counters.passed.damaged_bytes == 0
    assert bench.feed.skip(1000)
    assert bench.feed.counters.passed.damaged_bytes == 0


def raise_(number: int) -> int:
    raise OSError(number, os.strerror(number))


def test_a_cursor_that_cannot_be_written_is_said_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    (bench.directory / "cursor").mkdir()
    with caplog.at_level(logging.WARNING):
        for begin in range(0, 50, 10):
            bench.stream.append(lines(begin, begin + 10))
            assert len(bench.deliver()) == 10
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "cursor" in caplog.text and bench.feed.delivered == bench.stream.end
