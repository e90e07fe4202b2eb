# cython: language_level=3, boundscheck=False, wraparound=False, annotation_typing=False, infer_types=True
"""How a line is known as a log line: one that a program prints as a message.

In: a line without its newline, and where in it to look. Out: what it is known by, and what it says of the lines below
it: whether a trace may belong to it. Pure, and linear: of a line only the first LOOK bytes are read. As Python this
file is the specification; it is compiled with the types of `log_line.pxd`.
"""

from __future__ import annotations

from otellogdriver.lines.characters import DIGIT, KIND, LOWER, UPPER, WORD
from otellogdriver.lines.trace_modes import APART, DOTNET, JAVA, LOG, LOOK, TOLD

# What it is known by.
NO_LOOK = 0
TIME = 1
LEVEL = 2
STRUCTURED = 3

_LOW = frozenset(
    b"TRACE DEBUG INFO NOTICE FINE FINER FINEST CONFIG LOG SUCCESS VERBOSE TRC DBG INF VRB DBUG TRCE DEBU "
    b"INFORMATION".split()
)
"""Levels below warning."""
_LEVELS = _LOW | frozenset(
    b"WARN WARNING ERROR ERR CRIT CRITICAL FATAL SEVERE PANIC ALERT EMERG WRN FTL FAIL ERRO FATA PANI".split()
)
_MONTHS = frozenset(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())
_DAYS = frozenset(b"Mon Tue Wed Thu Fri Sat Sun".split())
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
            while at < size and (KIND[line[at]] & DIGIT or line[at] == 59):
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
    while at < size and KIND[line[at]] & WORD:
        at += 1
    return at


def digits_end(line: bytes, at: int, size: int) -> int:
    if size > LOOK:
        size = LOOK
    while at < size and KIND[line[at]] & DIGIT:
        at += 1
    return at


def is_time(line: bytes, at: int, size: int) -> bool:
    """Whether a date or a time of day begins here."""
    if at >= size:
        return False
    kind = KIND[line[at]]
    if kind & DIGIT:
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
    if kind & UPPER:
        end = word_end(line, at, size)
        if end - at == 3 and end + 1 < size:
            word = line[at:end]
            if word in _DAYS:
                end += 2 if line[end] == 44 else 1
                return line[end : end + 3] in _MONTHS or is_time(line, end, size)
            if word in _MONTHS:
                return line[end] == 32 and (line[end + 1] == 32 or bool(KIND[line[end + 1]] & DIGIT))
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
    if KIND[word[1]] & UPPER:
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
    if end - at == 2 and last == 44 and KIND[first] & UPPER:  # Ruby's E,
        return True
    return bool(KIND[first] & DIGIT) and tokens < 3  # an address, a process


def named(line: bytes, at: int, size: int) -> int:
    """STRUCTURED for `key=value`, LEVEL for `<6>` or a name in brackets before the text, else NO_LOOK."""
    end = at
    while end < size and end - at < 20 and (KIND[line[end]] & LOWER or line[end] == 95 or line[end] == 46):
        end += 1
    if end > at and end + 1 < size and line[end] == 61 and line[end + 1] != 32 and line[end + 1] != 61:
        return STRUCTURED
    if at and line[at - 1] == 91:
        end = at
        while end < size and end - at < 40 and line[end] not in b"[]{}'\"":
            end += 1
        if end > at and end + 2 < size and line[end] == 93 and line[end + 1] == 32:
            return LEVEL
    if at and line[at - 1] == 60 and at + 2 < size and KIND[line[at]] & DIGIT:
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


def takes_indented(head: bytes) -> bool:
    """Whether indented text belongs to this log line: it begins with a time or a level, without an indent or colour."""
    known = begins_as_log(head)
    return (known == TIME or known == LEVEL) and text_at(head, len(head)) == 0


def first_half(line: bytes, size: int) -> int:
    """The language in which this is the first of two lines of a message, 0 if there is none: .NET's console,
    java.util.logging."""
    if size > 8 and line[4] == 58 and line[5] == 32 and line[size - 1] == 93:
        level = line[:4] in (b"info", b"warn", b"fail", b"crit", b"dbug", b"trce")
        return DOTNET if level and b"[" in line[5:LOOK] else 0
    if size < LOOK and line[:3] in _MONTHS:
        return JAVA if b"M " in line[:40] and b":" in line[:24] and KIND[line[size - 1]] & WORD else 0
    return 0


def second_half(line: bytes, size: int) -> int:
    """The mode after java.util.logging's second line, which begins with a level and a colon; APART if it does not."""
    end = word_end(line, 0, size)
    if end >= size or line[end] != 58:
        return APART
    word = line[:end].upper()
    return APART if word not in _LEVELS else LOG if word in _LOW else TOLD


def may_have_trace(head: bytes) -> bool:
    """Whether a trace that follows belongs to this log line."""
    return _is_trouble(head) and not is_low(head)


def _is_trouble(head: bytes) -> bool:
    text = head[:400].lower()
    for word in _TROUBLE:
        if text.find(word) >= 0:
            return True
    return head[:1] == b"E"


def is_low(head: bytes) -> bool:
    """Whether no trace belongs to this log line: it names a level below warning, or is whole in itself."""
    size = length_of(head)
    at = text_at(head, size)
    shown = look(head, at, size)
    if shown == STRUCTURED:
        return True
    if size > 160:
        size = 160
    while at < size:
        if KIND[head[at]] & WORD:
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


def names_exception(head: bytes) -> bool:
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
