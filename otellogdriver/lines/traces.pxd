# cython: language_level=3
"""The types with which `traces.py` is compiled: texts are read byte by byte, and nothing is called through Python."""

cimport cython

cdef bytes _KINDS
cdef frozenset _LEVELS, _LOW, _MONTHS, _DAYS, _CORNERS
cdef tuple _TROUBLE, _ENDINGS
cdef int JAVA, PYTHON, GO, NODE, DOTNET, RUBY, PHP, RUST, TIMESTAMP, AUTO, APART, LOOK, LOG, BLANK, HALF, EXC
cdef int FRAMES, PAUSE, TRACEBACK, RAISED, CHAIN, GROUP, FIELDS, PANIC, GOROUTINE, CALLS, SOURCE, CARET, THREAD
cdef int UNWOUND, BODY, QUERY, TIMED, UNTIMED, TOLD, STACK, MODE, SURE, NO_LOOK, TIME, LEVEL, STRUCTURED, _DIGIT
cdef int _UPPER, _LOWER, _WORD

@cython.locals(size=cython.Py_ssize_t)
cdef Py_ssize_t length_of(bytes line)
@cython.locals(count=cython.Py_ssize_t, place=cython.Py_ssize_t)
cdef bint starts(bytes line, Py_ssize_t at, bytes text)
@cython.locals(at=cython.Py_ssize_t, char=cython.uchar)
cdef Py_ssize_t text_at(bytes line, Py_ssize_t size)
@cython.locals(at=cython.Py_ssize_t)
cdef Py_ssize_t indent_of(bytes line, Py_ssize_t size)
cdef Py_ssize_t word_end(bytes line, Py_ssize_t at, Py_ssize_t size)
cdef Py_ssize_t digits_end(bytes line, Py_ssize_t at, Py_ssize_t size)
@cython.locals(behind=cython.Py_ssize_t, char=cython.uchar, count=cython.Py_ssize_t, end=cython.Py_ssize_t, kind=cython.uchar, more=cython.Py_ssize_t, word=bytes)
cdef bint is_time(bytes line, Py_ssize_t at, Py_ssize_t size)
@cython.locals(char=cython.uchar, end=cython.Py_ssize_t, word=bytes)
cdef bint is_level(bytes line, Py_ssize_t at, Py_ssize_t size)
@cython.locals(char=cython.uchar, end=cython.Py_ssize_t, seen=cython.Py_ssize_t, tokens=cython.Py_ssize_t)
cdef int look(bytes line, Py_ssize_t at, Py_ssize_t size)
@cython.locals(first=cython.uchar, last=cython.uchar)
cdef bint _passes(bytes line, Py_ssize_t at, Py_ssize_t end, Py_ssize_t tokens)
@cython.locals(end=cython.Py_ssize_t)
cdef int named(bytes line, Py_ssize_t at, Py_ssize_t size)
@cython.locals(size=cython.Py_ssize_t)
cpdef int begins_as_log(bytes line)
@cython.locals(seen=cython.Py_ssize_t, text=bytes)
cdef bint has_time(bytes line, Py_ssize_t at, Py_ssize_t size)
@cython.locals(at=cython.Py_ssize_t, end=cython.Py_ssize_t, shown=cython.Py_ssize_t, size=cython.Py_ssize_t, word=bytes)
cdef bint _is_low(bytes head)
cdef bint _is_told(bytes head)
cdef bint _is_boxed(bytes line, Py_ssize_t at, bytes head)
cdef bint _told(int mode, bytes head)
@cython.locals(at=cython.Py_ssize_t, size=cython.Py_ssize_t)
cdef bint _names_exception(bytes head)
@cython.locals(text=bytes)
cdef bint _is_trouble(bytes head)
@cython.locals(begin=cython.Py_ssize_t, char=cython.uchar, dots=cython.Py_ssize_t, end=cython.Py_ssize_t, last=cython.Py_ssize_t, name=bytes)
cdef int _is_exception(bytes line, Py_ssize_t at, Py_ssize_t size)
cdef bint _is_frame(bytes line, Py_ssize_t at, Py_ssize_t size)
@cython.locals(place=cython.Py_ssize_t)
cdef bint _is_ruby_frame(bytes line, Py_ssize_t at, Py_ssize_t size)
@cython.locals(char=cython.uchar, dot=cython.bint, end=cython.Py_ssize_t)
cdef bint _is_call(bytes line, Py_ssize_t at, Py_ssize_t size)
@cython.locals(colon=cython.Py_ssize_t)
cdef bint _is_path(bytes line, Py_ssize_t at, Py_ssize_t size)
@cython.locals(end=cython.Py_ssize_t)
cdef bint _is_remote(bytes line, Py_ssize_t at, Py_ssize_t size)
@cython.locals(char=cython.uchar, indent=cython.Py_ssize_t, sure=cython.Py_ssize_t)
cdef int heading(int langs, bytes line, Py_ssize_t at, Py_ssize_t size)
cdef bint _half(int langs, bytes line, Py_ssize_t size)
@cython.locals(at=cython.Py_ssize_t, indent=cython.Py_ssize_t, mode=cython.Py_ssize_t, size=cython.Py_ssize_t)
cpdef int first(int langs, bytes line)
cpdef bint is_log(int state)
@cython.locals(at=cython.Py_ssize_t, indent=cython.Py_ssize_t, mode=cython.Py_ssize_t, size=cython.Py_ssize_t)
cpdef int joins(int langs, int state, bytes line, bytes head, bytes before)
@cython.locals(end=cython.Py_ssize_t, found=cython.Py_ssize_t, known=cython.Py_ssize_t)
cdef int _after_log(int langs, int mode, bytes line, Py_ssize_t at, Py_ssize_t indent, Py_ssize_t size, bytes head)
cdef bint _is_of_task(bytes line, Py_ssize_t at)
cdef int _after_blank(int mode, int state)
cdef int _between(bytes line, Py_ssize_t at, Py_ssize_t size)
cdef int _free(int mode, int state, bytes line, Py_ssize_t size, bytes before)
@cython.locals(depth=cython.Py_ssize_t)
cdef int _after_raised(int mode, int state, bytes line, Py_ssize_t at, Py_ssize_t indent, Py_ssize_t size, bytes before)
@cython.locals(char=cython.uchar, end=cython.Py_ssize_t)
cdef int _in_go(int mode, bytes line, Py_ssize_t at, Py_ssize_t indent, Py_ssize_t size, bytes before)
@cython.locals(char=cython.uchar)
cdef int _after_heading(
    int langs, int mode, int state, bytes line, Py_ssize_t at, Py_ssize_t indent, Py_ssize_t size, bytes before
)

cdef class Open:
    cdef public object begin, time
    cdef public bytes head
    cdef public int kind, state
    cdef public Py_ssize_t count, size
    cdef public list lines

cpdef Open begun(int langs, object begin, object time, bytes line)
@cython.locals(step=cython.Py_ssize_t, size=cython.Py_ssize_t, stream=cython.int, state=cython.int, group=Open, data=bytes, records=list, most=cython.Py_ssize_t, longest=cython.Py_ssize_t)
cpdef list join(int langs, object begins, object lines, list groups, list heads, int streams)
cpdef tuple ended(Open group, int stream, Py_ssize_t step, list heads)
@cython.locals(record=tuple, count=cython.Py_ssize_t, size=cython.Py_ssize_t, out_lines=cython.Py_ssize_t, out_size=cython.Py_ssize_t, all_lines=cython.Py_ssize_t, all_size=cython.Py_ssize_t)
cpdef tuple counts(object records)
