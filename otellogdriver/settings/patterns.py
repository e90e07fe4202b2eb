"""Regular expressions given by users, in the RE2 syntax that Docker's own drivers and the OpenTelemetry Collector use.

RE2 (google-re2) runs in time linear in the text, so that no pattern can stall a container's delivery. It is loaded with
the first pattern only.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import Any

from otellogdriver.values import Kind


@lru_cache(maxsize=256)
def compiled(pattern: str, bytewise: bool = False) -> Any:
    """The pattern, ready for use: `search` and `finditer` as of `re`. Raises ValueError that says what is wrong and
    where. A `bytewise` one takes each byte for a character, for text that is no UTF-8."""
    re2 = _re2()
    options = re2.Options()
    options.log_errors = False  # it would write the pattern to standard error
    try:
        if bytewise:
            options.encoding = re2.Options.Encoding.LATIN1
            return re2.compile(pattern.encode(), options)
        return re2.compile(pattern, options)
    except UnicodeError:
        raise ValueError("not valid UTF-8") from None
    except re2.error as fault:
        text = fault.args[0]
        reason, _, piece = (text.decode(errors="replace") if isinstance(text, bytes) else str(text)).partition(": ")
        at = _place(pattern, piece)
        raise ValueError(f"{reason} at character {at + 1}" if at >= 0 else reason) from None


def _place(pattern: str, piece: str) -> int:
    """RE2 names the piece that it stumbled over, not its place; Python's `re` finds what is open to the end."""
    if piece and piece != pattern:
        return pattern.find(piece)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except re.error as fault:
        return -1 if fault.pos is None else fault.pos
    except (RecursionError, OverflowError):
        pass
    return -1


@lru_cache(maxsize=1)
def _re2() -> Any:
    # Not an import statement: the package has no type information.
    from importlib import import_module

    return import_module("re2")


class Matcher:
    """A pattern for bytes. What is no UTF-8 is looked at byte by byte as well: a stray one shall not hide a match.
    `group`: name of a group of which alone `masked` speaks, if the pattern has one."""

    def __init__(self, pattern: str, group: str = "") -> None:
        self._patterns = compiled(pattern), compiled(pattern, True)
        self._group = self._patterns[0].groupindex.get(group, 0)

    def finds(self, data: bytes) -> bool:
        text, bytewise = self._patterns
        return text.search(data) is not None or (not _is_utf8(data) and bytewise.search(data) is not None)

    def masked(self, data: bytes, mask: bytes) -> bytes:
        """`data` with the mask in place of each match, or of its group."""
        text, bytewise = self._patterns
        if not _is_utf8(data):
            data = _masked(bytewise, data, mask, self._group)
        return _masked(text, data, mask, self._group)


def _masked(pattern: Any, data: bytes, mask: bytes, group: int) -> bytes:
    at = 0
    pieces: list[bytes] = []
    for match in pattern.finditer(data):
        begin, end = match.span(group) if match.span(group)[0] >= 0 else match.span()
        if begin < end:
            pieces += data[at:begin], mask
            at = end
    return b"".join((*pieces, data[at:])) if pieces else data


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _pattern(text: str) -> str:
    if text:
        compiled(text)
        compiled(text, True)
    return text


PATTERN: Kind[str] = Kind(_pattern, "a regular expression in RE2 syntax", "regular expression")
