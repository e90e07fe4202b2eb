# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The codec in C: the same contract as `python.py`, at a small fraction of its cost.

Each function goes through its chunk with C pointers and without the GIL; no Python object is made for a line. The
buffer of the chunk stays exported meanwhile, so that its owner can neither free nor resize it. Nothing is read that
`look` did not find to be inside of the chunk, and each length is read once, so that not even bytes that change under
our hands lead outside. Output is written into the very bytes object that is returned.
"""

from array import array

from cpython.buffer cimport PyBUF_READ, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.object cimport PyObject
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

from otellogdriver.codec.wire cimport (
    Output, Py_XDECREF, close_output, grow, is_utf8, open_output, put_bytes, put_fixed64, put_offset, put_replaced, put_tagged,
    replaced_size, varint_size
)

from otellogdriver.codec import contract
from otellogdriver.codec.contract import BOTH, NONE, NOTHING, Encoded, Group, Split
from otellogdriver.codec.frames import SOURCES
from otellogdriver.codec.python import ORIGINAL, UID_BEHIND, tails

name = "native"

cdef size_t MIN_FRAME = contract.MIN_FRAME
cdef size_t MAX_FRAME = contract.MAX_FRAME
cdef size_t MAX_RECORD = contract.MAX_RECORD
cdef size_t UID_AT = UID_BEHIND
cdef bytes ORIGINAL_NAME = ORIGINAL
cdef const uint8_t *ORIGINAL_KEY = <const uint8_t *>PyBytes_AS_STRING(ORIGINAL_NAME)
cdef size_t ORIGINAL_SIZE = len(ORIGINAL_NAME)
cdef int BOTH_STREAMS = BOTH

# --- frames

cdef enum Look:
    FRAME
    CUT  # a frame may begin here, but the chunk ends before it does
    DAMAGE  # no frame begins here

cdef enum:
    SHORT = 35  # bits of the longest varint: of tags and lengths,
    LONG = 70  # of values
    HEADER = 12  # a length and a head: what must be seen before a frame is worth parsing

cdef struct Message:
    # A message being read: `at` moves to `end`, which may lie behind `seen`, the end of the chunk.
    const uint8_t *data
    size_t at
    size_t end
    size_t seen

cdef struct Frame:
    size_t size  # with the length in front
    int stream  # 0 stdout, 1 stderr
    bint more  # a piece with more to come
    int64_t time
    const uint8_t *line
    size_t line_size
    const uint8_t *id
    size_t id_size

cdef struct Walk:
    # A way through a chunk: everything before `at` is used or skipped.
    const uint8_t *data
    size_t size
    size_t at
    size_t skipped
    bint final


cdef inline Look read_varint(Message *m, uint64_t *value, unsigned int bits) noexcept nogil:
    cdef unsigned int shift = 0
    cdef uint8_t byte
    value[0] = 0
    while m.at < m.end and shift < bits:
        if m.at >= m.seen:
            return CUT
        byte = m.data[m.at]
        m.at += 1
        value[0] |= <uint64_t>(byte & 0x7F) << shift
        if byte < 0x80:
            return DAMAGE if shift == 63 and byte > 1 else FRAME
        shift += 7
    return DAMAGE


cdef inline Look read_len(Message *m, const uint8_t **data, size_t *size) noexcept nogil:
    """The value of a LEN field. It lies in its message, but perhaps behind what is seen."""
    cdef uint64_t length
    cdef Look status = read_varint(m, &length, SHORT)
    if status != FRAME:
        return status
    if length > m.end - m.at:
        return DAMAGE
    data[0] = m.data + m.at
    size[0] = length
    m.at += length
    return FRAME


cdef Look skip_field(Message *m, uint64_t tag, uint64_t last_known) noexcept nogil:
    """Behind the value of an unknown field. The known fields of a message are 1 to `last_known`."""
    cdef uint64_t value
    cdef const uint8_t *data
    cdef size_t size
    if tag >> 3 <= last_known or tag >> 32:
        return DAMAGE
    if tag & 7 == 0:
        return read_varint(m, &value, LONG)
    if tag & 7 == 2:
        return read_len(m, &data, &size)
    if tag & 7 != 1 and tag & 7 != 5:
        return DAMAGE
    size = 8 if tag & 7 == 1 else 4
    if size > m.end - m.at:
        return DAMAGE
    m.at += size
    return FRAME


cdef Look read_metadata(Message *m, Frame *f, bint *last) noexcept nogil:
    cdef uint64_t tag, value
    cdef Look status = FRAME
    while m.at < m.end and status == FRAME:
        status = read_varint(m, &tag, SHORT)
        if status != FRAME:
            break
        if tag == 0x08:
            status = read_varint(m, &value, LONG)
            last[0] = value != 0
        elif tag == 0x12:
            status = read_len(m, &f.id, &f.id_size)
        elif tag == 0x18:
            status = read_varint(m, &value, LONG)
        else:
            status = skip_field(m, tag, 3)
    return status


cdef inline int stream_of(const uint8_t *source) noexcept nogil:
    """By six bytes: 0, 1, or -1 for what is no source."""
    if memcmp(source, b"stdout", 6) == 0:
        return 0
    return 1 if memcmp(source, b"stderr", 6) == 0 else -1


cdef Look look_at_header(const uint8_t *data, size_t seen) noexcept nogil:
    """Whether the few bytes to the end of the chunk may begin a frame."""
    cdef size_t length = 0, i
    for i in range(4):
        length = length << 8 | (data[i] if i < seen else 0)
    if length > MAX_FRAME or (seen >= 4 and length < MIN_FRAME):
        return DAMAGE
    if seen > 4 and memcmp(data + 4, b"\n\x06stdout", seen - 4) != 0 and memcmp(data + 4, b"\n\x06stderr", seen - 4) != 0:
        return DAMAGE
    return CUT


cdef Look look(const uint8_t *data, size_t seen, Frame *f) noexcept nogil:
    """The frame that begins at `data`, of which `seen` bytes are there. With FRAME all of it is."""
    if seen < HEADER:
        return look_at_header(data, seen)
    cdef size_t length = <size_t>data[0] << 24 | <size_t>data[1] << 16 | <size_t>data[2] << 8 | data[3]
    if length < MIN_FRAME or length > MAX_FRAME or data[4] != 0x0A or data[5] != 6:
        return DAMAGE
    f.stream = stream_of(data + 6)
    if f.stream < 0:
        return DAMAGE
    cdef Message m = Message(data, HEADER, 4 + length, seen)
    cdef Message metadata
    cdef uint64_t tag, value
    cdef const uint8_t *source
    cdef size_t size
    cdef bint partial = False, with_metadata = False, last = False
    cdef Look status
    f.size = m.end
    f.time = 0
    f.line = f.id = data
    f.line_size = f.id_size = 0
    while m.at < m.end:
        status = read_varint(&m, &tag, SHORT)
        if status != FRAME:
            return status
        if tag == 0x10:
            status = read_varint(&m, &value, LONG)
            f.time = <int64_t>value
        elif tag == 0x1A:
            status = read_len(&m, &f.line, &f.line_size)
        elif tag == 0x20:
            status = read_varint(&m, &value, LONG)
            partial = value != 0
        elif tag == 0x2A:
            status = read_len(&m, &source, &size)
            if status == FRAME:
                with_metadata = True
                metadata = Message(data, m.at - size, m.at, seen)
                status = read_metadata(&metadata, f, &last)
        elif tag == 0x0A:
            status = read_len(&m, &source, &size)
            if status == FRAME and m.at > seen:
                return CUT
            if status == FRAME:
                f.stream = stream_of(source) if size == 6 else -1
                if f.stream < 0:
                    return DAMAGE
        else:
            status = skip_field(&m, tag, 5)
        if status != FRAME:
            return status
    if m.end > seen:
        return CUT
    f.more = not last if with_metadata else partial
    return FRAME


cdef inline bint next_frame(Walk *w, Frame *f) noexcept nogil:
    """Look at the frame that begins at `w.at`, behind the damage there; False where the walk ends."""
    cdef Look status
    while w.at < w.size:
        status = look(w.data + w.at, w.size - w.at, f)
        if status == FRAME:
            return True
        if status == CUT and not w.final:
            return False
        w.at += 1
        w.skipped += 1
    return False


# --- records

cdef struct Open:
    # A `Group`. Its bytes stay where they are, in the carry or the chunk, until there is a second piece to join.
    bint there
    bint carried  # it is still the carry's
    int64_t begin
    int64_t time
    const uint8_t *id
    size_t id_size
    const uint8_t *data
    size_t size
    uint8_t *own  # where pieces are joined; used again for the next group, and freed at the end
    size_t room

cdef struct Records:
    Output out
    size_t limit
    int streams
    bint with_uid
    bint keep_bytes
    uint64_t observed
    const uint8_t *tail[2]
    size_t tail_size[2]
    size_t written
    size_t excluded
    size_t lines[2]
    size_t bytes[2]
    PyObject *split  # the list that gets the lines, where lines are wanted and not records
    int64_t most


cdef int add(Records *r, int stream, int64_t begin, int64_t time, const uint8_t *body, size_t size) except -1 nogil:
    """Write a record, or count it as excluded. 0: the limit is reached, and nothing was done."""
    if r.split != NULL:
        return add_line(r, stream, begin, time, body, size)
    if r.streams >> stream & 1:
        if not put_record(r, stream, begin, time, body, size):
            return 0
        r.written += 1
    else:
        r.excluded += 1
    r.lines[stream] += 1
    r.bytes[stream] += size
    return 1


cdef int add_line(Records *r, int stream, int64_t begin, int64_t time, const uint8_t *line, size_t size) except -1 nogil:
    if <int64_t>r.written == r.most:
        return 0
    with gil:
        (<list>r.split).append((begin, time, stream, (<const char *>line)[:size]))
    r.written += 1
    return 1


cdef inline int put_record(
    Records *r, int stream, int64_t begin, int64_t time, const uint8_t *body, size_t size
) except -1 nogil:
    while size and body[size - 1] == b"\r":
        size -= 1
    cdef bint text = is_utf8(body, size)
    cdef size_t shown = size, value = 0, pair = 0, original = 0
    if not text and not r.keep_bytes:
        shown = replaced_size(body, size)
        value = 1 + varint_size(size) + size
        pair = 2 + ORIGINAL_SIZE + 1 + varint_size(value) + value
        original = 1 + varint_size(pair) + pair
    cdef size_t any_value = 1 + varint_size(shown) + shown
    cdef size_t record = (
        (9 if time > 0 else 0) + 1 + varint_size(any_value) + any_value + original + r.tail_size[stream] + 8
    )
    cdef size_t whole = 1 + varint_size(record) + record
    if r.out.size and r.out.size + whole > r.limit:
        return 0
    if whole > r.out.room - r.out.size:
        grow(&r.out, whole)
    cdef uint8_t *p = put_tagged(r.out.data + r.out.size, 0x12, record)
    if time > 0:
        p[0] = 0x09
        p = put_fixed64(p + 1, time)
    p = put_tagged(p, 0x2A, any_value)
    # AnyValue.string_value is field 1, AnyValue.bytes_value field 7.
    p = put_tagged(p, 0x3A if not text and r.keep_bytes else 0x0A, shown)
    if original:
        p = put_replaced(p, body, size)
        p = put_bytes(put_tagged(put_tagged(p, 0x32, pair), 0x0A, ORIGINAL_SIZE), ORIGINAL_KEY, ORIGINAL_SIZE)
        p = put_tagged(put_tagged(p, 0x12, value), 0x3A, size)
    p = put_bytes(p, body, size)
    p = put_bytes(p, r.tail[stream], r.tail_size[stream])
    if r.with_uid:
        put_offset(p - UID_AT, begin)
    put_fixed64(p, time if time > 0 else r.observed)
    r.out.size += whole
    return 1


cdef size_t expected_size(Walk w, size_t tail_size) noexcept nogil:
    """About how long the payload gets, by the first frames: growing costs a copy, too much room costs memory."""
    cdef Frame f
    cdef size_t frames = 0
    while frames < 16 and next_frame(&w, &f):
        w.at += f.size
        frames += 1
    # A record's tail replaces fields of the frame that are a little shorter.
    return w.size + (w.size * frames // w.at * tail_size if frames else 0)


# --- groups


cdef int join(Open *g, const uint8_t *piece, size_t size) except -1 nogil:
    """Add a piece to an open group."""
    cdef size_t room
    cdef uint8_t *own
    if g.size + size > g.room:
        room = max(2 * g.room, g.size + size, <size_t>4096)
        own = <uint8_t *>PyMem_RawRealloc(g.own, room)
        if own == NULL:
            with gil:
                raise MemoryError
        if g.data == g.own:
            g.data = own
        g.own = own
        g.room = room
    if g.data != g.own:
        put_bytes(g.own, g.data, g.size)
        g.data = g.own
    put_bytes(g.own + g.size, piece, size)
    g.size += size
    g.carried = False
    return 0


cdef inline bint takes(Open *g, Frame *f) noexcept nogil:
    """Whether a frame belongs to an open group."""
    return (
        g.id_size == f.id_size and memcmp(g.id, f.id, f.id_size) == 0 and g.size + f.line_size <= MAX_RECORD
    )


cdef inline void begin_group(Open *g, Frame *f, int64_t begin) noexcept nogil:
    g.there = True
    g.carried = False
    g.begin = begin
    g.time = f.time
    g.id = f.id
    g.id_size = f.id_size
    g.data = f.line
    g.size = f.line_size


cdef int open_groups(Open *groups, tuple carry) except -1:
    """`carry` must outlive the groups."""
    cdef int i
    cdef bytes id, data
    for i in range(2):
        if carry[i] is None:
            continue
        id = carry[i].id
        data = carry[i].data
        groups[i].there = groups[i].carried = True
        groups[i].begin = carry[i].begin
        groups[i].time = carry[i].time
        groups[i].id = <const uint8_t *>PyBytes_AS_STRING(id)
        groups[i].id_size = len(id)
        groups[i].data = <const uint8_t *>PyBytes_AS_STRING(data)
        groups[i].size = len(data)
    return 0


cdef object close_group(Open *g, bytes source):
    return Group(
        g.begin, g.time, source, (<const char *>g.id)[:g.id_size], (<const char *>g.data)[:g.size]
    )


cdef tuple close_groups(Open *groups, tuple carry):
    cdef int i
    cdef list closed = [None, None]
    for i in range(2):
        if groups[i].there:
            closed[i] = carry[i] if groups[i].carried else close_group(&groups[i], SOURCES[i])
    return tuple(closed)


cdef int encode_frames(
    Walk *w, Open *groups, Records *r, int64_t start, int flush, const int64_t *opens
) except -1 nogil:
    cdef Frame f
    cdef Open *g
    cdef int i
    while next_frame(w, &f):
        if not 0 <= opens[f.stream] <= start + <int64_t>w.at:
            w.at += f.size
            continue
        g = &groups[f.stream]
        if g.there and not takes(g, &f):
            if not add(r, f.stream, g.begin, g.time, g.data, g.size):
                return 0
            g.there = False
        if f.more and g.there:
            join(g, f.line, f.line_size)
        elif f.more:
            begin_group(g, &f, start + w.at)
        elif not g.there:
            if not add(r, f.stream, start + w.at, f.time, f.line, f.line_size):
                return 0
        else:
            join(g, f.line, f.line_size)
            if not add(r, f.stream, g.begin, g.time, g.data, g.size):
                g.size -= f.line_size
                return 0
            g.there = False
        w.at += f.size
    if flush:
        i = 1 if groups[1].there and not (groups[0].there and groups[0].begin < groups[1].begin) else 0
        for i in range(i, i + 2):
            g = &groups[i & 1]
            if g.there and flush >> (i & 1) & 1:
                if not add(r, i & 1, g.begin, g.time, g.data, g.size):
                    return 0
                g.there = False
    return 0


# --- the contract's functions


cdef class Chunk:
    """A chunk's buffer, exported as long as this object lives."""

    cdef Py_buffer buffer
    cdef Walk walk

    def __cinit__(self, chunk, bint final):
        PyObject_GetBuffer(chunk, &self.buffer, PyBUF_SIMPLE)
        self.walk = Walk(<const uint8_t *>self.buffer.buf, self.buffer.len, 0, 0, final)

    def __dealloc__(self):
        PyBuffer_Release(&self.buffer)


