"""How option values are written: from text to a typed value, the same way wherever an option is given.

A `Kind` is one sort of value: a parser and a sentence that says what is allowed. A parser takes any text and returns a
value or raises ValueError; the text of that error says what is wrong and never repeats the value, which may be a
secret. `shown` is the one way in which a value may get into an error text. Nothing here reads files or looks names up.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Name = TypeVar("Name", bound=str)

SHOWN_LENGTH = 80
"""Characters of a value in an error text: enough to recognise it, and the text stays one readable line."""

LARGEST_SIZE = 1 << 50
"""1 PiB. No disk is larger, and sums of a few such numbers stay far below 2^63."""

LONGEST_DURATION = 3650 * 86400.0
"""Ten years in seconds. Longer ones are typing errors, and time-outs of the system calls overflow at some point."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[T_co]):
    """One sort of value: `parse` takes any text and raises ValueError, `allowed` says what it takes and `word` is short
    for that in tables."""

    parse: Callable[[str], T_co]
    allowed: str
    word: str


def shown(value: object) -> str:
    """`value` in quotes, on one line: control characters escaped, the tail of a long one left out."""
    text = value if isinstance(value, str) else repr(value)
    more = "..." if len(text) > SHOWN_LENGTH else ""
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:SHOWN_LENGTH])
    return f'"{escaped}{more}"' if isinstance(value, str) else escaped + more


def nearest(name: str, known: list[str]) -> str:
    """The entry of `known` that `name` was most likely meant to be, or an empty text."""
    from difflib import get_close_matches  # only on the way to an error

    alike = {entry.lower().replace("_", "-"): entry for entry in reversed(known)}
    found = get_close_matches(name[:SHOWN_LENGTH].lower().replace("_", "-"), alike, n=1, cutoff=0.6)
    return alike[found[0]] if found else ""


_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("not a yes or no")
    return word in _TRUE


BOOLEAN: Kind[bool] = Kind(_boolean, "true, 1, yes, on, false, 0, no or off", "boolean")

OTEL_BOOLEAN: Kind[bool] = Kind(lambda text: text.strip().lower() == "true", "true or false", "boolean")
"""As OpenTelemetry reads its own variables: `true`, in any case, and all else is false."""


def choice(*names: Name, aliases: dict[str, Name] | None = None) -> Kind[Name]:
    """One of a few words, in any case. Aliases are taken, too, but not advertised."""
    words = {name.lower(): name for name in names} | {key.lower(): name for key, name in (aliases or {}).items()}

    def parse(text: str) -> Name:
        word = text.strip().lower()
        if word in words:
            return words[word]
        meant = nearest(word, list(words))
        raise ValueError(f'did you mean "{words[meant]}"?' if meant else "no such choice")

    listed = ", ".join(names[:-1]) + " or " + names[-1]
    return Kind(parse, listed, listed)


