# cython: language_level=3
"""The types with which `log_line.py` is compiled: texts are read byte by byte, and nothing is called through Python."""

cimport cython
from libc.stdint cimport uint8_t

cdef const uint8_t *KIND
cdef int DIGIT, LOWER, UPPER, WORD, APART, DOTNET, JAVA, LOG, LOOK, TOLD, NO_LOOK, TIME, LEVEL, STRUCTURED
cdef frozenset _LOW, _LEVELS, _MONTHS, _DAYS
cdef tuple _TROUBLE

cpdef Py_ssize_t length_of(bytes line) noexcept
cpdef bint starts(bytes line, Py_ssize_t at, bytes text) noexcept
cpdef Py_ssize_t text_at(bytes line, Py_ssize_t size) noexcept
cpdef Py_ssize_t indent_of(bytes line, Py_ssize_t size) noexcept
cpdef Py_ssize_t word_end(bytes line, Py_ssize_t at, Py_ssize_t size) noexcept
cpdef Py_ssize_t digits_end(bytes line, Py_ssize_t at, Py_ssize_t size) noexcept
cdef bint is_time(bytes line, Py_ssize_t at, Py_ssize_t size) except -1
cpdef bint is_level(bytes line, Py_ssize_t at, Py_ssize_t size) except -1
cpdef int look(bytes line, Py_ssize_t at, Py_ssize_t size) except -2
cdef bint _passes(bytes line, Py_ssize_t at, Py_ssize_t end, Py_ssize_t tokens) noexcept
cdef int named(bytes line, Py_ssize_t at, Py_ssize_t size) noexcept
cpdef int begins_as_log(bytes line) except -2
cpdef bint has_time(bytes line, Py_ssize_t at, Py_ssize_t size) except -1
cpdef bint takes_indented(bytes head) except -1
cpdef int first_half(bytes line, Py_ssize_t size) except -2
cpdef int second_half(bytes line, Py_ssize_t size) except -2
cpdef bint may_have_trace(bytes head) except -1
@cython.locals(text=bytes)
cdef bint _is_trouble(bytes head) except -1
cpdef bint is_low(bytes head) except -1
cpdef bint names_exception(bytes head) noexcept