def encode(chunk, int64_t start, tuple carry, options, observed, limit, int flush=0, bint final=False):
    """See `contract.Codec`."""
    cdef Chunk exported = Chunk(chunk, final)
    cdef Walk *w = &exported.walk
    cdef bytes out_tail, err_tail
    cdef Open groups[2]
    cdef Records r
    cdef int64_t opens[2]
    cdef size_t room
    cdef int i
    opens[0] = opens[1] = 0
    out_tail, err_tail = tails(options)
    groups[0] = groups[1] = Open(False, False, 0, 0, NULL, 0, NULL, 0, NULL, 0)
    r.limit = clamp(limit, 0)
    r.streams = options.streams
    r.with_uid = options.uid is not None
    r.keep_bytes = options.keep_bytes
    r.observed = observed % (1 << 64)
    r.tail[0] = <const uint8_t *>PyBytes_AS_STRING(out_tail)
    r.tail[1] = <const uint8_t *>PyBytes_AS_STRING(err_tail)
    r.tail_size[0] = len(out_tail)
    r.tail_size[1] = len(err_tail)
    r.split = NULL
    r.written = r.excluded = r.lines[0] = r.lines[1] = r.bytes[0] = r.bytes[1] = 0
    with nogil:
        room = expected_size(w[0], max(r.tail_size[0], r.tail_size[1]) + 8)
    open_output(&r.out, min(r.limit, room) + 1024)
    try:
        open_groups(groups, carry)
        with nogil:
            encode_frames(w, groups, &r, start, BOTH_STREAMS if final else flush, opens)
        return Encoded(
            close_output(&r.out),
            r.written,
            (r.lines[0], r.lines[1]),
            (r.bytes[0], r.bytes[1]),
            {"streams": r.excluded} if r.excluded else NONE,
            start + <int64_t>w.at,
            close_groups(groups, carry),
            w.skipped,
        )
    finally:
        Py_XDECREF(r.out.object)
        for i in range(2):
            PyMem_RawFree(groups[i].own)


