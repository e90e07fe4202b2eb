"""From the fields of a structured line to what a LogRecord has a place for; the rest become attributes.

Which field means what, `fields.py` says. A field whose value does not fit its role stays an attribute. Without a
message the body is the line itself, so that it can be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from otellogdriver.lines import severity, times
from otellogdriver.lines.fields import (
    BODY,
    CONTEXTS,
    DECIMAL_IDS,
    EVENT,
    EXCEPTION_MEMBERS,
    EXCEPTIONS,
    FLAGS,
    GELF,
    GOOGLE_TRACE,
    IN_CONTEXT,
    LEVEL,
    MONGO_LEVEL,
    NANOS,
    NESTED,
    OWN,
    PARENT,
    PLACES,
    RENAMED,
    ROLE_OF,
    ROLES,
    SECONDS,
    SPAN,
    TIME,
    TRACE,
)
from otellogdriver.lines.json_line import Double, Value

_ID = re.compile("[0-9a-fA-F]+")
_PARENT = re.compile("[0-9a-fA-F]{2}-([0-9a-fA-F]{32})-([0-9a-fA-F]{16})-[0-9a-fA-F]{2}")
"""W3C's traceparent."""
_DECIMAL = re.compile("[0-9]{1,20}")
_GOOGLE_TRACE = re.compile("projects/[^/]+/traces/([^/]+)", re.DOTALL)
_SECONDS, _DIGITS = re.compile("[0-9]{9,10}"), re.compile("[0-9]{1,9}")
A_NUMBER = 32
"""Behind all names of fields: a level's name goes before a number."""
SERILOG_LEVEL = 9
"""Serilog's compact form leaves out the level of information."""


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
    event_name: str = ""


Members = dict[str, Value]


def mapped(members: Members, line: str, with_time: bool) -> Fields:
    """The fields of a line with these members, which are used up. `with_time`: take the time out of it, too."""
    _spread_exceptions(members)
    chosen = _chosen(members, with_time)
    if TRACE in chosen:
        chosen.pop(PARENT, None)
    else:
        chosen.pop(SPAN, None)
        chosen.pop(FLAGS, None)
    taken = {role: found.holder[found.key] for role, found in chosen.items() if role in NESTED}
    renamed = {found.key: RENAMED[role] for role, found in chosen.items() if role in RENAMED}
    found = Fields(_text(taken[BODY]) if BODY in taken else line)
    if LEVEL in taken:
        name = chosen[LEVEL].name
        found.severity_number, found.severity_text = severity.of_level(taken[LEVEL], name, _is_gelf(members))
    elif "@t" in members and "@l" not in members and ("@m" in members or "@mt" in members):
        found.severity_number = SERILOG_LEVEL
    if TIME in taken:
        found.time = _time(taken[TIME])
    if TRACE in taken:
        found.trace_id = bytes.fromhex(_id(taken[TRACE], chosen[TRACE].name).zfill(32))
        found.span_id = bytes.fromhex(_id(taken[SPAN], chosen[SPAN].name)) if SPAN in taken else b""
        found.flags = _flags(taken.get(FLAGS, 0))
    elif PARENT in taken:
        _, trace, span, flags = _text(taken[PARENT]).split("-")
        found.trace_id, found.span_id, found.flags = bytes.fromhex(trace), bytes.fromhex(span), int(flags, 16)
    if EVENT in taken:
        found.event_name = _text(taken[EVENT])
    for role in taken:
        chosen[role].take()
    found.attributes = {renamed.get(key, key): value for key, value in members.items() if _lower(key) not in ROLES[OWN]}
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a role's value is. `name` as `fields.py` has it; `above`: objects and keys in them that lead to the holder
    if it is not the line itself."""

    rank: int
    name: str
    holder: Members
    key: str
    above: tuple[tuple[Members, str], ...] = ()

    def take(self) -> None:
        """Its value is no attribute; nor is an object that has nothing else."""
        for holder, key in ((self.holder, self.key), *reversed(self.above)):
            del holder[key]
            if holder:
                break


def _chosen(members: Members, with_time: bool) -> dict[int, _Place]:
    """Role -> the best of its fields."""
    chosen: dict[int, _Place] = {}
    for place in _places(members):
        role, _ = ROLE_OF.get(place.name, (-1, 0))
        if role < 0:
            role, _ = ROLE_OF.get(_lower(place.key), (-1, 0))
        best = chosen.get(role)
        value = place.holder[place.key]
        rank = place.rank
        if role == LEVEL and not (isinstance(value, str) and not (value.isascii() and value.isdigit())):
            rank += A_NUMBER
        if (best is None or rank < best.rank) and _fits(members, role, place, value, with_time):
            chosen[role] = replace(place, rank=rank)
    return chosen


def _places(members: Members) -> Iterator[_Place]:
    """Whatever may have a role, in the order of the line."""
    for key, value in members.items():
        name = _lower(key)
        role, rank = ROLE_OF.get(name, (-1, 0))
        if role >= 0:
            yield _Place(-1 if key == RENAMED.get(role) else rank, name, members, key)
        if name in PLACES and isinstance(value, dict):
            yield from _within(value, name, ((members, key),))


def _within(holder: Members, place: str, above: tuple[tuple[Members, str], ...]) -> Iterator[_Place]:
    for key, value in holder.items():
        name = f"{place}.{_lower(key)}"
        role, rank = ROLE_OF.get(name, (-1, 0))
        if role in NESTED:
            yield _Place(rank, name, holder, key, above)
        elif place in CONTEXTS and ROLE_OF.get(_lower(key), (-1, 0))[0] in IN_CONTEXT:
            yield _Place(ROLE_OF[_lower(key)][1], _lower(key), holder, key, above)
        if name in PLACES and isinstance(value, dict) and len(above) < 2:
            yield from _within(value, name, (*above, (holder, key)))


def _fits(members: Members, role: int, place: _Place, value: Value, with_time: bool) -> bool:
    """Whether a field's value can be what its role wants."""
    if role in RENAMED and place.rank < 0:
        return True
    if role == LEVEL:
        if place.name == MONGO_LEVEL and not _is_mongo(members):
            return False
        return severity.of_level(value, place.name, _is_gelf(members))[0] > 0
    if role == TIME:
        return with_time and _time(value) > 0
    if role == FLAGS:
        return _flags(value) >= 0
    if role in (TRACE, SPAN):
        return _id(value, place.name) != "" and (role == TRACE or len(_id(value, place.name)) == 16)
    if not isinstance(value, str):
        return False
    if role == PARENT:
        parts = _PARENT.fullmatch(value)
        return parts is not None and _is_id(parts[1], 32) and _is_id(parts[2], 16)
    return value != "" or role not in (BODY, EVENT)


