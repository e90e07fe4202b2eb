"""One stream on its way to one destination: what is encoded, in flight and delivered.

In: bytes of the journal. Out: `Part`s (encoded records with the position behind them), taken in order by the pump,
which calls `commit` in the same order once a part is delivered or given up. `take` runs in a worker thread, everything
else on the event loop; the pump never has two `take`s of one feed at work.

Given up here, and counted: what the journal lost or the limit's policy `drop-oldest` skips (`journal_full`), and
damaged bytes.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

from otellogdriver.codec.contract import MAX_FRAME, NOTHING, Carry, Codec, Encoded, EncodeOptions
from otellogdriver.journal.cursor import Cursor, Position
from otellogdriver.journal.store import Entry
from otellogdriver.journal.stream import Reader

log = logging.getLogger(__name__)

CHUNK = 256 << 10
"""Bytes encoded in one call: the output stays within a core's cache."""
BUFFER = MAX_FRAME + CHUNK
"""Bytes of buffer that `take` needs: room for the longest frame."""
MAX_AGE = 30.0
"""Seconds after which an unfinished line is sent as it is, and an unfinished frame is taken for damage."""


@dataclass(slots=True)
class Counters:
    """What came of a feed's lines so far. Lists are [stdout, stderr]."""

    lines: list[int] = field(default_factory=lambda: [0, 0])
    bytes: list[int] = field(default_factory=lambda: [0, 0])
    delivered: int = 0
    excluded: int = 0
    damaged_bytes: int = 0
    given_up: dict[str, int] = field(default_factory=dict)
    """Reason -> lines."""

    def give_up(self, reason: str, lines: int) -> None:
        if lines:
            self.given_up[reason] = self.given_up.get(reason, 0) + lines


@dataclass(frozen=True, slots=True)
class Part:
    """Records of one feed for one request, and where the stream goes on behind them."""

    feed: Feed
    payload: list[bytes]
    size: int
    records: int
    behind: Position
    last_time: int