def split(
    chunk, int64_t start, tuple carry, int flush=0, bint final=False, most=-1, tuple opens=(0, 0)
):
    """See `contract.Codec`. The GIL is kept: an object is made for each line."""
    cdef Chunk exported = Chunk(chunk, final)
    cdef Walk *w = &exported.walk
    cdef int64_t begins[2]
    cdef Open groups[2]
    cdef Records r
    cdef list lines = []
    begins[0], begins[1] = opens
    groups[0] = groups[1] = Open(False, False, 0, 0, NULL, 0, NULL, 0, NULL, 0)
    r.split = <PyObject *>lines
    r.written = 0
    r.most = clamp(most, -1)
    try:
        open_groups(groups, carry)
        encode_frames(w, groups, &r, start, flush, begins)
        return Split(lines, start + <int64_t>w.at, close_groups(groups, carry), w.skipped)
    finally:
        PyMem_RawFree(groups[0].own)
        PyMem_RawFree(groups[1].own)


def rebuild(chunk, int64_t start, tuple opens):
    """See `contract.Codec`."""
    cdef Chunk exported = Chunk(chunk, True)
    cdef Walk *w = &exported.walk
    cdef int64_t begins[2]
    cdef Open groups[2]
    cdef Frame f
    cdef Open *g
    begins[0], begins[1] = opens
    groups[0] = groups[1] = Open(False, False, 0, 0, NULL, 0, NULL, 0, NULL, 0)
    try:
        with nogil:
            while next_frame(w, &f):
                g = &groups[f.stream]
                if 0 <= begins[f.stream] <= start + <int64_t>w.at:
                    if not f.more:
                        g.there = False
                    elif g.there and takes(g, &f):
                        join(g, f.line, f.line_size)
                    else:
                        begin_group(g, &f, start + w.at)
                w.at += f.size
        return close_groups(groups, NOTHING)
    finally:
        PyMem_RawFree(groups[0].own)
        PyMem_RawFree(groups[1].own)


