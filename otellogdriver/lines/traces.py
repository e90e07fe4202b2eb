# cython: language_level=3, boundscheck=False, wraparound=False, annotation_typing=False
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

from collections.abc import Callable, Sequence

from otellogdriver.codec.contract import MAX_RECORD, Line

Record = tuple[int, int, int, bytes, int, int, int]
"""The fields of `Line`; then the number of its lines, their bytes without newlines, and the step that ended the record
(see `multiline.Joining.join`)."""

JAVA = 1
PYTHON = 2
GO = 4
NODE = 8
DOTNET = 16
RUBY = 32
PHP = 64
RUST = 128
TIMESTAMP = 256
AUTO = 255

MAX_LINES = 4096
"""Lines of one record: four times what a JVM prints of a stack overflow."""

APART = -1  # the line begins a record of its own
LOOK = 512  # bytes

# Modes; the bits above MODE hold the indentation of a traceback.
LOG = 0
BLANK = 1  # a log line, then an empty line
HALF = 2  # the first of two lines of a message: java.util.logging, .NET's console
EXC = 3  # the name of an exception; its message may go on
FRAMES = 4  # the stack below the exception
PAUSE = 5  # an empty line after the stack
TRACEBACK = 6  # Python's stack, before the exception
RAISED = 7  # the exception of a traceback; its message and its notes may go on
CHAIN = 8  # an empty line after the exception
GROUP = 9  # Python's exception groups
FIELDS = 10  # pydantic's list of faults
PANIC = 11  # Go's message
GOROUTINE = 12
CALLS = 13  # zap's stack
SOURCE = 14  # Node shows the place in a file, before the error
CARET = 15  # a mark below the place in the line
THREAD = 16  # Rust's panic, before its message
UNWOUND = 17  # Rust's panic, after its message
BODY = 18  # indented text below the first line
QUERY = 19  # SQLAlchemy's text of a statement
TIMED = 20  # of TIMESTAMP: a record that begins with a time
UNTIMED = 21  # and one that does not
TOLD = 22  # a message whose second line names its level: warning or higher
STACK = 23  # Python's stack without an exception
MODE = 31
SURE = 32  # added to EXC: a stack will follow, and all lines before it are the message

NO_LOOK = 0
TIME = 1
LEVEL = 2
STRUCTURED = 3

_DIGIT = 1
_UPPER = 2
_LOWER = 4
_WORD = 8  # letters, digits, _ and $


def _kinds() -> bytes:
    found = bytearray(256)
    for code in range(256):
        char = chr(code)
        if code < 128 and char.isalnum() or char in "_$":
            found[code] |= _WORD
        if "0" <= char <= "9":
            found[code] |= _DIGIT
        if "A" <= char <= "Z":
            found[code] |= _UPPER
        if "a" <= char <= "z":
            found[code] |= _LOWER
    return bytes(found)


_KINDS = _kinds()
_LEVELS = frozenset(
    b"TRACE DEBUG INFO NOTICE WARN WARNING ERROR ERR CRIT CRITICAL FATAL SEVERE PANIC ALERT EMERG FINE FINER FINEST "
    b"CONFIG "
    b"LOG SUCCESS VERBOSE TRC DBG INF WRN FTL VRB FAIL DBUG TRCE ERRO DEBU FATA PANI INFORMATION".split()
)
_LOW = frozenset(
    b"TRACE DEBUG INFO NOTICE FINE FINER FINEST CONFIG LOG SUCCESS VERBOSE TRC DBG INF VRB DBUG TRCE DEBU "
    b"INFORMATION".split()
)
_MONTHS = frozenset(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())
_DAYS = frozenset(b"Mon Tue Wed Thu Fri Sat Sun".split())
_CORNERS = frozenset("┌ ╭ ╷ ╔".encode().split())
_TROUBLE = tuple(
    b"err warn fatal exception fail crit severe panic wrn ftl unhandled cannot could unable abort crash lost refused "
    b"denied timeout timed broken invalid recovered".split()
)


