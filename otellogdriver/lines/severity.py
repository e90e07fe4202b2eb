"""The severity of a line: from the name or number of a level, or from what a line of plain text begins with.

Numbers are OpenTelemetry's SeverityNumber: TRACE 1-4, DEBUG 5-8, INFO 9-12, WARN 13-16, ERROR 17-20, FATAL 21-24.
Source: the logs data model, appendix B, and for what is not in it the range's first number. `critical` is what .NET and
Python call their highest level (21), `crit` is syslog's (18).
"""

from __future__ import annotations

import re

from otellogdriver.lines.fields import OTEL_LEVELS, PYTHON_LEVEL, SEVERITY, STATUS_LEVEL, SYSLOG_LEVELS
from otellogdriver.lines.level_names import named, unmistakable
from otellogdriver.lines.severity_scan import find

RANGES = 6
"""Of SeverityNumbers: trace, debug, info, warn, error, fatal."""

HEAD = 200
"""Bytes at a text's start in which a level is looked for: a timestamp, host, process, thread, logger come before it."""

SYSLOG = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
"""Names of syslog's severities 0 to 7."""
SYSLOG_NUMBERS = (21, 19, 18, 17, 13, 10, 9, 5)
TENS = (1, 5, 9, 13, 17, 21)
"""bunyan and pino: 10 trace to 60 fatal. Python's logging begins with debug: 10 is its second, 50 its last."""


def range_of(number: int) -> int:
    """The place among RANGES of a SeverityNumber from 1 to 24."""
    return (number - 1) // 4


def of_level(value: object, name: str, gelf: bool = False) -> tuple[int, str]:
    """(number, text) of the value of a field with that name (lower case); (0, …) if it is no level. `gelf`: of a
    line in Graylog's format."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return 0, ""
    text = str(value)
    if name == STATUS_LEVEL:
        return unmistakable(text.encode(), len(text.encode())), text
    if re.fullmatch("[0-9]{1,3}", text):
        return of_number(int(text), name, gelf), text
    name_only = text.strip(" ").encode()
    return named(name_only, 0, len(name_only)), text


def of_number(level: int, name: str, gelf: bool) -> int:
    """By the field's name; 3 to 7 are syslog's, from 10 on each ten is a step. 0 if it is no level."""
    if name == PYTHON_LEVEL:
        return TENS[min(level // 10, 5)] if 0 < level < 100 else 0
    if name in OTEL_LEVELS or (name == SEVERITY and level > 7):
        return level if level <= 24 else 0
    if level < 8:
        return SYSLOG_NUMBERS[level] if level > 2 or gelf or name in SYSLOG_LEVELS else 0
    if name in SYSLOG_LEVELS:
        return 0
    return TENS[min(level // 10, 6) - 1] if 10 <= level < 100 else 0


def in_text(text: bytes) -> tuple[int, str]:
    """(number, text) of the level that a plain line names at its start; (0, "") if there is none to be sure of."""
    found = find(text[:HEAD], min(len(text), HEAD))
    if not found:
        return 0, ""
    begin = found >> 8 & 255
    level = text[begin : found >> 16].decode()
    if text[begin - 1 : begin] == b"<" and level.isdigit():
        level = SYSLOG[int(level) % 8]
    return found & 255, level
