# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Structured lines to LogRecords in C: what `writer.PythonWriter` does, at a small fraction of its cost.

A line is read once into tokens (`tokens.pxd`), and then written in one go. No Python object is made for it, and the GIL
is not held. What is rare is left to the Python writer, line by line, and never decided here: what `tokens.pxd` leaves to
it, values that must be redacted on their own.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset

from otellogdriver.codec.python import ORIGINAL, UID_BEHIND, fixed64, tails, with_uid
from otellogdriver.codec.wire cimport (
    Output, Py_XDECREF, close_output, grow, is_utf8, open_output, put_bytes, put_fixed64, put_offset, put_short,
    put_tagged, varint_size
)
from otellogdriver.lines import fields, json_line, mapping, severity
from otellogdriver.lines.level_names cimport named, unmistakable
from otellogdriver.lines.severity_scan cimport find
from otellogdriver.lines.timestamp cimport digits, time_of
from otellogdriver.lines.tokens cimport (
    ARRAY, DOUBLE, FALSE, INTEGER, MAX_DEPTH, MAX_PARSED, NO_ROOM, NULL_VALUE, OBJECT, OTHER, PLAIN, RECORD, STRING, TRUE,
    Found, Parser, Token, field_size, hex1, hex4, pair_size, parse_object, parse_pairs, put_text
)
from otellogdriver.lines.writer import LOGFMT_LEAST
from otellogdriver.settings.patterns import without_returns

assert (MAX_DEPTH, MAX_PARSED) == (json_line.MAX_DEPTH, json_line.MAX_PARSED)

cdef size_t UID_AT = UID_BEHIND
cdef bytes ORIGINAL_KEY = ORIGINAL
cdef const uint8_t *ORIGINAL_NAME = <const uint8_t *>PyBytes_AS_STRING(ORIGINAL_KEY)
cdef size_t ORIGINAL_SIZE = len(ORIGINAL_KEY)

cdef enum:
    HEAD = 200
    RANGES = 6

assert (HEAD, RANGES) == (severity.HEAD, severity.RANGES)

# --- names

cdef struct Name:
    const uint8_t *text
    size_t size
    int value
    int next


cdef class Names:
    """What names in any case stand for; looked up by length, first and last letter."""

    cdef list texts
    cdef Name names[192]
    cdef int heads[256]
    cdef size_t longest

    def __init__(self, dict values):
        cdef int index, place
        cdef bytes text
        assert len(values) <= 192
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
    PARENT = 6
    EVENT = 7
    STACK = 8
    MESSAGE = 9
    TYPE = 10
    OWN = 11
    NO_ROLE = 12
    ROLE_STEP = 64
    A_NUMBER = 32
    SERILOG_LEVEL = 9
    IS_EXCEPTION = 1 << 16
    IS_PYTHON_LEVEL = 1 << 17
    IS_SYSLOG_LEVEL = 1 << 18
    IS_OTEL_LEVEL = 1 << 19
    IS_SEVERITY = 1 << 20
    IS_MONGO_LEVEL = 1 << 21
    IS_PLACE = 1 << 22
    IS_CONTEXT = 1 << 23
    IS_STATUS = 1 << 24
    IS_DECIMAL = 1 << 25
    IS_GOOGLE = 1 << 26

assert (BODY, LEVEL, TIME, TRACE, SPAN, FLAGS, PARENT, EVENT, STACK, MESSAGE, TYPE, OWN) == (
    fields.BODY, fields.LEVEL, fields.TIME, fields.TRACE, fields.SPAN, fields.FLAGS, fields.PARENT, fields.EVENT,
    fields.STACK, fields.MESSAGE, fields.TYPE, fields.OWN
)
assert (A_NUMBER, SERILOG_LEVEL) == (mapping.A_NUMBER, mapping.SERILOG_LEVEL)
assert max(rank for _, rank in fields.ROLE_OF.values()) + 2 < A_NUMBER
assert max(fields.NESTED) < STACK


def _key_values():
    """Role and rank of each key, in one number. Rank 0 is for a key that is the very name of an attribute."""
    found = {}
    for key, (role, rank) in fields.ROLE_OF.items():
        found[key] = role * ROLE_STEP + rank + 1
    for keys, mark in (
        (fields.EXCEPTIONS, IS_EXCEPTION),
        (fields.PLACES, IS_PLACE),
        (fields.CONTEXTS, IS_CONTEXT),
        ((fields.PYTHON_LEVEL,), IS_PYTHON_LEVEL),
        (fields.SYSLOG_LEVELS, IS_SYSLOG_LEVEL),
        ((fields.STATUS_LEVEL,), IS_STATUS),
        (fields.DECIMAL_IDS, IS_DECIMAL),
        ((fields.GOOGLE_TRACE,), IS_GOOGLE),
        (fields.OTEL_LEVELS, IS_OTEL_LEVEL),
        ((fields.SEVERITY,), IS_SEVERITY),
        ((fields.MONGO_LEVEL,), IS_MONGO_LEVEL),
    ):
        for key in keys:
            found[key] = found.get(key, NO_ROLE * ROLE_STEP) | mark
    return found


