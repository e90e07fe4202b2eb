"""The stages of this folder behind the contract of an encoder (`codec/contract.py`): what a feed calls in place of a
codec.

Nothing is kept between calls that their arguments do not tell, but for how far the rate limit is used and what the last
record began with: that is remembered for the two places where the next call may begin, the begin of the last one (whose
result may be thrown away) and its end. Whoever begins elsewhere, after a restart for one, has the whole burst again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otellogdriver.codec.contract import BOTH, NOTHING, Codec, Encoded, EncodeOptions, Line
from otellogdriver.lines.multiline import NO_HEADS, Heads, Joining, Record
from otellogdriver.lines.redaction import Cuts, without_edges
from otellogdriver.lines.selection import Selection, Used
from otellogdriver.lines.writer import Writer, Written

_ALL = sys.maxsize

Chunk = bytes | bytearray | memoryview
Place = tuple[int, int, int]
"""Offset, and where the unfinished records of stdout and stderr begin (-1: none)."""


@dataclass(slots=True)
class _Pass:
    """What the stages before the writer make of a chunk."""

    records: Sequence[Line | Record]
    kept: Sequence[int]
    excluded: Mapping[str, int]
    used: Used
    end: int
    carry: Any
    skipped: int
    heads: Heads
    cuts: Cuts

    def step(self, kept: int) -> int:
        """The step (see `Joining.join`) that ended the record at this place of `kept`."""
        index = self.kept[kept]
        record = self.records[index]
        return record[6] if len(record) > 4 else index


class LineEncoder:
    """See the module's text. One feed's: its calls follow each other."""

    def __init__(
        self, codec: Codec, joining: Joining | None, selection: Selection, writer: Writer, redacts: bool
    ) -> None:
        self._codec = codec
        self._joining = joining
        self._selection = selection
        self._writer = writer
        self._used: dict[Place, Used] = {}
        self._heads: dict[Place, Heads] = {}
        self._cuts: dict[Place, Cuts] = {}
        self._redacts = redacts

    def encode(
        self,
        chunk: Chunk,
        start: int,
        carry: Any,
        options: EncodeOptions,
        observed: int,
        limit: int,
        flush: int = 0,
        final: bool = False,
    ) -> Encoded:
        """See `codec.contract.Codec`. Lines, bytes and what is excluded are counted when their record is finished."""
        flush = BOTH if final else flush
        done = self._pass(chunk, start, carry, flush, final, _ALL)
        records = _some(done.records, done.kept)
        nothing: Written = b"", 0, ()
        payload, written, severities = self._writer.write(records, options, observed, limit) if records else nothing
        if written < len(records):
            # The same again, up to what ended the first record that found no room.
            done = self._pass(chunk, start, carry, flush, final, done.step(written))
        place = _place(start, carry)
        behind = _place(done.end, done.carry)
        self._used = {place: self._used.get(place, Used()), behind: done.used}
        self._heads = {place: self._heads.get(place, NO_HEADS), behind: done.heads}
        self._cuts = {place: self._cuts.get(place, (False, False)), behind: done.cuts}
        lines, size = _counts(done.records)
        return Encoded(
            payload=payload,
            records=written,
            lines=lines,
            bytes=size,
            excluded=done.excluded,
            first_time=records[0][1] if written else 0,
            last_time=records[written - 1][1] if written else 0,
            end=done.end,
            carry=done.carry,
            skipped=done.skipped,
            severities=severities,
        )

    def rebuild(self, chunk: Chunk, start: int, opens: tuple[int, int]) -> Any:
        """See `codec.contract.Codec`."""
        split = self._codec.split(chunk, start, NOTHING, final=True, opens=opens)
        lines: Sequence[Line] = without_edges(split.lines, (False, False))[0] if self._redacts else split.lines
        return self._joining.again(lines, split.carry) if self._joining else split.carry

    def _pass(self, chunk: Chunk, start: int, carry: Any, flush: int, final: bool, steps: int) -> _Pass:
        """At most so many steps of joining."""
        joining = self._joining
        pieces = carry if joining is None else joining.pieces(carry)
        split = self._codec.split(chunk, start, pieces, flush, final, -1 if steps == _ALL else steps)
        lines: Sequence[Line] = split.lines
        cuts = self._cuts.get(_place(start, carry), (False, False))
        if self._redacts:
            lines, cuts = without_edges(lines, cuts)
        records: Sequence[Line | Record] = lines
        carry_behind: Any = split.carry
        heads = self._heads.get(_place(start, carry), NO_HEADS)
        if joining is not None:
            streams = self._selection.streams
            records, carry_behind, heads = joining.join(lines, carry, split.carry, flush, streams, steps, heads)
        used = self._used.get(_place(start, carry), Used())
        kept, excluded, used = self._selection.apply(records, used)
        return _Pass(records, kept, excluded, used, split.end, carry_behind, split.skipped, heads, cuts)


def _some(records: Sequence[Any], kept: Sequence[int]) -> Sequence[Any]:
    return records if len(kept) == len(records) else [records[index] for index in kept]


def _place(offset: int, carry: Any) -> Place:
    out, err = (-1 if waiting is None else waiting.begin for waiting in carry)
    return offset, out, err


def _counts(records: Sequence[Line | Record]) -> tuple[tuple[int, int], tuple[int, int]]:
    """(lines, bytes), each of stdout and stderr."""
    lines, size = [0, 0], [0, 0]
    for record in records:
        stream = record[2]
        if len(record) > 4:
            lines[stream] += record[4]
            size[stream] += record[5]
        else:
            lines[stream] += 1
            size[stream] += len(record[3])
    return (lines[0], lines[1]), (size[0], size[1])
