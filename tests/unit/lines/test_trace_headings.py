"""What begins a trace, and of which languages, as compiled as in Python; `test_traces.py` has whole ones."""

from __future__ import annotations

import pytest

from otellogdriver.lines import trace_headings
from otellogdriver.lines.trace_modes import (
    APART,
    AUTO,
    EXC,
    GOROUTINE,
    JAVA,
    PANIC,
    PYTHON,
    SOURCE,
    SURE,
    THREAD,
    TRACEBACK,
)
from tests.data.lines.programs import source_of

BOTH = (trace_headings, source_of(trace_headings))


@pytest.mark.parametrize(
    "languages, line, mode",
    [
        (AUTO, b"Traceback (most recent call last):", TRACEBACK),
        (AUTO, b"  Traceback (most recent call last):", TRACEBACK | 2 << 5),
        (JAVA, b"goroutine 1 [running]:", APART),
        (AUTO, b"java.lang.IllegalStateException: x", EXC | SURE),
        (AUTO, b"TypeError: x", EXC),
        (PYTHON, b"TypeError: x", APART),
        (AUTO, b"panic: x", PANIC),
        (AUTO, b"goroutine 1 [running]:", GOROUTINE),
        (AUTO, b"/app/a.js:3", SOURCE),
        (AUTO, b"thread 'main' panicked at a.rs:3:", THREAD),
        (AUTO, b"request served", APART),
        (AUTO, b"", APART),
    ],
)
def test_headings(languages: int, line: bytes, mode: int) -> None:
    at = len(line) - len(line.lstrip(b" "))
    assert [module.heading(languages, line, at, len(line)) for module in BOTH] == [mode, mode]


def test_lines_of_a_stack() -> None:
    for module in BOTH:
        for line, is_frame in ((b"at a.B.c(D.java:7)", True), (b"... 7 more", True), (b"atlas", False)):
            assert module.is_frame(line, 0, len(line)) == is_frame
        assert module.is_ruby_frame(b"a.rb:3:in 'b'", 0, 13) and not module.is_ruby_frame(b"a.rb:in 'b'", 0, 11)
        assert module.is_call(b"main.f(0x1)", 0, 11) and not module.is_call(b"main f", 0, 6)