def length_of(line: bytes) -> int:
    """The line's bytes without the carriage returns at its end."""
    size = len(line)
    while size > 0 and line[size - 1] == 13:
        size -= 1
    return size


def starts(line: bytes, at: int, text: bytes) -> bool:
    """Whether `text` stands at `at`."""
    count = len(text)
    if at + count > len(line):
        return False
    place = 0
    while place < count and line[at + place] == text[place]:
        place += 1
    return place == count


def text_at(line: bytes, size: int) -> int:
    """Where the text begins, after indentation and colours; at most LOOK."""
    at = 0
    if size > LOOK:
        size = LOOK
    while at < size:
        char = line[at]
        if char == 32 or char == 9:
            at += 1
        elif char == 27 and at + 1 < size and line[at + 1] == 91:
            at += 2
            while at < size and (_KINDS[line[at]] & _DIGIT or line[at] == 59):
                at += 1
            at += 1
        else:
            return at
    return size


def indent_of(line: bytes, size: int) -> int:
    """How many spaces and tabs the line begins with; at most LOOK."""
    at = 0
    if size > LOOK:
        size = LOOK
    while at < size and (line[at] == 32 or line[at] == 9):
        at += 1
    return at


def word_end(line: bytes, at: int, size: int) -> int:
    """The end of the letters, digits, _ and $ that begin at `at`."""
    if size > LOOK:
        size = LOOK
    while at < size and _KINDS[line[at]] & _WORD:
        at += 1
    return at


def digits_end(line: bytes, at: int, size: int) -> int:
    if size > LOOK:
        size = LOOK
    while at < size and _KINDS[line[at]] & _DIGIT:
        at += 1
    return at


# --- what log lines begin with


def is_time(line: bytes, at: int, size: int) -> bool:
    """Whether a date or a time of day begins here."""
    if at >= size:
        return False
    kind = _KINDS[line[at]]
    if kind & _DIGIT:
        end = digits_end(line, at, size)
        count = end - at
        if end >= size:
            return False
        char = line[end]
        if char == 58:  # a colon: 3:04AM, 03:04:05
            if count > 2:
                return False
            more = digits_end(line, end + 1, size)
            if more - end != 3:
                return False
            return more < size and (line[more] == 58 or (line[more] | 32 in (97, 112)) or line[more] == 46)
        if count <= 4 and (char == 45 or char == 47 or char == 46):
            more = word_end(line, end + 1, size)
            if more - end < 2 or more - end > 4 or more >= size or line[more] != char:
                return False
            if char == 46 and count != 4:
                behind = digits_end(line, more + 1, size)
                return count <= 2 and behind - more == 5 and (behind >= size or line[behind] != 46)
            return digits_end(line, more + 1, size) - more >= 2
        if char == 32 or char == 84 or char == 45 or char == 95:
            if count == 6 or count == 8:
                return digits_end(line, end + 1, size) - end >= 3
            if count == 1 or count == 2:  # 2 Jan 2024
                return char == 32 and line[end + 1 : end + 4] in _MONTHS
        if count == 10 or count == 13 or count == 16 or count == 19:
            return char in b". ]|,:\t"
        return False
    if kind & _UPPER:
        end = word_end(line, at, size)
        if end - at == 3 and end + 1 < size:
            word = line[at:end]
            if word in _DAYS:
                end += 2 if line[end] == 44 else 1
                return line[end : end + 3] in _MONTHS or is_time(line, end, size)
            if word in _MONTHS:
                return line[end] == 32 and (line[end + 1] == 32 or bool(_KINDS[line[end + 1]] & _DIGIT))
        if line[at] in b"IWEFD" and (end - at == 5 or end - at == 9):  # klog, glog
            return digits_end(line, at + 1, size) == end and end < size and line[end] == 32
    return False


