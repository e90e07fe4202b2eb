"""Regular expressions given by users, in the RE2 syntax that Docker's own drivers and the OpenTelemetry Collector use.

RE2 (google-re2) runs in time linear in the text, so that no pattern can stall a container's delivery. Where it is not
installed, Python's `re` is used, which knows nearly the same syntax and more. Loaded with the first pattern only.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Protocol

from otellogdriver.values import Kind


class Pattern(Protocol):
    """What both engines give: `search` returns a match or None."""

    def search(self, text: str) -> Any: ...


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Pattern:
    """The pattern, ready for use. Raises ValueError that says what is wrong and where."""
    re2 = _re2()
    return _python(pattern) if re2 is None else _compiled(re2, pattern)


@lru_cache(maxsize=1)
def _re2() -> Any:
    # Not an import statement: the package has no type information, and may be missing.
    from importlib import import_module

    try:
        return import_module("re2")
    except ImportError:
        return None


def _compiled(re2: Any, pattern: str) -> Pattern:
    options = re2.Options()
    options.log_errors = False  # it would write the pattern to standard error
    try:
        found: Pattern = re2.compile(pattern, options)
        return found
    except (re2.error, UnicodeError) as fault:
        if isinstance(fault, UnicodeError):
            raise ValueError("not valid UTF-8") from None
        text = fault.args[0]
        reason, _, piece = (text.decode(errors="replace") if isinstance(text, bytes) else str(text)).partition(": ")
        # RE2 names the piece that it stumbled over, not its place.
        at = pattern.find(piece) if piece else -1
        raise ValueError(f"{reason} at character {at + 1}" if at >= 0 else reason) from None


def _python(pattern: str) -> Pattern:
    try:
        return re.compile(pattern)
    except re.error as fault:
        raise ValueError(f"{fault.msg} at character {(fault.pos or 0) + 1}") from None
    except (RecursionError, OverflowError):
        raise ValueError("too deeply nested or too large") from None


def _pattern(text: str) -> str:
    if text:
        compiled(text)
    return text


PATTERN: Kind[str] = Kind(_pattern, "a regular expression in RE2 syntax", "regular expression")
