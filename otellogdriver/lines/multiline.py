"""Lines that belong together, such as a stack trace, as one record.

In: lines in order, of both streams. Out: records, each with the lines of one stream joined by newlines, the place and
time of its first line. A line either joins the record before it or begins the next one; a record ends when the next one
begins, when it would be longer than MAX_RECORD bytes or MAX_LINES lines, or when the caller says that it waited long
enough (`multiline-timeout` without another line, and never more than half a minute).

A `Rule` says whether a line joins. A pattern of the user's is what a *first* line looks like. The presets know how the
stack traces of a language go on (`traces.py`); they are for programs that print each message on a line of its own, but
for those.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from otellogdriver.codec.contract import MAX_RECORD, Carry, Group, Line
from otellogdriver.lines import traces
from otellogdriver.settings.patterns import Matcher

MAX_LINES = 4096
"""Lines of one record: four times what a JVM prints of a stack overflow."""


class Rule(Protocol):
    """Whether lines belong together. `first(line)` is the state of a record that begins with the line;
    `joins(state, line, head, before)` the new state if the line belongs to a record in that state, else below 0.
    `head` is the record's first line, `before` the first one of an earlier record, if any is known."""

    def first(self, line: bytes) -> int:
        """See above."""

    def joins(self, state: int, line: bytes, head: bytes, before: bytes) -> int:
        """See above."""

    def is_log(self, state: int) -> bool:
        """Whether a record that began in this state says what others may begin with."""


class FirstLine:
    """A user's pattern: what matches begins a record."""

    def __init__(self, pattern: str) -> None:
        self._begins = Matcher(pattern).finds

    def first(self, line: bytes) -> int:
        return 0

    def joins(self, state: int, line: bytes, head: bytes, before: bytes) -> int:
        return -1 if self._begins(line) else 0

    def is_log(self, state: int) -> bool:
        return False


class Preset:
    """How the traces of languages go on."""

    def __init__(self, languages: int) -> None:
        self._languages = languages

    def first(self, line: bytes) -> int:
        return traces.first(self._languages, line)

    def joins(self, state: int, line: bytes, head: bytes, before: bytes) -> int:
        return traces.joins(self._languages, state, line, head, before)

    def is_log(self, state: int) -> bool:
        return traces.is_log(state)


Heads = tuple[bytes, bytes]
"""Of stdout and stderr, what the last record began with that was no trace."""

NO_HEADS: Heads = (b"", b"")

Record = tuple[int, int, int, bytes, int, int, int]
"""As `Line`, and: number of lines, their bytes, the step (see `Joining.join`) that ended it."""


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

    def __init__(self, rule: Rule, timeout: float) -> None:
        self._rule = rule
        self._timeout = timeout

    @staticmethod
    def pieces(carry: Waiting) -> Carry:
        """The codec's part of a carry."""
        out, err = (None if waiting is None else waiting.piece for waiting in carry)
        return out, err

    def join(
        self, lines: Iterable[Line], carry: Waiting, pieces: Carry, flush: int, streams: int, steps: int, heads: Heads
    ) -> tuple[list[Record], Waiting, Heads]:
        """The records that are finished, and the carry behind `lines`, to which `pieces` belong, and the heads then.

        Each line is a step, and then each record that is ended because its stream is in the mask `flush`; at most
        `steps` are made. What is not in the mask `streams` will not be sent, and need not wait."""
        groups = [_Joined(waiting) if waiting and waiting.lines else None for waiting in carry]
        records: list[Record] = []
        before = list(heads)
        rule = self._rule
        step = 0
        for step, line in enumerate(lines, 1):
            stream = line[2]
            group = groups[stream]
            if not streams >> stream & 1:
                records.append((*line, 1, len(line[3]), step - 1))
            elif group is None or not group.add(line[3], rule, before[stream]):
                if group is not None:
                    records.append(group.record(stream, step - 1))
                    group.note(rule, before, stream)
                groups[stream] = _Joined.begun(line, rule)
        ending = [(group.begin, stream) for stream, group in enumerate(groups) if group and flush >> stream & 1]
        for _, stream in sorted(ending)[: steps - step]:
            group = groups[stream]
            if group:
                records.append(group.record(stream, step))
                group.note(rule, before, stream)
            groups[stream] = None
            step += 1
        out, err = (self._waiting(group, piece) for group, piece in zip(groups, pieces, strict=True))
        return records, (out, err), (before[0], before[1])

    def again(self, lines: Iterable[Line], pieces: Carry) -> Waiting:
        """The carry whose lines these are."""
        groups: list[_Joined | None] = [None, None]
        for line in lines:
            group = groups[line[2]]
            if group is None:
                groups[line[2]] = _Joined.begun(line, self._rule)
            else:
                # That it belongs to the others is known; what only an earlier record could tell makes no difference.
                group.put(line[3], max(0, self._rule.joins(group.state, line[3], group.head, b"")))
        out, err = (self._waiting(group, piece) for group, piece in zip(groups, pieces, strict=True))
        return out, err

    def _waiting(self, group: _Joined | None, piece: Group | None) -> Unfinished | None:
        if group is not None:
            return Unfinished(
                group.begin,
                group.time,
                b"\n".join(group.lines),
                group.count,
                group.bytes,
                group.state,
                piece,
                self._timeout,
            )
        if piece is not None:
            return Unfinished(piece.begin, piece.time, b"", 0, 0, 0, piece, self._timeout)
        return None


class _Joined:
    """Lines of one record, as they come."""

    __slots__ = ("begin", "bytes", "count", "head", "lines", "state", "time")

    def __init__(self, waiting: Unfinished) -> None:
        end = waiting.data.find(b"\n") if waiting.lines > 1 else -1
        self.head = waiting.data if end < 0 else waiting.data[:end]
        self.begin, self.time, self.state = waiting.begin, waiting.time, waiting.state
        self.lines, self.count, self.bytes = [waiting.data], waiting.lines, waiting.bytes

    @classmethod
    def begun(cls, line: Line, rule: Rule) -> _Joined:
        begin, time, _, data = line
        return cls(Unfinished(begin, time, data, 1, len(data), rule.first(data), None, 0.0))

    def add(self, line: bytes, rule: Rule, before: bytes) -> bool:
        """Take the line if it belongs to the others and there is room for it."""
        if self.count >= MAX_LINES or self.bytes + self.count + len(line) > MAX_RECORD:
            return False
        state = rule.joins(self.state, line, self.head, before)
        if state < 0:
            return False
        self.put(line, state)
        return True

    def put(self, line: bytes, state: int) -> None:
        self.lines.append(line)
        self.count += 1
        self.bytes += len(line)
        self.state = state

    def note(self, rule: Rule, heads: list[bytes], stream: int) -> None:
        """Remember what the record began with."""
        if rule.is_log(rule.first(self.head)):
            heads[stream] = self.head[:512]

    def record(self, stream: int, step: int) -> Record:
        return self.begin, self.time, stream, b"\n".join(self.lines), self.count, self.bytes, step


def multiline(pattern: str, timeout: float) -> Joining | None:
    """The joining that a `multiline-pattern` asks for; None if it is empty."""
    if not pattern:
        return None
    languages = traces.PRESETS.get(pattern)
    return Joining(FirstLine(pattern) if languages is None else Preset(languages), timeout)