def is_level(line: bytes, at: int, size: int) -> bool:
    """Whether a level begins here, as a logger writes it."""
    end = word_end(line, at, size)
    if end - at < 3 or end - at > 11:
        return False
    word = line[at:end]
    if word.upper() not in _LEVELS:
        return False
    if end >= size:
        return False
    char = line[end]
    if _KINDS[word[1]] & _UPPER:
        return char in b" :]|[-\t/>;,(="
    if word == b"Error" or word == b"error":
        return char in b"]|\t"
    return char in b":]|[\t"


def look(line: bytes, at: int, size: int) -> int:
    """How a log line can be known whose text begins at `at`: by TIME, LEVEL, STRUCTURED, or by nothing, NO_LOOK."""
    if at >= size:
        return NO_LOOK
    char = line[at]
    if char == 123:
        return STRUCTURED if at + 1 < size and (line[at + 1] == 34 or line[at + 1] == 32) else NO_LOOK
    tokens = 0
    seen = NO_LOOK
    if char == 91 or char == 60:
        seen = named(line, at + 1, size)
    while tokens < 6 and at < size and at < 120:
        while at < size and line[at] in b"[(\"<'":
            at += 1
        if is_time(line, at, size):
            return TIME
        end = at
        while end < size and end < LOOK and line[end] != 32 and line[end] != 9:
            end += 1
        if is_level(line, at, size):
            seen = LEVEL
        elif not _passes(line, at, end, tokens):
            return seen if tokens or seen else named(line, at, size)
        if end >= size:
            break
        at = end
        while at < size and at < LOOK and (line[at] == 32 or line[at] == 9):
            at += 1
        tokens += 1
    return seen


def _passes(line: bytes, at: int, end: int, tokens: int) -> bool:
    """Whether the text up to `end` is no word of a sentence, so that a time or level may follow it."""
    if at >= end:
        return True
    first, last = line[at], line[end - 1]
    if last == 93 or last == 41 or last == 62 or first == 45 or first == 124:  # ends a bracket; a dash, a bar
        return True
    if end - at == 2 and last == 44 and _KINDS[first] & _UPPER:  # Ruby's E,
        return True
    return bool(_KINDS[first] & _DIGIT) and tokens < 3  # an address, a process


def named(line: bytes, at: int, size: int) -> int:
    """STRUCTURED for `key=value`, LEVEL for `<6>` or a name in brackets before the text, else NO_LOOK."""
    end = at
    while end < size and end - at < 20 and (_KINDS[line[end]] & _LOWER or line[end] == 95 or line[end] == 46):
        end += 1
    if end > at and end + 1 < size and line[end] == 61 and line[end + 1] != 32 and line[end + 1] != 61:
        return STRUCTURED
    if at and line[at - 1] == 91:
        end = at
        while end < size and end - at < 40 and line[end] not in b"[]{}'\"":
            end += 1
        if end > at and end + 2 < size and line[end] == 93 and line[end + 1] == 32:
            return LEVEL
    if at and line[at - 1] == 60 and at + 2 < size and _KINDS[line[at]] & _DIGIT:
        end = digits_end(line, at, size)
        return LEVEL if end < size and line[end] == 62 else NO_LOOK
    return NO_LOOK


def begins_as_log(line: bytes) -> int:
    """`look` at a whole line."""
    size = length_of(line)
    return look(line, text_at(line, size), size)


def has_time(line: bytes, at: int, size: int) -> bool:
    """Whether a log line begins with a time, or is a structured one with a field for it."""
    seen = look(line, at, size)
    if seen != STRUCTURED:
        return seen == TIME
    text = line[at : at + 200]
    return b"time" in text or b"date" in text or b"ts=" in text or b'"ts"' in text or b'"t"' in text or b'"@t"' in text


def _is_low(head: bytes) -> bool:
    """Whether no trace belongs to this log line: it names a level below warning, or is whole in itself."""
    size = length_of(head)
    at = text_at(head, size)
    shown = look(head, at, size)
    if shown == STRUCTURED:
        return True
    if size > 160:
        size = 160
    while at < size:
        if _KINDS[head[at]] & _WORD:
            end = word_end(head, at, size)
            if 3 <= end - at <= 11 and (shown or end < size and head[end] == 58):
                word = head[at:end].upper()
                if word in _LEVELS:
                    return word in _LOW
            at = end
        else:
            if head[at] == 34 and b" HTTP/" in head[at : at + 200]:  # an access log
                return True
            at += 1
    return False


