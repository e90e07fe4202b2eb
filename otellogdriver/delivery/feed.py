"""One stream on its way to one destination: what is encoded, in flight and delivered.

In: bytes of the journal. Out: `Part`s (encoded records, and the position after them), which the pump takes in order; it
calls `settle` in the same order, once all records of a part are delivered or given up, and then has `commit` called.
`take` and `skip` run in a worker thread, never two at a time for one feed; `commit` runs in a thread that may wait for
the disk, everything else on the event loop.

The records are made by the codec, or, where options look at single lines, by an encoder that uses the codec; both keep
the contract in `codec/contract.py`.

A feed moves only with success: whatever `take` raises, the feed is as before the call, and the pump puts back a part of
which no request was made (`put_back`). Given up here, and counted: lines that the policy `drop-oldest` skips
(`journal_full`), bytes that the journal lost or that are damaged, and a frame over which an encoder of ours fails for
MAX_AGE (`fault`).
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from otellogdriver.codec.contract import BOTH, MAX_FRAME, NOTHING, Codec, Encoded, EncodeOptions, Encoder, Open
from otellogdriver.delivery.counters import Counters, Passed
from otellogdriver.delivery.patience import Patience, begins, far
from otellogdriver.errors import is_shortage
from otellogdriver.export.request import AROUND
from otellogdriver.journal.cursor import Cursor, Position
from otellogdriver.journal.entry import Entry
from otellogdriver.journal.reader import Reader

log = logging.getLogger(__name__)

CHUNK = 256 << 10
"""Bytes encoded in one call: the output stays within a core's cache."""
BUFFER = MAX_FRAME + CHUNK
"""Bytes of buffer that `take` needs: room for the longest frame."""


@dataclass(slots=True, eq=False)
class Part:
    """Records of one feed for one request. They were made of the stream's bytes from offset `begin` to the position
    `behind`, where the feed goes on. `payload` holds `records` records in `size` bytes. `severities` says how many of
    them have which severity, `excluded` (reason -> lines) what the options left out; `before` is the feed's state
    before the part was taken, for `put_back`. A part does not change, but its `payload` may move in memory."""

    feed: Feed
    payload: Sequence[bytes | memoryview]
    size: int
    records: int
    begin: int
    behind: Position
    before: _State
    severities: Sequence[int] = ()
    excluded: Mapping[str, int] = field(default_factory=dict)