def count(chunk, int64_t start, offset, bint final=False):
    """See `contract.Codec`."""
    cdef Chunk exported = Chunk(chunk, final)
    cdef Walk *w = &exported.walk
    cdef int64_t least = clamp(offset)
    cdef size_t lines[2]
    cdef Frame f
    lines[0] = lines[1] = 0
    with nogil:
        while next_frame(w, &f) and start + <int64_t>w.at < least:
            lines[f.stream] += not f.more
            w.at += f.size
    return lines[0], lines[1], w.skipped, start + <int64_t>w.at


def readable(chunk, int64_t start, since, until):
    """See `contract.Codec`."""
    cdef Chunk exported = Chunk(chunk, False)
    cdef Walk *w = &exported.walk
    cdef int64_t first = clamp(since), last = clamp(until)
    cdef bint done = False
    cdef Frame f
    cdef Output out
    # A frame of 12 bytes or more gets at most 3 bytes longer: by a newline and the field for it, or a longer length.
    open_output(&out, w.size + w.size // 4 + 16)
    try:
        with nogil:
            while next_frame(w, &f):
                if last != 0 and f.time > last:
                    done = True
                    break
                if f.time >= first:
                    put_frame(&out, &f)
                w.at += f.size
        return close_output(&out), start + <int64_t>w.at, done
    finally:
        Py_XDECREF(out.object)


cdef int put_frame(Output *out, Frame *f) except -1 nogil:
    cdef size_t line = f.line_size + (0 if f.more else 1)
    cdef uint64_t time = <uint64_t>f.time
    cdef size_t entry = 8 + (1 + varint_size(time) if time else 0) + (1 + varint_size(line) + line if line else 0)
    if 4 + entry > out.room - out.size:
        grow(out, 4 + entry)
    cdef uint8_t *p = out.data + out.size
    cdef int i
    for i in range(4):
        p[i] = <uint8_t>(entry >> (24 - 8 * i))
    memcpy(p + 4, b"\n\x06stdout" if f.stream == 0 else b"\n\x06stderr", 8)
    p += 12
    if time:
        p = put_tagged(p, 0x10, time)
    if line:
        p = put_tagged(p, 0x1A, line)
        p = put_bytes(p, f.line, f.line_size)
        if not f.more:
            p[0] = b"\n"
    out.size += 4 + entry
    return 0


def positions(chunk, int64_t start):
    """See `contract.Codec`."""
    cdef Chunk exported = Chunk(chunk, False)
    cdef Walk *w = &exported.walk
    cdef Frame f
    cdef size_t found = 0
    cdef int64_t *offsets = <int64_t *>PyMem_RawMalloc((w.size // HEADER + 1) * sizeof(int64_t))
    if offsets == NULL:
        raise MemoryError
    try:
        with nogil:
            while next_frame(w, &f):
                offsets[found] = start + w.at
                found += 1
                w.at += f.size
        result = array("q")
        if found:
            result.frombytes(PyMemoryView_FromMemory(<char *>offsets, found * sizeof(int64_t), PyBUF_READ))
        return result
    finally:
        PyMem_RawFree(offsets)


cdef int64_t clamp(value, int64_t least=INT64_MIN) except? -1:
    """A Python integer, or what is nearest to it."""
    return max(least, min(value, INT64_MAX))