def _member_values():
    """Role of each member of an exception and its rank, from 1."""
    return {
        name: role * ROLE_STEP + rank + 1
        for role, names in fields.EXCEPTION_MEMBERS.items()
        for rank, name in enumerate(names)
    }


cdef Names KEYS = Names(_key_values())
cdef Names MEMBERS = Names(_member_values())
cdef Names GELF = Names({fields.GELF: 1})
cdef Names PARTS = Names({name: place for place, name in enumerate(fields.SECONDS + fields.NANOS)})
assert len(fields.SECONDS) == len(fields.NANOS) == 2
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
cdef list SYSLOG_TEXTS = [name.encode() for name in severity.SYSLOG]
cdef const uint8_t *SYSLOG_NAMES[8]
cdef size_t SYSLOG_SIZES[8]
for place in range(8):
    SYSLOG_NAMES[place] = <const uint8_t *>PyBytes_AS_STRING(SYSLOG_TEXTS[place])
    SYSLOG_SIZES[place] = len(SYSLOG_TEXTS[place])
cdef int SYSLOG_NUMBERS[8]
cdef int TENS[6]
SYSLOG_NUMBERS[:] = severity.SYSLOG_NUMBERS
TENS[:] = severity.TENS


# --- meaning

cdef inline int level_of_number(int64_t level, int value, bint gelf) noexcept nogil:
    """As `severity.of_number`; `value` is that of the key."""
    if value & IS_PYTHON_LEVEL:
        return TENS[min(level // 10, 5)] if 0 < level < 100 else 0
    if value & IS_OTEL_LEVEL or (value & IS_SEVERITY and level > 7):
        return <int>level if level <= 24 else 0
    if level < 8:
        return SYSLOG_NUMBERS[level] if level > 2 or gelf or value & IS_SYSLOG_LEVEL else 0
    if value & IS_SYSLOG_LEVEL:
        return 0
    return TENS[min(level // 10, 6) - 1] if 10 <= level < 100 else 0


cdef bint is_digits(Token *t) noexcept nogil:
    cdef size_t i
    for i in range(t.size):
        if not b"0" <= t.data[i] <= b"9":
            return False
    return t.size > 0


cdef bint is_gelf(Parser *p) noexcept nogil:
    """As `mapping._is_gelf`."""
    cdef size_t index = 1
    while index < p.count:
        if not p.tokens[index].dropped and GELF.find(p.tokens[index].key, p.tokens[index].key_size) > 0:
            return True
        index = p.tokens[index].next
    return False


cdef bint is_mongo(Parser *p) noexcept nogil:
    """As `mapping._is_mongo`."""
    cdef size_t index = 1, child
    cdef Token *t
    while index < p.count:
        t = &p.tokens[index]
        child = index + 1
        index = t.next
        if t.dropped or t.kind != OBJECT or t.key_size != 1 or t.key[0] != b"t":
            continue
        while child < t.next:
            if not p.tokens[child].dropped and has_key(&p.tokens[child], b"$date", 5):
                return True
            child = p.tokens[child].next
    return False


cdef inline bint has_key(Token *t, const char *key, size_t size) noexcept nogil:
    return t.key_size == size and memcmp(t.key, key, size) == 0


cdef int level_of(Token *t, int value, Parser *p) noexcept nogil:
    """As `severity.of_level`; the number."""
    cdef size_t i
    cdef int64_t number = 0
    if t.kind != INTEGER and t.kind != STRING:
        return 0
    if value & IS_STATUS:
        return unmistakable(t.data, <int>t.size) if t.kind == STRING and t.size < HEAD else 0
    if 1 <= t.size <= 3:
        for i in range(t.size):
            if not b"0" <= t.data[i] <= b"9":
                break
            number = number * 10 + (t.data[i] - 48)
        else:
            return level_of_number(number, value, number < 3 and is_gelf(p))
    cdef const uint8_t *begin = t.data
    cdef const uint8_t *end = begin + t.size
    while begin < end and begin[0] == b" ":
        begin += 1
    while begin < end and (end - 1)[0] == b" ":
        end -= 1
    return named(begin, 0, <int>(end - begin)) if t.kind == STRING and end - begin < HEAD else 0


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


cdef size_t id_of(Token *t, int value, Token *to, uint8_t *room) noexcept nogil:
    """As `mapping._id`: how many hex digits; `to` has them then, perhaps in the 16 bytes of `room`."""
    cdef uint64_t number = 0
    cdef size_t i, most = 0xFFFFFFFFFFFFFFFFULL // 10
    cdef const uint8_t *end = t.data + t.size
    cdef const uint8_t *p = t.data + 9
    to[0] = t[0]
    if value & IS_DECIMAL and (t.kind == STRING or t.kind == INTEGER) and t.size <= 20 and is_digits(t):
        for i in range(t.size):
            if number > most or (number == most and t.data[i] > b"5"):
                return 0
            number = number * 10 + (t.data[i] - 48)
        for i in range(16):
            room[15 - i] = b"0123456789abcdef"[number & 15]
            number >>= 4
        to.kind, to.data, to.size = STRING, room, 16
        return 16 if is_id(to, 16) else 0
    if value & IS_GOOGLE and t.kind == STRING and t.size > 18 and memcmp(t.data, b"projects/", 9) == 0:
        while p < end and p[0] != b"/":
            p += 1
        if p > t.data + 9 and end - p > 8 and memcmp(p, b"/traces/", 8) == 0:
            to.data, to.size = p + 8, end - p - 8
    if is_id(to, 32):
        return 32
    return 16 if is_id(to, 16) and not value & IS_DECIMAL else 0


cdef int64_t time_in(Token *t, Parser *p) noexcept nogil:
    """As `mapping._time`."""
    cdef int64_t seconds, nanos
    cdef Token *parts[4]
    cdef Token *child
    cdef size_t index = t - p.tokens + 1
    cdef int place, count = 0
    if t.kind == STRING or t.kind == INTEGER or t.kind == DOUBLE:
        return time_of(t.data, t.size)
    if t.kind != OBJECT:
        return 0
    memset(parts, 0, sizeof(parts))
    while index < t.next:
        child = &p.tokens[index]
        index = child.next
        if child.dropped:
            continue
        count += 1
        place = PARTS.find(child.key, child.key_size)
        if place < 0 or child.kind != INTEGER or not is_digits(child):
            return 0
        parts[place] = child
    for place in range(2):
        if count == 2 and parts[place] and parts[place + 2]:
            if not 9 <= parts[place].size <= 10 or parts[place + 2].size > 9:
                return 0
            seconds = parts[place].integer
            nanos = parts[place + 2].integer
            return seconds * 1000000000 + nanos if 946684800 <= seconds < INT64_MAX // 1000000000 else 0
    return 0


cdef int flags_of(Token *t) noexcept nogil:
    """As `mapping._flags`."""
    if t.kind == STRING and t.size == 2 and hex1(t.data[0]) >= 0 and hex1(t.data[1]) >= 0:
        return hex1(t.data[0]) << 4 | hex1(t.data[1])
    return <int>t.integer if t.kind == INTEGER and 0 <= t.integer < 256 else -1


cdef bint is_parent(Token *t) noexcept nogil:
    """W3C's traceparent."""
    cdef Token part = t[0]
    if t.kind != STRING or t.size != 55 or hex1(t.data[0]) < 0 or hex1(t.data[1]) < 0:
        return False
    if t.data[2] != b"-" or t.data[35] != b"-" or t.data[52] != b"-":
        return False
    if hex1(t.data[53]) < 0 or hex1(t.data[54]) < 0:
        return False
    part.data = t.data + 3
    part.size = 32
    if not is_id(&part, 32):
        return False
    part.data = t.data + 36
    part.size = 16
    return is_id(&part, 16)


cdef Found fits(Token *t, int role, int rank, int value, bint with_time, Parser *p) noexcept nogil:
    """As `mapping._fits`: RECORD if so, PLAIN if not."""
    cdef bint good
    cdef Token ignored
    cdef uint8_t room[16]
    cdef size_t size
    if role >= STACK:
        return RECORD if rank == 0 or t.kind == STRING else PLAIN
    if role == BODY or role == EVENT:
        return RECORD if t.kind == STRING and t.length else PLAIN
    if role == TIME and not with_time:
        return PLAIN
    if t.kind == STRING and t.escaped:
        return OTHER
    if role == LEVEL:
        good = level_of(t, value, p) > 0 and (not value & IS_MONGO_LEVEL or is_mongo(p))
    elif role == TIME:
        good = time_in(t, p) > 0
    elif role == FLAGS:
        good = flags_of(t) >= 0
    elif role == PARENT:
        good = is_parent(t)
    else:
        size = id_of(t, value, &ignored, room)
        good = size == 16 or (role == TRACE and size == 32)
    return RECORD if good else PLAIN


# --- records

cdef struct Line:
    int64_t begin
    int64_t time
    uint64_t observed
    const uint8_t *data
    size_t size
    const uint8_t *tail  # what stands after the body, before the observed time
    size_t tail_size
    const uint8_t *record  # the codec's, or NULL
    const uint8_t *body  # in it
    bint other  # for the Python writer
    bint masked  # a pattern has found something
    bint text  # known to be UTF-8
    bint opaque  # not to be parsed

cdef struct Job:
    # What holds for all lines of a call.
    Output out
    size_t limit
    bint json
    int pairs  # least number of them that makes a line logfmt, 0 if it is not looked for
    bint with_time
    bint with_severity
    bint with_uid
    bint keep_bytes
    size_t severities[RANGES + 1]  # records written, by range of severity; the first have none

cdef struct Head:
    # What a line says of its record. What is after `moved_count` is set with what it belongs to.
    const uint8_t *body
    size_t body_size
    Token *body_token  # has the body, if not NULL
    bint text  # the body is UTF-8
    int64_t time
    int severity
    const uint8_t *level
    size_t level_size
    Token *trace
    Token *span
    Token *event
    int flags
    int moved_count
    Token *moved[3]  # members of exceptions that become attributes
    int moved_roles[3]
    uint8_t text_begin[HEAD + 8]  # of the body without its escapes, where the level is in it
    Token parts[2]  # the ids, in hex digits
    uint8_t ids[2][16]


cdef size_t put_begin(uint8_t *p, Token *t) noexcept nogil:
    """The first HEAD bytes, at least, of the text of a string, or all of it; how many. At most three more are written."""
    cdef Token begin = t[0]
    cdef const uint8_t *q = t.data
    cdef const uint8_t *end = q + t.size
    cdef size_t size = 0
    while q < end and size < HEAD:
        if q[0] != b"\\":
            q += 1
            size += 1
        elif q[1] != b"u":
            q += 4 if q[1] == b"x" else 2
            size += 1
        elif 0xD800 <= hex4(q + 2) < 0xDC00:
            q += 12
            size += 4
        else:
            size += 1 if hex4(q + 2) < 0x80 else 2 if hex4(q + 2) < 0x800 else 3
            q += 6
    begin.size = q - t.data
    put_text(p, &begin)
    return min(size, HEAD)


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
        return put_bytes(p + 1, <const uint8_t *>&t.real, 8)  # little-endian, as in `put_fixed64`
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
    p = put_short(put_tagged(p, 0x0A, key_size), key, key_size)
    return put_value(put_tagged(p, 0x12, tokens[index].encoded), tokens, index)


cdef inline uint8_t *put_id(uint8_t *p, uint8_t tag, Token *t, size_t size) noexcept nogil:
    """An id of `size` bytes; a shorter one stands at its end."""
    cdef size_t i, zeros = size - t.size // 2
    p = put_tagged(p, tag, size)
    memset(p, 0, zeros)
    for i in range(t.size // 2):
        p[zeros + i] = <uint8_t>(hex1(t.data[2 * i]) << 4 | hex1(t.data[2 * i + 1]))
    return p + size


cdef int put_record(Job *job, Line *line, Head *head, Parser *parser, Token **renamed) except -1 nogil:
    """Write a record with the tokens of `parser` as attributes. 0: the limit is reached, and nothing was done."""
    cdef Output *out = &job.out
    cdef Token *tokens = parser.tokens
    cdef size_t any_value = field_size(head.body_token.length if head.body_token else head.body_size)
    cdef size_t record = field_size(any_value) + line.tail_size + 8
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
    for i in range(head.moved_count):
        attributes += field_size(pair_size(RENAMED_SIZE[head.moved_roles[i]], head.moved[i].encoded))
    record += attributes + (9 if time > 0 else 0) + (2 if head.severity else 0)
    if head.level_size:
        record += field_size(head.level_size)
    if head.event:
        record += field_size(head.event.length)
    record += (5 if head.flags else 0) + (18 if head.trace else 0) + (10 if head.span else 0)
    whole = field_size(record)
    if out.size and out.size + whole > job.limit:
        return 0
    if whole > out.room - out.size:
        grow(out, whole)
    cdef uint8_t *p = put_tagged(out.data + out.size, 0x12, record)
    if time > 0:
        p[0] = 0x09
        p = put_fixed64(p + 1, time)
    if head.severity:
        p = put_tagged(p, 0x10, head.severity)
    if head.level_size:
        p = put_bytes(put_tagged(p, 0x1A, head.level_size), head.level, head.level_size)
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
    for i in range(head.moved_count):
        key, key_size = RENAMED[head.moved_roles[i]], RENAMED_SIZE[head.moved_roles[i]]
        p = put_pair(p, 0x32, key, key_size, tokens, head.moved[i] - tokens)
    if head.flags:
        p[0] = 0x45
        p[1] = <uint8_t>head.flags
        memset(p + 2, 0, 3)
        p += 5
    if head.trace:
        p = put_id(p, 0x4A, head.trace, 16)
    if head.span:
        p = put_id(p, 0x52, head.span, 8)
    if head.event:
        p = put_text(put_tagged(p, 0x62, head.event.length), head.event)
    p = put_bytes(p, line.tail, line.tail_size)
    if job.with_uid:
        put_offset(p - UID_AT, line.begin)
    put_fixed64(p, line.observed)
    out.size += whole
    return 1


cdef int put_again(Job *job, Line *line, Head *head) except -1 nogil:
    """Write the codec's record with its level. 0: as of `put_record`."""
    cdef Output *out = &job.out
    cdef const uint8_t *end = line.tail + line.tail_size + 8
    cdef size_t record = (end - line.record) + (2 + field_size(head.level_size) if head.severity else 0)
    cdef size_t whole = field_size(record)
    cdef uint8_t *p
    if out.size and out.size + whole > job.limit:
        return 0
    if whole > out.room - out.size:
        grow(out, whole)
    p = put_tagged(out.data + out.size, 0x12, record)
    p = put_bytes(p, line.record, line.body - line.record)
    if head.severity:
        p = put_tagged(p, 0x10, head.severity)
        p = put_bytes(put_tagged(p, 0x1A, head.level_size), head.level, head.level_size)
    put_bytes(p, line.body, end - line.body)
    out.size += whole
    return 1


cdef struct Chosen:
    # The best of the fields with a role.
    Token *token
    Token *parent  # the object that it is in, if that is not the line itself
    Token *grand  # and the one that this is in
    int rank
    int value


cdef void take(Token *t, Token *parent, Token *grand) noexcept nogil:
    """It is no attribute; nor is an object that has nothing else."""
    cdef size_t inner, outer
    if parent == NULL:
        t.taken = True
        return
    t.dropped = True
    inner = inner_size(parent.encoded) - field_size(pair_size(t.key_size, t.encoded))
    outer = inner_size(grand.encoded) - field_size(pair_size(parent.key_size, parent.encoded)) if grand else 0
    parent.encoded = field_size(inner)
    if grand == NULL:
        parent.taken = inner == 0
        return
    parent.dropped = inner == 0
    if inner:
        outer += field_size(pair_size(parent.key_size, parent.encoded))
    grand.encoded = field_size(outer)
    grand.taken = outer == 0


cdef void spread_exception(Parser *p, size_t index, Head *head, bint *has) noexcept nogil:
    """As `mapping._spread_exceptions`, of the object at `index`. `has`: which attributes there are."""
    cdef Token *parent = &p.tokens[index]
    cdef Token *best[3]
    cdef int ranks[3]
    cdef int role, rank, value
    cdef size_t child = index + 1
    cdef Token *t
    memset(best, 0, sizeof(best))
    while child < parent.next:
        t = &p.tokens[child]
        child = t.next
        if t.dropped or t.kind != STRING:
            continue
        value = MEMBERS.find(t.key, t.key_size)
        if value < 0:
            continue
        role, rank = value // ROLE_STEP - STACK, value & (ROLE_STEP - 1)
        if best[role] == NULL or rank < ranks[role]:
            best[role] = t
            ranks[role] = rank
    for role in range(3):
        if best[role] and not has[role]:
            has[role] = True
            head.moved[head.moved_count] = best[role]
            head.moved_roles[head.moved_count] = role
            head.moved_count += 1
            take(best[role], parent, NULL)
    if inner_size(parent.encoded) == 0:
        parent.taken = True


cdef Found spread_exceptions(Parser *p, Head *head) noexcept nogil:
    """As `mapping._spread_exceptions`."""
    cdef bint has[3]
    cdef size_t index = 1
    cdef Token *t
    cdef int value, role
    cdef bint any_found = False
    memset(has, 0, sizeof(has))
    while index < p.count:
        t = &p.tokens[index]
        if not t.dropped:
            for role in range(3):
                if t.key_size == RENAMED_SIZE[role] and memcmp(t.key, RENAMED[role], t.key_size) == 0:
                    has[role] = True
            if t.kind == OBJECT:
                any_found = True
        index = t.next
    index = 1
    while any_found and index < p.count:
        t = &p.tokens[index]
        if not t.dropped and t.kind == OBJECT:
            value = KEYS.find(t.key, t.key_size)
            if value >= 0 and value & IS_EXCEPTION:
                spread_exception(p, index, head, has)
        index = t.next
    return RECORD


cdef Found consider(
    Token *t, Token *parent, Token *grand, int value, bint with_time, Parser *p, Chosen *chosen, Head *head
) noexcept nogil:
    """Choose a token for its role if it is the best until now. RECORD or OTHER."""
    cdef int role = (value & 0xFFFF) // ROLE_STEP
    cdef int rank = value & (ROLE_STEP - 1)
    cdef int i
    cdef Found found
    if role == NO_ROLE:
        return RECORD
    if STACK <= role < OWN:
        if t.key_size == RENAMED_SIZE[role - STACK] and memcmp(t.key, RENAMED[role - STACK], t.key_size) == 0:
            rank = 0
        for i in range(head.moved_count):
            if head.moved_roles[i] == role - STACK:
                return RECORD  # a member of an exception has the attribute's name
    if role == LEVEL and not (t.kind == STRING and not is_digits(t)):
        rank += A_NUMBER
    if rank >= chosen[role].rank:
        return RECORD
    found = fits(t, role, rank, value, with_time, p)
    if found == OTHER:
        return OTHER
    if found == RECORD:
        chosen[role].token = t
        chosen[role].parent = parent
        chosen[role].grand = grand
        chosen[role].rank = rank
        chosen[role].value = value
    return RECORD


cdef Found consider_members(
    Token *t, Token *parent, const uint8_t *place, size_t size, int mark, bint with_time, Parser *p, Chosen *chosen,
    Head *head
) noexcept nogil:
    """As `mapping._within`, of the object `t`, in whose place are `size` bytes. RECORD or OTHER."""
    cdef uint8_t name[64]
    cdef Token *child
    cdef size_t index = t - p.tokens + 1, whole
    cdef int value, in_context
    memcpy(name, place, size)
    name[size] = b"."
    while index < t.next:
        child = &p.tokens[index]
        index = child.next
        if child.dropped:
            continue
        whole = size + 1 + child.key_size
        value = -1
        if whole <= sizeof(name):
            memcpy(name + size + 1, child.key, child.key_size)
            value = KEYS.find(name, whole)
        if value >= 0 and (value & 0xFFFF) // ROLE_STEP < STACK:
            if consider(child, t, parent, value, with_time, p, chosen, head) == OTHER:
                return OTHER
        elif mark & IS_CONTEXT:
            in_context = KEYS.find(child.key, child.key_size)
            if in_context >= 0 and TRACE <= (in_context & 0xFFFF) // ROLE_STEP <= PARENT:
                if consider(child, t, parent, in_context, with_time, p, chosen, head) == OTHER:
                    return OTHER
        if value >= 0 and value & IS_PLACE and child.kind == OBJECT and parent == NULL:
            if consider_members(child, t, name, whole, value, with_time, p, chosen, head) == OTHER:
                return OTHER
    return RECORD


cdef Found understand(Job *job, Parser *p, Head *head, Token **renamed) noexcept nogil:
    """Which token is what. RECORD or OTHER."""
    cdef Chosen chosen[OWN + 1]
    cdef Token *t
    cdef size_t index = 1
    cdef int value, role
    cdef bint serilog_time = False, serilog_level = False, serilog_body = False
    for role in range(OWN + 1):
        chosen[role].token = chosen[role].parent = chosen[role].grand = NULL
        chosen[role].rank = 2 * ROLE_STEP
    spread_exceptions(p, head)
    while index < p.count:
        t = &p.tokens[index]
        index = t.next
        if t.dropped or t.taken:
            continue
        if t.key_size and t.key[0] == b"@":
            serilog_time = serilog_time or has_key(t, b"@t", 2)
            serilog_level = serilog_level or has_key(t, b"@l", 2)
            serilog_body = serilog_body or has_key(t, b"@m", 2) or has_key(t, b"@mt", 3)
        value = KEYS.find(t.key, t.key_size)
        if value < 0:
            continue
        if (value & 0xFFFF) // ROLE_STEP == OWN:
            t.taken = True
            continue
        if consider(t, NULL, NULL, value, job.with_time, p, chosen, head) == OTHER:
            return OTHER
        if value & IS_PLACE and t.kind == OBJECT:
            if consider_members(t, NULL, t.key, t.key_size, value, job.with_time, p, chosen, head) == OTHER:
                return OTHER
    if chosen[TRACE].token:
        chosen[PARENT].token = NULL
    else:
        chosen[SPAN].token = chosen[FLAGS].token = NULL
    head.body_token = chosen[BODY].token
    t = chosen[LEVEL].token
    if t:
        head.level = t.data
        head.level_size = t.size
        head.severity = level_of(t, chosen[LEVEL].value, p)
    elif serilog_time and serilog_body and not serilog_level:
        head.severity = SERILOG_LEVEL
    t = chosen[TIME].token
    head.time = time_in(t, p) if t else 0
    for role in range(TRACE, SPAN + 1):
        t = chosen[role].token
        if t:
            id_of(t, chosen[role].value, &head.parts[role - TRACE], head.ids[role - TRACE])
    head.trace = &head.parts[0] if chosen[TRACE].token else NULL
    head.span = &head.parts[1] if chosen[SPAN].token else NULL
    head.event = chosen[EVENT].token
    head.flags = flags_of(chosen[FLAGS].token) if chosen[FLAGS].token else 0
    t = chosen[PARENT].token
    if t:
        head.parts[0] = head.parts[1] = t[0]
        head.parts[0].data, head.parts[0].size = t.data + 3, 32
        head.parts[1].data, head.parts[1].size = t.data + 36, 16
        head.trace, head.span = &head.parts[0], &head.parts[1]
        head.flags = hex1(t.data[53]) << 4 | hex1(t.data[54])
    for role in range(STACK):
        if chosen[role].token:
            take(chosen[role].token, chosen[role].parent, chosen[role].grand)
    for role in range(3):
        renamed[role] = chosen[STACK + role].token
    return RECORD


cdef void level_in_text(Head *head) noexcept nogil:
    """As `severity.in_text`, of the body."""
    cdef const uint8_t *text = head.body
    cdef size_t size = min(head.body_size, HEAD)
    cdef int found, begin
    if head.body_token:
        text, size = head.body_token.data, min(head.body_token.size, HEAD)
        if head.body_token.escaped:
            text, size = head.text_begin, put_begin(head.text_begin, head.body_token)
    found = find(text, <int>size)
    if found == 0:
        return
    begin = found >> 8 & 255
    head.severity = found & 255
    head.level = text + begin
    head.level_size = (found >> 16) - begin
    if begin and text[begin - 1] == b"<" and b"0" <= text[begin] <= b"9":
        begin = <int>digits(text + begin, head.level_size) & 7
        head.level = SYSLOG_NAMES[begin]
        head.level_size = SYSLOG_SIZES[begin]


cdef bint begins_object(Line *line) noexcept nogil:
    cdef size_t i = 0
    while i < line.size and (line.data[i] == b" " or line.data[i] == b"\t" or line.data[i] == b"\n" or line.data[i] == b"\r"):
        i += 1
    return i < line.size and line.data[i] == b"{"


cdef bint has_return(bytes data) noexcept:
    """Whether a line that is not the last ends in a carriage return. (`in` raises and drops an error for each text.)"""
    cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef const uint8_t *end = p + PyBytes_GET_SIZE(data)
    while p < end:
        p = <const uint8_t *>memchr(p, 13, end - p)
        if p == NULL or p + 1 == end:
            return False
        p += 1
        if p[0] == 10:
            return True
    return False


cdef Found write_line(Job *job, Line *line, Parser *p) except? NO_ROOM nogil:
    cdef Token *renamed[3]
    cdef Head head
    cdef Found found = PLAIN
    if line.other:
        return OTHER
    memset(&head, 0, <uint8_t *>&head.moved - <uint8_t *>&head)
    memset(renamed, 0, sizeof(renamed))
    p.count = 0
    head.body = line.data
    head.body_size = line.size
    if job.json and not line.opaque:
        found = parse_object(p, line.data, line.size)
        if found == PLAIN and line.masked and begins_object(line):
            return OTHER  # a number may have become asterisks
    if found == PLAIN and job.pairs and not line.opaque:
        found = parse_pairs(p, line.data, line.size, job.pairs)
    if found == RECORD:
        head.text = True
        found = understand(job, p, &head, renamed)
    elif found == PLAIN:
        p.count = 0
        head.text = line.text or is_utf8(line.data, line.size)
        if not head.text and not job.keep_bytes:
            return OTHER
        found = RECORD
    if found != RECORD:
        return OTHER
    if job.with_severity and not head.severity:
        level_in_text(&head)
    if line.record and p.count == 0:
        if not put_again(job, line, &head):
            return NO_ROOM
    elif not put_record(job, line, &head, p, renamed):
        return NO_ROOM
    job.severities[(head.severity + 3) // 4] += 1
    return RECORD


cdef int add_other(Job *job, bytes record, int number) except -1:
    """A record from the Python writer. 0: the limit is reached."""
    cdef size_t size = PyBytes_GET_SIZE(record)
    if job.out.size and job.out.size + size > job.limit:
        return 0
    if size > job.out.room - job.out.size:
        grow(&job.out, size)
    put_bytes(job.out.data + job.out.size, <const uint8_t *>PyBytes_AS_STRING(record), size)
    job.out.size += size
    job.severities[(number + 3) // 4] += 1
    return 1


cdef inline const uint8_t *varint(const uint8_t *p, size_t *value) noexcept nogil:
    """Behind a number that is known to be whole."""
    cdef int shift = 0
    value[0] = 0
    while p[0] & 0x80:
        value[0] |= <size_t>(p[0] & 0x7F) << shift
        shift += 7
        p += 1
    value[0] |= <size_t>p[0] << shift
    return p + 1


cdef inline bint is_original(const uint8_t *p) noexcept nogil:
    """As `writer.is_original`, of what stands after a record's body."""
    cdef size_t ignored
    if p[0] != 0x32:
        return False
    p = varint(p + 1, &ignored)
    return p[0] == 0x0A and p[1] == ORIGINAL_SIZE and memcmp(p + 2, ORIGINAL_NAME, ORIGINAL_SIZE) == 0


cdef class Lines:
    """Lines one after the other: an array of them, or those that are in the codec's records."""

    cdef Line *all  # or NULL
    cdef size_t count
    cdef const uint8_t *payload
    cdef Line one
    cdef const uint8_t *next
    cdef size_t made  # how many of the payload's have been in `one`

    def __cinit__(self, size_t count, bytes payload=None):
        self.count = count
        if payload is None:
            self.all = <Line *>PyMem_RawMalloc((count + 1) * sizeof(Line))
            if self.all == NULL:
                raise MemoryError
        else:
            self.payload = self.next = <const uint8_t *>PyBytes_AS_STRING(payload)

    def __dealloc__(self):
        PyMem_RawFree(self.all)

    cdef inline Line *at(self, size_t index) noexcept nogil:
        """The line with this number, which is that of the last call or the next one."""
        cdef Line *line
        cdef const uint8_t *p
        cdef size_t size
        if self.all:
            return &self.all[index]
        line = &self.one
        if index < self.made:
            return line
        p = self.next
        line.begin = p - self.payload
        line.record = p = varint(p + 1, &size)
        self.next = p + size
        line.time = 0
        if p[0] == 0x09:
            memcpy(&line.time, p + 1, 8)
            p += 9
        line.body = p
        p = varint(p + 1, &size)
        line.text = p[0] == 0x0A
        line.data = varint(p + 1, &line.size)
        line.tail = line.data + line.size
        line.tail_size = self.next - line.tail - 8
        memcpy(&line.observed, self.next - 8, 8)
        line.opaque = not line.text or is_original(line.tail)
        self.made += 1
        return line


cdef class NativeWriter:
    """See `writer.Writer`."""

    cdef object python
    cdef bint json
    cdef int pairs
    cdef bint with_time
    cdef bint with_severity
    cdef object redaction
    cdef bint keep_bytes
    cdef bint strip_ansi

    def __init__(self, rules, python):
        self.python = python
        self.json = rules.parse in ("json", "auto")
        self.pairs = {"logfmt": 1, "auto": LOGFMT_LEAST}.get(rules.parse, 0)
        self.with_time = rules.parse_time
        self.with_severity = rules.severity
        self.redaction = rules.redaction
        self.keep_bytes = rules.keep_bytes
        self.strip_ansi = rules.strip_ansi

    def write(self, records, options, observed, limit):
        """See `writer.Writer`."""
        cdef bytes data
        cdef tuple record
        cdef list kept = []  # what is redacted lives as long as it is pointed to
        cdef size_t count = len(records), index = 0, size = 0
        cdef tuple both = tails(options)
        cdef bytes tail
        cdef bint strips = self.strip_ansi
        cdef Lines lines = Lines(count)
        cdef Line *line
        for index, record in enumerate(records):
            line = &lines.all[index]
            line.record = NULL
            line.other = line.masked = line.text = line.opaque = False
            data = record[3]  # kept alive by `records`
            if self.redaction is not None:
                line.other = self.redaction.looks_at_values(data)
                if not line.other:
                    data = self.redaction.line(data)
                    line.masked = data is not record[3]
                    kept.append(data)
            elif has_return(data):
                data = without_returns(data)
                kept.append(data)
            if strips and (data.find(b"\x1b") >= 0 or data.find(b"\\") >= 0):
                line.other = True
            line.begin = record[0]
            line.time = record[1]
            line.observed = (line.time if line.time > 0 else observed) % (1 << 64)
            line.data = <const uint8_t *>PyBytes_AS_STRING(data)
            line.size = PyBytes_GET_SIZE(data)
            while line.size and line.data[line.size - 1] == b"\r":
                line.size -= 1
            tail = both[record[2]]
            line.tail = <const uint8_t *>PyBytes_AS_STRING(tail)
            line.tail_size = PyBytes_GET_SIZE(tail)
            size += line.size + line.tail_size + 64
        return self.made(lines, records, options.uid is not None, self.keep_bytes, size, limit)

    def rewrite(self, bytes payload, size_t records, limit):
        """See `writer.Writer`."""
        cdef Lines lines = Lines(records, payload)
        cdef size_t room = len(payload) + len(payload) // 2
        made, written, severities = self.made(lines, None, False, True, room, limit)
        return made, lines.at(written).begin if written < records else len(payload), severities

    cdef tuple made(self, Lines lines, records, bint uid, bint keep_bytes, size_t size, limit):
        """(payload, how many records, severities). `records`: the lines as they were, where these may be others; `size`:
        bytes that will be needed, about."""
        cdef size_t index = 0
        cdef Line *line
        cdef Parser parser
        cdef Job job
        cdef Found found
        parser.room = 64
        parser.count = 0
        parser.keys = NULL
        parser.tokens = <Token *>PyMem_RawMalloc(parser.room * sizeof(Token))
        job.out.object = NULL
        try:
            if parser.tokens == NULL:
                raise MemoryError
            job.limit = max(0, min(limit, INT64_MAX))
            job.json = self.json
            job.pairs = self.pairs
            job.with_time = self.with_time
            job.with_severity = self.with_severity
            job.with_uid = uid
            job.keep_bytes = keep_bytes
            memset(job.severities, 0, sizeof(job.severities))
            open_output(&job.out, min(job.limit, size) + 1024)
            while index < lines.count:
                # With the GIL at first: where line after line is for the Python writer, giving it away each time would
                # cost a wait for the other threads each time.
                found = write_line(&job, lines.at(index), &parser)
                if found == RECORD:
                    index += 1
                    with nogil:
                        while index < lines.count:
                            found = write_line(&job, lines.at(index), &parser)
                            if found != RECORD:
                                break
                            index += 1
                if found == NO_ROOM:
                    break
                if found == OTHER:
                    line = lines.at(index)
                    tail = line.tail[:line.tail_size]
                    if job.with_uid:
                        tail = with_uid(tail, line.begin)
                    text = line.data[:line.size] if records is None else records[index][3]
                    other, number = self.python.record(text, line.time, tail + fixed64(line.observed))
                    if not add_other(&job, other, number):
                        break
                    index += 1
            severities = tuple([job.severities[place] for place in range(1, RANGES + 1)])
            return close_output(&job.out), index, severities
        finally:
            PyMem_RawFree(parser.tokens)
            PyMem_RawFree(parser.keys)
            Py_XDECREF(job.out.object)
