"""A kept stream's lines as the records that the driver would make of them, from any place to any other.

In: a snapshot's entry, the driver's environment, what is wanted. Out: a `Feed`, as the driver has one, but with a
cursor that is written only where that is asked for; and, of a feed, its requests. Finding a time assumes that the
engine's times do not go back within a stream.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from otellogdriver.codec.contract import MAX_FRAME, Codec
from otellogdriver.codec.frames import walk
from otellogdriver.commands.installation import Installation
from otellogdriver.commands.journal.snapshot import cursors
from otellogdriver.delivery.feed import BUFFER, CHUNK, Feed, Part
from otellogdriver.delivery.recipe import Recipe, container_of
from otellogdriver.export.request import SCOPE, resource_logs
from otellogdriver.journal.cursor import Cursor, Position
from otellogdriver.journal.entry import Entry
from otellogdriver.journal.layout import MAIN
from otellogdriver.journal.reader import Reader
from otellogdriver.journal.stream import Stream
from otellogdriver.resource import this_host
from otellogdriver.settings.options import Settings, resolve, resolve_running

_REQUEST = 1 << 20
"""Bytes of records that are made at a time."""
_GLANCE = 64 << 10
"""Bytes in which most often at least one frame begins and ends."""


@dataclass(frozen=True, slots=True)
class Journal:
    """What a command works on. `environ` is the driver's; `installed` is the plugin whose state directory this is."""

    state: Path
    entries: list[Entry]
    codec: Codec
    environ: Mapping[str, str] = field(repr=False)
    installed: Installation | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """What is wanted of a stream: times in nanoseconds (`until` 0: no bound), whether only what is not delivered to
    `role`, and nothing before the offset `begin`. With `whole` an unfinished last line counts as a line; without, it is
    left for the driver to finish."""

    since: int = 0
    until: int = 0
    undelivered: bool = False
    role: str = MAIN
    whole: bool = True
    begin: int = 0


class _Unwritten(Cursor):
    """A place in memory alone."""

    def __init__(self, position: Position) -> None:
        self.damaged = False
        self.position = position

    def write(self, sync: bool = False) -> None:
        return None

    def close(self) -> None:
        return None


def settings_of(entry: Entry, environ: Mapping[str, str]) -> Settings:
    """The container's settings, as the driver has them."""
    return resolve_running(entry.log_opts, environ)[0]


def feed_of(
    entry: Entry,
    codec: Codec,
    environ: Mapping[str, str],
    span: Span,
    all_streams: bool = False,
    commit: bool = False,
    log_opts: Mapping[str, str] | None = None,
) -> Feed:
    """What the driver would send of this stream, within `span`; the entry's snapshot is cut to it. With `commit` the
    cursor on disk moves as parts are committed. `all_streams`: also the one that the option `streams` leaves out.
    `log_opts` are tried in place of the container's own of the same names. Raises OptionError if they are wrong."""
    settings, stream = settings_of(entry, environ), entry.stream
    if log_opts:
        settings = resolve({**entry.log_opts, **log_opts}, environ)
    cursor = cursors(entry, environ).get(span.role) or _Unwritten(Position())
    position = cursor.position if span.undelivered else Position(stream.start)
    begin = max(span.begin, offset_at(stream, span.since) if span.since else 0)
    if begin > position.offset:
        position = Position(begin)
    if span.until:
        stream.end = max(position.offset, offset_at(stream, span.until + 1))
    if span.whole or span.until:
        stream.ended_at = stream.ended_at or time.time()
    if not commit:
        cursor = _Unwritten(position)
    recipe = Recipe.of(container_of(entry), settings, entry.file, codec, this_host(environ), all_streams)
    feed = recipe.feed(entry, cursor)
    feed.let_go()  # there may be more of them than files can be open
    return feed


