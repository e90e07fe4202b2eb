# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""A LogRecord of a structured line, in C: written in one go, from its tokens (`tokens.pxd`) and what they mean.

The sizes are known before anything is written, so nothing is moved afterwards. What a line means is decided in
`native.pyx`. `writer.py` writes the same in Python; tests compare the two.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memset

from otellogdriver.codec.wire cimport (
    Output, grow, put_bytes, put_fixed64, put_offset, put_short, put_tagged, varint_size
)
from otellogdriver.lines.tokens cimport (
    ARRAY, DOUBLE, FALSE, INTEGER, NULL_VALUE, OBJECT, STRING, TRUE, Parser, Token, field_size, hex1, hex4, pair_size,
    put_text
)

cdef enum:
    HEAD = 200  # bytes of a line in which a level is looked for
    RANGES = 6  # of severities

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
    size_t uid_at  # where in a record the place of its line stands, from the end of the tail
    const uint8_t **renamed  # names of the attributes that are made of members of an exception
    size_t *renamed_size
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


cdef inline size_t put_begin(uint8_t *p, Token *t) noexcept nogil:
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


cdef inline uint8_t *put_value(uint8_t *p, Token *tokens, size_t index) noexcept nogil:
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


cdef inline uint8_t *put_pair(
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


cdef inline int put_record(Job *job, Line *line, Head *head, Parser *parser, Token **renamed) except -1 nogil:
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
                    key_size = job.renamed_size[i]
            attributes += field_size(pair_size(key_size, tokens[index].encoded))
        index = tokens[index].next
    for i in range(head.moved_count):
        attributes += field_size(pair_size(job.renamed_size[head.moved_roles[i]], head.moved[i].encoded))
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
                    key, key_size = job.renamed[i], job.renamed_size[i]
            p = put_pair(p, 0x32, key, key_size, tokens, index)
        index = tokens[index].next
    for i in range(head.moved_count):
        key, key_size = job.renamed[head.moved_roles[i]], job.renamed_size[head.moved_roles[i]]
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
        put_offset(p - job.uid_at, line.begin)
    put_fixed64(p, line.observed)
    out.size += whole
    return 1


cdef inline int put_again(Job *job, Line *line, Head *head) except -1 nogil:
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
