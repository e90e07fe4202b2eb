# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Structured lines to LogRecords in C: what `writer.PythonWriter` does, at a small fraction of its cost.

A line is read once into tokens, each with the size that it will have in the record, and then written in one go. No
Python object is made for it, and the GIL is not held. What is rare is left to the Python writer, line by line, and
never decided here: keys with escapes, logfmt with escapes, very many members, text without a level where one is looked
for, values that must be redacted on their own. Nothing recurses deeper than MAX_DEPTH.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from libc.math cimport isfinite
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint64_t
from libc.stdlib cimport strtod
from libc.string cimport memcmp, memcpy, memset

from otellogdriver.codec.python import UID_BEHIND, tails, with_uid
from otellogdriver.codec.wire cimport (
    Output, Py_XDECREF, close_output, grow, is_utf8, open_output, put_bytes, put_offset, put_tagged, put_varint,
    varint_size
)
from otellogdriver.lines import fields, json_line, severity, times
from otellogdriver.lines.writer import LOGFMT_LEAST

cdef int MAX_DEPTH = json_line.MAX_DEPTH
cdef size_t MAX_PARSED = json_line.MAX_PARSED
cdef size_t UID_AT = UID_BEHIND
cdef enum:
    MAX_MEMBERS = 64  # of one object: telling keys apart costs the square of it
    LONGEST_DOUBLE = 63

cdef enum Found:
    RECORD
    PLAIN  # not such a line
    OTHER  # the Python writer must say
    NO_ROOM  # not within the limit

# --- names

cdef struct Name:
    const uint8_t *text
    size_t size
    int value
    int next


cdef class Names:
    """What names in any case stand for; looked up by length, first and last letter."""

    cdef list texts
    cdef Name names[128]
    cdef int heads[256]
    cdef size_t longest

    def __init__(self, dict values):
        cdef int index, place
        cdef bytes text
        assert len(values) <= 128
        memset(self.heads, 0xFF, sizeof(self.heads))
        self.texts = [name.encode() for name in values]
        for index, text in enumerate(self.texts):
            place = Names.place(<const uint8_t *>PyBytes_AS_STRING(text), len(text))
            self.names[index].text = <const uint8_t *>PyBytes_AS_STRING(text)
            self.names[index].size = len(text)
            self.names[index].value = values[text.decode()]
            self.names[index].next = self.heads[place]
            self.heads[place] = index
            self.longest = max(self.longest, <size_t>len(text))

    @staticmethod
    cdef inline int place(const uint8_t *text, size_t size) noexcept nogil:
        return <int>((size * 37 + (text[0] | 0x20) * 11 + (text[size - 1] | 0x20)) & 255)

    cdef inline int find(self, const uint8_t *text, size_t size) noexcept nogil:
        """The value, or -1."""
        cdef int index
        cdef size_t i
        cdef uint8_t letter
        if size == 0 or size > self.longest:
            return -1
        index = self.heads[Names.place(text, size)]
        while index >= 0:
            if self.names[index].size == size:
                for i in range(size):
                    letter = text[i]
                    if b"A" <= letter <= b"Z":
                        letter |= 0x20
                    if letter != self.names[index].text[i]:
                        break
                else:
                    return self.names[index].value
            index = self.names[index].next
        return -1


cdef enum:
    BODY = 0
    LEVEL = 1
    TIME = 2
    TRACE = 3
    SPAN = 4
    FLAGS = 5
    STACK = 6
    MESSAGE = 7
    TYPE = 8
    OWN = 9
    NO_ROLE = 10
    ROLE_STEP = 64
    IS_EXCEPTION = 1 << 16
    IS_PYTHON_LEVEL = 1 << 17

assert (BODY, LEVEL, TIME, TRACE, SPAN, FLAGS, STACK, MESSAGE, TYPE, OWN) == (
    fields.BODY, fields.LEVEL, fields.TIME, fields.TRACE, fields.SPAN, fields.FLAGS, fields.STACK, fields.MESSAGE,
    fields.TYPE, fields.OWN
)


def _key_values():
    """Role and rank of each key, in one number. Rank 0 is for a key that is the very name of an attribute."""
    found = {}
    for key, (role, rank) in fields.ROLE_OF.items():
        found[key] = role * ROLE_STEP + rank + 1
    for key in fields.EXCEPTIONS:
        found[key] = found.get(key, NO_ROLE * ROLE_STEP) | IS_EXCEPTION
    found[fields.PYTHON_LEVEL] |= IS_PYTHON_LEVEL
    return found


cdef Names KEYS = Names(_key_values())
cdef Names LEVELS = Names(severity.LEVELS)
cdef bytes STACK_NAME = fields.RENAMED[fields.STACK].encode()
cdef bytes MESSAGE_NAME = fields.RENAMED[fields.MESSAGE].encode()
cdef bytes TYPE_NAME = fields.RENAMED[fields.TYPE].encode()
cdef const uint8_t *RENAMED[3]
cdef size_t RENAMED_SIZE[3]
RENAMED[0] = <const uint8_t *>PyBytes_AS_STRING(STACK_NAME)
RENAMED[1] = <const uint8_t *>PyBytes_AS_STRING(MESSAGE_NAME)
RENAMED[2] = <const uint8_t *>PyBytes_AS_STRING(TYPE_NAME)
RENAMED_SIZE[0] = len(STACK_NAME)
RENAMED_SIZE[1] = len(MESSAGE_NAME)
RENAMED_SIZE[2] = len(TYPE_NAME)
cdef int SYSLOG_NUMBERS[8]
cdef int TENS[6]
SYSLOG_NUMBERS[:] = severity.SYSLOG_NUMBERS
TENS[:] = severity.TENS

