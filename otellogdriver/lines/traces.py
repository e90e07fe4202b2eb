# cython: language_level=3, boundscheck=False, wraparound=False, annotation_typing=False, infer_types=True
"""How the stack traces of languages go on: whether a line belongs to the lines before it.

In: a line without its newline, and the state of the record before it. Out: the record's new state if the line belongs
to it, else APART. Pure, and linear: of a line only the first LOOK bytes and the last byte are read. As Python this file
is the specification; compiled with the types of `traces.pxd` it takes a twentieth of the time.

A *log line* is one that a program prints as a message; lines of a trace or indented lines may follow it. A *trace* goes
through modes: its heading (`EXC`, `TRACEBACK`, ...), frames, what may stand between parts of it. An exception's message
may have several lines of any text. Such a line is taken for a part of the trace only while that is open, and only if
the line does not begin as log lines do; where a container's log lines begin with nothing special, no such line is.
"""

from __future__ import annotations

from otellogdriver.lines.characters import DIGIT, KIND, LOWER, UPPER
from otellogdriver.lines.log_line import (
    begins_as_log,
    digits_end,
    first_half,
    has_time,
    indent_of,
    is_level,
    is_low,
    length_of,
    look,
    may_have_trace,
    names_exception,
    second_half,
    starts,
    takes_indented,
    text_at,
    word_end,
)
from otellogdriver.lines.trace_headings import heading, is_call, is_exception, is_frame, is_ruby_frame
from otellogdriver.lines.trace_modes import (
    APART,
    BLANK,
    BODY,
    CALLS,
    CARET,
    CHAIN,
    DOTNET,
    EXC,
    FIELDS,
    FRAMES,
    GO,
    GOROUTINE,
    GROUP,
    HALF,
    JAVA,
    LOG,
    LOOK,
    MODE,
    NODE,
    PANIC,
    PAUSE,
    PHP,
    PYTHON,
    QUERY,
    RAISED,
    RUBY,
    RUST,
    SOURCE,
    STACK,
    SURE,
    THREAD,
    TIMED,
    TIMESTAMP,
    TOLD,
    TRACEBACK,
    UNTIMED,
    UNWOUND,
)

_CORNERS = frozenset("┌ ╭ ╷ ╔".encode().split())


def first(langs: int, line: bytes) -> int:
    """The state of a record that begins with the line."""
    size = length_of(line)
    at = text_at(line, size)
    indent = indent_of(line, size) if at else 0  # a call that most lines can do without
    if langs & TIMESTAMP:
        return TIMED if has_time(line, at, size) else UNTIMED
    if at < size and not KIND[line[at]] & DIGIT and line[at] != 123:
        mode = heading(langs, line, at, size)
        if mode != APART:
            return mode
        if KIND[line[at]] & (LOWER | UPPER) and indent == 0 and langs & (DOTNET | JAVA):
            return HALF if langs & first_half(line, size) else LOG
    return LOG


def joins(langs: int, state: int, line: bytes, head: bytes, before: bytes) -> int:
    """The new state if the line belongs to the record that begins with `head`, else APART. `before`: the last
    log line before that record on the same stream."""
    mode = state & MODE
    size = length_of(line)
    at = text_at(line, size)
    indent = indent_of(line, size) if at else 0
    if mode == TIMED or mode == UNTIMED:
        if has_time(line, at, size):
            return APART
        return mode if mode == TIMED or indent > 0 and not is_level(line, at, size) else APART
    if at < size and at == 0 and (KIND[line[0]] & DIGIT or line[0] == 123) and mode not in (SOURCE, THREAD, QUERY):
        return _free(mode, state, line, size, before)
    if mode <= HALF or mode == TOLD:
        return _after_log(langs, mode, line, at, indent, size, head)
    if mode == STACK and indent:
        return STACK if not look(line, at, size) else APART
    if at >= size:
        return _after_blank(mode, state)
    if mode == GROUP:
        if indent and line[at] in b"|+":
            return GROUP
        if starts(line, at, b"Traceback ("):
            return TRACEBACK | indent << 5 if indent < 32 else TRACEBACK
        return _between(line, at, size)
    if mode == TRACEBACK:
        if indent > state >> 5 or starts(line, at, b"> File "):
            return state
        if indent and line[at] in b"|+":
            return GROUP
        if look(line, at, size):
            return APART
        if b" validation error" in line[at:LOOK]:
            return FIELDS
        return RAISED | (state >> 5) << 5
    if mode == RAISED or mode == CHAIN or mode == FIELDS or mode == STACK:
        return _after_raised(mode, state, line, at, indent, size, before)
    if mode == PANIC or mode == GOROUTINE or mode == CALLS:
        return _in_go(mode, line, at, indent, size, before)
    if mode == QUERY:
        return RAISED if line[size - 1] == 93 else QUERY
    if mode == SOURCE:
        return CARET if line[at] == 94 or line[size - 1] == 94 and indent else SOURCE
    if mode == CARET:
        return EXC | SURE
    if mode == THREAD:
        return UNWOUND
    return _after_heading(langs, mode, state, line, at, indent, size, before)