class Feed:
    """See the module's text. Raises OSError where the journal cannot be read."""

    def __init__(self, entry: Entry, cursor: Cursor, codec: Codec, options: EncodeOptions, resource: bytes) -> None:
        self.entry = entry
        self.stream = entry.stream
        self.resource = resource
        self.counters = Counters()
        self.queued = self.busy = False
        self.outstanding = 0
        self.since = 0.0
        self.last_time = 0
        """Time of the last delivered record, in nanoseconds since the epoch."""
        self._cursor = cursor
        self._codec = codec
        self._options = options
        self._reader = Reader(self.stream)
        self._carry: Carry = NOTHING
        self._seen = 0
        self._partial_end = 0
        self._torn_at = -1
        self._line_since = self._frame_since = time.monotonic()
        self._skipped_to = 0
        position = cursor.position
        if position.offset > self.stream.end:
            if self.stream.ended_at is None:
                self.stream.resume_at(position.offset)
            else:
                position = Position(self.stream.end)
        if position.offset < self.stream.start:
            position = Position(self.stream.start)
        self.offset = position.offset
        self._rebuild(position)
        self.stream.boundary = max(self.stream.boundary, self.offset)

    def _rebuild(self, position: Position) -> None:
        """Bring back the carry from the journal, where the unfinished lines still are."""
        if position.needed == position.offset:
            return
        buffer = memoryview(bytearray(position.offset - position.needed))
        start, got = self._reader.read(position.needed, buffer)
        if start == position.needed and got == len(buffer):
            self._carry = self._codec.rebuild(buffer, start, position.opens)

    @property
    def delivered(self) -> int:
        """Everything before is delivered or given up."""
        return max(self._cursor.position.offset, self._skipped_to)

    @property
    def needed(self) -> int:
        """The first byte of the journal that this feed may still read, after a crash, too."""
        return max(self._cursor.position.needed, self._skipped_to)

    @property
    def pending(self) -> int:
        """Bytes that are not yet encoded."""
        return self.stream.end - self.offset

    @property
    def unfinished(self) -> bool:
        """A line or frame is kept that waits for its rest (or for MAX_AGE to pass)."""
        return self._carry != NOTHING or self.pending > 0

    @property
    def exhausted(self) -> bool:
        """Nothing is left to do, ever."""
        return self.stream.ended_at is not None and not self.unfinished and not self.outstanding

    @property
    def needs_work(self) -> bool:
        """Whether `take` would do anything now."""
        if self.stream.end != self._seen or self.offset < self._partial_end:
            return True
        return self.unfinished and (self.stream.ended_at is not None or self._line_is_old() or self._frame_is_old())

    def _line_is_old(self) -> bool:
        return self._carry != NOTHING and time.monotonic() - self._line_since >= MAX_AGE

    def _frame_is_old(self) -> bool:
        return self.pending > 0 and time.monotonic() - self._frame_since >= MAX_AGE

    def take(self, buffer: memoryview, budget: int, observed: int, strict: bool) -> Part | None:
        """Encode what waits, about `budget` bytes of it; None if there is nothing new to say.

        `buffer` has BUFFER bytes to work in. A single record may pass the budget, unless `strict`: then the feed stays
        before it. Worker thread.
        """
        ended = self.stream.ended_at is not None  # asked before `end`: a stream that has ended does not grow
        end = self._seen = self.stream.end
        final = ended or self._frame_is_old()
        flush = final or self._line_is_old()
        before = self._state()
        payload: list[bytes] = []
        size = records = last_time = 0
        full = False
        while True:
            encoded = self._encode(buffer[:CHUNK], end, budget - size, observed, flush, final)
            if encoded.end == self.offset and not encoded.payload and end - self.offset > CHUNK:
                encoded = self._encode(buffer, end, budget - size, observed, flush, final)  # a frame longer than CHUNK
            if (strict or size) and size + len(encoded.payload) > budget:
                full = True
                break
            progress = encoded.end > self.offset or encoded.carry != self._carry
            self.offset, self._carry = encoded.end, encoded.carry
            self._tally(encoded)
            if encoded.payload:
                payload.append(encoded.payload)
                size += len(encoded.payload)
                records += encoded.records
                last_time = encoded.last_time
            if not progress or size >= budget:
                full = progress
                break
        self._partial_end = end if full else 0
        self._note_age(before)
        self.stream.boundary = self.offset
        if self._state() == before and not payload:
            return None
        out, err = (-1 if group is None else group.begin for group in self._carry)
        return Part(self, payload, size, records, Position(self.offset, (out, err)), last_time)

    def _encode(self, buffer: memoryview, end: int, limit: int, observed: int, flush: bool, final: bool) -> Encoded:
        offset, got = self.offset, 0
        if self.offset < end:
            offset, got = self._reader.read(self.offset, buffer)
        if offset > self.offset:
            self._lose(offset)
        last = offset + got >= end
        return self._codec.encode(
            buffer[:got], offset, self._carry, self._options, observed, limit, flush and last, final and last
        )

    def _tally(self, encoded: Encoded) -> None:
        counters = self.counters
        for stream in (0, 1):
            counters.lines[stream] += encoded.lines[stream]
            counters.bytes[stream] += encoded.bytes[stream]
        counters.excluded += encoded.excluded
        counters.damaged_bytes += encoded.skipped

    def _state(self) -> tuple[int, tuple[int, ...]]:
        return self.offset, tuple(-1 if group is None else group.begin for group in self._carry)

    def _note_age(self, before: tuple[int, tuple[int, ...]]) -> None:
        """Since when has the unfinished line or frame been the same?"""
        offset, begins = self._state()
        now = time.monotonic()
        if begins != before[1]:
            self._line_since = now
        if offset != before[0] or self._torn_at != offset:
            self._frame_since, self._torn_at = now, offset

    def _lose(self, offset: int) -> None:
        """Bytes are gone from the journal."""
        log.error("%s: %d bytes before offset %d are lost", self.stream.directory, offset - self.offset, offset)
        self.counters.damaged_bytes += offset - self.offset
        self.offset = offset

    def skip(self, to: int) -> None:
        """Give up whole frames up to offset `to` (policy `drop-oldest`), counted. Worker thread, never beside `take`."""
        buffer = memoryview(bytearray(1 << 20))
        while self.offset < to:
            offset, got = self._reader.read(self.offset, buffer)
            if offset > self.offset:
                self._lose(offset)
                continue
            out, err, damaged, end = self._codec.count(buffer[:got], self.offset, to, False)
            if end == self.offset:
                break
            open_lines = sum(group is not None for group in self._carry)
            self._carry = NOTHING
            self.counters.lines[0] += out
            self.counters.lines[1] += err
            self.counters.damaged_bytes += damaged
            self.counters.give_up("journal_full", out + err + open_lines)
            self.offset = end
        self._skipped_to = self.stream.boundary = self.offset

    def commit(self, part: Part, sync: bool = False) -> None:
        """The part is done; the stream needs nothing before it any more."""
        try:
            self._cursor.commit(part.behind, sync)
        except OSError as error:
            log.warning(
                "%s: cannot write the cursor: %s; after a crash lines may be sent twice", self.stream.directory, error
            )
        self.last_time = part.last_time or self.last_time

    def close(self) -> None:
        self._reader.close()
        self._cursor.close()
