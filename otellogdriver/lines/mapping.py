"""From the fields of a structured line to what a LogRecord has a place for; the rest become attributes.

Which field means what, `fields.py` says. A field whose value does not fit its role stays an attribute. Without a
message the body is the line itself, so that it can be read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from otellogdriver.lines import severity, times
from otellogdriver.lines.fields import (
    BODY,
    EXCEPTION_MEMBERS,
    EXCEPTIONS,
    FLAGS,
    LEVEL,
    OWN,
    RENAMED,
    ROLE_OF,
    ROLES,
    SPAN,
    TIME,
    TRACE,
)
from otellogdriver.lines.json_line import Double, Value

_ID = re.compile("[0-9a-fA-F]+")


@dataclass(slots=True)
class Fields:
    """What a line says of its record. `time` is in nanoseconds, 0 for none; ids are empty for none."""

    body: str | bytes
    severity_number: int = 0
    severity_text: str = ""
    attributes: dict[str, Value | bytes] = field(default_factory=dict)
    flags: int = 0
    trace_id: bytes = b""
    span_id: bytes = b""
    time: int = 0


def mapped(members: dict[str, Value], line: str, with_time: bool) -> Fields:
    """The fields of a line with these members, which are used up. `with_time`: take the time out of it, too."""
    _spread_exceptions(members)
    chosen: dict[int, tuple[int, str]] = {}
    for key, value in members.items():
        role, rank = ROLE_OF.get(_lower(key), (-1, 0))
        if key == RENAMED.get(role):
            rank = -1
        if role >= 0 and rank < chosen.get(role, (99, ""))[0] and _fits(role, rank, key, value, with_time):
            chosen[role] = rank, key
    if TRACE not in chosen:
        chosen.pop(SPAN, None)
        chosen.pop(FLAGS, None)
    taken = {role: members.pop(chosen[role][1]) for role in (BODY, LEVEL, TIME, TRACE, SPAN, FLAGS) if role in chosen}
    renamed = {key: RENAMED[role] for role, (_, key) in chosen.items() if role in RENAMED}
    found = Fields(_text(taken[BODY]) if BODY in taken else line)
    if LEVEL in taken:
        found.severity_number, found.severity_text = severity.of_level(taken[LEVEL], _lower(chosen[LEVEL][1]))
    if TIME in taken:
        found.time = times.nanoseconds(_text(taken[TIME]))
    if TRACE in taken:
        found.trace_id = bytes.fromhex(_text(taken[TRACE]))
        found.span_id = bytes.fromhex(_text(taken.get(SPAN, "")))
        found.flags = _flags(taken.get(FLAGS, 0))
    found.attributes = {renamed.get(key, key): value for key, value in members.items() if _lower(key) not in ROLES[OWN]}
    return found


def _fits(role: int, rank: int, key: str, value: Value, with_time: bool) -> bool:
    """Whether a field's value can be what its role wants."""
    if role in RENAMED and rank < 0:
        return True
    if role == LEVEL:
        return severity.of_level(value, _lower(key))[0] > 0
    if role == TIME:
        return with_time and times.nanoseconds(_text(value)) > 0
    if role == FLAGS:
        return _flags(value) >= 0
    if not isinstance(value, str):
        return False
    if role in (TRACE, SPAN):
        size = 32 if role == TRACE else 16
        return len(value) == size and _ID.fullmatch(value) is not None and value.strip("0") != ""
    return True


def _text(value: Value) -> str:
    """A string or number as it was written, and nothing of anything else."""
    if isinstance(value, Double):
        return value.text
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _lower(key: str) -> str:
    """As `fields.py` has its names."""
    return key.lower() if key.isascii() else key


def _flags(value: Value) -> int:
    """W3C's trace flags: two hex digits, or the number; -1 if it is neither."""
    if isinstance(value, str):
        return int(value, 16) if len(value) == 2 and _ID.fullmatch(value) else -1
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 256 else -1


def _spread_exceptions(members: dict[str, Value]) -> None:
    """An exception that is an object becomes attributes, and what is left of it stays."""
    for key, value in list(members.items()):
        if _lower(key) not in EXCEPTIONS or not isinstance(value, dict):
            continue
        for role, names in EXCEPTION_MEMBERS.items():
            name = next((name for name in names if isinstance(value.get(name), str)), "")
            if name and RENAMED[role] not in members:
                members[RENAMED[role]] = value.pop(name)
        if not value:
            del members[key]