def _told(mode: int, head: bytes) -> bool:
    return mode == TOLD or may_have_trace(head)


def _is_boxed(line: bytes, at: int, head: bytes) -> bool:
    """Whether the line goes on with a box that the head's corner has opened: Julia, Terraform, tables."""
    if head[:3] not in _CORNERS or line[at : at + 3] in _CORNERS:
        return False
    return line[at + 1 : at + 2] in b"\x94\x95"


def _after_log(langs: int, mode: int, line: bytes, at: int, indent: int, size: int, head: bytes) -> int:
    if at >= size:
        if mode == LOG and langs & (JAVA | PYTHON | NODE | DOTNET | RUST | PHP) and _told(mode, head):
            return BLANK
        return APART
    if line[at] == 226 and _is_boxed(line, at, head):
        return mode
    if mode == HALF:
        if indent:
            return BODY if not look(line, at, size) or indent >= 6 else APART
        found = second_half(line, size)
        if found != APART:
            return found if head and KIND[head[0]] & UPPER else APART
    if indent:
        if is_frame(line, at, size):
            if line[at] != 70:
                return FRAMES
            return TRACEBACK if _told(mode, head) else APART
        found = heading(langs, line, at, size)
        if found != APART and found & MODE != EXC:
            return found if _told(mode, head) else APART
        if (
            (line[0] == 9 or indent > 1)
            and (not look(line, at, size) or KIND[line[at]] & LOWER)
            and takes_indented(head)
        ):
            return mode
        if langs & JAVA and line[0] == 9 and starts(line, at, b"| "):
            return mode
        return APART
    found = heading(langs, line, at, size)
    if found == APART:
        if langs & (JAVA | DOTNET | PYTHON) and is_exception(line, at, size) > 0:
            if begins_as_log(head) and _told(mode, head):
                return EXC | SURE
        if starts(line, at, b"Caused by: ") or starts(line, at, b"Wrapped by: "):
            return EXC | SURE
        if langs & RUBY and is_ruby_frame(line, at, size):
            return FRAMES
        if langs & PHP and (starts(line, at, b"[stacktrace]") or starts(line, at, b"Stack trace:")):
            return FRAMES
        if langs & PHP and line[at] == 35 and at + 2 < size and starts(line, digits_end(line, at + 1, size), b" "):
            return FRAMES if digits_end(line, at + 1, size) > at + 1 else APART
        if langs & GO and begins_as_log(head) and is_call(line, at, size):
            return CALLS
        if langs & PYTHON and _is_of_task(line, at):
            return LOG
        if langs & (JAVA | NODE | DOTNET) and not look(line, at, size) and begins_as_log(head):
            return EXC if names_exception(head) and _told(mode, head) else APART
        return APART
    if found & MODE == GOROUTINE:
        return GOROUTINE
    if length_of(head) == 0:
        return found
    if found & MODE in (PANIC, THREAD, SOURCE) or found & MODE == EXC and line[at] in b"(UPt":
        return APART
    if langs & RUBY and found == EXC and is_ruby_frame(line, at, size):
        return FRAMES if size and line[size - 1] in b"'`" and not is_low(head) else APART
    return found if _told(mode, head) else APART


