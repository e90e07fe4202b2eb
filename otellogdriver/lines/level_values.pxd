# cython: language_level=3
"""The types with which `level_values.py` becomes C."""

cimport cython
from libc.stdint cimport uint8_t

from otellogdriver.lines.level_letters cimport syslog
from otellogdriver.lines.level_names cimport named, names_level
from otellogdriver.lines.level_neighbours cimport same, skipped, space

cdef const uint8_t *KIND

cpdef int value(const uint8_t *p, int n, int i) noexcept nogil
@cython.locals(inside=cython.bint)
cpdef int json(const uint8_t *p, int n, int i) noexcept nogil
cdef int member(const uint8_t *p, int n, int i) noexcept nogil
