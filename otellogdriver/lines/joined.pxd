# cython: language_level=3
"""The types with which `joined.py` is compiled."""

cimport cython

from otellogdriver.lines.traces cimport first, joins

cdef int APART, BODY, HALF, LOOK, MODE

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