def _is_of_task(line: bytes, at: int) -> bool:
    """What asyncio says below a message."""
    return (
        starts(line, at, b"future: <")
        or starts(line, at, b"task: <")
        or starts(line, at, b"handle: <")
        or starts(line, at, b"protocol: <")
        or starts(line, at, b"transport: <")
    )


def _after_blank(mode: int, state: int) -> int:
    if mode == TRACEBACK:
        return state
    if mode == RAISED or mode == GROUP or mode == FIELDS:
        return CHAIN
    if mode == FRAMES or mode == UNWOUND:
        return PAUSE
    if mode == SOURCE:
        return CARET
    if mode == BODY:
        return APART
    return state


def _between(line: bytes, at: int, size: int) -> int:
    """What stands between the parts of a chain of Python's exceptions."""
    if starts(line, at, b"During handling of the above exception"):
        return CHAIN
    if starts(line, at, b"The above exception was the direct cause"):
        return CHAIN
    return APART


def _free(mode: int, state: int, line: bytes, size: int, before: bytes) -> int:
    """A line that may be anything, where a message may go on."""
    if mode != EXC and mode != RAISED and mode != PANIC and mode != UNWOUND and mode != FIELDS:
        return APART
    if mode == FIELDS and b" " not in line[:LOOK] and not look(line, 0, size) and line[0] != 123:
        return FIELDS if not KIND[line[0]] & DIGIT or size < 6 else APART
    if mode == FIELDS:
        return APART
    if look(line, text_at(line, size), size) or size == 0:
        return APART
    # The container's log lines must be known by something, or this could be one of them.
    if state & SURE and mode == EXC:
        return state
    return state if not before or begins_as_log(before) else APART


def _after_raised(mode: int, state: int, line: bytes, at: int, indent: int, size: int, before: bytes) -> int:
    depth = state >> 5
    if starts(line, at, b"Traceback (") or starts(line, at, b"Exception Group Traceback"):
        return (TRACEBACK | indent << 5 if indent < 32 else TRACEBACK) if mode == CHAIN else APART
    if starts(line, at, b"+ Exception Group"):
        return GROUP if mode == CHAIN else APART
    if _between(line, at, size) != APART:
        return CHAIN
    if starts(line, at, b'"""') or starts(line, at, b"'''"):
        return CHAIN
    if starts(line, at, b"Call stack:") or starts(line, at, b"Stack (most recent call last):"):
        return STACK
    if starts(line, at, b"Current thread 0x") or starts(line, at, b"Thread 0x"):
        return CHAIN
    if starts(line, at, b"Message: ") or starts(line, at, b"Arguments: "):
        return CHAIN
    if starts(line, at, b"Extension modules: ") or starts(line, at, b"Python runtime state"):
        return CHAIN
    if mode == CHAIN or mode == STACK:
        if indent and starts(line, at, b'File "'):
            return CHAIN
        return APART
    if starts(line, at, b"[SQL: ") and line[size - 1] != 93:
        return QUERY
    if starts(line, at, b"[SQL: ") or starts(line, at, b"[parameters: ") or starts(line, at, b"(Background on"):
        return RAISED
    if starts(line, at, b"DETAIL: ") or starts(line, at, b"HINT: ") or starts(line, at, b"LINE "):
        return RAISED
    if indent > depth:
        return state if not look(line, at, size) else APART
    return _free(mode, state, line, size, before)


def _in_go(mode: int, line: bytes, at: int, indent: int, size: int, before: bytes) -> int:
    if indent:
        return GOROUTINE if mode == GOROUTINE or starts(line, at, b"goroutine ") else mode
    if mode == CALLS:
        return CALLS if is_call(line, at, size) else APART
    char = line[0]
    if char == 103 and starts(line, at, b"goroutine "):
        return GOROUTINE
    if char == 91 and starts(line, at, b"[signal "):
        return mode
    if char == 99 and starts(line, at, b"created by "):
        return GOROUTINE
    if char == 101 and starts(line, at, b"exit status "):
        return GOROUTINE
    if char == 80 and starts(line, at, b"PC=0x"):
        return mode
    if starts(line, at, b"runtime") or starts(line, at, b"fatal error: ") or starts(line, at, b"panic"):
        return GOROUTINE
    if (char == 46 or char == 91) and b"elided" in line[:LOOK]:
        return GOROUTINE
    if starts(line, at, b"Previous ") or starts(line, at, b"Goroutine ") or b" at 0x" in line[:12]:  # of a data race
        return GOROUTINE
    if mode == GOROUTINE:
        if line[size - 1] == 41 and b" " not in line[: line.find(b"(", 0, LOOK) + 1] and b"(" in line[:LOOK]:
            return GOROUTINE
        end = word_end(line, 0, size)
        if end < 8 and b" 0x" in line[end : end + 12]:  # registers
            return GOROUTINE
        return APART
    return _free(mode, mode, line, size, before)


