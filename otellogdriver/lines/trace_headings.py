# cython: language_level=3, boundscheck=False, wraparound=False, annotation_typing=False, infer_types=True
"""What begins a trace: its heading, and other lines that are known by themselves, such as those of a stack.

In: a line without its newline, where its text begins, and the languages whose traces it may begin. Out: the mode in
which the trace is then (`traces.py` has how it goes on), or APART. Pure, and linear: of a line only the first LOOK
bytes and the last byte are read. As Python this file is the specification; it is compiled with the types of
`trace_headings.pxd`.
"""

from __future__ import annotations

from otellogdriver.lines.characters import DIGIT, KIND, LOWER, UPPER, WORD
from otellogdriver.lines.log_line import digits_end, indent_of, starts, word_end
from otellogdriver.lines.trace_modes import (
    APART,
    BODY,
    CHAIN,
    DOTNET,
    EXC,
    FRAMES,
    GO,
    GOROUTINE,
    GROUP,
    JAVA,
    LOOK,
    NODE,
    PANIC,
    PHP,
    PYTHON,
    RAISED,
    RUBY,
    RUST,
    SOURCE,
    STACK,
    SURE,
    THREAD,
    TRACEBACK,
)

_ENDINGS = tuple(b"Error Exception Throwable Failure Fault Interrupt Traceback Exit Rejection".split())


def is_exception(line: bytes, at: int, size: int) -> int:
    """Whether the name of an exception begins at `at`: 3 for one with a known ending and with dots, 2 for one with a
    known ending and no dots, 1 for another name with dots, 0 for none."""
    if at >= size or not KIND[line[at]] & (UPPER | LOWER):
        return 0
    dots, last, begin = 0, at, at
    end = at
    if size > LOOK:
        size = LOOK
    while end < size:
        char = line[end]
        if KIND[char] & WORD or char == 45 and dots:
            end += 1
        elif (char == 46 or char == 58 or char == 92 or char == 47) and end + 1 < size:
            if char == 58 and line[end + 1] == 58:
                end += 1
            elif char == 58:
                break
            if end + 1 >= size or not KIND[line[end + 1]] & WORD:
                break
            end += 1
            dots += 1
            last = end
        else:
            break
    if not KIND[line[last]] & UPPER and dots == 0:
        return 0
    if end < size and not (line[end] == 58 and (end + 1 == size or line[end + 1] == 32)):
        if starts(line, end, b" [") or starts(line, end, b" (") or starts(line, end, b" {"):
            pass  # TypeError [ERR_X]: text · a::Error (text)
        else:
            return 0
    name = line[last:end]
    for suffix in _ENDINGS:
        if suffix in name:
            return 3 if dots else 2
    if dots and begin != last and KIND[line[last]] & UPPER and end < size and line[end] == 58:
        return 1
    return 0


def is_frame(line: bytes, at: int, size: int) -> bool:
    """Whether this is a line of a stack, whatever is before it."""
    if starts(line, at, b"at ") or starts(line, at, b"from ") or starts(line, at, b'File "'):
        return True
    if starts(line, at, b"... ") or starts(line, at, b"Caused by: ") or starts(line, at, b"Suppressed: "):
        return True
    if starts(line, at, b"- locked ") or starts(line, at, b"- waiting ") or starts(line, at, b"---> "):
        return True
    if starts(line, at, b"nested exception is:") or starts(line, at, b"what():"):
        return True
    if starts(line, at, b"[cause]:") or starts(line, at, b"thrown in ") or starts(line, at, b"--- End of"):
        return True
    return b" called at " in line[at:LOOK]


def is_ruby_frame(line: bytes, at: int, size: int) -> bool:
    """`a.rb:3:in`"""
    if size > LOOK:
        size = LOOK
    place = at + 1
    while place + 4 < size:
        if line[place] == 58 and line[place + 1] == 105 and starts(line, place, b":in "):
            return KIND[line[place - 1]] & DIGIT > 0 and (line[place + 4] == 39 or line[place + 4] == 96)
        place += 1
    return False


def is_call(line: bytes, at: int, size: int) -> bool:
    """`main.f`, `github.com/a/b.(*T).run`, `main.f(0x1)`: a function of Go, with a package and without a space."""
    dot = False
    end = size if size < LOOK else LOOK
    if not KIND[line[at]] & (UPPER | LOWER) or size > LOOK:
        return False
    while at < end:
        char = line[at]
        if char == 46:
            dot = True
        elif char == 40 and dot and line[size - 1] == 41 and line[at + 1] != 42:
            return True
        elif not (KIND[char] & WORD or char in b"/-()*[]~%" or char > 127):
            return False
        at += 1
    return dot and line[size - 1] not in b"./-:"


