"""One stream on its way to one destination: what is encoded, in flight and delivered.

In: bytes of the journal. Out: `Part`s (encoded records with the position behind them), taken in order by the pump,
which calls `commit` in the same order once a part is delivered or given up. `take` runs in a worker thread, everything
else on the event loop; the pump never has two `take`s of one feed at work.

The records are made by the codec, or by an encoder before it where options want more of single lines; both keep the
contract in `codec/contract.py`.

Given up here, and counted: what the journal lost or the limit's policy `drop-oldest` skips (`journal_full`), and
damaged bytes.
"""

from __future__ import annotations

import errno
import logging
import time
from dataclasses import dataclass, field

from otellogdriver.codec.contract import BOTH, MAX_FRAME, NOTHING, Codec, Encoded, EncodeOptions, Encoder, Open
from otellogdriver.journal.cursor import Cursor, Position
from otellogdriver.journal.store import Entry
from otellogdriver.journal.stream import Reader

log = logging.getLogger(__name__)

CHUNK = 256 << 10
"""Bytes encoded in one call: the output stays within a core's cache."""
BUFFER = MAX_FRAME + CHUNK
"""Bytes of buffer that `take` needs: room for the longest frame."""
MAX_AGE = 30.0
"""Seconds after which an unfinished record is sent as it is, and an unfinished frame is taken for damage."""
MAX_SPAN = 8 << 20
"""Bytes of the stream that may follow the begin of an unfinished line (the other stream's lines) before it is sent as
it is: they cannot be deleted until then, and all of them are read again at the next start."""


@dataclass(slots=True)
class Counters:
    """What came of a feed's lines so far. Lists are [stdout, stderr]."""

    lines: list[int] = field(default_factory=lambda: [0, 0])
    bytes: list[int] = field(default_factory=lambda: [0, 0])
    delivered: int = 0
    damaged_bytes: int = 0
    excluded: dict[str, int] = field(default_factory=dict)
    """Reason -> lines that the options leave out."""
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