def _after_heading(
    langs: int, mode: int, state: int, line: bytes, at: int, indent: int, size: int, before: bytes
) -> int:
    """EXC, FRAMES, PAUSE, UNWOUND, BODY."""
    char = line[at]
    if indent:
        if mode == PAUSE and not (is_frame(line, at, size) or not look(line, at, size)):
            return APART
        if look(line, at, size) and not is_frame(line, at, size) and not (KIND[char] & DIGIT):
            return APART if indent < 2 else mode
        if starts(line, at, b"Caused by: ") or starts(line, at, b"---> "):
            return EXC | SURE
        if mode == EXC and not is_frame(line, at, size):
            return state
        if mode == BODY or mode == UNWOUND:
            return mode
        return FRAMES if indent > 1 or char < 128 else APART  # Next.js begins its messages with a space and a mark
    if char == 67 and (starts(line, at, b"Caused by:") or starts(line, at, b"Common ")):
        return EXC | SURE if size - at > 10 else FRAMES
    if char == 87 and starts(line, at, b"Wrapped by:"):
        return EXC | SURE
    if char == 83 and (
        starts(line, at, b"Suppressed: ") or starts(line, at, b"Stack trace:") or starts(line, at, b"Stack backtrace")
    ):
        return FRAMES
    if char == 69 and (starts(line, at, b"Error has been observed at") or starts(line, at, b"Emitted '")):
        return FRAMES
    if char == 79 and starts(line, at, b"Original Stack Trace:"):
        return FRAMES
    if char == 65 and (starts(line, at, b"Assembly trace from") or starts(line, at, b"Aborted")):
        return FRAMES
    if char == 115 and starts(line, at, b"stack backtrace:"):
        return FRAMES
    if char == 110 and (starts(line, at, b"note: ") or starts(line, at, b"nested exception is:")):
        return FRAMES if mode != UNWOUND or starts(line, at, b"nested") else UNWOUND
    if char == 76 and starts(line, at, b"Location:"):
        return FRAMES
    if char == 78 and (starts(line, at, b"Node.js v") or starts(line, at, b"Next ")):
        return FRAMES if starts(line, at, b"Node") else EXC
    if char == 40 and (starts(line, at, b"(Use `node") or starts(line, at, b"(Background")):
        return FRAMES
    if char == 45 and starts(line, at, b"--- End of"):
        return FRAMES
    if char == 91 and (
        starts(line, at, b"[stacktrace]") or starts(line, at, b"[previous exception]") or starts(line, at, b"[CIRCULAR")
    ):
        return FRAMES
    if (char == 125 or char == 93) and size - at <= 3:  # the end of an object or array
        return state if mode != PAUSE else FRAMES
    if char == 34 and langs & PHP and starts(line, at, b'"}'):
        return FRAMES
    if char == 35 and at + 2 < size and digits_end(line, at + 1, size) > at + 1:
        return FRAMES
    if char == 68 and langs & RUBY and starts(line, at, b"Did you mean?"):
        return FRAMES
    if char == 80 and langs & PHP and starts(line, at, b"PHP ") and not starts(line, at, b"PHP Fatal"):
        return FRAMES
    if langs & RUBY and is_ruby_frame(line, at, size):
        return FRAMES
    if char == 97 and starts(line, at, b"at "):
        return FRAMES
    if mode == PAUSE or mode == FRAMES or mode == BODY:
        return APART
    return _free(mode, state, line, size, before)