def number(least: int, most: int) -> Kind[int]:
    """A whole number within bounds."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text.strip(), re.ASCII):
            raise ValueError("not a whole number")
        return _within(int(text), least, most, str)

    return Kind(parse, f"a whole number from {least} to {most}", f"{least} to {most}")


_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?([kmgtp]?)(i?b)?", re.IGNORECASE | re.ASCII)
_SIZE_UNITS = {unit: 1024**power for power, unit in enumerate(["", "k", "m", "g", "t", "p"])}


def size(least: int = 1, most: int = LARGEST_SIZE) -> Kind[int]:
    """A number of bytes. Units are powers of 1024, as Docker reads them for memory and log buffers."""

    def parse(text: str) -> int:
        match = _SIZE.fullmatch(text.strip())
        if match is None:
            raise ValueError("not a size")
        return _within(int(Decimal(match[1]) * _SIZE_UNITS[match[2].lower()]), least, most, size_text)

    bounds = _bounds(size_text(least) if least > 1 else "", size_text(most) if most != LARGEST_SIZE else "")
    allowed = "a size in bytes, or with a unit of k, m or g such as 512k, 10m, 10MiB or 1g"
    return Kind(parse, allowed + bounds, "size" + bounds)


def size_text(value: int) -> str:
    """A size in the largest unit that needs no fraction; `size` reads it back."""
    for unit in ("g", "m", "k"):
        if value and value % _SIZE_UNITS[unit] == 0:
            return f"{value // _SIZE_UNITS[unit]}{unit}"
    return str(value)


_DURATION_UNITS = {"d": "86400", "h": "3600", "m": "60", "s": "1", "ms": "0.001", "us": "0.000001"}
_DURATION_PART = r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(d|h|ms|m|us|s)"
_DURATION = re.compile(f"(?:{_DURATION_PART})+", re.IGNORECASE | re.ASCII)
_PLAIN = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?", re.ASCII)


def duration(plain: str = "s", least: float = 0.0, most: float = LONGEST_DURATION) -> Kind[float]:
    """A span of time, in seconds. `plain` is the unit of a number without one; OpenTelemetry's are in `ms`."""

    def parse(text: str) -> float:
        text = text.strip().lower()
        if _PLAIN.fullmatch(text):
            text += plain
        if not _DURATION.fullmatch(text):
            raise ValueError("not a duration")
        parts = re.findall(_DURATION_PART, text)
        return _within(float(sum(Decimal(n) * Decimal(_DURATION_UNITS[u]) for n, u in parts)), least, most, _seconds)

    bounds = _bounds(_seconds(least) if least else "", _seconds(most) if most != LONGEST_DURATION else "")
    unit = "milliseconds" if plain == "ms" else "seconds"
    allowed = f"a duration such as 200ms, 5s, 1m30s, 2h or 7d, a plain number being {unit}"
    return Kind(parse, allowed + bounds, ("duration (plain: ms)" if plain == "ms" else "duration") + bounds)


def _bounds(least: str, most: str) -> str:
    words = [f"at least {least}"] * bool(least) + [f"at most {most}"] * bool(most)
    return ", " + " and ".join(words) if words else ""


def _seconds(value: float) -> str:
    return f"{value * 1000:g}ms" if 0 < value < 1 else f"{value:g}s"


Number = TypeVar("Number", int, float)


def _within(value: Number, least: Number, most: Number, text: Callable[[Number], str]) -> Number:
    if value < least:
        raise ValueError(f"less than {text(least)}")
    if value > most:
        raise ValueError(f"more than {text(most)}")
    return value


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def check_text(text: str) -> None:
    """Raise ValueError for what is no text on one line. Python's `isprintable` is stricter: it takes neither the spaces
    of Japanese and French nor what joins the letters of Persian and the parts of an emoji."""
    if _CONTROL.search(text):
        raise ValueError("control characters or invalid UTF-8 in it")


def _text(text: str) -> str:
    check_text(text)
    return text.strip()


TEXT: Kind[str] = Kind(_text, "text without control characters", "text")


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in (part.strip() for part in _text(text).split(",")) if name))


NAMES: Kind[tuple[str, ...]] = Kind(_names, "names separated by commas", "names")


def _path(text: str) -> str:
    path = _text(text)
    if path and not path.startswith("/"):
        raise ValueError("not an absolute path")
    return path


PATH: Kind[str] = Kind(_path, "an absolute path, as seen inside the plugin", "path")


def _pem(text: str) -> str:
    text = text.strip()
    if not text.startswith("-----BEGIN "):
        return _path(text)
    # Newlines are hard to pass through a shell and a JSON file; the two characters \n are what people write then.
    pem = text.replace("\\n", "\n")
    if not re.fullmatch(r"[\x20-\x7e\r\n\t]*", pem) or not re.search(r"^-----END [A-Z0-9 ]+-----$", pem, re.MULTILINE):
        raise ValueError("an inline PEM without its END line, or with characters that PEM does not have")
    return pem if pem.endswith("\n") else pem + "\n"


PEM: Kind[str] = Kind(_pem, "an absolute path, as seen inside the plugin, or the PEM text itself", "path or PEM")
