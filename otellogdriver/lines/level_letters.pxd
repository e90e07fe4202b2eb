# cython: language_level=3
"""The types with which `level_letters.py` becomes C."""

from libc.stdint cimport uint8_t

from otellogdriver.lines.level_names cimport letter
from otellogdriver.lines.level_neighbours cimport is_code, is_digits, is_file, space

cdef const uint8_t *KIND

cpdef int frame(const uint8_t *p, int n, int i) noexcept nogil
cdef int logcat(const uint8_t *p, int n, int i) noexcept nogil
cpdef int syslog(int number) noexcept nogil
cpdef int single(const uint8_t *p, int n, int i, int opened, int before, bint time, int inner) noexcept nogil