def _is_told(head: bytes) -> bool:
    """Whether a trace that follows belongs to this log line."""
    return _is_trouble(head) and not _is_low(head)


def _told(mode: int, head: bytes) -> bool:
    return mode == TOLD or _is_told(head)


def _names_exception(head: bytes) -> bool:
    """`...Error: ` or `...Exception: ` within a log line."""
    size = len(head)
    if size > LOOK:
        size = LOOK
    at = 5
    while at + 1 < size:
        if head[at] == 58 and head[at + 1] == 32:
            if starts(head, at - 5, b"Error") or at >= 9 and starts(head, at - 9, b"Exception"):
                return True
        at += 1
    return False


def _is_trouble(head: bytes) -> bool:
    text = head[:400].lower()
    for word in _TROUBLE:
        if text.find(word) >= 0:
            return True
    return head[:1] == b"E"


# --- headings of traces

_ENDINGS = tuple(b"Error Exception Throwable Failure Fault Interrupt Traceback Exit Rejection".split())


def _is_exception(line: bytes, at: int, size: int) -> int:
    """Whether the name of an exception begins at `at`: 3 for one with a known ending and with dots, 2 for one with a
    known ending and no dots, 1 for another name with dots, 0 for none."""
    if at >= size or not _KINDS[line[at]] & (_UPPER | _LOWER):
        return 0
    dots, last, begin = 0, at, at
    end = at
    if size > LOOK:
        size = LOOK
    while end < size:
        char = line[end]
        if _KINDS[char] & _WORD or char == 45 and dots:
            end += 1
        elif (char == 46 or char == 58 or char == 92 or char == 47) and end + 1 < size:
            if char == 58 and line[end + 1] == 58:
                end += 1
            elif char == 58:
                break
            if end + 1 >= size or not _KINDS[line[end + 1]] & _WORD:
                break
            end += 1
            dots += 1
            last = end
        else:
            break
    if not _KINDS[line[last]] & _UPPER and dots == 0:
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
    if dots and begin != last and _KINDS[line[last]] & _UPPER and end < size and line[end] == 58:
        return 1
    return 0


def _is_frame(line: bytes, at: int, size: int) -> bool:
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


def _is_ruby_frame(line: bytes, at: int, size: int) -> bool:
    """`a.rb:3:in`"""
    if size > LOOK:
        size = LOOK
    place = at + 1
    while place + 4 < size:
        if line[place] == 58 and line[place + 1] == 105 and starts(line, place, b":in "):
            return _KINDS[line[place - 1]] & _DIGIT > 0 and (line[place + 4] == 39 or line[place + 4] == 96)
        place += 1
    return False


def _is_call(line: bytes, at: int, size: int) -> bool:
    """`main.f`, `github.com/a/b.(*T).run`, `main.f(0x1)`: a function of Go, with a package and without a space."""
    dot = False
    end = size if size < LOOK else LOOK
    if not _KINDS[line[at]] & (_UPPER | _LOWER) or size > LOOK:
        return False
    while at < end:
        char = line[at]
        if char == 46:
            dot = True
        elif char == 40 and dot and line[size - 1] == 41 and line[at + 1] != 42:
            return True
        elif not (_KINDS[char] & _WORD or char in b"/-()*[]~%" or char > 127):
            return False
        at += 1
    return dot and line[size - 1] not in b"./-:"