_State = tuple[int, Any, Passed]
"""Offset, carry; what the counters have passed."""


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
        self.around = len(resource) + AROUND
        """Most bytes that a part takes in a request beside its records."""
        self.counters = Counters()
        self._cursor = cursor
        self._codec = codec
        self._encoder: Encoder = encoder or codec
        self._options = options
        self._reader = Reader(self.stream)
        self._carry: tuple[Open | None, Open | None] = NOTHING
        self._seen = 0
        self._partial_end = 0
        self._patience = Patience(self.stream)
        self._skipped_to = 0
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
        """Make the carry again from the journal, which still has the unfinished lines."""
        if position.needed == position.offset:
            return
        buffer = memoryview(bytearray(position.offset - position.needed))
        try:
            start, got = self._reader.read(position.needed, buffer)
        except OSError:
            start, got = position.needed, 0
        if start == position.needed and got == len(buffer):
            self._carry = self._encoder.rebuild(buffer, start, position.opens)
            if begins(self._carry) != position.opens:  # the options of then held lines that those of now do not
                self.offset, self._carry = position.needed, NOTHING
        else:
            log.error(
                "%s: the begin of an unfinished line at offset %d is lost", self.stream.directory, position.needed
            )

    @property
    def delivered(self) -> int:
        """The offset before which everything is delivered or given up, though the cursor may not be written yet."""
        return max(self._cursor.position.offset, self._skipped_to)

    def begin(self) -> None:
        """Have the next `commit` write down where the feed begins."""
        self._cursor.move(self.position)

    def settle(self, part: Part) -> None:
        """Every record of the part has its fate, and its bytes in the stream are not needed any more. The next `commit`
        writes that down. To be called once for each part, in order."""
        self._cursor.move(part.behind)
        self.counters.settle(part.records, part.severities, part.excluded)

    @property
    def position(self) -> Position:
        """Where `take` goes on."""
        return Position(self.offset, begins(self._carry))

    @property
    def needed(self) -> int:
        """The offset of the first byte that this feed may still read, now or after a crash."""
        return max(self._cursor.position.needed, self._skipped_to)

    @property
    def pending(self) -> int:
        """Bytes that are not yet encoded."""
        return self.stream.end - self.offset

    @property
    def unfinished(self) -> bool:
        """Whether there is a line or frame that waits for its rest, or until MAX_AGE has passed."""
        return self._carry != NOTHING or self.pending > 0

    @property
    def exhausted(self) -> bool:
        """Whether there will never be anything to take again; parts that were taken may still be under way."""
        return self.stream.ended_at is not None and not self.unfinished

    @property
    def needs_work(self) -> bool:
        """Whether `take` would do anything now."""
        end = self.stream.end
        if end != self._seen or self.offset < self._partial_end:
            return True
        return (end > self.offset or self._carry != NOTHING) and (
            self.stream.ended_at is not None
            or self._patience.old_records(self._carry) != 0
            or self._patience.is_old_frame(self.offset)
        )

    @property
    def is_cut(self) -> bool:
        """Whether the last `take` left something because its budget had no room for it."""
        return self.offset < self._partial_end

    @property
    def wait(self) -> float:
        """Seconds until something unfinished may be too old."""
        return self._patience.left(self._carry)

    def take(self, buffer: memoryview, budget: int, observed: int, strict: bool) -> Part | None:
        """Encode what waits, until there are about `budget` bytes of records; None if nothing has changed.

        `buffer`: BUFFER bytes to work in. `observed`: for records without a time, in nanoseconds since the epoch. A
        first record that is longer than the budget is taken all the same, unless `strict`: then it is left. Worker
        thread. Whatever this raises, the feed is as before, and `needs_work`.
        """
        ended = self.stream.ended_at is not None  # asked before `end`: a stream that has ended does not grow
        end = seen = self.stream.end
        offset, carry = self.offset, self._carry
        done: list[Encoded] = []
        size = lost = 0
        full = False
        while True:
            try:
                start, encoded = self._encode(buffer[:CHUNK], offset, carry, end, budget - size, observed, ended)
                if encoded.end == start and not encoded.payload and end - start > CHUNK:  # a frame longer than CHUNK
                    start, encoded = self._encode(buffer, offset, carry, end, budget - size, observed, ended)
            except Exception as error:
                seen = self._seen = -1
                if offset > self.offset:
                    break
                if isinstance(error, OSError | MemoryError) or not self._patience.is_lasting("encoding", offset):
                    raise
                return self._give_up_frame(buffer, error)
            if (strict or size) and size + len(encoded.payload) > budget:
                full = True
                break
            progress = encoded.end > offset or encoded.carry != carry
            lost += start - offset
            offset, carry = encoded.end, encoded.carry
            done.append(encoded)
            size += len(encoded.payload)
            if offset >= end and carry == NOTHING:
                break  # the common end
            if not progress or size >= budget:
                full = progress
                break
        return self._move(offset, carry, done, size, lost, seen, end if full else 0, end)

    def _move(
        self, offset: int, carry: Any, done: list[Encoded], size: int, lost: int, seen: int, partial_end: int, end: int
    ) -> Part | None:
        """What `take` has made becomes the feed's state. What may fail comes first, then what cannot."""
        position = Position(offset) if carry == NOTHING else Position(offset, begins(carry))
        passed, severities, excluded = self.counters.after(done, lost)
        part = None
        if size or excluded or position != self.position:
            payload, records = [], 0
            for encoded in done:
                if encoded.payload:
                    payload.append(encoded.payload)
                    records += encoded.records
            before = self.offset, self._carry, self.counters.passed
            part = Part(self, payload, size, records, self.offset, position, before, severities, excluded)
        if lost:
            log.error("%s: %d bytes before offset %d are lost", self.stream.directory, lost, offset)
        self._patience.note(carry, -1 if partial_end or offset >= end else offset)
        self.stream.advance(boundary=offset)
        self.counters.passed = passed
        self.offset, self._carry, self._seen, self._partial_end = offset, carry, seen, partial_end
        return part

    def put_back(self, part: Part) -> bool:
        """Undo the `take` that made this part. False, and nothing done, if something was taken or skipped since."""
        if self.offset != part.behind.offset or begins(self._carry) != part.behind.opens:
            return False
        offset, carry, passed = part.before
        self.counters.go_back(passed)
        self.offset, self._carry, self._seen = offset, carry, -1
        return True

    def _encode(
        self, buffer: memoryview, offset: int, carry: Any, end: int, limit: int, observed: int, ended: bool
    ) -> tuple[int, Encoded]:
        """Encode the next chunk: (offset of its first byte, what came of it). It begins beyond `offset` where bytes are
        lost. A frame that is cut by a gap in the journal, or by the end of a stream that has ended, gets no rest.
        One that is cut by `end` may still get it: it is taken for damage only when it is old and still the same, as an
        unfinished line is only then sent as it is."""
        start, got = offset, 0
        if offset < end:
            start, got = self._read(offset, buffer)
        last = start + got >= end
        cut = ended and last
        flush = BOTH if cut else 0 if carry == NOTHING else far(carry, start)
        chunk = buffer[:got]
        encoded = self._encoder.encode(chunk, start, carry, self._options, observed, limit, flush, cut)
        if encoded.end == start and encoded.carry == carry and not encoded.payload:
            if last:
                flush, cut = self._patience.old_records(carry), self._patience.is_old_frame(start)
            else:
                cut = got < len(buffer) and self._is_gap(start, start + got, buffer[got:])
                flush = BOTH if cut else 0
            if flush or cut:
                encoded = self._encoder.encode(chunk, start, carry, self._options, observed, limit, flush, cut)
        return start, encoded

    def _read(self, offset: int, buffer: memoryview) -> tuple[int, int]:
        """Like `Reader.read`. A segment that cannot be read for MAX_AGE is given up; until then this raises OSError."""
        try:
            found = self._reader.read(offset, buffer)
            if found == (offset, 0) and self.stream.end > offset:
                raise OSError(errno.ENODATA, "bytes are missing")
        except OSError:
            if not self._patience.is_lasting("reading", offset):
                raise
            return self.stream.behind(offset), 0
        return found

    def _is_gap(self, start: int, offset: int, buffer: memoryview) -> bool:
        """Whether the bytes at `offset` are lost for good, while bytes after them are there."""
        try:
            return self._reader.read(offset, buffer[:1])[0] > offset
        except OSError:
            if not self._patience.is_lasting("reading", start):
                raise
            return True

    def _give_up_frame(self, buffer: memoryview, error: Exception) -> Part | None:
        """Give up the frame over which the encoder always fails, and the unfinished line that it may belong to. Raises
        `error` if no whole frame is found."""
        start, got = self._reader.read(self.offset, buffer)
        out, err, damaged, end = self._codec.count(buffer[:got], start, start + 1, False)
        if end == start:
            raise error
        log.error("%s: the line at offset %d is given up: %r", self.stream.directory, start, error)
        state: _State = self.offset, self._carry, self.counters.passed
        part = Part(self, [], 0, 0, self.offset, Position(end), state)
        self.counters.skip(damaged, (out, err), "fault")
        self.offset, self._carry, self._seen = end, NOTHING, -1
        return part

    def skip(self, to: int, spares_one: bool = False) -> bool:
        """Give up whole frames up to offset `to` (policy `drop-oldest`), counted; whether there were any. Worker
        thread, never beside `take`.

        What is encoded already is not given up, nor, with `spares_one`, a line that is all there is. Where nothing else
        is before `to`, an unfinished line that keeps the journal's bytes is sent as it is by the next `take`. If the
        beginning of a line is given up and its end is not, the end is still sent."""
        if self.offset >= to:
            if self._carry != NOTHING:
                self._patience.end()
                self._seen = -1
            return False
        before, buffer = self.offset, memoryview(bytearray(BUFFER))
        if spares_one and self._is_one_line(buffer):
            return False
        if not self.counters.given_up.get("journal_full"):
            log.error(
                "%s: the oldest waiting lines are given up (journal_full); counted in /metrics", self.stream.directory
            )
        try:
            while self.offset < to and self._skip_some(to, buffer):
                pass
        finally:
            if self.offset > before:
                self._skipped_to = self.offset
                self.stream.advance(boundary=self.offset)
        return self.offset > before

    def _is_one_line(self, buffer: memoryview) -> bool:
        """Whether no more than a line is left: it waits for its rest, not for the destination."""
        end = self.stream.end  # asked first, because it grows
        try:
            offset, got = self._reader.read(self.offset, buffer)
        except OSError as error:
            if is_shortage(error):
                raise
            return False
        if offset > self.offset or offset + got < end:
            return False
        out, err, damaged, _ = self._codec.count(buffer[:got], offset, offset + got, False)
        return out + err <= 1 and not damaged

    def _skip_some(self, to: int, buffer: memoryview) -> bool:
        """Give up a chunk; False where no whole frame is left. Bytes that are missing or cannot be read are given up at
        once as damage: there is no room to wait for them. Raises OSError for a shortage."""
        offset, got = self.offset, 0
        try:
            offset, got = self._reader.read(self.offset, buffer)
        except OSError as error:
            if is_shortage(error):
                raise
        if not got:
            offset = self.stream.behind(self.offset)
        if offset > self.offset:
            log.error("%s: %d bytes before offset %d are lost", self.stream.directory, offset - self.offset, offset)
            self.counters.skip(offset - self.offset)
            self.offset, self._carry = offset, NOTHING
            return True
        cut = 0 < got < len(buffer) and self._has_gap(offset + got, buffer[got:])
        out, err, damaged, end = self._codec.count(buffer[:got], offset, to, cut)
        if end == offset:
            return False
        self._carry = NOTHING
        self.counters.skip(damaged, (out, err), "journal_full")
        self.offset = end
        return True

    def _has_gap(self, offset: int, buffer: memoryview) -> bool:
        """Whether the bytes at `offset` cannot be read, though the stream goes on there."""
        try:
            found, got = self._reader.read(offset, buffer[:1])
        except OSError as error:
            if is_shortage(error):
                raise
            return True
        return found > offset or (not got and offset < self.stream.end)

    def commit(self, sync: bool = False) -> None:
        """Write down what is settled. May wait for the disk: not on the event loop. One thread at a time."""
        try:
            self._cursor.write(sync)
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
