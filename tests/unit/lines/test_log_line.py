"""What log lines are known by, as compiled as in Python."""

from __future__ import annotations

import pytest

from otellogdriver.lines import log_line, trace_modes
from tests.data.lines.programs import source_of

PYTHON = source_of(log_line)
BOTH = (log_line, PYTHON)
NOTHING, TIME, LEVEL, STRUCTURED = PYTHON.NO_LOOK, PYTHON.TIME, PYTHON.LEVEL, PYTHON.STRUCTURED


@pytest.mark.parametrize(
    "line, known",
    [
        (b"2026-01-02 03:04:05 x", TIME),
        (b"[main] 03:04:05 x", TIME),
        (b"\x1b[32m2 Jan 2026 x\r", TIME),
        (b"Fri Jan  2 03:04:05 2026 x", TIME),
        (b"I0102 03:04:05.678 x", TIME),
        (b"[main] INFO a.B - x", LEVEL),
        (b"<6>x", LEVEL),
        (b"[api] x", LEVEL),
        (b'{"msg":"x"}', STRUCTURED),
        (b"msg=x level=info", STRUCTURED),
        (b"", NOTHING),
        (b"Error: x", NOTHING),
        (b"    at a.B.c(D.java:7)", NOTHING),
        (b"listening on 03:04:05", NOTHING),
    ],
)
def test_what_it_is_known_by(line: bytes, known: int) -> None:
    assert [module.begins_as_log(line) for module in BOTH] == [known, known]


@pytest.mark.parametrize(
    "head, may",
    [
        (b"ERROR x", True),
        (b"request failed", True),
        (b"INFO request failed", False),
        (b"request served", False),
        (b'{"msg":"request failed"}', False),
        (b'10.0.0.1 - "GET /error HTTP/1.1" 200', False),
    ],
)
def test_whether_a_trace_may_follow(head: bytes, may: bool) -> None:
    assert [module.may_have_trace(head) for module in BOTH] == [may, may]


def test_whether_indented_text_may_follow() -> None:
    for module in BOTH:
        assert module.takes_indented(b"INFO x") and module.takes_indented(b"03:04:05 x")
        assert not module.takes_indented(b" INFO x") and not module.takes_indented(b"x")


def test_messages_of_two_lines() -> None:
    for module in BOTH:
        for line, language in (
            (b"info: a.B[7]", trace_modes.DOTNET),
            (b"Jan 02, 2026 3:04:05 AM a.B c", trace_modes.JAVA),
            (b"info: a.B", 0),
            (b"Jan 02, 2026 3:04:05 AM a.B c:", 0),
        ):
            assert module.first_half(line, len(line)) == language
        for line, mode in (
            (b"INFO: x", trace_modes.LOG),
            (b"Severe: x", trace_modes.TOLD),
            (b"INFO", trace_modes.APART),
            (b"Caused: x", trace_modes.APART),
        ):
            assert module.second_half(line, len(line)) == mode