# --- tokens

cdef enum Kind:
    STRING
    INTEGER
    DOUBLE
    TRUE
    FALSE
    NULL_VALUE
    OBJECT
    ARRAY

cdef struct Token:
    Kind kind
    bint escaped  # of a string
    bint dropped  # a later member has the same key
    bint taken  # at the top level: not an attribute
    const uint8_t *key
    size_t key_size
    const uint8_t *data  # a string without its quotes, a number as it is written
    size_t size
    size_t length  # of a string without its escapes
    int64_t integer
    double real
    size_t encoded  # the fields of the AnyValue
    size_t next  # the token behind this one and all in it

cdef struct Parser:
    const uint8_t *at
    const uint8_t *end
    Token *tokens
    size_t count
    size_t room


cdef inline void skip_space(Parser *p) noexcept nogil:
    while p.at < p.end and (p.at[0] == b" " or p.at[0] == b"\t" or p.at[0] == b"\n" or p.at[0] == b"\r"):
        p.at += 1


cdef inline size_t field_size(size_t size) noexcept nogil:
    """A field of that many bytes, with its tag and length."""
    return 1 + varint_size(size) + size


cdef inline size_t pair_size(size_t key_size, size_t encoded) noexcept nogil:
    """The fields of a KeyValue."""
    return field_size(key_size) + field_size(encoded)


cdef inline int hex4(const uint8_t *p) noexcept nogil:
    """Four hex digits, or -1."""
    cdef int value = 0, i
    cdef int digit
    for i in range(4):
        digit = hex1(p[i])
        if digit < 0:
            return -1
        value = value << 4 | digit
    return value


cdef inline int hex1(uint8_t c) noexcept nogil:
    if b"0" <= c <= b"9":
        return c - 48
    c |= 0x20
    return c - 97 + 10 if b"a" <= c <= b"f" else -1


cdef inline bint is_special(uint64_t w) noexcept nogil:
    """Whether one of eight bytes ends a run of plain characters: a quote, a backslash, a control character."""
    cdef uint64_t ones = 0x0101010101010101ULL, high = 0x8080808080808080ULL
    cdef uint64_t quote = w ^ 0x2222222222222222ULL, backslash = w ^ 0x5C5C5C5C5C5C5C5CULL
    return (
        ((w - 0x2020202020202020ULL) & ~w | (quote - ones) & ~quote | (backslash - ones) & ~backslash) & high
    ) != 0


cdef Found scan_string(Parser *p, Token *t) noexcept nogil:
    """A string from its quote to behind its other one; the text is UTF-8, as the whole line was found to be."""
    cdef const uint8_t *q = p.at + 1
    cdef uint64_t word
    cdef size_t saved = 0
    cdef int code, low
    t.data = q
    t.escaped = False
    while True:
        while p.end - q >= 8:
            memcpy(&word, q, 8)
            if is_special(word):
                break
            q += 8
        while q < p.end and q[0] != b'"' and q[0] != b"\\" and q[0] >= 0x20:
            q += 1
        if q >= p.end or q[0] < 0x20:
            return PLAIN
        if q[0] == b'"':
            t.size = q - t.data
            t.length = t.size - saved
            p.at = q + 1
            return RECORD
        t.escaped = True
        if p.end - q < 2:
            return PLAIN
        if q[1] != b"u":
            if unescaped(q[1]) == 0:
                return PLAIN
            saved += 1
            q += 2
            continue
        code = hex4(q + 2) if p.end - q >= 6 else -1
        if code < 0 or 0xDC00 <= code < 0xE000:
            return PLAIN
        if 0xD800 <= code < 0xDC00:
            low = hex4(q + 8) if p.end - q >= 12 and q[6] == b"\\" and q[7] == b"u" else -1
            if not 0xDC00 <= low < 0xE000:
                return PLAIN
            saved += 8
            q += 12
        else:
            saved += 5 if code < 0x80 else 4 if code < 0x800 else 3
            q += 6


cdef inline uint8_t unescaped(uint8_t c) noexcept nogil:
    """What a letter behind a backslash stands for; 0 if for nothing."""
    if c == b'"' or c == b"\\" or c == b"/":
        return c
    if c == b"n":
        return b"\n"
    if c == b"t":
        return b"\t"
    if c == b"r":
        return b"\r"
    if c == b"b":
        return 8
    if c == b"f":
        return 12
    return 0