def parts(feed: Feed, seen: Callable[[int], None] = lambda size: None) -> Iterator[Part]:
    """The feed's records up to its end; `seen` is told how many bytes of the stream each part took. Raises OSError
    where the journal cannot be read."""
    buffer = memoryview(bytearray(BUFFER))
    try:
        while feed.needs_work:
            before = feed.offset
            part = feed.take(buffer, _REQUEST, time.time_ns(), strict=False)
            seen(feed.offset - before)
            if part is None:
                return
            yield part
    finally:
        feed.close()


def requests(feed: Feed, seen: Callable[[int], None] = lambda size: None) -> Iterator[bytes]:
    """The same as encoded requests."""
    for part in parts(feed, seen):
        if part.payload:
            yield b"".join(resource_logs(feed.resource, part.payload, SCOPE))


def count(feed: Feed, seen: Callable[[int], None] = lambda size: None) -> int:
    """How many records the feed would still send. Raises OSError."""
    return sum(part.records for part in parts(feed, seen))


# Finding places.


def offset_at(stream: Stream, moment: int) -> int:
    """Where the first frame begins that was printed at `moment` or later; the end if there is none. Raises OSError."""
    segments = stream.segments
    index = bisect_left(segments, moment, key=lambda segment: _first_time(stream, segment.start))
    start = segments[max(0, index - 1)].start if segments else stream.end
    return next((offset for offset, printed in _frames(stream, start) if printed >= moment), stream.end)


def first_time(stream: Stream, offset: int) -> int:
    """When the first line at or after the offset was printed; 0 if there is none. Raises OSError."""
    return next((printed for _, printed in _frames(stream, offset)), 0)


def last_time(stream: Stream, codec: Codec, before: int) -> int:
    """When the last line that ends before the offset was printed; 0 if it is not kept any more. Raises OSError."""
    size = _GLANCE
    while True:
        start = max(stream.start, before - size)
        if start >= before:
            return 0
        start, data = _read(stream, start, before - start)
        if start + len(data) < before:  # a gap is in between
            last = max((segment.start for segment in stream.segments if segment.start < before), default=start)
            start, data = _read(stream, last, before - last)
        places = codec.positions(data, start)
        if places:
            return next(walk(data[places[-1] - start :], True))[3]
        if start == stream.start or size > MAX_FRAME:
            return 0
        size *= 8


def tail_at(stream: Stream, codec: Codec, lines: int, least: int) -> tuple[int, int]:
    """(a place after which so many lines end, or `least`; how many do). Raises OSError."""
    found, behind = 0, stream.end
    for segment in reversed(stream.segments):
        if segment.start >= behind:
            continue
        start, data = _read(stream, max(segment.start, least), behind - max(segment.start, least))
        out, err, *_ = codec.count(data, start, behind, True)
        found, behind = found + out + err, start
        # One more than is wanted, because the first may be the end of a line that begins in the segment before.
        if found > lines or start <= least:
            break
    return behind, found


def _first_time(stream: Stream, offset: int) -> int:
    return first_time(stream, offset) or 1 << 63


def _frames(stream: Stream, start: int) -> Iterator[tuple[int, int]]:
    """(offset, time) of each whole frame from `start` on; what is no frame is passed over."""
    size = _GLANCE
    while start < stream.end:
        start, data = _read(stream, start, min(size, stream.end - start))
        if not data:
            return
        at = 0
        for begin, end, source, printed, *_ in walk(data, False):
            if source >= 0:
                yield start + begin, printed
            at = end
        if at == 0:
            if size > MAX_FRAME:
                return
            size = BUFFER
            continue
        start, size = start + at, CHUNK


def _read(stream: Stream, start: int, size: int) -> tuple[int, bytes]:
    """(offset, bytes) from `start` on, or from the next offset that is kept; fewer than `size` before a gap."""
    reader, buffer = Reader(stream), memoryview(bytearray(size))
    try:
        offset, got = reader.read(start, buffer)
        return offset, bytes(buffer[:got])
    finally:
        reader.close()