def _is_path(line: bytes, at: int, size: int) -> bool:
    """`/app/a.js:3`, `file:///app/a.mjs:3`, `node:internal/process:7` and nothing after it."""
    if size > LOOK or not _KINDS[line[size - 1]] & _DIGIT:
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
    while end < size and end < 80 and (_KINDS[line[end]] & _WORD or line[end] == 46):
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
        if char == 70 and (starts(line, at, b"Fatal Python error: ") or indent and starts(line, at, b'File "')):
            return CHAIN if indent == 0 else TRACEBACK
        if char == 70 and indent == 0 and starts(line, at, b'File "'):
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
        if char == 91 and line[size - 1] == 123 and _is_exception(line, at + 1, size) >= 2:  # [Error: x] {
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
    if langs & RUBY and indent == 0 and _is_ruby_frame(line, at, size):
        return EXC | SURE
    if char == 116 and starts(line, at, b"terminate called "):
        return EXC
    if char == 42 and starts(line, at, b"** ("):
        return EXC
    if langs & PYTHON and _is_remote(line, at, size):
        return RAISED
    if indent == 0 and langs & (JAVA | NODE | DOTNET | RUBY | PHP | RUST):
        sure = _is_exception(line, at, size)
        if sure >= 2:
            return EXC | SURE if sure == 3 else EXC
    return APART


def _half(langs: int, line: bytes, size: int) -> bool:
    """Whether this is the first line of two that are one message."""
    if langs & DOTNET and size > 8 and line[4] == 58 and line[5] == 32 and line[size - 1] == 93:
        return line[:4] in (b"info", b"warn", b"fail", b"crit", b"dbug", b"trce") and b"[" in line[5:LOOK]
    if langs & JAVA and size < LOOK and line[:3] in _MONTHS:
        return b"M " in line[:40] and b":" in line[:24] and _KINDS[line[size - 1]] & _WORD > 0
    return False


def first(langs: int, line: bytes) -> int:
    """The state of a record that begins with the line."""
    size = length_of(line)
    at = text_at(line, size)
    indent = indent_of(line, size)
    if langs & TIMESTAMP:
        return TIMED if has_time(line, at, size) else UNTIMED
    if at < size and not _KINDS[line[at]] & _DIGIT and line[at] != 123:
        mode = heading(langs, line, at, size)
        if mode != APART:
            return mode
        if _KINDS[line[at]] & (_LOWER | _UPPER) and indent == 0 and _half(langs, line, size):
            return HALF
    return LOG


def is_log(state: int) -> bool:
    """Whether a record of this state began with a log line, by which others can be known."""
    return state & MODE <= HALF


