# cython: language_level=3
"""The types with which `level_neighbours.py` becomes C."""

from libc.stdint cimport uint8_t

from otellogdriver.lines.level_names cimport case, word

cdef const uint8_t *KIND
cdef int SHY, STOP

cpdef bint same(const uint8_t *p, int i, int j, const uint8_t *text, int size) noexcept nogil
cpdef bint is_digits(const uint8_t *p, int n, int i, int count) noexcept nogil
cpdef int space(const uint8_t *p, int n, int i) noexcept nogil
cpdef int escape(const uint8_t *p, int n, int i) noexcept nogil
cpdef int skipped(const uint8_t *p, int n, int i) noexcept nogil
cpdef int after(const uint8_t *p, int n, int j) noexcept nogil
cdef bint is_remark(const uint8_t *p, int n, int j) noexcept nogil
cpdef bint is_code(const uint8_t *p, int n, int i) noexcept nogil
cpdef bint is_file(const uint8_t *p, int n, int i) noexcept nogil
cpdef bint is_title(const uint8_t *p, int n, int j) noexcept nogil
cpdef bint is_prose(const uint8_t *p, int n, int j) noexcept nogil
