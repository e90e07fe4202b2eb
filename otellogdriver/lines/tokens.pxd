# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""A structured line as tokens, in C: JSON as `json_line.py` reads it, logfmt as `logfmt.py` does.

A line is read once, into an array: the members of an object or array follow it, and each token knows the one behind it
and all in it. A token has the size that it will have in the record. What is rare is left to the Python writer, by the
answer OTHER: very many members, odd numbers. Nothing recurses deeper than MAX_DEPTH.
"""

from cpython.mem cimport PyMem_RawMalloc, PyMem_RawRealloc
from libc.math cimport isfinite
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint64_t
from libc.stdlib cimport strtod
from libc.string cimport memcmp, memcpy

from otellogdriver.codec.wire cimport is_utf8, put_bytes, put_short, varint_size

cdef enum:
    MAX_DEPTH = 16
    MAX_PARSED = 65536
    MAX_MEMBERS = 64  # of one object: telling keys apart costs the square of it
    LONGEST_DOUBLE = 63

cdef enum Found:
    RECORD
    PLAIN  # not such a line
    OTHER  # the Python writer must say
    NO_ROOM  # not within the limit

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
    uint8_t *keys  # without their escapes, if there are any; MAX_PARSED bytes, so all keys of a line find room
    size_t keys_size


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


cdef inline Found scan_string(Parser *p, Token *t, bint pairs) noexcept nogil:
    """A string from its quote to behind its other one; the text is UTF-8, as the whole line was found to be. `pairs`: of
    logfmt, which knows \\x41 as well."""
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
        if pairs and q[1] == b"x":
            if p.end - q < 4 or not b"0" <= q[2] <= b"7" or hex1(q[3]) < 0:
                return PLAIN
            saved += 3
            q += 4
            continue
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


cdef inline uint8_t *put_text(uint8_t *p, Token *t) noexcept nogil:
    """The text of a string."""
    cdef const uint8_t *q = t.data
    cdef const uint8_t *end = q + t.size
    cdef const uint8_t *run
    cdef int code
    if not t.escaped:
        return put_short(p, q, t.size)
    while q < end:
        run = q
        while q < end and q[0] != b"\\":
            q += 1
        p = put_bytes(p, run, q - run)
        if q >= end:
            break
        if q[1] == b"x":
            p[0] = <uint8_t>(hex1(q[2]) << 4 | hex1(q[3]))
            p += 1
            q += 4
            continue
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


cdef inline Found scan_number(Parser *p, Token *t) noexcept nogil:
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


cdef inline Token *new_token(Parser *p, const uint8_t *key, size_t key_size) noexcept nogil:
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


cdef inline Found parse_value(Parser *p, const uint8_t *key, size_t key_size, int depth) noexcept nogil:
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
        found = scan_string(p, t, False)
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


cdef inline bint unescape_key(Parser *p, Token *key) noexcept nogil:
    """Make the key one without escapes. False without memory."""
    if p.keys == NULL:
        p.keys = <uint8_t *>PyMem_RawMalloc(MAX_PARSED)
        if p.keys == NULL:
            return False
    put_text(p.keys + p.keys_size, key)
    key.data = p.keys + p.keys_size
    key.size = key.length
    key.escaped = False
    p.keys_size += key.size
    return True


cdef inline Found parse_members(Parser *p, size_t index, int depth) noexcept nogil:
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
            found = scan_string(p, &key, False)
            if found != RECORD:
                return found
            members += 1
            if members > MAX_MEMBERS or (key.escaped and not unescape_key(p, &key)):
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


cdef inline size_t drop_equal(Parser *p, size_t first, size_t last) noexcept nogil:
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


cdef inline Found parse_object(Parser *p, const uint8_t *data, size_t size) noexcept nogil:
    """The tokens of a line; the first one is the object itself."""
    cdef Found found
    p.at = data
    p.end = data + size
    p.count = 0
    p.keys_size = 0
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


cdef inline Found parse_pairs(Parser *p, const uint8_t *data, size_t size, int least) noexcept nogil:
    """As `logfmt.parsed`. The first token stands for the line."""
    cdef const uint8_t *q = data
    cdef const uint8_t *end = data + size
    cdef const uint8_t *key
    cdef const uint8_t *value
    cdef size_t members = 0
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
        t.kind = STRING
        t.escaped = False
        if q < end and q[0] == b'"':
            p.at = q
            p.end = end
            if scan_string(p, t, True) != RECORD:
                return PLAIN
            q = p.at
        else:
            while q < end and q[0] > 0x20:
                q += 1
            t.data = value
            t.size = t.length = q - value
        if q < end and q[0] != b" " and q[0] != b"\t":
            return PLAIN
        while q < end and (q[0] == b" " or q[0] == b"\t"):
            q += 1
        t.encoded = field_size(t.length)
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