cdef Found scan_number(Parser *p, Token *t) noexcept nogil:
    cdef const uint8_t *q = p.at
    cdef bint negative = q[0] == b"-"
    cdef bint whole = True, fits = True
    cdef uint64_t value = 0
    cdef char text[LONGEST_DOUBLE + 1]
    cdef char *behind
    t.data = q
    q += negative
    if q >= p.end or not b"0" <= q[0] <= b"9":
        return PLAIN
    if q[0] == b"0":
        q += 1
    else:
        while q < p.end and b"0" <= q[0] <= b"9":
            if value > (<uint64_t>INT64_MAX) // 10:
                fits = False
            else:
                value = value * 10 + (q[0] - 48)
            q += 1
    if q < p.end and q[0] == b".":
        whole = False
        q += 1
        if q >= p.end or not b"0" <= q[0] <= b"9":
            return PLAIN
        while q < p.end and b"0" <= q[0] <= b"9":
            q += 1
    if q < p.end and (q[0] == b"e" or q[0] == b"E"):
        whole = False
        q += 1
        if q < p.end and (q[0] == b"+" or q[0] == b"-"):
            q += 1
        if q >= p.end or not b"0" <= q[0] <= b"9":
            return PLAIN
        while q < p.end and b"0" <= q[0] <= b"9":
            q += 1
    t.size = t.length = q - t.data
    t.escaped = False
    p.at = q
    if whole:
        if negative and value == 0 and fits:
            return OTHER  # "-0"
        if not fits or value > <uint64_t>INT64_MAX + negative:
            t.kind = STRING
        else:
            t.kind = INTEGER
            t.integer = <int64_t>(0 - value if negative else value)
        return RECORD
    if t.size > LONGEST_DOUBLE:
        return OTHER
    memcpy(text, t.data, t.size)
    text[t.size] = 0
    t.real = strtod(text, &behind)
    if behind != text + t.size:
        return OTHER
    t.kind = DOUBLE if isfinite(t.real) else STRING
    return RECORD


cdef inline bint scan_word(Parser *p, const char *word, size_t size) noexcept nogil:
    if <size_t>(p.end - p.at) < size or memcmp(p.at, word, size) != 0:
        return False
    p.at += size
    return True


cdef Token *new_token(Parser *p, const uint8_t *key, size_t key_size) noexcept nogil:
    """NULL without memory."""
    cdef void *more
    cdef Token *t
    if p.count == p.room:
        more = PyMem_RawRealloc(p.tokens, 2 * p.room * sizeof(Token))
        if more == NULL:
            return NULL
        p.tokens = <Token *>more
        p.room *= 2
    t = &p.tokens[p.count]
    p.count += 1
    t.key = key
    t.key_size = key_size
    t.dropped = t.taken = False
    return t


cdef Found parse_value(Parser *p, const uint8_t *key, size_t key_size, int depth) noexcept nogil:
    """One value, at its first character, and all in it. `depth` is that of an object or array here."""
    cdef size_t index = p.count
    cdef Token *t
    cdef Found found = RECORD
    if p.at >= p.end:
        return PLAIN
    t = new_token(p, key, key_size)
    if t == NULL:
        return OTHER
    if p.at[0] == b'"':
        t.kind = STRING
        found = scan_string(p, t)
    elif p.at[0] == b"{" or p.at[0] == b"[":
        if depth > MAX_DEPTH:
            return PLAIN
        t.kind = OBJECT if p.at[0] == b"{" else ARRAY
        found = parse_members(p, index, depth)
        p.tokens[index].next = p.count
        return found
    elif p.at[0] == b"t":
        t.kind = TRUE
        found = RECORD if scan_word(p, b"true", 4) else PLAIN
    elif p.at[0] == b"f":
        t.kind = FALSE
        found = RECORD if scan_word(p, b"false", 5) else PLAIN
    elif p.at[0] == b"n":
        t.kind = NULL_VALUE
        found = RECORD if scan_word(p, b"null", 4) else PLAIN
    else:
        found = scan_number(p, t)
    if found != RECORD:
        return found
    if t.kind == STRING:
        t.encoded = field_size(t.length)
    elif t.kind == INTEGER:
        t.encoded = 1 + varint_size(<uint64_t>t.integer)
    elif t.kind == DOUBLE:
        t.encoded = 9
    else:
        t.encoded = 0 if t.kind == NULL_VALUE else 2
    t.next = p.count
    return RECORD


cdef Found parse_members(Parser *p, size_t index, int depth) noexcept nogil:
    """What is in an object or array, from its bracket to behind its other one."""
    cdef bint named = p.tokens[index].kind == OBJECT
    cdef uint8_t close = b"}" if named else b"]"
    cdef size_t inner = 0, members = 0, child
    cdef uint64_t seen = 0, bit
    cdef Token key
    cdef Found found
    key.data = NULL
    key.size = 0
    p.at += 1
    skip_space(p)
    if p.at < p.end and p.at[0] == close:
        p.at += 1
        p.tokens[index].encoded = 2
        return RECORD
    while True:
        if named:
            if p.at >= p.end or p.at[0] != b'"':
                return PLAIN
            found = scan_string(p, &key)
            if found != RECORD:
                return found
            members += 1
            if key.escaped or members > MAX_MEMBERS:
                return OTHER
            if key.size == 0 and depth == 1:
                return PLAIN
            skip_space(p)
            if p.at >= p.end or p.at[0] != b":":
                return PLAIN
            p.at += 1
            skip_space(p)
        child = p.count
        found = parse_value(p, key.data, key.size, depth + 1)
        if found != RECORD:
            return found
        if named:
            inner += field_size(pair_size(key.size, p.tokens[child].encoded))
            bit = key_bit(key.data, key.size)
            if seen & bit:
                inner -= drop_equal(p, index + 1, child)
            seen |= bit
        else:
            inner += field_size(p.tokens[child].encoded)
        skip_space(p)
        if p.at >= p.end:
            return PLAIN
        if p.at[0] == close:
            p.at += 1
            p.tokens[index].encoded = field_size(inner)
            return RECORD
        if p.at[0] != b",":
            return PLAIN
        p.at += 1
        skip_space(p)


