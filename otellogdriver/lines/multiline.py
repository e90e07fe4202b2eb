"""Lines that belong together, such as a stack trace, as one record.

In: lines in order, of both streams. Out: records, each with the lines of one stream joined by newlines, the place and
time of its first line. A line either joins the record before it or begins the next one; a record ends when the next one
begins, when it would be longer than MAX_RECORD bytes or MAX_LINES lines, or when the caller says that it waited long
enough (`multiline-timeout` without another line, and never more than half a minute).

A `Rule` says whether a line joins. A pattern of the user's is what a *first* line looks like. The presets know how the
stack traces of a language go on; they are for programs that print each message on a line of its own, but for those.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from otellogdriver.codec.contract import MAX_RECORD, Carry, Group, Line
from otellogdriver.settings.patterns import Matcher

MAX_LINES = 4096
"""Lines of one record: four times what a JVM prints of a stack overflow."""


class Rule(NamedTuple):
    """`first(line)` is the state of a record that begins with the line; `joins(state, line)` is the new state if the
    line belongs to a record in that state, else None."""

    first: Callable[[bytes], int]
    joins: Callable[[int, bytes], int | None]


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
        self, lines: Iterable[Line], carry: Waiting, pieces: Carry, flush: int, streams: int, steps: int
    ) -> tuple[list[Record], Waiting]:
        """The records that are finished, and the carry behind `lines`, to which `pieces` belong.

        Each line is a step, and then each record that is ended because its stream is in the mask `flush`; at most
        `steps` are made. What is not in the mask `streams` will not be sent, and need not wait."""
        groups = [_Joined(waiting) if waiting and waiting.lines else None for waiting in carry]
        records: list[Record] = []
        step = 0
        for step, line in enumerate(lines, 1):
            stream = line[2]
            group = groups[stream]
            if not streams >> stream & 1:
                records.append((*line, 1, len(line[3]), step - 1))
            elif group is None or not group.add(line[3], self._rule):
                if group is not None:
                    records.append(group.record(stream, step - 1))
                groups[stream] = _Joined.begun(line, self._rule)
        ending = [(group.begin, stream) for stream, group in enumerate(groups) if group and flush >> stream & 1]
        for _, stream in sorted(ending)[: steps - step]:
            group = groups[stream]
            if group:
                records.append(group.record(stream, step))
            groups[stream] = None
            step += 1
        out, err = (self._waiting(group, piece) for group, piece in zip(groups, pieces, strict=True))
        return records, (out, err)

    def again(self, lines: Iterable[Line], pieces: Carry) -> Waiting:
        """The carry whose lines these are."""
        groups: list[_Joined | None] = [None, None]
        for line in lines:
            group = groups[line[2]]
            if group is None:
                groups[line[2]] = _Joined.begun(line, self._rule)
            else:
                group.put(line[3], self._rule.joins(group.state, line[3]) or 0)
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

    __slots__ = ("begin", "bytes", "count", "lines", "state", "time")

    def __init__(self, waiting: Unfinished) -> None:
        self.begin, self.time, self.state = waiting.begin, waiting.time, waiting.state
        self.lines, self.count, self.bytes = [waiting.data], waiting.lines, waiting.bytes

    @classmethod
    def begun(cls, line: Line, rule: Rule) -> _Joined:
        begin, time, _, data = line
        return cls(Unfinished(begin, time, data, 1, len(data), rule.first(data), None, 0.0))

    def add(self, line: bytes, rule: Rule) -> bool:
        """Take the line if it belongs to the others and there is room for it."""
        if self.count >= MAX_LINES or self.bytes + self.count + len(line) > MAX_RECORD:
            return False
        state = rule.joins(self.state, line)
        if state is None:
            return False
        self.put(line, state)
        return True

    def put(self, line: bytes, state: int) -> None:
        self.lines.append(line)
        self.count += 1
        self.bytes += len(line)
        self.state = state

    def record(self, stream: int, step: int) -> Record:
        return self.begin, self.time, stream, b"\n".join(self.lines), self.count, self.bytes, step


def multiline(pattern: str, timeout: float) -> Joining | None:
    """The joining that a `multiline-pattern` asks for; None if it is empty."""
    if not pattern:
        return None
    rule = PRESET_RULES.get(pattern)
    return Joining(rule or _first_line(Matcher(pattern).finds), timeout)


def _first_line(begins: Callable[[bytes], bool]) -> Rule:
    return Rule(_no_state, lambda _, line: None if begins(line) else 0)


def _no_state(_: bytes) -> int:
    return 0


# --- presets

_TIMESTAMP = re.compile(
    rb"""(?:\x1b\[[0-9;]*m)*[\[("]?(?:
        [0-9]{4}[-/.][0-9]{2}[-/.][0-9]{2}
      | [0-9]{2}[-/.](?:[0-9]{2}|[A-Z][a-z]{2})[-/.][0-9]{4}
      | [0-9]{2}:[0-9]{2}:[0-9]{2}
      | (?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?[ ])?(?:[0-9]{1,2}[ ])?
        (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[ ][ 0-9]
      | [IWEF][0-9]{4}[ ][0-9]{2}:
      | [0-9]{10}(?:[.][0-9]+|[0-9]{3}|[0-9]{9})?[ \]|,:]
    )""",
    re.VERBOSE,
)

_JAVA = re.compile(
    rb"""\s+(?:at[ ]|\.\.\.[ ][0-9]+[ ]|Suppressed:[ ]|Caused[ ]by:[ ]|\|[ ]|-[ ]locked[ ])
      | Caused[ ]by:[ ] | Suppressed:[ ]
      | (?:[\w$]+\.)+[\w$]*(?:Exception|Error|Throwable)[\w$]*(?:$|:[ ]|:$)   # what a logger prints below its message
      | \[CIRCULAR[ ]REFERENCE
    """,
    re.VERBOSE,
)

_PYTHON_BEGIN = re.compile(rb"\s*(?:\+ )?(?:Exception Group )?Traceback \(most recent call last\):")
_PYTHON_BETWEEN = re.compile(
    rb"\s*$|During handling of the above exception|The above exception was the direct cause of"
)

_GO_BEGIN = re.compile(
    rb"panic: |fatal error: |runtime: goroutine stack |unexpected fault |SIG[A-Z]+: |goroutine [0-9]+ .*\[.*\]:"
)
_GO_MORE = re.compile(
    rb"""\s | $ | goroutine[ ][0-9]+[ ] | created[ ]by[ ] | \[signal[ ] | exit[ ]status[ ] | fatal[ ]error:[ ] | runtime
      | [^\s(]+\(.*\)$ | \[?\.\.\.[0-9a-z ]+elided | r[a-z0-9]+[ ]+0x | [cfg]s[ ]+0x
    """,
    re.VERBOSE,
)


def _timestamp(_: int, line: bytes) -> int | None:
    return None if _TIMESTAMP.match(line) else 0


def _java(_: int, line: bytes) -> int | None:
    return 0 if _JAVA.match(line) else None


def _python_first(line: bytes) -> int:
    return 1 if _PYTHON_BEGIN.match(line) else 0


def _python(state: int, line: bytes) -> int | None:
    """1: within a traceback; 2: behind the line with the exception, where another traceback may follow."""
    if _PYTHON_BEGIN.match(line):
        return 1
    if state == 1:
        return 1 if line[:1] in (b" ", b"\t") else 2
    if state == 2 and _PYTHON_BETWEEN.match(line):
        return 2
    return None


def _go_first(line: bytes) -> int:
    return 1 if _GO_BEGIN.match(line) else 0


def _go(state: int, line: bytes) -> int | None:
    """1: within what a panic prints. Goroutines may also follow a message: a program printed its own stack."""
    if state == 1:
        return 1 if _GO_MORE.match(line) else None
    return 1 if line.startswith(b"goroutine ") and _GO_BEGIN.match(line) else None


PRESET_RULES = {
    "java": Rule(_no_state, _java),
    "python": Rule(_python_first, _python),
    "go": Rule(_go_first, _go),
    "timestamp": Rule(_no_state, _timestamp),
}
"""Name -> rule; the names are those of `line_options.PRESETS`."""
