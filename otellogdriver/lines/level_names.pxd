# cython: language_level=3
"""The types with which `level_names.py` becomes C."""

from libc.stdint cimport uint8_t

cdef const uint8_t *KIND
cdef const uint8_t *NEXT
cdef const uint8_t *VALUE
cdef int KEY, SHY, TIME

cpdef int word(const uint8_t *p, int n, int i) noexcept nogil
cpdef int level_at(const uint8_t *p, int n, int i) noexcept nogil
cpdef int case(const uint8_t *p, int i, int j) noexcept nogil
cpdef int named(const uint8_t *p, int i, int j) noexcept nogil
cpdef int unmistakable(const uint8_t *p, int n) noexcept nogil
cpdef int letter(int c) noexcept nogil
cpdef int suffix(const uint8_t *p, int n, int j) noexcept nogil
cpdef int moved(const uint8_t *p, int level, int i, int j) noexcept nogil
cpdef bint names_level(const uint8_t *p, int i, int j) noexcept nogil
