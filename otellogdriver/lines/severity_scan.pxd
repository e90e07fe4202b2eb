# cython: language_level=3
"""The types with which `severity_scan.py` becomes C."""

cimport cython
from libc.stdint cimport uint8_t

from otellogdriver.lines.level_letters cimport frame, single
from otellogdriver.lines.level_names cimport case, letter, level_at, moved, names_level, suffix, word
from otellogdriver.lines.level_neighbours cimport after, escape, is_digits, is_prose, is_title, same, skipped, space
from otellogdriver.lines.level_places cimport capitals, in_brackets, small, titled
from otellogdriver.lines.level_values cimport json, value

cdef const uint8_t *KIND
cdef int CONSTANT, SHY, TIME, TOKENS, INNER

@cython.locals(several=cython.int)
cpdef int find(const uint8_t *p, int n) noexcept nogil
@cython.locals(
    time=cython.bint, lead=cython.bint, good=cython.bint, clean=cython.bint, url=cython.bint, found=cython.int,
    level=cython.int, kind=cython.int, c=cython.int
)
cdef int line(const uint8_t *p, int n) noexcept nogil
cdef bint is_command(const uint8_t *p, int n, int i) noexcept nogil
cdef bint is_unnamed(const uint8_t *p, int n, int i) noexcept nogil
cdef bint is_constant(const uint8_t *p, int n, int j) noexcept nogil
