"""The severity of a line: from the name or number of a level, or from what a line of plain text begins with.

Numbers are OpenTelemetry's SeverityNumber: TRACE 1-4, DEBUG 5-8, INFO 9-12, WARN 13-16, ERROR 17-20, FATAL 21-24.
Source: the logs data model, appendix B, and for what is not in it the range's first number. `critical` is what .NET and
Python call their highest level (21), `crit` is syslog's (18).
"""

from __future__ import annotations

import re

from otellogdriver.lines.fields import PYTHON_LEVEL

LEVELS: dict[str, int] = {
    name: number
    for number, names in {
        1: "trace trc finest verbose vrb t v",
        5: "debug dbg d finer",
        6: "fine",
        7: "config",
        9: "info inf i information informational",
        10: "notice success",
        13: "warn warning wrn w",
        17: "error err e severe",
        18: "crit dpanic",
        19: "alert panic pnc",
        21: "fatal ftl f critical c emerg emergency",
    }.items()
    for name in names.split()
}
"""Lower case name -> number."""

SYSLOG = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
"""Names of syslog's severities 0 to 7."""
SYSLOG_NUMBERS = (21, 19, 18, 17, 13, 10, 9, 5)
TENS = (1, 5, 9, 13, 17, 21)
"""bunyan and pino: 10 trace to 60 fatal. Python's logging begins with debug: 10 is its second, 50 its last."""


def of_level(value: object, name: str) -> tuple[int, str]:
    """(number, text) of the value of a field with that name (lower case); (0, "") if it is no level."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return 0, ""
    text = str(value)
    if re.fullmatch("[0-9]{1,3}", text):
        return of_number(int(text), name == PYTHON_LEVEL), text
    return LEVELS.get(text.lower() if text.isascii() else "", 0), text


def of_number(level: int, python: bool = False) -> int:
    """0 to 7 are syslog's; from 10 on each ten is a step. 0 if it is no level."""
    if python:
        return TENS[min(level // 10, 5)] if 0 < level < 100 else 0
    if level < 8:
        return SYSLOG_NUMBERS[level]
    return TENS[min(level // 10, 6) - 1] if 10 <= level < 100 else 0


# --- plain text

HEAD = 200
"""Bytes of a line's begin that are looked at: timestamp, host, process, thread and logger come before a level."""

_WORDS = "TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|CRIT|CRITICAL|FATAL|EMERG|EMERGENCY"
_SHORT = "TRC|DBG|INF|WRN|ERR|FTL"
_RARE = "FINEST|FINER|FINE|CONFIG|LOG"
"""Words for something else as well, unless a colon follows."""
_COLOUR = r"\x1b\[[0-9;]*m"

_BEFORE = rf"""(?:(?>
    \s+
  | {_COLOUR}
  | [0-9][0-9A-Za-z:.,/+\#*_-]*                    # dates, times, process ids
  | (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|UTC|GMT|CES?T|AM|PM|Z)\b,?
  | [A-Z],(?=[ ]\[)                                # Ruby's logger: E, [2024-01-01T12:00:00 #1] ERROR
  | \[[^\[\]]{{0,60}}\] | \([^()]{{0,60}}\)
  | [-|:,*\#>+/]
) | \[)*?"""
"""What may stand before a level: no word of a sentence."""

_FORMS = re.compile(
    rf"""
    <(?P<syslog>[0-9]{{1,3}})>
  | (?P<klog>[IWEF])[0-9]{{4}}[ ][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}
  | (?:{_COLOUR})*(?P<first>(?i:{_WORDS}|{_SHORT}|alert|panic)|{_RARE}):(?=\s|{_COLOUR}|$)
  | {_BEFORE}(?:
        (?P<word>{_WORDS}|{_SHORT}|(?:{_RARE})(?=:[ ]))(?=[\s\]|):,]|-[ ]|{_COLOUR}|$)
      | \[\s*(?:[\w.-]+:)?(?P<bracket>(?i:{_WORDS}|{_SHORT}|alert|note))\s*\]
    )
  | .*?(?:
        [ ]-[ ](?P<dashes>{_WORDS})\s*-[ ]
      | \|\s*(?P<bars>{_WORDS})\s*\|
      | (?<![\w.-])(?:level|lvl|severity)="?(?P<key>\w+)(?![\w-])
      | "(?:level|lvl|severity|levelname|log\.level|@l)"\s*:\s*"(?P<json>\w+)"
    )
    """.encode(),
    re.VERBOSE | re.DOTALL,
)


def in_text(text: bytes) -> tuple[int, str]:
    """(number, text) of the level that a plain line names in its begin; (0, "") if there is none to be sure of."""
    head = text[:HEAD].partition(b"\n")[0]
    match = _FORMS.match(head)
    if match is None or match.lastgroup is None:
        return 0, ""
    found = match[match.lastgroup].decode()
    if match.lastgroup == "syslog":
        priority = int(found)
        return (SYSLOG_NUMBERS[priority % 8], SYSLOG[priority % 8]) if priority < 192 else (0, "")
    number = {"log": 9, "note": 9}.get(found.lower()) or LEVELS.get(found.lower(), 0)
    return number, found if number else ""
