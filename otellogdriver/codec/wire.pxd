# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Protobuf's wire format in C, and the bytes objects that it is written into; for who cimports it to inline."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **, Py_ssize_t) except -1
    void Py_XDECREF(PyObject *)
    void Py_SET_SIZE(PyObject *, Py_ssize_t)

# --- output

cdef struct Output:
    PyObject *object  # bytes that nobody else has seen yet
    uint8_t *data
    size_t size
    size_t room


cdef inline int open_output(Output *out, size_t room) except -1:
    cdef bytes fresh = PyBytes_FromStringAndSize(NULL, room)
    Py_INCREF(fresh)
    out.object = <PyObject *>fresh
    out.data = <uint8_t *>PyBytes_AS_STRING(fresh)
    out.size = 0
    out.room = room
    return 0


cdef inline int grow(Output *out, size_t size) except -1 nogil:
    """Make room for `size` more bytes."""
    cdef size_t room = out.room + out.room // 2
    if room < out.size + size:
        room = out.size + size
    with gil:
        _PyBytes_Resize(&out.object, room)
        out.data = <uint8_t *>PyBytes_AS_STRING(<bytes>out.object)
    out.room = room
    return 0


cdef inline bytes close_output(Output *out):
    """The bytes. Up to as much room as they take may stay behind them until they are freed: giving back a little of
    each block makes the allocator take all of them from the kernel, page by page, which costs several times the rest
    of the work (measured: 600 instead of 100 ns for a line of 1 KiB)."""
    if out.size < out.room // 2:
        _PyBytes_Resize(&out.object, out.size)
    else:
        Py_SET_SIZE(out.object, out.size)
        out.data[out.size] = 0
    return <bytes>out.object


# --- fields


cdef inline bint is_utf8(const uint8_t *p, size_t size) noexcept nogil:
    cdef const uint8_t *end = p + size
    cdef uint64_t high = 0x8080808080808080ULL
    cdef uint64_t word[4]
    while end - p >= 32:
        memcpy(word, p, 32)
        if (word[0] | word[1] | word[2] | word[3]) & high:
            break
        p += 32
    while p < end:
        if end - p >= 8:
            memcpy(word, p, 8)
            if not word[0] & high:
                p += 8
                continue
        if p[0] < 0x80:
            p += 1
        elif p[0] < 0xC2:
            return False
        elif p[0] < 0xE0:
            if end - p < 2 or p[1] & 0xC0 != 0x80:
                return False
            p += 2
        elif p[0] < 0xF0:
            if end - p < 3 or p[1] & 0xC0 != 0x80 or p[2] & 0xC0 != 0x80:
                return False
            if (p[0] == 0xE0 and p[1] < 0xA0) or (p[0] == 0xED and p[1] >= 0xA0):
                return False
            p += 3
        elif p[0] < 0xF5:
            if end - p < 4 or p[1] & 0xC0 != 0x80 or p[2] & 0xC0 != 0x80 or p[3] & 0xC0 != 0x80:
                return False
            if (p[0] == 0xF0 and p[1] < 0x90) or (p[0] == 0xF4 and p[1] >= 0x90):
                return False
            p += 4
        else:
            return False
    return True


cdef inline uint8_t *put_bytes(uint8_t *p, const uint8_t *data, size_t size) noexcept nogil:
    if size:
        memcpy(p, data, size)
    return p + size


cdef inline uint8_t *put_short(uint8_t *p, const uint8_t *data, size_t size) noexcept nogil:
    """As `put_bytes`, for what is short most often, so that a call would cost more than the copy: two words that may
    overlap."""
    cdef uint64_t first, last
    cdef uint32_t head, tail
    if size >= 8 and size <= 16:
        memcpy(&first, data, 8)
        memcpy(&last, data + size - 8, 8)
        memcpy(p, &first, 8)
        memcpy(p + size - 8, &last, 8)
        return p + size
    if size >= 4 and size < 8:
        memcpy(&head, data, 4)
        memcpy(&tail, data + size - 4, 4)
        memcpy(p, &head, 4)
        memcpy(p + size - 4, &tail, 4)
        return p + size
    return put_bytes(p, data, size)


cdef inline size_t sequence(const uint8_t *p, const uint8_t *end) noexcept nogil:
    """Bytes of the UTF-8 sequence that begins here; 0 if none does."""
    cdef size_t size = 1 if p[0] < 0x80 else 2 if p[0] < 0xE0 else 3 if p[0] < 0xF0 else 4
    return size if <size_t>(end - p) >= size and is_utf8(p, size) else 0


cdef inline size_t replaced_size(const uint8_t *p, size_t size) noexcept nogil:
    """Of text in which each byte that is no UTF-8 becomes U+FFFD."""
    cdef const uint8_t *end = p + size
    cdef size_t length, whole = 0
    while p < end:
        length = sequence(p, end)
        whole += length if length else 3
        p += length if length else 1
    return whole


cdef inline uint8_t *put_replaced(uint8_t *out, const uint8_t *p, size_t size) noexcept nogil:
    cdef const uint8_t *end = p + size
    cdef size_t length
    while p < end:
        length = sequence(p, end)
        if length:
            out = put_bytes(out, p, length)
            p += length
        else:
            out = put_bytes(out, b"\xef\xbf\xbd", 3)
            p += 1
    return out


cdef inline size_t varint_size(uint64_t value) noexcept nogil:
    cdef size_t size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size


cdef inline uint8_t *put_varint(uint8_t *p, uint64_t value) noexcept nogil:
    while value >= 0x80:
        p[0] = <uint8_t>(value | 0x80)
        p += 1
        value >>= 7
    p[0] = <uint8_t>value
    return p + 1


cdef inline uint8_t *put_tagged(uint8_t *p, uint8_t tag, uint64_t value) noexcept nogil:
    p[0] = tag
    return put_varint(p + 1, value)


cdef inline uint8_t *put_fixed64(uint8_t *p, uint64_t value) noexcept nogil:
    memcpy(p, &value, 8)  # little-endian, as all that Python's wheels are built for
    return p + 8


cdef inline void put_offset(uint8_t *p, uint64_t offset) noexcept nogil:
    """The second half of a UUID in text form, four and twelve digits, with its variant bits."""
    offset = (offset & 0x3FFFFFFFFFFFFFFFULL) | 0x8000000000000000ULL
    cdef uint64_t digits = hex_digits(offset >> 32)
    memcpy(p, &digits, 4)
    p[4] = b"-"
    digits >>= 32
    memcpy(p + 5, &digits, 4)
    digits = hex_digits(offset & 0xFFFFFFFFULL)
    memcpy(p + 9, &digits, 8)


cdef inline uint64_t hex_digits(uint64_t x) noexcept nogil:
    """Of 32 bits, the first digit in the lowest byte: each byte becomes a half, then all of them letters at once."""
    x = (x & 0xFFFF) << 32 | x >> 16
    x = (x & 0x000000FF000000FFULL) << 16 | (x >> 8 & 0x000000FF000000FFULL)
    x = (x & 0x000F000F000F000FULL) << 8 | (x >> 4 & 0x000F000F000F000FULL)
    return x + 0x3030303030303030ULL + (x + 0x0606060606060606ULL >> 4 & 0x0101010101010101ULL) * 39