def _id(value: Value, name: str) -> str:
    """The hex digits of an id of 64 or 128 bits in a field with that name; nothing if it has none."""
    text = _text(value)
    if name in DECIMAL_IDS and _DECIMAL.fullmatch(text):
        number = int(text)
        return f"{number:016x}" if 0 < number < 1 << 64 else ""
    if not isinstance(value, str):
        return ""
    if name == GOOGLE_TRACE and (found := _GOOGLE_TRACE.fullmatch(text)):
        text = found[1]
    return text if _is_id(text, 32) or (_is_id(text, 16) and name not in DECIMAL_IDS) else ""


def _time(value: Value) -> int:
    """Nanoseconds since the epoch; 0 if it is no time. An object of seconds and nanoseconds is one as well."""
    if not isinstance(value, dict):
        return times.nanoseconds(_text(value))
    if len(value) != 2:
        return 0
    parts = {_lower(key): held for key, held in value.items()}
    for whole, rest in zip(SECONDS, NANOS, strict=True):
        seconds, nanos = parts.get(whole), parts.get(rest)
        if not isinstance(seconds, int) or not isinstance(nanos, int):
            continue
        if _DIGITS.fullmatch(_text(nanos)) and _SECONDS.fullmatch(_text(seconds)):
            return times.nanoseconds(f"{seconds}.{nanos:>09}")
    return 0


def _is_id(value: str, size: int) -> bool:
    return len(value) == size and _ID.fullmatch(value) is not None and value.strip("0") != ""


def _is_gelf(members: Members) -> bool:
    return any(_lower(key) == GELF for key in members)


def _is_mongo(members: Members) -> bool:
    time = members.get("t")
    return isinstance(time, dict) and "$date" in time


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
            found = [inner for inner, held in value.items() if _lower(inner) in names and isinstance(held, str)]
            if found and RENAMED[role] not in members:
                members[RENAMED[role]] = value.pop(min(found, key=lambda inner: names.index(_lower(inner))))
        if not value:
            del members[key]
