# cython: language_level=3, boundscheck=False, wraparound=False, annotation_typing=False, infer_types=True
"""Lines joined to records: the loop of `multiline.Joining`.

In: lines in order, and the records that are open. Out: the records that have ended. What belongs together is said by
`traces.py`, or by a user's pattern. As Python this file is the specification; it is compiled with the types of
`joined.pxd`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from otellogdriver.codec.contract import MAX_RECORD, Line
from otellogdriver.lines.trace_modes import APART, BODY, HALF, LOOK, MODE
from otellogdriver.lines.traces import first, joins

Record = tuple[int, int, int, bytes, int, int, int]
"""The fields of `Line`; then the number of its lines, their bytes without newlines, and the step that ended the record
(see `multiline.Joining.join`)."""

MAX_LINES = 4096
"""Lines of one record: four times what a JVM prints of a stack overflow."""


class Open:
    """An open record: its lines so far, their number (`count`) and bytes (`size`). `begin` and `time` are those of its
    first line (`head`), `kind` is the state with which it began."""

    def __init__(self, begin: int, time: int, head: bytes, kind: int, state: int, count: int, size: int) -> None:
        self.begin = begin
        self.time = time
        self.head = head
        self.kind = kind
        self.state = state
        self.count = count
        self.size = size
        self.lines: list[bytes] = [head]

    def text(self) -> bytes:
        return self.lines[0] if len(self.lines) == 1 else b"\n".join(self.lines)


def begun(langs: int, begin: int, time: int, line: bytes) -> Open:
    """A record that begins with the line. Where `langs` is 0 the user's pattern alone says which lines join it."""
    kind = first(langs, line) if langs else BODY
    return Open(begin, time, line, kind, kind, 1, len(line))


def join(
    langs: int,
    begins: Callable[[bytes], bool] | None,
    lines: Sequence[Line],
    groups: list[Open | None],
    heads: list[bytes],
    streams: int,
) -> list[Record]:
    """The loop of `multiline.Joining.join`. `begins` is a user's pattern. `groups` and `heads` are those of stdout and
    stderr, and are changed to what they are after the last line."""
    records: list[Record] = []
    longest, most, step = MAX_RECORD, MAX_LINES, -1
    for line in lines:
        step += 1
        begin, time, stream, data = line
        size = len(data)
        if not streams >> stream & 1:
            records.append((begin, time, stream, data, 1, size, step))
            continue
        group = groups[stream]
        if group is not None:
            state = APART
            if group.count < most and group.size + group.count + size <= longest:
                if begins is None:
                    state = joins(langs, group.state, data, group.head, heads[stream])
                elif not begins(data):
                    state = group.state
            if state != APART:
                group.lines.append(data)
                group.count += 1
                group.size += size
                group.state = state
                continue
            records.append(ended(group, stream, step, heads))
        groups[stream] = begun(langs, begin, time, data)
    return records


def ended(group: Open, stream: int, step: int, heads: list[bytes]) -> Record:
    """The record. If it began with a log line, `heads` keeps that: later lines are judged by it."""
    if group.kind & MODE <= HALF:
        heads[stream] = group.head if len(group.head) <= LOOK else group.head[:LOOK]
    return group.begin, group.time, stream, group.text(), group.count, group.size, step


def counts(records: Sequence[Line | Record]) -> tuple[tuple[int, int], tuple[int, int]]:
    """(lines, bytes) of records, each of stdout and stderr. It is here to be compiled."""
    out_lines = out_size = all_lines = all_size = 0
    for record in records:
        if len(record) > 4:
            count, size = record[4], record[5]
        else:
            count, size = 1, len(record[3])
        all_lines += count
        all_size += size
        if not record[2]:
            out_lines += count
            out_size += size
    return (out_lines, all_lines - out_lines), (out_size, all_size - out_size)
