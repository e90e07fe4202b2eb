# cython: language_level=3
"""The types with which `level_places.py` becomes C."""

from libc.stdint cimport uint8_t

from otellogdriver.lines.level_names cimport level_at
from otellogdriver.lines.level_neighbours cimport after, is_code, is_digits, is_file, is_prose, is_title, same, space

cdef const uint8_t *KIND
cdef int SHY

cpdef bint in_brackets(
    const uint8_t *p, int n, int i, int j, int form, int level, int before, int follows, int opened, int inner,
    bint time, int plain
) noexcept nogil
cdef bint is_part(const uint8_t *p, int n, int i, int j) noexcept nogil
cpdef bint capitals(
    const uint8_t *p, int n, int i, int j, int level, int before, int follows, bint time, int plain, int names, int tag
) noexcept nogil
cdef bint in_angles(const uint8_t *p, int i) noexcept nogil
cdef bint is_numbered(const uint8_t *p, int n, int j) noexcept nogil
cdef bint is_row(const uint8_t *p, int n, int j) noexcept nogil
cpdef bint titled(
    const uint8_t *p, int n, int i, int j, int level, int before, int follows, bint time, int plain, int tag
) noexcept nogil
cdef bint is_component(const uint8_t *p, int n, int j) noexcept nogil
cpdef bint small(
    const uint8_t *p, int n, int i, int j, int level, int before, int follows, bint time, int plain, int indent
) noexcept nogil
