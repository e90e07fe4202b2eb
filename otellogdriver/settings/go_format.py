"""Values as text the way Go's package fmt writes them, as far as templates of log tags need it.

In: Python values that stand for Go's: str (a string), int, bool, list (a slice), dict (a map), None (nil). Strings
are bytes in Go, so a text that was cut inside a character has surrogate escapes for what is left of it. Out: text, with
Go's notes such as `%!d(string=x)` where verb and value do not fit. ValueError for what is not supported, and for a text
that would grow out of bounds. Source: Go's documentation of fmt and strconv.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

WIDEST = 4096
"""The largest width or precision of a verb; a log tag is a few words."""

_VERB = re.compile(r"%([-+# 0]*)(\*|[0-9]+)?(?:\.(\*|[0-9]*))?(.?)", re.DOTALL)


def value(item: Any) -> str:
    """A value as the verb %v has it."""
    match item:
        case None:
            return "<nil>"
        case bool():
            return "true" if item else "false"
        case list() | tuple():
            return f"[{' '.join(map(value, item))}]"
        case dict():
            return f"map[{' '.join(f'{value(key)}:{value(item[key])}' for key in sorted(item))}]"
    return str(item)


def sprint(items: Sequence[Any]) -> str:
    """Values one after the other, with a space between two that are no strings."""
    text = ""
    for place, item in enumerate(items):
        if place and not isinstance(item, str) and not isinstance(items[place - 1], str):
            text += " "
        text += value(item)
    return text


def quote(text: str) -> str:
    """A string as a literal of Go."""
    names = {"\a": "a", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t", "\v": "v", '"': '"', "\\": "\\"}
    out = ""
    for c in text:
        number = ord(c)
        if c in names:
            out += "\\" + names[c]
        elif 0xDC80 <= number <= 0xDCFF:
            out += f"\\x{number - 0xDC00:02x}"
        elif c.isprintable():
            out += c
        else:
            out += (
                f"\\x{number:02x}" if number < 0x80 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
            )
    return f'"{out}"'


def to_json(item: Any) -> str:
    """A value as encoding/json writes it, without escapes for HTML."""
    text = json.dumps(item, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return re.sub(r"[\ud800-\udfff]", "\ufffd", text).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def sprintf(form: str, items: Sequence[Any]) -> str:
    """Go's Sprintf, without explicit argument indexes and the flag #."""
    left = list(items)

    def replaced(match: re.Match[str]) -> str:
        flags, width, precision, verb = match[1], match[2], match[3], match[4]
        size = _amount(width, left)
        digits = _amount(precision, left) if precision else (0 if precision == "" else None)
        if size is not None and size < 0:
            flags, size = flags + "-", -size
        if verb == "%":
            return "%"
        if not verb:
            return "%!(NOVERB)"
        if verb == "[" or "#" in flags:
            raise ValueError("printf with [argument indexes] or the flag # is not supported")
        if not left:
            return f"%!{verb}(MISSING)"
        return _padded(left.pop(0), verb, flags, size or 0, digits)

    text = _VERB.sub(replaced, form)
    if left:
        text += f"%!(EXTRA {', '.join(map(_named, left))})"
    return text


def _named(item: Any) -> str:
    return "<nil>" if item is None else f"{type_name(item)}={value(item)}"


def _amount(text: str | None, left: list[Any]) -> int | None:
    if text is None:
        return None
    if text == "*":
        if not left or not isinstance(left[0], int):
            raise ValueError("a * of printf without a number for it")
        number = int(left.pop(0))
    else:
        number = int(text)
    if abs(number) > WIDEST:
        raise ValueError(f"a width of more than {WIDEST} in printf")
    return number


def _padded(item: Any, verb: str, flags: str, width: int, precision: int | None) -> str:
    if isinstance(item, list | tuple) and verb not in "vT":
        return f"[{' '.join(_padded(each, verb, flags, width, precision) for each in item)}]"
    if isinstance(item, dict) and verb not in "vT":
        pairs = ((_padded(each, verb, flags, width, precision) for each in (key, item[key])) for key in sorted(item))
        return f"map[{' '.join(':'.join(pair) for pair in pairs)}]"
    text = _verb(item, verb, flags, precision)
    if text is None:
        return f"%!{verb}({_named(item)})"
    missing = width - len(text)
    if missing <= 0:
        return text
    if "-" in flags:
        return text + " " * missing
    if "0" in flags and (precision is None or not isinstance(item, int)):
        sign = text[:1] if text[:1] in ("+", "-", " ") and not isinstance(item, str) else ""
        return sign + "0" * missing + text[len(sign) :]
    return " " * missing + text


def _verb(item: Any, verb: str, flags: str, precision: int | None) -> str | None:
    """The text without padding; None if the verb does not fit the value."""
    if verb == "T":
        return type_name(item)
    if isinstance(item, bool):
        return value(item) if verb in "tv" else None
    if isinstance(item, str):
        return _string(item, verb, precision)
    sign = "+" if "+" in flags else " " if " " in flags else ""
    if isinstance(item, int):
        if verb in "cqU":
            character = chr(item) if 0 <= item < 0x110000 and not 0xD800 <= item < 0xE000 else "\ufffd"
            return {"c": character, "q": "'" + quote(character)[1:-1] + "'", "U": f"U+{item:04X}"}[verb]
        if verb not in "vdxXob":
            return None
        digits = format(abs(item), "d" if verb == "v" else verb).rjust(precision or 0, "0")
        return ("-" if item < 0 else sign) + digits
    if verb == "v":
        return value(item)
    return None


def _string(text: str, verb: str, precision: int | None) -> str | None:
    if verb in "xX":
        data = text.encode("utf-8", "surrogateescape")[: precision if precision is not None else None].hex()
        return data.upper() if verb == "X" else data
    if verb not in "svq":
        return None
    text = text if precision is None else text[:precision]
    return quote(text) if verb == "q" else text


_NAMES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "bool"),
    (str, "string"),
    (int, "int"),
    ((list, tuple), "[]string"),
    (dict, "map[string]string"),
)


def type_name(item: Any) -> str:
    """The name of a value's type in Go."""
    return next((name for kind, name in _NAMES if isinstance(item, kind)), "<nil>")