cdef inline uint64_t key_bit(const uint8_t *key, size_t size) noexcept nogil:
    """Few keys have the same bit: only then they are compared."""
    return <uint64_t>1 << ((size * 7 + (key[0] * 5 + key[size - 1] if size else 0)) & 63)


cdef size_t drop_equal(Parser *p, size_t first, size_t last) noexcept nogil:
    """Drop the earlier member with the key of `last`, if there is one; its size as a field."""
    cdef Token *t = &p.tokens[last]
    cdef Token *earlier
    while first < last:
        earlier = &p.tokens[first]
        if not earlier.dropped and earlier.key_size == t.key_size and memcmp(earlier.key, t.key, t.key_size) == 0:
            earlier.dropped = True
            return field_size(pair_size(earlier.key_size, earlier.encoded))
        first = earlier.next
    return 0


# --- meaning

cdef inline int level_of_number(int64_t level, bint python) noexcept nogil:
    """As `severity.of_number`."""
    if python:
        return TENS[min(level // 10, 5)] if 0 < level < 100 else 0
    if level < 8:
        return SYSLOG_NUMBERS[level]
    return TENS[min(level // 10, 6) - 1] if 10 <= level < 100 else 0


cdef int level_of(Token *t, bint python) noexcept nogil:
    """As `severity.of_level`; the number."""
    cdef size_t i
    cdef int64_t number = 0
    if t.kind != INTEGER and t.kind != STRING:
        return 0
    if 1 <= t.size <= 3:
        for i in range(t.size):
            if not b"0" <= t.data[i] <= b"9":
                break
            number = number * 10 + (t.data[i] - 48)
        else:
            return level_of_number(number, python)
    return max(0, LEVELS.find(t.data, t.size)) if t.kind == STRING else 0


cdef inline int64_t digits(const uint8_t *p, size_t size) noexcept nogil:
    """A number of that many digits, or -1."""
    cdef int64_t value = 0
    cdef size_t i
    for i in range(size):
        if not b"0" <= p[i] <= b"9":
            return -1
        value = value * 10 + (p[i] - 48)
    return value


cdef inline int64_t fraction(const uint8_t **p, const uint8_t *end) noexcept nogil:
    """Digits behind a point, as nine of them, and move behind them; -1 if there is none."""
    cdef int64_t value = 0
    cdef int count = 0
    while p[0] < end and b"0" <= p[0][0] <= b"9":
        if count < 9:
            value = value * 10 + (p[0][0] - 48)
        count += 1
        p[0] += 1
    if count == 0:
        return -1
    while count < 9:
        value *= 10
        count += 1
    return value


cdef int64_t time_of(const uint8_t *p, size_t size) noexcept nogil:
    """As `times.nanoseconds`."""
    cdef const uint8_t *end = p + size
    cdef const uint8_t *begin = p
    cdef int64_t year, month, day, hour, minute, second, nanos = 0, zone_hour = 0, zone_minute = 0, days, seconds
    cdef int sign
    while p < end and p - begin < 20 and b"0" <= p[0] <= b"9":
        p += 1
    if p - begin >= 9:
        return time_of_number(begin, p, end)
    p = begin
    if size < 20 or p[4] != b"-" or p[7] != b"-" or p[13] != b":" or p[16] != b":":
        return 0
    if p[10] != b"T" and p[10] != b"t" and p[10] != b" ":
        return 0
    year, month, day = digits(p, 4), digits(p + 5, 2), digits(p + 8, 2)
    hour, minute, second = digits(p + 11, 2), digits(p + 14, 2), digits(p + 17, 2)
    if year < 1 or not 1 <= month <= 12 or not 1 <= day <= 31 or not 0 <= hour < 24 or not 0 <= minute < 60:
        return 0
    if not 0 <= second <= 60 or day > days_of_month(year, month):
        return 0
    p += 19
    if p[0] == b"." or p[0] == b",":
        p += 1
        nanos = fraction(&p, end)
        if nanos < 0:
            return 0
    if p >= end:
        return 0
    if p[0] == b"Z" or p[0] == b"z":
        sign = 0
        p += 1
    else:
        if p[0] != b"+" and p[0] != b"-":
            return 0
        sign = 1 if p[0] == b"+" else -1
        if end - p == 6 and p[3] == b":":
            zone_minute = digits(p + 4, 2)
        elif end - p == 5:
            zone_minute = digits(p + 3, 2)
        else:
            return 0
        zone_hour = digits(p + 1, 2)
        if not 0 <= zone_hour < 24 or not 0 <= zone_minute < 60:
            return 0
        p = end
    if p != end or year > 2262:
        return 0
    # Days since 1970 of a date in a year that begins in March.
    days = year - (month < 3)
    days = days * 365 + days // 4 - days // 100 + days // 400 + (153 * ((month + 9) % 12) + 2) // 5 + day - 1 - 719468
    seconds = days * 86400 + hour * 3600 + minute * 60 + second - sign * (zone_hour * 3600 + zone_minute * 60)
    if seconds < 0 or seconds > INT64_MAX // 1000000000 - 1:
        return 0
    return seconds * 1000000000 + nanos


cdef inline int64_t days_of_month(int64_t year, int64_t month) noexcept nogil:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


cdef int64_t LEAST = times._LEAST
cdef int64_t MOST = times._MOST


cdef int64_t time_of_number(const uint8_t *begin, const uint8_t *p, const uint8_t *end) noexcept nogil:
    """Since the epoch: digits from `begin` to `p`, and perhaps a fraction behind them."""
    cdef int64_t nanos = 0, unit = 1, scale = 1000000000
    cdef uint64_t number = 0
    cdef size_t i
    if p - begin > 19:
        return 0
    for i in range(p - begin):
        number = number * 10 + (begin[i] - 48)
    if p < end:
        if p[0] != b".":
            return 0
        p += 1
        nanos = fraction(&p, end)
        if nanos < 0 or p != end:
            return 0
    while scale:
        if <uint64_t>(LEAST * unit) <= number and (unit == 1000000000 or number < <uint64_t>(MOST * unit)):
            if number > <uint64_t>INT64_MAX // scale:
                return 0
            number = number * scale + nanos // unit
            return <int64_t>number if number <= <uint64_t>INT64_MAX else 0
        unit *= 1000
        scale //= 1000
    return 0


cdef bint is_id(Token *t, size_t size) noexcept nogil:
    """Hex digits, so many, and not all of them 0."""
    cdef bint zero = True
    cdef size_t i
    if t.kind != STRING or t.size != size:
        return False
    for i in range(size):
        if hex1(t.data[i]) < 0:
            return False
        if t.data[i] != b"0":
            zero = False
    return not zero


cdef int flags_of(Token *t) noexcept nogil:
    """As `mapping._flags`."""
    if t.kind == STRING and t.size == 2 and hex1(t.data[0]) >= 0 and hex1(t.data[1]) >= 0:
        return hex1(t.data[0]) << 4 | hex1(t.data[1])
    return <int>t.integer if t.kind == INTEGER and 0 <= t.integer < 256 else -1


cdef Found fits(Token *t, int role, int rank, int value, bint with_time) noexcept nogil:
    """As `mapping._fits`: RECORD if so, PLAIN if not."""
    cdef bint good
    if role >= STACK:
        return RECORD if rank == 0 or t.kind == STRING else PLAIN
    if role == BODY:
        return RECORD if t.kind == STRING else PLAIN
    if role == TIME and not with_time:
        return PLAIN
    if t.kind == STRING and t.escaped:
        return OTHER
    if role == LEVEL:
        good = level_of(t, value & IS_PYTHON_LEVEL) > 0
    elif role == TIME:
        good = (t.kind == STRING or t.kind == INTEGER or t.kind == DOUBLE) and time_of(t.data, t.size) > 0
    elif role == FLAGS:
        good = flags_of(t) >= 0
    else:
        good = is_id(t, 32 if role == TRACE else 16)
    return RECORD if good else PLAIN


# --- records

cdef struct Line:
    int64_t begin
    int64_t time
    int stream
    const uint8_t *data
    size_t size
    bint other  # for the Python writer

cdef struct Job:
    # What holds for all lines of a call.
    Output out
    size_t limit
    bint json
    int pairs  # least number of them that makes a line logfmt, 0 if it is not looked for
    bint with_time
    bint with_severity
    bint with_uid
    const uint8_t *tail[2]
    size_t tail_size[2]

cdef struct Head:
    # What a line says of its record.
    const uint8_t *body
    size_t body_size
    Token *body_token  # has the body, if not NULL
    bint text  # the body is UTF-8
    int64_t time
    int severity
    Token *level
    Token *trace
    Token *span
    int flags


cdef uint8_t *put_text(uint8_t *p, Token *t) noexcept nogil:
    """The text of a string."""
    cdef const uint8_t *q = t.data
    cdef const uint8_t *end = q + t.size
    cdef const uint8_t *run
    cdef int code
    if not t.escaped:
        return put_bytes(p, q, t.size)
    while q < end:
        run = q
        while q < end and q[0] != b"\\":
            q += 1
        p = put_bytes(p, run, q - run)
        if q >= end:
            break
        if q[1] != b"u":
            p[0] = unescaped(q[1])
            p += 1
            q += 2
            continue
        code = hex4(q + 2)
        q += 6
        if 0xD800 <= code < 0xDC00:
            code = 0x10000 + ((code & 0x3FF) << 10 | hex4(q + 2) & 0x3FF)
            q += 6
            p[0] = <uint8_t>(0xF0 | code >> 18)
            p[1] = <uint8_t>(0x80 | code >> 12 & 0x3F)
            p[2] = <uint8_t>(0x80 | code >> 6 & 0x3F)
            p[3] = <uint8_t>(0x80 | code & 0x3F)
            p += 4
        elif code < 0x80:
            p[0] = <uint8_t>code
            p += 1
        elif code < 0x800:
            p[0] = <uint8_t>(0xC0 | code >> 6)
            p[1] = <uint8_t>(0x80 | code & 0x3F)
            p += 2
        else:
            p[0] = <uint8_t>(0xE0 | code >> 12)
            p[1] = <uint8_t>(0x80 | code >> 6 & 0x3F)
            p[2] = <uint8_t>(0x80 | code & 0x3F)
            p += 3
    return p


cdef uint8_t *put_value(uint8_t *p, Token *tokens, size_t index) noexcept nogil:
    """The fields of an AnyValue."""
    cdef Token *t = &tokens[index]
    cdef size_t child
    if t.kind == STRING:
        return put_text(put_tagged(p, 0x0A, t.length), t)
    if t.kind == INTEGER:
        return put_tagged(p, 0x18, <uint64_t>t.integer)
    if t.kind == DOUBLE:
        p[0] = 0x21
        memcpy(p + 1, &t.real, 8)  # little-endian, as all that Python's wheels are built for
        return p + 9
    if t.kind == TRUE or t.kind == FALSE:
        return put_tagged(p, 0x10, t.kind == TRUE)
    if t.kind == NULL_VALUE:
        return p
    p = put_tagged(p, 0x32 if t.kind == OBJECT else 0x2A, inner_size(t.encoded))
    child = index + 1
    while child < t.next:
        if t.kind == ARRAY:
            p = put_value(put_tagged(p, 0x0A, tokens[child].encoded), tokens, child)
        elif not tokens[child].dropped:
            p = put_pair(p, 0x0A, tokens[child].key, tokens[child].key_size, tokens, child)
        child = tokens[child].next
    return p


cdef inline size_t inner_size(size_t size) noexcept nogil:
    """The content of a field of that size: `field_size` backwards."""
    cdef size_t length = 1
    while size > length + 1 and varint_size(size - 1 - length) > length:
        length += 1
    return size - 1 - length


cdef uint8_t *put_pair(
    uint8_t *p, uint8_t tag, const uint8_t *key, size_t key_size, Token *tokens, size_t index
) noexcept nogil:
    p = put_tagged(p, tag, pair_size(key_size, tokens[index].encoded))
    p = put_bytes(put_tagged(p, 0x0A, key_size), key, key_size)
    return put_value(put_tagged(p, 0x12, tokens[index].encoded), tokens, index)


cdef inline uint8_t *put_id(uint8_t *p, uint8_t tag, Token *t) noexcept nogil:
    cdef size_t i, size = t.size // 2
    p = put_tagged(p, tag, size)
    for i in range(size):
        p[i] = <uint8_t>(hex1(t.data[2 * i]) << 4 | hex1(t.data[2 * i + 1]))
    return p + size


cdef int put_record(Job *job, Line *line, Head *head, Parser *parser, Token **renamed) except -1 nogil:
    """Write a record with the tokens of `parser` as attributes. 0: the limit is reached, and nothing was done."""
    cdef Output *out = &job.out
    cdef Token *tokens = parser.tokens
    cdef size_t any_value = field_size(head.body_token.length if head.body_token else head.body_size)
    cdef size_t record = field_size(any_value) + job.tail_size[line.stream]
    cdef size_t index = 1, attributes = 0, whole
    cdef int64_t time = head.time if head.time else line.time
    cdef const uint8_t *key
    cdef size_t key_size
    cdef int i
    while index < parser.count:
        if not tokens[index].dropped and not tokens[index].taken:
            key_size = tokens[index].key_size
            for i in range(3):
                if renamed[i] == &tokens[index]:
                    key_size = RENAMED_SIZE[i]
            attributes += field_size(pair_size(key_size, tokens[index].encoded))
        index = tokens[index].next
    record += attributes + (9 if time > 0 else 0) + (2 if head.severity else 0)
    if head.level:
        record += field_size(head.level.size)
    record += (5 if head.flags else 0) + (18 if head.trace else 0) + (10 if head.span else 0)
    whole = field_size(record)
    if out.size and out.size + whole > job.limit:
        return 0
    if whole > out.room - out.size:
        grow(out, whole)
    cdef uint8_t *p = put_tagged(out.data + out.size, 0x12, record)
    if time > 0:
        p[0] = 0x09
        for i in range(8):
            p[1 + i] = <uint8_t>(<uint64_t>time >> (8 * i))
        p += 9
    if head.severity:
        p = put_tagged(p, 0x10, head.severity)
    if head.level:
        p = put_bytes(put_tagged(p, 0x1A, head.level.size), head.level.data, head.level.size)
    p = put_tagged(p, 0x2A, any_value)
    if head.body_token:
        p = put_text(put_tagged(p, 0x0A, head.body_token.length), head.body_token)
    else:
        p = put_bytes(put_tagged(p, 0x0A if head.text else 0x3A, head.body_size), head.body, head.body_size)
    index = 1
    while index < parser.count:
        if not tokens[index].dropped and not tokens[index].taken:
            key, key_size = tokens[index].key, tokens[index].key_size
            for i in range(3):
                if renamed[i] == &tokens[index]:
                    key, key_size = RENAMED[i], RENAMED_SIZE[i]
            p = put_pair(p, 0x32, key, key_size, tokens, index)
        index = tokens[index].next
    if head.flags:
        p[0] = 0x45
        p[1] = <uint8_t>head.flags
        memset(p + 2, 0, 3)
        p += 5
    if head.trace:
        p = put_id(p, 0x4A, head.trace)
    if head.span:
        p = put_id(p, 0x52, head.span)
    p = put_bytes(p, job.tail[line.stream], job.tail_size[line.stream])
    if job.with_uid:
        put_offset(p - UID_AT, line.begin)
    out.size += whole
    return 1


cdef Found parse_line(Parser *p, const uint8_t *data, size_t size) noexcept nogil:
    """The tokens of a line; the first one is the object itself."""
    cdef Found found
    p.at = data
    p.end = data + size
    p.count = 0
    skip_space(p)
    if size > MAX_PARSED or p.at >= p.end or p.at[0] != b"{" or not is_utf8(data, size):
        return PLAIN
    found = parse_value(p, NULL, 0, 1)
    if found == RECORD:
        skip_space(p)
        if p.at != p.end:
            return PLAIN
    return found


cdef inline bint is_space(uint8_t c) noexcept nogil:
    return c == b" " or c == b"\t" or c == b"\r"


cdef inline bint is_key_letter(uint8_t c) noexcept nogil:
    return b"a" <= (c | 0x20) <= b"z" or b"-" <= c <= b":" or c == b"_" or c == b"@"


cdef Found parse_pairs(Parser *p, const uint8_t *data, size_t size, int least) noexcept nogil:
    """As `logfmt.parsed`. The first token stands for the line."""
    cdef const uint8_t *q = data
    cdef const uint8_t *end = data + size
    cdef const uint8_t *key
    cdef const uint8_t *value
    cdef size_t members = 0, value_size
    cdef int dropped = 0
    cdef uint64_t seen = 0, bit
    cdef Token *t
    p.count = 0
    while end > q and (is_space((end - 1)[0])):
        end -= 1
    if size > MAX_PARSED or q == end or new_token(p, NULL, 0) == NULL:
        return PLAIN
    while q < end:
        key = q
        if not is_key_letter(q[0]) or b"-" <= q[0] <= b":":
            return PLAIN
        while q < end and is_key_letter(q[0]):
            q += 1
        if q == end or q[0] != b"=":
            return PLAIN
        t = new_token(p, key, q - key)
        if t == NULL:
            return OTHER
        q += 1
        value = q
        if q < end and q[0] == b'"':
            value += 1
            q += 1
            while q < end and q[0] != b'"' and q[0] != b"\\" and q[0] >= 0x20:
                q += 1
            if q == end or q[0] < 0x20:
                return PLAIN
            if q[0] == b"\\":
                return OTHER
            value_size = q - value
            q += 1
        else:
            while q < end and q[0] > 0x20:
                q += 1
            value_size = q - value
        if q < end and q[0] != b" " and q[0] != b"\t":
            return PLAIN
        while q < end and (q[0] == b" " or q[0] == b"\t"):
            q += 1
        t.kind = STRING
        t.escaped = False
        t.data = value
        t.size = t.length = value_size
        t.encoded = field_size(value_size)
        t.next = p.count
        members += 1
        if members > MAX_MEMBERS:
            return OTHER
        bit = key_bit(t.key, t.key_size)
        if seen & bit and drop_equal(p, 1, p.count - 1):
            dropped += 1
        seen |= bit
    if <int>members - dropped < least or not is_utf8(data, size):
        return PLAIN
    return RECORD


cdef Found understand(Job *job, Parser *p, Head *head, Token **renamed) noexcept nogil:
    """Which token is what. RECORD or OTHER."""
    cdef Token *chosen[OWN + 1]
    cdef int ranks[OWN + 1]
    cdef int values[OWN + 1]
    cdef Token *t
    cdef size_t index = 1
    cdef int value, role, rank
    cdef Found found
    for role in range(OWN + 1):
        chosen[role] = NULL
        ranks[role] = ROLE_STEP
    while index < p.count:
        t = &p.tokens[index]
        index = t.next
        if t.dropped:
            continue
        value = KEYS.find(t.key, t.key_size)
        if value < 0:
            continue
        if value & IS_EXCEPTION and t.kind == OBJECT:
            return OTHER
        role = (value & 0xFFFF) // ROLE_STEP
        rank = value & (ROLE_STEP - 1)
        if role == OWN:
            t.taken = True
            continue
        if role == NO_ROLE:
            continue
        if STACK <= role and t.key_size == RENAMED_SIZE[role - STACK]:
            if memcmp(t.key, RENAMED[role - STACK], t.key_size) == 0:
                rank = 0
        if rank >= ranks[role]:
            continue
        found = fits(t, role, rank, value, job.with_time)
        if found == OTHER:
            return OTHER
        if found == RECORD:
            chosen[role] = t
            ranks[role] = rank
            values[role] = value
    head.body_token = chosen[BODY]
    head.level = chosen[LEVEL]
    head.severity = level_of(head.level, values[LEVEL] & IS_PYTHON_LEVEL) if head.level else 0
    if job.with_severity and not head.severity:
        return OTHER
    head.time = time_of(chosen[TIME].data, chosen[TIME].size) if chosen[TIME] else 0
    head.trace = chosen[TRACE]
    head.span = chosen[SPAN] if head.trace else NULL
    if not head.trace:
        chosen[SPAN] = chosen[FLAGS] = NULL
    head.flags = flags_of(chosen[FLAGS]) if chosen[FLAGS] else 0
    for role in range(STACK):
        if chosen[role]:
            chosen[role].taken = True
    for role in range(3):
        renamed[role] = chosen[STACK + role]
    return RECORD


cdef Found write_line(Job *job, Line *line, Parser *p) except? NO_ROOM nogil:
    cdef Token *renamed[3]
    cdef Head head
    cdef Found found = PLAIN
    if line.other:
        return OTHER
    memset(&head, 0, sizeof(head))
    memset(renamed, 0, sizeof(renamed))
    p.count = 0
    head.body = line.data
    head.body_size = line.size
    if job.json:
        found = parse_line(p, line.data, line.size)
    if found == PLAIN and job.pairs:
        found = parse_pairs(p, line.data, line.size, job.pairs)
    if found == RECORD:
        head.text = True
        found = understand(job, p, &head, renamed)
    elif found == PLAIN and not job.with_severity:
        p.count = 0
        head.text = is_utf8(line.data, line.size)
        found = RECORD
    if found != RECORD:
        return OTHER
    return RECORD if put_record(job, line, &head, p, renamed) else NO_ROOM


cdef int add_other(Job *job, bytes record) except -1:
    """A record from the Python writer. 0: the limit is reached."""
    cdef size_t size = PyBytes_GET_SIZE(record)
    if job.out.size and job.out.size + size > job.limit:
        return 0
    if size > job.out.room - job.out.size:
        grow(&job.out, size)
    put_bytes(job.out.data + job.out.size, <const uint8_t *>PyBytes_AS_STRING(record), size)
    job.out.size += size
    return 1


cdef class NativeWriter:
    """See `writer.Writer`."""

    cdef object python
    cdef bint json
    cdef int pairs
    cdef bint with_time
    cdef bint with_severity
    cdef object redaction

    def __init__(self, rules, python):
        self.python = python
        self.json = rules.parse in ("json", "auto")
        self.pairs = {"logfmt": 1, "auto": LOGFMT_LEAST}.get(rules.parse, 0)
        self.with_time = rules.parse_time
        self.with_severity = rules.severity
        self.redaction = rules.redaction

    def write(self, records, options, observed, limit):
        """See `writer.Writer`."""
        cdef bytes data
        cdef tuple record
        cdef list kept = []  # what is redacted lives as long as it is pointed to
        cdef size_t count = len(records), index = 0, size = 0
        cdef tuple both = tails(options, observed)
        cdef bytes out_tail = both[0], err_tail = both[1]
        cdef Line *lines = <Line *>PyMem_RawMalloc((count + 1) * sizeof(Line))
        cdef Parser parser
        cdef Job job
        cdef Found found = RECORD
        parser.room = 64
        parser.tokens = <Token *>PyMem_RawMalloc(parser.room * sizeof(Token))
        parser.count = 0
        job.out.object = NULL
        try:
            if lines == NULL or parser.tokens == NULL:
                raise MemoryError
            for index, record in enumerate(records):
                data = record[3]  # kept alive by `records`
                lines[index].other = False
                if self.redaction is not None:
                    lines[index].other = self.redaction.looks_at_values(data)
                    if not lines[index].other:
                        data = self.redaction.line(data)
                        kept.append(data)
                lines[index].begin = record[0]
                lines[index].time = record[1]
                lines[index].stream = record[2]
                lines[index].data = <const uint8_t *>PyBytes_AS_STRING(data)
                lines[index].size = PyBytes_GET_SIZE(data)
                size += lines[index].size + len(out_tail) + 64
            job.limit = max(0, min(limit, INT64_MAX))
            job.json = self.json
            job.pairs = self.pairs
            job.with_time = self.with_time
            job.with_severity = self.with_severity
            job.with_uid = options.uid is not None
            job.tail[0] = <const uint8_t *>PyBytes_AS_STRING(out_tail)
            job.tail[1] = <const uint8_t *>PyBytes_AS_STRING(err_tail)
            job.tail_size[0] = len(out_tail)
            job.tail_size[1] = len(err_tail)
            open_output(&job.out, min(job.limit, size) + 1024)
            index = 0
            while index < count:
                # With the GIL at first: where line after line is for the Python writer, giving it away each time would
                # cost a wait for the other threads each time.
                found = write_line(&job, &lines[index], &parser)
                if found == RECORD:
                    index += 1
                    with nogil:
                        while index < count:
                            found = write_line(&job, &lines[index], &parser)
                            if found != RECORD:
                                break
                            index += 1
                if found == NO_ROOM:
                    break
                if found == OTHER:
                    record = records[index]
                    tail = both[lines[index].stream]
                    if job.with_uid:
                        tail = with_uid(tail, record[0])
                    if not add_other(&job, self.python.record(record[3], record[1], tail)):
                        break
                    index += 1
            return close_output(&job.out), index
        finally:
            PyMem_RawFree(lines)
            PyMem_RawFree(parser.tokens)
            Py_XDECREF(job.out.object)