class Feed:
    """See the module's text. Raises OSError where the journal cannot be read."""

    def __init__(
        self,
        entry: Entry,
        cursor: Cursor,
        codec: Codec,
        options: EncodeOptions,
        resource: bytes,
        encoder: Encoder | None = None,
    ) -> None:
        self.entry = entry
        self.stream = entry.stream
        self.resource = resource
        self.counters = Counters()
        self._cursor = cursor
        self._codec = codec
        self._encoder: Encoder = encoder or codec
        self._options = options
        self._reader = Reader(self.stream)
        self._carry: tuple[Open | None, Open | None] = NOTHING
        self._seen = 0
        self._partial_end = 0
        self._torn_at, self._torn_since = -1, 0.0
        self._opens, self._sizes = (-1, -1), [0, 0]
        self._open_since, self._grown = [0.0, 0.0], [0.0, 0.0]
        self._hurried = False
        self._skipped_to = 0
        self._unreadable = (-1, 0.0)
        self._told_of_cursor = False
        position = cursor.position
        if position.offset > self.stream.end:
            position = Position(self.stream.end)
        if position.offset < self.stream.start:
            position = Position(self.stream.start)
        self.offset = position.offset
        self._rebuild(position)
        self.stream.advance(boundary=self.offset)

    def _rebuild(self, position: Position) -> None:
        """Bring back the carry from the journal, where the unfinished lines still are."""
        if position.needed == position.offset:
            return
        buffer = memoryview(bytearray(position.offset - position.needed))
        try:
            start, got = self._reader.read(position.needed, buffer)
        except OSError:
            start, got = position.needed, 0
        if start == position.needed and got == len(buffer):
            self._carry = self._encoder.rebuild(buffer, start, position.opens)
            if self._begins() != position.opens:  # the options of then held lines that those of now do not
                self.offset, self._carry = position.needed, NOTHING
        else:
            log.error(
                "%s: the begin of an unfinished line at offset %d is lost", self.stream.directory, position.needed
            )

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
        """Nothing is left to take, ever; parts that were taken may be under way."""
        return self.stream.ended_at is not None and not self.unfinished

    @property
    def needs_work(self) -> bool:
        """Whether `take` would do anything now."""
        if self.stream.end != self._seen or self.offset < self._partial_end:
            return True
        return self.unfinished and (
            self.stream.ended_at is not None or self._old_records() != 0 or self._frame_is_old()
        )

    @property
    def wait(self) -> float:
        """Seconds until something unfinished may be too old."""
        now = time.monotonic()
        torn = now if self._torn_at < 0 else self._torn_since
        return min([torn + MAX_AGE, *(due for due in self._due() if due is not None)]) - now

    def _due(self) -> tuple[float | None, float | None]:
        """When the unfinished record of each stream is too old, if it still is the one that was there."""
        out, err = (
            min(self._open_since[stream] + MAX_AGE, self._grown[stream] + group.patience)
            if group is not None and group.begin == self._opens[stream]
            else None
            for stream, group in enumerate(self._carry)
        )
        return out, err

    def _old_records(self) -> int:
        """The mask of the streams whose unfinished record is too old (or in the way)."""
        if self._carry == NOTHING:
            return 0
        now = time.monotonic()
        return sum(
            1 << stream for stream, due in enumerate(self._due()) if due is not None and (self._hurried or due <= now)
        )

    def _frame_is_old(self) -> bool:
        return self._torn_at == self.offset and time.monotonic() - self._torn_since >= MAX_AGE

    def take(self, buffer: memoryview, budget: int, observed: int, strict: bool) -> Part | None:
        """Encode what waits, about `budget` bytes of it; None if there is nothing new to say.

        `buffer` has BUFFER bytes to work in. A single record may pass the budget, unless `strict`: then the feed stays
        before it. Worker thread.
        """
        ended = self.stream.ended_at is not None  # asked before `end`: a stream that has ended does not grow
        end = self._seen = self.stream.end
        before = self.offset, self._begins()
        payload: list[bytes] = []
        size = records = 0
        full = False
        while True:
            try:
                encoded = self._encode(buffer[:CHUNK], end, budget - size, observed, ended)
                if encoded.end == self.offset and not encoded.payload and end - self.offset > CHUNK:
                    encoded = self._encode(buffer, end, budget - size, observed, ended)  # a frame longer than CHUNK
            except OSError:
                self._seen = -1
                if not payload:
                    raise
                break
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
            if self.offset >= end and self._carry == NOTHING:
                break  # the common end
            if not progress or size >= budget:
                full = progress
                break
        self._partial_end = end if full else 0
        self._note_age(-1 if full or self.offset >= end else self.offset)
        self.stream.advance(boundary=self.offset)
        if (self.offset, self._begins()) == before and not payload:
            return None
        return Part(self, payload, size, records, Position(self.offset, self._begins()))

    def _encode(self, buffer: memoryview, end: int, limit: int, observed: int, ended: bool) -> Encoded:
        """The next chunk. A frame that is cut by a gap of the journal or by the end of the FIFO gets no rest; one that
        is cut by `end`, and an unfinished line, are given up only when they are old and still the same."""
        offset, got = self.offset, 0
        if self.offset < end:
            offset, got = self._read(buffer)
        if offset > self.offset:
            self._lose(offset)
        last = offset + got >= end
        cut = ended and last
        flush = BOTH if cut else self._far(offset)
        chunk = buffer[:got]
        encoded = self._encoder.encode(chunk, offset, self._carry, self._options, observed, limit, flush, cut)
        if encoded.end == offset and encoded.carry == self._carry and not encoded.payload:
            if last:
                flush, cut = self._old_records(), self._frame_is_old()
            else:
                cut = got < len(buffer) and self._is_gap(offset + got, buffer[got:])
                flush = BOTH if cut else 0
            if flush or cut:
                encoded = self._encoder.encode(chunk, offset, self._carry, self._options, observed, limit, flush, cut)
        return encoded

    def _far(self, offset: int) -> int:
        """The mask of the streams whose unfinished record began MAX_SPAN or more before `offset`."""
        if self._carry == NOTHING:
            return 0
        return sum(1 << stream for stream, begin in enumerate(self._begins()) if 0 <= begin < offset - MAX_SPAN)

    def _read(self, buffer: memoryview) -> tuple[int, int]:
        """Like `Reader.read` at the feed's offset; a segment that cannot be read for MAX_AGE is given up."""
        try:
            found = self._reader.read(self.offset, buffer)
            if found == (self.offset, 0) and self.stream.end > self.offset:
                raise OSError(errno.ENODATA, "bytes are missing")
        except OSError:
            if not self._is_unreadable():
                raise
            return self.stream.behind(self.offset), 0
        return found

    def _is_gap(self, offset: int, buffer: memoryview) -> bool:
        """Whether the bytes at `offset` will never be there, but others behind them are."""
        try:
            return self._reader.read(offset, buffer[:1])[0] > offset
        except OSError:
            if not self._is_unreadable():
                raise
            return True

    def _is_unreadable(self) -> bool:
        """Reading has just failed: has it for MAX_AGE at this place?"""
        now = time.monotonic()
        if self._unreadable[0] != self.offset:
            self._unreadable = self.offset, now
        return now - self._unreadable[1] >= MAX_AGE

    def _tally(self, encoded: Encoded) -> None:
        counters = self.counters
        for stream in (0, 1):
            counters.lines[stream] += encoded.lines[stream]
            counters.bytes[stream] += encoded.bytes[stream]
        for reason, lines in encoded.excluded.items():
            counters.excluded[reason] = counters.excluded.get(reason, 0) + lines
        counters.damaged_bytes += encoded.skipped

    def _begins(self) -> tuple[int, int]:
        out, err = self._carry
        return -1 if out is None else out.begin, -1 if err is None else err.begin

    def _note_age(self, torn_at: int) -> None:
        """Since when have the unfinished records and the torn frame been the same?"""
        now = time.monotonic()
        begins = self._begins()
        for stream, group in enumerate(self._carry):
            if begins[stream] != self._opens[stream]:
                self._open_since[stream] = self._grown[stream] = now
            size = group.size if group else 0
            if size != self._sizes[stream]:
                self._sizes[stream], self._grown[stream] = size, now
        self._opens = begins
        self._hurried = False
        if torn_at != self._torn_at:
            self._torn_at, self._torn_since = torn_at, now

    def _lose(self, offset: int) -> None:
        """Bytes are gone from the journal."""
        log.error("%s: %d bytes before offset %d are lost", self.stream.directory, offset - self.offset, offset)
        self.counters.damaged_bytes += offset - self.offset
        self.offset = offset

    def skip(self, to: int) -> bool:
        """Give up whole frames up to offset `to` (policy `drop-oldest`), counted; whether there were any. Worker
        thread, never beside `take`.

        What is encoded already is not given up. Where only that and an unfinished line are in the way, the line is sent
        as it is with the next `take`. Of an unfinished line whose end is not skipped the end is still sent."""
        if self.offset >= to:
            if self._carry != NOTHING:
                self._hurried, self._seen = True, -1
            return False
        if not self.counters.given_up.get("journal_full"):
            log.error(
                "%s: the oldest waiting lines are given up (journal_full); counted in /metrics", self.stream.directory
            )
        before, buffer = self.offset, memoryview(bytearray(BUFFER))
        while self.offset < to:
            offset, got = self._reader.read(self.offset, buffer)
            if offset > self.offset:
                self._lose(offset)
                continue
            out, err, damaged, end = self._codec.count(buffer[:got], self.offset, to, False)
            if end == self.offset:
                break
            self._carry = NOTHING
            self.counters.lines[0] += out
            self.counters.lines[1] += err
            self.counters.damaged_bytes += damaged
            self.counters.give_up("journal_full", out + err)
            self.offset = end
        self._skipped_to = self.offset
        self.stream.advance(boundary=self.offset)
        return self.offset > before

    def commit(self, part: Part, sync: bool = False) -> None:
        """The part is done; the stream needs nothing before it any more."""
        try:
            self._cursor.commit(part.behind, sync)
            self._told_of_cursor = False
        except OSError as error:
            if not self._told_of_cursor:
                self._told_of_cursor = True
                log.warning(
                    "%s: cannot write the cursor: %s; after a crash lines may be sent twice",
                    self.stream.directory,
                    error,
                )

    def let_go(self) -> None:
        """Close the segment that was read last, if nobody reads it just now (the pump knows); it is opened again."""
        self._reader.close()

    def close(self) -> None:
        self._reader.close()
        self._cursor.close()
