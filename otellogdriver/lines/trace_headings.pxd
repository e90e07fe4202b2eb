# cython: language_level=3
"""The types with which `trace_headings.py` is compiled."""

from libc.stdint cimport uint8_t

from otellogdriver.lines.log_line cimport digits_end, indent_of, starts, word_end

cdef const uint8_t *KIND
cdef int DIGIT, LOWER, UPPER, WORD, APART, BODY, CHAIN, DOTNET, EXC, FRAMES, GO, GOROUTINE, GROUP, JAVA, LOOK, NODE
cdef int PANIC, PHP, PYTHON, RAISED, RUBY, RUST, SOURCE, STACK, SURE, THREAD, TRACEBACK
cdef tuple _ENDINGS

cpdef int is_exception(bytes line, Py_ssize_t at, Py_ssize_t size) except -2
cpdef bint is_frame(bytes line, Py_ssize_t at, Py_ssize_t size) except -1
cpdef bint is_ruby_frame(bytes line, Py_ssize_t at, Py_ssize_t size) noexcept
cpdef bint is_call(bytes line, Py_ssize_t at, Py_ssize_t size) noexcept
cdef bint _is_path(bytes line, Py_ssize_t at, Py_ssize_t size) except -1
cdef bint _is_remote(bytes line, Py_ssize_t at, Py_ssize_t size) noexcept
cpdef int heading(int langs, bytes line, Py_ssize_t at, Py_ssize_t size) except -2
