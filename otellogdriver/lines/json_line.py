"""A line as a JSON object: RFC 8259 to the letter; anything else is no JSON line.

Out: keys and values, the keys unique (of equal ones the last stays, where it stands), numbers as OTLP can hold them.
Not taken, and so sent as plain lines, are also: an object that is longer than MAX_PARSED or deeper than MAX_DEPTH, a
character that UTF-8 cannot hold (half of a surrogate pair), an empty key at the top level, which OTLP does not allow.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

MAX_PARSED = 64 << 10
"""Bytes of a line that is parsed. Its record is at most five times as long."""
MAX_DEPTH = 16
"""Objects and arrays within each other. Receivers read protobuf 100 messages deep, and a level takes up to three."""

Value = str | int | float | bool | list["Value"] | dict[str, "Value"] | None


class Double(float):
    """A number with a fraction or exponent, and how it was written."""

    __slots__ = ("text",)

    def __new__(cls, text: str) -> Double:
        made = super().__new__(cls, text)
        made.text = text
        return made

    text: str


class _Members(list[tuple[str, Any]]):
    """An object as it was written, with keys that come twice."""


def parsed(line: bytes) -> dict[str, Value] | None:
    """The members of the object; None if the line is none."""
    if len(line) > MAX_PARSED or not line.lstrip(b" \t\n\r").startswith(b"{"):
        return None
    try:
        found = _DECODER.decode(line.decode())
        members: Any = _value(found, 1)
    except (ValueError, RecursionError):
        return None
    return None if "" in members else members


def text(members: dict[str, Value]) -> str:
    """A line with these members."""
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))


def _value(value: Any, depth: int) -> Value:
    """Raises ValueError."""
    if isinstance(value, _Members | list) and depth > MAX_DEPTH:
        raise ValueError("too deep")
    if isinstance(value, _Members):
        members: dict[str, Value] = {}
        for key, member in value:
            key.encode()
            members.pop(key, None)
            members[key] = _value(member, depth + 1)
        return members
    if isinstance(value, list):
        return [_value(member, depth + 1) for member in value]
    if isinstance(value, str):
        value.encode()
    return value  # type: ignore[no-any-return]


def _integer(text: str) -> int | str:
    """A number beyond 64 bits stays its digits, as OpenTelemetry maps it."""
    if len(text) > 20 or not -(1 << 63) <= int(text) < 1 << 63:
        return text
    return int(text)


def _double(text: str) -> Double | str:
    found = Double(text)
    return found if isfinite(found) else text


def _constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Members, parse_int=_integer, parse_float=_double, parse_constant=_constant
)
