"""The stages of this folder behind the contract of an encoder (`codec/contract.py`): what a feed calls in place of a
codec.

Nothing is kept between calls that their arguments do not tell, but for how far the rate limit is used and what the last
record began with: that is remembered for the two places where the next call may begin, the start of the last one (whose
result may be thrown away) and its end. Whoever begins elsewhere, after a restart for one, has the whole burst again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otellogdriver.codec.contract import BOTH, MAX_FRAME, NOTHING, Chunk, Codec, Encoded, EncodeOptions, Line
from otellogdriver.codec.frames import goes_on
from otellogdriver.lines.joined import Record, counts
from otellogdriver.lines.multiline import NO_HEADS, Heads, Joining
from otellogdriver.lines.redaction import UNCUT, Cuts, without_edges
from otellogdriver.lines.selection import Selection, Used
from otellogdriver.lines.writer import Writer, Written

_ALL = sys.maxsize
_PLACES = 16
"""How many places are remembered of lines that are cut: more than batches are under way."""

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
        if self._redacts:
            self._remember(behind, done.cuts)
        lines, size = counts(done.records)
        return Encoded(
            payload=payload,
            records=written,
            lines=lines,
            bytes=size,
            excluded=done.excluded,
            end=done.end,
            carry=done.carry,
            skipped=done.skipped,
            severities=severities,
        )

    def rebuild(self, chunk: Chunk, start: int, opens: tuple[int, int]) -> Any:
        """See `codec.contract.Codec`."""
        split = self._codec.split(chunk, start, NOTHING, final=True, opens=opens)
        lines: Sequence[Line] = split.lines
        cuts = UNCUT
        if self._redacts:
            unfinished = [(group.begin, 0, stream, b"") for stream, group in enumerate(split.carry) if group]
            lines, cuts = without_edges(lines, self._going_on(chunk, start, [*lines, *unfinished]))
        carry = self._joining.again(lines, split.carry) if self._joining else split.carry
        self._remember(_place(start + len(chunk), carry), cuts)
        return carry

    def _remember(self, place: Place, cuts: Cuts) -> None:
        self._cuts.pop(place, None)
        self._cuts[place] = cuts
        if len(self._cuts) > _PLACES:
            del self._cuts[next(iter(self._cuts))]

    def _going_on(self, chunk: Chunk, start: int, lines: Sequence[Line]) -> Cuts:
        """Whether the first line of each stream is the rest of one, by its first frame: what came before it is not
        known any more. Of a line that began before the chunk it is taken to be."""
        found = [False, False]
        for stream in (0, 1):
            begin = next((line[0] for line in lines if line[2] == stream), None)
            if begin is not None:
                found[stream] = begin < start or goes_on(bytes(chunk[begin - start : begin - start + MAX_FRAME + 4]))
        return found[0], found[1]

    def _pass(self, chunk: Chunk, start: int, carry: Any, flush: int, final: bool, steps: int) -> _Pass:
        """At most so many steps of joining."""
        joining = self._joining
        pieces = carry if joining is None else joining.pieces(carry)
        split = self._codec.split(chunk, start, pieces, flush, final, -1 if steps == _ALL else steps)
        lines: Sequence[Line] = split.lines
        cuts = UNCUT
        if self._redacts:
            known = self._cuts.get(_place(start, carry))
            early = frozenset[int]()
            if flush and not final:
                open_ = self._codec.split(chunk, start, pieces).carry
                early = frozenset(group.begin for stream, group in enumerate(open_) if group and flush >> stream & 1)
            lines, cuts = without_edges(lines, known or self._going_on(chunk, start, lines), early)
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