def _is_path(line: bytes, at: int, size: int) -> bool:
    """`/app/a.js:3`, `file:///app/a.mjs:3`, `node:internal/process:7` and nothing after it."""
    if size > LOOK or not KIND[line[size - 1]] & DIGIT:
        return False
    if not (
        line[at] == 47 or starts(line, at, b"file://") or starts(line, at, b"node:") or line[at + 1 : at + 3] == b":\\"
    ):
        return False
    colon = line.rfind(b":", at, size)
    return colon > at and digits_end(line, colon + 1, size) == size and b" " not in line[at:size]


def _is_remote(line: bytes, at: int, size: int) -> bool:
    """`multiprocessing.pool.RemoteTraceback: `"""
    end = at
    while end < size and end < 80 and (KIND[line[end]] & WORD or line[end] == 46):
        end += 1
    return end > at + 15 and starts(line, end - 15, b"RemoteTraceback: ")


def heading(langs: int, line: bytes, at: int, size: int) -> int:
    """The mode of a trace that begins with this line, or APART."""
    if at >= size:
        return APART
    char = line[at]
    indent = indent_of(line, size)
    if langs & PYTHON:
        if char == 84 and starts(line, at, b"Traceback (most recent call last)"):
            return TRACEBACK | indent << 5 if indent < 32 else TRACEBACK
        if char == 69 and starts(line, at, b"Exception Group Traceback"):
            return GROUP
        if char == 43 and starts(line, at, b"+ Exception Group Traceback"):
            return GROUP
        if char == 124 and indent and starts(line, at, b"| "):
            return GROUP
        if char == 83 and starts(line, at, b"Stack (most recent call last):"):
            return STACK
        if char == 45 and starts(line, at, b"--- Logging error ---"):
            return CHAIN
        if char == 69 and (starts(line, at, b"Exception in thread ") or starts(line, at, b"Exception ignored in")):
            return (
                CHAIN if not langs & JAVA or line[size - 1] == 58 or starts(line, at, b"Exception ig") else EXC | SURE
            )
        if char == 47 and indent == 0 and b".py:" in line[:LOOK] and b"Warning: " in line[:LOOK]:
            return BODY
        if char == 70 and starts(line, at, b"Fatal Python error: "):
            return CHAIN if indent == 0 else TRACEBACK
        if char == 70 and starts(line, at, b'File "'):
            return TRACEBACK
    if langs & JAVA and char == 69 and starts(line, at, b"Exception in thread "):
        return EXC | SURE
    if langs & JAVA and char == 34 and indent == 0 and (b" prio=" in line[at:LOOK] or b" tid=0x" in line[at:LOOK]):
        return FRAMES  # of a dump of threads
    if langs & GO and char == 87 and starts(line, at, b"WARNING: DATA RACE"):
        return PANIC
    if langs & GO:
        if char == 112 and starts(line, at, b"panic: "):
            return PANIC
        if char == 103 and starts(line, at, b"goroutine ") and line[size - 1] == 58:
            return GOROUTINE
        if char == 102 and starts(line, at, b"fatal error: "):
            return PANIC
        if char == 114 and starts(line, at, b"runtime: "):
            return PANIC
        if char == 117 and starts(line, at, b"unexpected fault "):
            return PANIC
        if char == 83 and starts(line, at, b"SIG") and starts(line, word_end(line, at, size), b": "):
            return PANIC
    if langs & DOTNET and char == 91 and line[at + 1 : at + 2] == b"v" and indent == 0:  # [v4.0.1] a.SomeException: x
        return heading(langs & ~DOTNET | JAVA, line, line.find(b"]", at, LOOK) + 2, size)
    if langs & NODE:
        if (char == 47 or char == 102 or char == 110) and indent == 0 and _is_path(line, at, size):
            return SOURCE
        if char == 40 and starts(line, at, b"(node:"):
            return EXC
        if char == 85 and starts(line, at, b"Uncaught") or char == 101 and starts(line, at, b"error: Uncaught"):
            return EXC
        if char == 91 and line[size - 1] == 123 and is_exception(line, at + 1, size) >= 2:  # [Error: x] {
            return EXC
    if langs & RUST and char == 116 and starts(line, at, b"thread '") and b" panicked at " in line[at:LOOK]:
        return THREAD
    if (
        langs & DOTNET
        and char == 85
        and (starts(line, at, b"Unhandled exception. ") or starts(line, at, b"Unhandled Exception: "))
    ):
        return EXC | SURE
    if langs & PHP and char == 80 and starts(line, at, b"PHP "):
        return EXC
    if langs & PHP and (starts(line, at, b"Fatal error: ") or starts(line, at, b"Warning: Uncaught ")):
        return EXC
    if langs & RUBY and indent == 0 and is_ruby_frame(line, at, size):
        return EXC | SURE
    if char == 116 and starts(line, at, b"terminate called "):
        return EXC
    if char == 42 and starts(line, at, b"** ("):
        return EXC
    if langs & PYTHON and _is_remote(line, at, size):
        return RAISED
    if indent == 0 and langs & (JAVA | NODE | DOTNET | RUBY | PHP | RUST):
        sure = is_exception(line, at, size)
        if sure >= 2:
            return EXC | SURE if sure == 3 else EXC
    return APART
