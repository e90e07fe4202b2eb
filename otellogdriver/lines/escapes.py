"""Escapes of terminals (ECMA-48): colours, movements, titles, character sets. In: text. Out: the same without them.

An escape that is not complete stays: what follows it may be meant to be read.
"""

from __future__ import annotations

import re

from otellogdriver.lines.json_line import Value

_ESCAPE = (
    r"\x1b(?:"
    r"\[[0-?]*[ -/]*[@-~]"  # CSI: colours and movements
    r"|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC and other strings, such as titles and links
    r"|[ -/]+[0-~]"  # character sets
    r"|[0-OQ-WYZ\\`-~]"  # all others
    r")"
)
_IN_BYTES, _IN_TEXT = re.compile(_ESCAPE.encode()), re.compile(_ESCAPE)


def stripped(line: bytes) -> bytes:
    """The line without escapes."""
    return _IN_BYTES.sub(b"", line)


def of_members(members: dict[str, Value]) -> dict[str, Value]:
    """The same for all keys and values."""
    return {_IN_TEXT.sub("", key): _of_value(value) for key, value in members.items()}


def _of_value(value: Value) -> Value:
    if isinstance(value, str):
        return _IN_TEXT.sub("", value)
    if isinstance(value, dict):
        return of_members(value)
    return [_of_value(item) for item in value] if isinstance(value, list) else value
