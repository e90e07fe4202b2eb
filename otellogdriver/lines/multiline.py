"""Lines that belong together, such as a stack trace, as one record.

In: lines in order, of both streams. Out: records, each with the lines of one stream joined by newlines, the place and
time of its first line. A line either joins the record before it or begins the next one; a record ends when the next one
begins, when it would be longer than MAX_RECORD bytes or MAX_LINES lines, or when the caller says that it waited long
enough (`multiline-timeout` without another line, and never more than half a minute).

A pattern of the user's is what a *first* line looks like. The presets know how the stack traces of a language go on
(`traces.py`; the loop is in `joined.py`, to be compiled); they are for programs that print each message on a line of
its own, but for those.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from otellogdriver.codec.contract import Carry, Group, Line
from otellogdriver.lines import joined
from otellogdriver.lines.joined import Open, Record
from otellogdriver.lines.trace_modes import PRESETS
from otellogdriver.lines.traces import joins
from otellogdriver.settings.patterns import Matcher

Heads = tuple[bytes, bytes]
"""Of stdout and stderr, what the last record began with that was no trace."""

NO_HEADS: Heads = (b"", b"")


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Lines of a stream that wait for the next one, and the line whose end has not been seen, if any."""

    begin: int
    time: int
    data: bytes
    lines: int
    bytes: int
    state: int
    piece: Group | None
    timeout: float

    @property
    def size(self) -> int:
        return self.bytes + self.lines + (self.piece.size if self.piece else 0)

    @property
    def patience(self) -> float:
        return self.timeout if self.piece is None else self.piece.patience


Waiting = tuple["Unfinished | None", "Unfinished | None"]


class Joining:
    """What `multiline-pattern` and `multiline-timeout` ask for."""

    def __init__(self, pattern: str, timeout: float) -> None:
        self._languages = PRESETS.get(pattern, 0)
        self._begins = None if self._languages else Matcher(pattern).finds
        self._timeout = timeout

    @staticmethod
    def pieces(carry: Waiting) -> Carry:
        """The codec's part of a carry."""
        out, err = (None if waiting is None else waiting.piece for waiting in carry)
        return out, err

    def join(
        self, lines: Sequence[Line], carry: Waiting, pieces: Carry, flush: int, streams: int, steps: int, heads: Heads
    ) -> tuple[list[Record], Waiting, Heads]:
        """The records that are finished, and the carry after `lines`, to which `pieces` belong, and the heads then.

        Each line is a step, and then each record that is ended because its stream is in the mask `flush`; at most
        `steps` are made. What is not in the mask `streams` will not be sent, and need not wait."""
        groups = [self._open(waiting) if waiting and waiting.lines else None for waiting in carry]
        before = list(heads)
        records = joined.join(self._languages, self._begins, lines, groups, before, streams)
        step = len(lines)
        ending = [(group.begin, stream) for stream, group in enumerate(groups) if group and flush >> stream & 1]
        for _, stream in sorted(ending)[: steps - step]:
            group = groups[stream]
            if group:
                records.append(joined.ended(group, stream, step, before))
            groups[stream] = None
            step += 1
        return records, self._waiting(groups, pieces), (before[0], before[1])

    def again(self, lines: Iterable[Line], pieces: Carry) -> Waiting:
        """The carry whose lines these are: that they belong together is known."""
        groups: list[Open | None] = [None, None]
        for begin, time, stream, data in lines:
            group = groups[stream]
            if group is None:
                groups[stream] = joined.begun(self._languages, begin, time, data)
                continue
            if self._languages:
                # What only an earlier record could tell makes no difference.
                group.state = max(0, joins(self._languages, group.state, data, group.head, b""))
            group.lines.append(data)
            group.count += 1
            group.size += len(data)
        return self._waiting(groups, pieces)

    def _open(self, waiting: Unfinished) -> Open:
        end = waiting.data.find(b"\n") if waiting.lines > 1 else -1
        group = joined.begun(
            self._languages, waiting.begin, waiting.time, waiting.data if end < 0 else waiting.data[:end]
        )
        group.state, group.count, group.size = waiting.state, waiting.lines, waiting.bytes
        group.lines = [waiting.data]
        return group

    def _waiting(self, groups: Sequence[Open | None], pieces: Carry) -> Waiting:
        out, err = (self._unfinished(group, piece) for group, piece in zip(groups, pieces, strict=True))
        return out, err

    def _unfinished(self, group: Open | None, piece: Group | None) -> Unfinished | None:
        if group is not None:
            given = group.begin, group.time, group.text(), group.count, group.size, group.state
            return Unfinished(*given, piece, self._timeout)
        if piece is not None:
            return Unfinished(piece.begin, piece.time, b"", 0, 0, 0, piece, self._timeout)
        return None


def multiline(pattern: str, timeout: float) -> Joining | None:
    """The joining that a `multiline-pattern` asks for; None if it is empty."""
    return Joining(pattern, timeout) if pattern else None