def joins(langs: int, state: int, line: bytes, head: bytes, before: bytes) -> int:
    """The new state if the line belongs to the record that begins with `head`, else APART. `before`: the last
    log line before that record on the same stream."""
    mode = state & MODE
    size = length_of(line)
    at = text_at(line, size)
    indent = indent_of(line, size)
    if mode == TIMED or mode == UNTIMED:
        if has_time(line, at, size):
            return APART
        return mode if mode == TIMED or indent > 0 and not is_level(line, at, size) else APART
    if at < size and at == 0 and (_KINDS[line[0]] & _DIGIT or line[0] == 123) and mode not in (SOURCE, THREAD, QUERY):
        return _free(mode, state, line, size, before)
    if mode <= HALF or mode == TOLD:
        return _after_log(langs, mode, line, at, indent, size, head)
    if mode == STACK and indent:
        return STACK if look(line, at, size) == NO_LOOK else APART
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
        if look(line, at, size) != NO_LOOK:
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
            return BODY if look(line, at, size) == NO_LOOK or indent >= 6 else APART
        end = word_end(line, 0, size)
        if end < size and line[end] == 58 and line[:end].upper() in _LEVELS:
            if not head or not _KINDS[head[0]] & _UPPER:
                return APART
            return LOG if line[:end].upper() in _LOW else TOLD
    if indent:
        if _is_frame(line, at, size):
            if line[at] != 70:
                return FRAMES
            return TRACEBACK if _told(mode, head) else APART
        found = heading(langs, line, at, size)
        if found != APART and found & MODE != EXC:
            return found if _told(mode, head) else APART
        if (line[0] == 9 or indent > 1) and (look(line, at, size) == NO_LOOK or _KINDS[line[at]] & _LOWER):
            known = begins_as_log(head)
            if (known == TIME or known == LEVEL) and text_at(head, len(head)) == 0:
                return mode
        if langs & JAVA and line[0] == 9 and starts(line, at, b"| "):
            return mode
        return APART
    found = heading(langs, line, at, size)
    if found == APART:
        if langs & (JAVA | DOTNET | PYTHON) and indent == 0 and _is_exception(line, at, size) > 0:
            if begins_as_log(head) != NO_LOOK and _told(mode, head):
                return EXC | SURE
        if starts(line, at, b"Caused by: ") or starts(line, at, b"Wrapped by: "):
            return EXC | SURE
        if langs & RUBY and _is_ruby_frame(line, at, size):
            return FRAMES
        if langs & PHP and (starts(line, at, b"[stacktrace]") or starts(line, at, b"Stack trace:")):
            return FRAMES
        if langs & PHP and line[at] == 35 and at + 2 < size and starts(line, digits_end(line, at + 1, size), b" "):
            return FRAMES if digits_end(line, at + 1, size) > at + 1 else APART
        if langs & GO and indent == 0 and begins_as_log(head) != NO_LOOK and _is_call(line, at, size):
            return CALLS
        if langs & PYTHON and _is_of_task(line, at):
            return LOG
        if langs & (JAVA | NODE | DOTNET) and look(line, at, size) == NO_LOOK and begins_as_log(head) != NO_LOOK:
            return EXC if _names_exception(head) and _told(mode, head) else APART
        return APART
    if found & MODE == GOROUTINE:
        return GOROUTINE
    if length_of(head) == 0:
        return found
    if found & MODE in (PANIC, THREAD, SOURCE) or found & MODE == EXC and line[at] in b"(UPt":
        return APART
    if langs & RUBY and found == EXC and _is_ruby_frame(line, at, size):
        return FRAMES if size and line[size - 1] in b"'`" and not _is_low(head) else APART
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
    if mode == FIELDS and b" " not in line[:LOOK] and look(line, 0, size) == NO_LOOK and line[0] != 123:
        return FIELDS if not _KINDS[line[0]] & _DIGIT or size < 6 else APART
    if mode == FIELDS:
        return APART
    if look(line, text_at(line, size), size) != NO_LOOK or size == 0:
        return APART
    # The container's log lines must be known by something, or this could be one of them.
    if state & SURE and mode == EXC:
        return state
    return state if not before or begins_as_log(before) != NO_LOOK else APART


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
        return state if look(line, at, size) == NO_LOOK else APART
    return _free(mode, state, line, size, before)


def _in_go(mode: int, line: bytes, at: int, indent: int, size: int, before: bytes) -> int:
    if indent:
        return GOROUTINE if mode == GOROUTINE or starts(line, at, b"goroutine ") else mode
    if mode == CALLS:
        return CALLS if _is_call(line, at, size) else APART
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
        if mode == PAUSE and not (_is_frame(line, at, size) or look(line, at, size) == NO_LOOK):
            return APART
        if look(line, at, size) != NO_LOOK and not _is_frame(line, at, size) and not (_KINDS[char] & _DIGIT):
            return APART if indent < 2 else mode
        if starts(line, at, b"Caused by: ") or starts(line, at, b"---> "):
            return EXC | SURE
        if mode == EXC and not _is_frame(line, at, size):
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
    if langs & RUBY and _is_ruby_frame(line, at, size):
        return FRAMES
    if char == 97 and starts(line, at, b"at "):
        return FRAMES
    if mode == PAUSE or mode == FRAMES or mode == BODY:
        return APART
    return _free(mode, state, line, size, before)


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
    if is_log(group.kind):
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


PRESETS = {
    "auto": AUTO,
    "java": JAVA,
    "python": PYTHON,
    "go": GO,
    "node": NODE,
    "dotnet": DOTNET,
    "ruby": RUBY,
    "php": PHP,
    "rust": RUST,
    "timestamp": TIMESTAMP,
}
"""Name -> the languages of `first` and `joins`; the names are those of `line_options.PRESETS`."""
