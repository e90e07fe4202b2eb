"""How long a feed waits for the rest of a line or of a frame, and for a disk: not too short, not for ever."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from otellogdriver.delivery.feed import BUFFER
from otellogdriver.delivery.patience import MAX_SPAN
from tests.fakes.engine import frame, pieces
from tests.scene import bodies, line, lines, number
from tests.unit.delivery.feed_scene import Bench


def test_a_line_without_end_is_sent_when_it_is_old(bench: Bench, clock: Callable[[float], float]) -> None:
    bench.stream.append(pieces(b"prompt> ", ended=False))
    assert bench.deliver() == []
    clock(29)
    bench.stream.append(lines(0, 1, b"stderr"))
    assert bench.deliver() == [line(0)]  # the age is the line's own
    clock(2)
    assert bench.feed.needs_work
    assert bench.deliver() == [b"prompt> "]
    assert not bench.feed.unfinished


def test_a_long_pause_before_a_long_line_does_not_break_it(bench: Bench, clock: Callable[[float], float]) -> None:
    long = b"y" * 100_000
    whole = pieces(long)
    bench.stream.append(lines(0, 1))
    bench.deliver()
    clock(1000)
    bench.stream.append(whole[:40_000])  # cut within a frame
    assert bench.deliver() == []
    bench.stream.append(whole[40_000:])
    assert bench.deliver() == [long]
    assert bench.feed.counters.passed.damaged_bytes == 0


def test_an_outage_does_not_make_a_frame_old(bench: Bench, clock: Callable[[float], float]) -> None:
    bench.stream.append(lines(0, 100, size=1000) + lines(100, 101, size=9000)[:5000])
    assert bench.take(budget=10_000) is not None  # the rest waits for the collector
    clock(1000)
    bench.deliver()
    bench.stream.append(lines(100, 101, size=9000)[5000:])
    assert bench.deliver() == [line(100, 9000)]
    assert bench.feed.counters.passed.damaged_bytes == 0


def test_a_frame_whose_rest_never_comes_is_damage_when_it_is_old(bench: Bench, clock: Callable[[float], float]) -> None:
    bench.stream.append(lines(0, 1) + frame(b"z" * 5000)[:3000])
    assert bench.deliver() == [line(0)]
    clock(29)
    assert not bench.feed.needs_work
    clock(2)
    assert bench.feed.needs_work
    bench.deliver()
    bench.stream.append(lines(1, 2))
    assert bench.deliver() == [line(1)]
    assert bench.feed.counters.passed.damaged_bytes == 3000


def test_nothing_grows_old_while_nobody_reads_the_fifo(bench: Bench, clock: Callable[[float], float]) -> None:
    """With `journal-full=block` the rest of a frame and of a line stands in the FIFO until there is room."""
    whole = frame(b"z" * 5000)
    begin = pieces(b"begin", ended=False)
    bench.stream.append(begin + whole[:3000])
    bench.stream.read_since = math.inf
    assert bench.deliver() == []
    clock(3600)
    assert not bench.feed.needs_work
    assert bench.feed.wait > 0
    bench.stream.read_since = clock(0)
    assert not bench.feed.needs_work, "the age counts from then on"
    bench.stream.append(whole[3000:])
    assert bench.deliver() == [b"begin", b"z" * 5000] or bench.feed.unfinished
    clock(31)
    bench.deliver()
    assert bench.feed.counters.passed.damaged_bytes == 0


def test_the_rest_of_an_old_frame_that_does_come_is_used(bench: Bench, clock: Callable[[float], float]) -> None:
    first, second = lines(0, 1, size=5000), lines(1, 2, size=5000)
    bench.stream.append(first[:3000])
    assert bench.deliver() == []
    clock(100)
    bench.stream.append(first[3000:] + second[:10])
    assert bench.deliver() == [line(0, 5000)]
    bench.stream.append(second[10:])
    assert bench.deliver() == [line(1, 5000)]
    assert bench.feed.counters.passed.damaged_bytes == 0


def test_an_unfinished_line_keeps_no_more_than_max_span_of_the_other_stream(bench: Bench) -> None:
    bench.stream.append(pieces(b"begin", ended=False))
    found = []
    step = lines(0, 256, b"stderr", size=4000)
    while bench.stream.end < MAX_SPAN + 4 * len(step):
        bench.stream.append(step)
        found += bench.deliver()
        assert bench.stream.end - bench.feed.needed <= MAX_SPAN + BUFFER
    assert found.count(b"begin") == 1
    assert bench.feed.needed == bench.stream.end


def test_a_journal_that_cannot_be_read_is_given_up_in_the_end(
    tmp_path: Path, clock: Callable[[float], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path / "stream", segment_size=4096)
    bench.stream.append(lines(0, 200, size=100))
    broken = str(bench.stream.segments[1].path)
    real = os.preadv

    def preadv(fd: int, buffers: list[memoryview], offset: int, flags: int = 0) -> int:
        if os.readlink(f"/proc/self/fd/{fd}") == broken:
            raise OSError(5, "Input/output error")
        return real(fd, buffers, offset, flags)

    monkeypatch.setattr(os, "preadv", preadv)
    found = bodies(bench.take().payload)  # type: ignore[union-attr]
    assert len(found) >= 30  # the first segment, whole lines
    with pytest.raises(OSError, match="Input/output"):
        bench.take()
    for _ in range(2):  # what is cut before the segment, then the segment itself
        assert bench.feed.needs_work
        clock(31)
        with contextlib.suppress(OSError):
            found += bench.deliver()
    clock(31)
    found += bench.deliver()
    numbers = [number(body) for body in found]
    assert numbers == sorted(set(numbers)) and numbers[-1] == 199
    assert 4096 <= bench.feed.counters.passed.damaged_bytes <= 4096 + 300
    bench.close()
