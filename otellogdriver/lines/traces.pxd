# cython: language_level=3
"""The types with which `traces.py` is compiled."""

from libc.stdint cimport uint8_t

from otellogdriver.lines.log_line cimport (
    begins_as_log, digits_end, first_half, has_time, indent_of, is_level, is_low, length_of, look, may_have_trace,
    names_exception, second_half, starts, takes_indented, text_at, word_end
)
from otellogdriver.lines.trace_headings cimport heading, is_call, is_exception, is_frame, is_ruby_frame

cdef const uint8_t *KIND
cdef int DIGIT, LOWER, UPPER, APART, BLANK, BODY, CALLS, CARET, CHAIN, DOTNET, EXC, FIELDS, FRAMES, GO, GOROUTINE
cdef int GROUP, HALF, JAVA, LOG, LOOK, MODE, NODE, PANIC, PAUSE, PHP, PYTHON, QUERY, RAISED, RUBY, RUST, SOURCE, STACK
cdef int SURE, THREAD, TIMED, TIMESTAMP, TOLD, TRACEBACK, UNTIMED, UNWOUND
cdef frozenset _CORNERS

cpdef int first(int langs, bytes line) except -2
cpdef int joins(int langs, int state, bytes line, bytes head, bytes before) except -2
cdef bint _told(int mode, bytes head) except -1
cdef bint _is_boxed(bytes line, Py_ssize_t at, bytes head) except -1
cdef int _after_log(int langs, int mode, bytes line, Py_ssize_t at, Py_ssize_t indent, Py_ssize_t size, bytes head) except -2
cdef bint _is_of_task(bytes line, Py_ssize_t at) noexcept
cdef int _after_blank(int mode, int state) noexcept
cdef int _between(bytes line, Py_ssize_t at, Py_ssize_t size) noexcept
cdef int _free(int mode, int state, bytes line, Py_ssize_t size, bytes before) except -2
cdef int _after_raised(int mode, int state, bytes line, Py_ssize_t at, Py_ssize_t indent, Py_ssize_t size, bytes before) except -2
cdef int _in_go(int mode, bytes line, Py_ssize_t at, Py_ssize_t indent, Py_ssize_t size, bytes before) except -2
cdef int _after_heading(
    int langs, int mode, int state, bytes line, Py_ssize_t at, Py_ssize_t indent, Py_ssize_t size, bytes before
) except -2
