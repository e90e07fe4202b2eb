"""A line as logfmt: `key=value` pairs separated by spaces, from its start to its end; anything else is no logfmt line.

    pair  = key "=" (word | quoted)?         a bare word is no pair: plain text has too many of them
    key   = letters, digits and _ . - / @ : with a letter, _ or @ at the start
    word  = neither spaces nor control characters, and no quote at its start
    quoted = '"' text with \\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX \\xXX '"'

Values are text: logfmt knows no types, and guessing would change what `version=1.10` says. Of equal
keys the last stays.
"""

from __future__ import annotations

import json
import re

from otellogdriver.lines.json_line import MAX_PARSED, Value

_PAIR = re.compile(
    r"""(?P<key>[A-Za-z_@][\w./@:-]*)=(?:"(?P<quoted>(?:[^"\\\x00-\x1f]|\\.)*+)"|(?P<word>[^\s"\x00-\x1f][^\s\x00-\x1f]*+)?)""",
    re.ASCII,
)
_SPACE = re.compile(r"[ \t]+|\Z")
_WORD = re.compile(r"[^\s\"=\\\x00-\x1f]*+")
_HEX = re.compile(r"((?<!\\)(?:\\\\)*)\\x([0-7][0-9a-fA-F])")


def parsed(line: bytes, least: int = 1) -> dict[str, Value] | None:
    """The pairs; None if the line is none, or has less than `least`."""
    if len(line) > MAX_PARSED or b"=" not in line:
        return None
    try:
        text = line.decode().rstrip(" \t\r")
    except ValueError:
        return None
    found: dict[str, Value] = {}
    at = 0
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None:
            return None
        space = _SPACE.match(text, pair.end())
        if space is None:
            return None
        at = space.end()
        value = pair["word"] or ""
        if pair["quoted"] is not None:
            try:
                value = _unquoted(pair["quoted"])
            except ValueError:
                return None
        found.pop(pair["key"], None)
        found[pair["key"]] = value
    return found if len(found) >= least else None


def text(pairs: dict[str, Value]) -> str:
    """A line with these pairs."""
    return " ".join(
        f"{key}={value if _WORD.fullmatch(str(value)) else json.dumps(value, ensure_ascii=False)}"
        for key, value in pairs.items()
    )


def _unquoted(text: str) -> str:
    """Raises ValueError."""
    if "\\" not in text:
        return text
    value: str = json.loads(f'"{_HEX.sub(_as_unicode, text)}"')
    value.encode()
    return value


def _as_unicode(match: re.Match[str]) -> str:
    return f"{match[1]}\\u00{match[2]}"
