"""A feed whose records are more than lines: how long they wait, and that neither a crash nor a change loses a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otellogdriver.codec.contract import EncodeOptions
from otellogdriver.delivery import patience
from otellogdriver.delivery.feed import Feed
from otellogdriver.journal.cursor import Cursor, Position
from otellogdriver.journal.entry import Entry
from otellogdriver.lines import line_encoder
from otellogdriver.settings.options import Settings
from tests.data.frames.codecs import codecs
from tests.fakes.engine import frame, pieces
from tests.scene import bodies
from tests.unit.delivery.accounting import fates
from tests.unit.delivery.feed_scene import Bench

CODEC = codecs()[-1]


class LineBench(Bench):
    """A bench whose feeds have the line encoder of `settings`."""

    settings = Settings(multiline_pattern="^A", multiline_timeout=2.0)

    def open_feed(self) -> Feed:
        entry, options = Entry("c" * 64, "/fifo", {}, self.stream), EncodeOptions()
        encoder = None if self.settings.lines_as_printed else line_encoder(self.settings, CODEC, options)
        self.feed = Feed(entry, Cursor(self.directory / "cursor"), CODEC, options, b"", encoder)
        self.feeds.append(self.feed)
        return self.feed

    def print(self, *lines: bytes, stream: bytes = b"stdout") -> None:
        self.stream.append(b"".join(frame(line, stream) for line in lines))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[LineBench]:
    made = LineBench(tmp_path / "stream")
    yield made
    made.close()


def test_a_record_waits_for_the_next_line(bench: LineBench, clock: Callable[[float], float]) -> None:
    bench.print(b"A 1", b"x")
    assert bench.deliver() == []
    assert bench.feed.wait == pytest.approx(2.0)
    clock(1.5)
    assert bench.feed.wait == pytest.approx(0.5) and not bench.feed.needs_work
    bench.print(b"y")
    assert bench.deliver() == []
    assert bench.feed.wait == pytest.approx(2.0)
    clock(2.0)
    assert bench.feed.wait <= 0 and bench.feed.needs_work
    assert bench.deliver() == [b"A 1\nx\ny"]
    assert not bench.feed.unfinished and not bench.feed.needs_work


def test_a_record_that_never_ends_waits_half_a_minute(bench: LineBench, clock: Callable[[float], float]) -> None:
    bench.print(b"A 1")
    found: list[bytes] = []
    seconds = 0.0
    while not found:
        found = bench.deliver()
        bench.print(b"x")
        clock(1.5)
        seconds += 1.5
    assert 30.0 <= seconds <= 33.0
    assert found[0].count(b"\nx") == 20


def test_each_stream_waits_on_its_own(bench: LineBench, clock: Callable[[float], float]) -> None:
    bench.print(b"A out")
    bench.deliver()
    clock(1.5)
    bench.print(b"A err", stream=b"stderr")
    bench.deliver()
    clock(0.5)
    assert bench.deliver() == [b"A out"]
    bench.print(b"more", stream=b"stderr")
    assert bench.deliver() == []
    clock(2.0)
    assert bench.deliver() == [b"A err\nmore"]


def test_an_unfinished_line_in_a_record_waits_as_long_as_any(bench: LineBench, clock: Callable[[float], float]) -> None:
    whole = pieces(b"x" * 40_000)
    bench.print(b"A 1")
    bench.stream.append(whole[:20_000])
    assert bench.deliver() == []
    clock(20.0)
    assert bench.deliver() == []
    bench.stream.append(whole[20_000:])
    bench.print(b"A 2")
    assert bench.deliver() == [b"A 1\n" + b"x" * 40_000]


def test_a_crash_at_any_time_keeps_records_whole_and_in_order(bench: LineBench) -> None:
    found = []
    for number in range(30):
        bench.print(b"A %d" % number, b"x %d" % number, b"y %d" % number)
        if number % 3:
            bench.print(b"A err %d" % number, stream=b"stderr")
        bench.take()  # in flight at the crash
        if number % 2:
            found += bench.deliver()
        bench.open()
    bench.stream.finish(1.0)
    found += bench.deliver()
    out = [b"A %d\nx %d\ny %d" % (number, number, number) for number in range(30)]
    assert [body for body in found if b"err" not in body] == out
    assert [body for body in found if b"err" in body] == [b"A err %d" % number for number in range(30) if number % 3]


def test_the_cursor_keeps_the_journal_from_the_first_line_of_a_record(bench: LineBench) -> None:
    bench.print(b"A 1", b"x")
    size = bench.stream.end
    bench.print(b"A 2", b"y")
    assert bench.deliver() == [b"A 1\nx"]
    assert (bench.feed.needed, bench.feed.delivered) == (size, bench.stream.end)
    assert Cursor(bench.directory / "cursor").position == Position(bench.stream.end, (size, -1))


@pytest.mark.parametrize("after", [Settings(), Settings(parse="json"), Settings(multiline_pattern="^x")])
def test_no_line_is_lost_when_options_change_between_two_starts(bench: LineBench, after: Settings) -> None:
    bench.print(b"A 1", b"x")
    bench.print(b"A err", b"z", stream=b"stderr")
    assert bench.deliver() == []
    bench.settings = after
    bench.open()
    bench.stream.finish(1.0)
    found = b"\n".join(bench.deliver()).split(b"\n")
    assert sorted(found) == [b"A 1", b"A err", b"x", b"z"]


def test_multiline_may_begin_with_an_unfinished_line(bench: LineBench) -> None:
    bench.settings = Settings()
    bench.open()
    whole = pieces(b"A" + b"x" * 40_000)
    bench.stream.append(whole[:20_000])
    bench.deliver()
    bench.settings = LineBench.settings
    bench.open()
    bench.stream.append(whole[20_000:])
    bench.print(b"y", b"A 2")
    assert bench.deliver() == [b"A" + b"x" * 40_000 + b"\ny"]


def test_a_record_far_behind_is_sent_alone(bench: LineBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "MAX_SPAN", 1000)
    bench.print(b"A err", stream=b"stderr")
    assert bench.deliver() == []
    for number in range(100):
        bench.print(b"A %d" % number)
        found = bench.deliver()
        if b"A err" in found:
            break
    assert b"A err" in found and 1000 < bench.stream.end < 1200
    bench.print(b"more", b"A 2")
    assert bench.deliver() == [b"A %d\nmore" % number]


def test_skip_asks_for_a_record_that_is_in_the_way(bench: LineBench) -> None:
    bench.print(b"A 1", b"x")
    bench.deliver()
    assert not bench.feed.skip(bench.stream.end)
    assert bench.deliver() == [b"A 1\nx"]
    assert bench.feed.counters.given_up == {}


def test_a_take_that_is_thrown_away_does_not_use_the_rate(bench: LineBench) -> None:
    bench.settings = Settings(rate_limit=5)
    bench.open()
    bench.print(*(b"%d" % number for number in range(10)))
    assert bench.take(budget=10, strict=True) is None
    part = bench.take()
    assert part is not None and bodies(part.payload) == [b"%d" % number for number in range(5)]
    assert (bench.feed.counters.passed.lines, part.excluded) == ([10, 0], {"rate_limit": 5})


def test_lines_left_out_that_are_put_back_and_then_given_up_have_one_fate(bench: LineBench) -> None:
    bench.settings = Settings(exclude_pattern="^debug")
    feed = bench.open()
    bench.print(*(b"debug %d" % number if number % 2 else b"info %d" % number for number in range(10)))
    part = bench.take()
    assert part is not None and feed.put_back(part)
    assert feed.skip(bench.stream.end) and feed.counters.given_up == {"journal_full": 10}
    assert fates(feed) == {"delivered": 0, "journal_full": 10, "waiting": 0}
    bench.print(b"debug 10", b"info 11")
    part = bench.take()
    assert part is not None and not feed.counters.excluded
    feed.settle(part)
    assert fates(feed) == {"delivered": 0, "journal_full": 10, "exclude": 1, "waiting": 1}
    bench.feed.counters.delivered += 1


def test_small_budgets_leave_nothing_out(bench: LineBench) -> None:
    for number in range(200):
        bench.print(b"A %d" % number, b"x" * 50, stream=(b"stdout", b"stderr")[number % 2])
    found: list[bytes] = []
    while part := bench.take(budget=300):
        bench.feed.settle(part)
        bench.feed.commit()
        found += bodies(part.payload)
    bench.stream.finish(1.0)
    found += bench.deliver()
    assert sorted(found) == sorted(b"A %d\n%s" % (number, b"x" * 50) for number in range(200))


def test_a_record_counts_once_with_its_severity_when_it_has_its_fate(bench: LineBench) -> None:
    bench.settings = Settings(parse="json", severity="auto")
    feed = bench.open_feed()
    bench.print(b'{"level": "error", "msg": "a"}', b"ERROR b", b"WARN c", b"d")
    part = bench.take()
    assert part is not None and feed.put_back(part)  # what is put back has counted nothing: a counter never falls
    part = bench.take()
    assert part is not None and (feed.counters.records, feed.counters.severities) == (0, ())
    feed.settle(part)
    assert (feed.counters.records, feed.counters.severities) == (4, (0, 0, 0, 1, 2, 0))
    bench.print(b"e", b"FATAL f")
    part = bench.take()
    assert part is not None
    feed.settle(part)
    assert (feed.counters.records, feed.counters.severities) == (6, (0, 0, 0, 1, 2, 1))
