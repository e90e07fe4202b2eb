# cython: language_level=3
"""The types with which `severity_scan.py` becomes C."""

cimport cython
from libc.stdint cimport uint8_t

cdef const uint8_t *NEXT
cdef const uint8_t *VALUE
cdef const uint8_t *KIND
cdef int TOKENS
cdef int INNER
cdef int _SHY_BIT
cdef int _TIME
cdef int _STOP
cdef int _KEY
cdef int _CONSTANT

@cython.locals(several=cython.int)
cpdef int find(const uint8_t *p, int n) noexcept nogil
cdef int word(const uint8_t *p, int n, int i) noexcept nogil
cdef int level_at(const uint8_t *p, int n, int i) noexcept nogil
cdef int case(const uint8_t *p, int i, int j) noexcept nogil
cpdef int named(const uint8_t *p, int i, int j) noexcept nogil
cpdef int unmistakable(const uint8_t *p, int n) noexcept nogil
cpdef int letter(int c) noexcept nogil
cdef int suffix(const uint8_t *p, int n, int j) noexcept nogil
cdef int moved(const uint8_t *p, int level, int i, int j) noexcept nogil
cdef bint same(const uint8_t *p, int i, int j, const uint8_t *text, int size) noexcept nogil
cdef bint names_level(const uint8_t *p, int i, int j) noexcept nogil
cdef bint is_digits(const uint8_t *p, int n, int i, int count) noexcept nogil
cdef int space(const uint8_t *p, int n, int i) noexcept nogil
cdef int escape(const uint8_t *p, int n, int i) noexcept nogil
cdef int after(const uint8_t *p, int n, int j) noexcept nogil
cdef bint is_remark(const uint8_t *p, int n, int j) noexcept nogil
cdef int frame(const uint8_t *p, int n, int i) noexcept nogil
cdef int logcat(const uint8_t *p, int n, int i) noexcept nogil
cdef int syslog(int number) noexcept nogil
cdef int single(const uint8_t *p, int n, int i, int opened, int before, bint time, int inner) noexcept nogil
cdef bint is_code(const uint8_t *p, int n, int i) noexcept nogil
cdef bint is_file(const uint8_t *p, int n, int i) noexcept nogil
cdef int value(const uint8_t *p, int n, int i) noexcept nogil
cdef int skipped(const uint8_t *p, int n, int i) noexcept nogil
@cython.locals(inside=cython.bint)
cdef int json(const uint8_t *p, int n, int i) noexcept nogil
cdef int member(const uint8_t *p, int n, int i) noexcept nogil
@cython.locals(
    time=cython.bint, lead=cython.bint, good=cython.bint, clean=cython.bint, url=cython.bint, found=cython.int,
    level=cython.int, kind=cython.int, c=cython.int
)
cdef int line(const uint8_t *p, int n) noexcept nogil
cdef bint is_command(const uint8_t *p, int n, int i) noexcept nogil
cdef bint is_unnamed(const uint8_t *p, int n, int i) noexcept nogil
cdef bint is_constant(const uint8_t *p, int n, int j) noexcept nogil
cdef bint in_brackets(
    const uint8_t *p, int n, int i, int j, int form, int level, int before, int follows, int opened, int inner,
    bint time, int plain
) noexcept nogil
cdef bint is_part(const uint8_t *p, int n, int i, int j) noexcept nogil
cdef bint capitals(
    const uint8_t *p, int n, int i, int j, int level, int before, int follows, bint time, int plain, int names, int tag
) noexcept nogil
cdef bint is_prose(const uint8_t *p, int n, int j) noexcept nogil
cdef bint in_angles(const uint8_t *p, int i) noexcept nogil
cdef bint is_numbered(const uint8_t *p, int n, int j) noexcept nogil
cdef bint is_row(const uint8_t *p, int n, int j) noexcept nogil
cdef bint titled(
    const uint8_t *p, int n, int i, int j, int level, int before, int follows, bint time, int plain, int tag
) noexcept nogil
cdef bint is_title(const uint8_t *p, int n, int j) noexcept nogil
cdef bint is_component(const uint8_t *p, int n, int j) noexcept nogil
cdef bint small(
    const uint8_t *p, int n, int i, int j, int level, int before, int follows, bint time, int plain, int indent
) noexcept nogil
