"""Regular expressions given by users, in the RE2 syntax that Docker's own drivers and the OpenTelemetry Collector use.

RE2 (google-re2) runs in time linear in the text, so that no pattern can stall a container's delivery. It is loaded with
the first pattern only.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import Any

from otellogdriver.loading import load
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
    return load("re2")


class Matcher:
    """A pattern for what a container printed: one line or several, joined by newlines.

    `^` and `$` stand for the ends of each line, and a line ends before the carriage returns that a terminal puts after
    it. What is no UTF-8 is looked at byte by byte as well: a stray byte shall not hide a match. A match within a line
    as printed counts whatever stands in the other lines, and so does one that needs the carriage return.
    `group`: name of a group of which alone `masked` speaks, if the pattern has one."""

    def __init__(self, pattern: str, group: str = "") -> None:
        self._patterns = compiled("(?m)" + pattern), compiled("(?m)" + pattern, True)
        self._group = self._patterns[0].groupindex.get(group, 0)
        # With these it may match a line that stands alone, and not the same line among others.
        self._of_texts = re.search(r"\\[AzQ]|\(\?[a-zA-Z]*-", pattern) is not None

    def finds(self, printed: bytes) -> bool:
        text = without_returns(printed)
        if self._is_in(text):
            return True
        if text is printed and not (self._of_texts and b"\n" in text):
            return False
        return any(self._is_in(form) for line in printed.split(b"\n") for form in {line, line.rstrip(b"\r")})

    def masked(self, printed: bytes, mask: bytes, text: bytes | None = None) -> bytes:
        """`text` with the mask in place of each match, or of its group. It is what was printed, with or without the
        carriage returns at the ends of its lines; by default without."""
        text = without_returns(printed) if text is None else text
        spans = self._spans(text)
        if b"\r" in printed or (b"\n" in text and (spans or self._of_texts)):
            at = 0
            for line, left in zip(printed.split(b"\n"), text.split(b"\n"), strict=True):
                for form in {line, line.rstrip(b"\r")}:
                    spans += (
                        (at + min(begin, len(left)), at + min(end, len(left))) for begin, end in self._spans(form)
                    )
                at += len(left) + 1
            spans.sort()
        return _masked(text, spans, mask) if spans else text

    def _is_in(self, data: bytes) -> bool:
        text, bytewise = self._patterns
        return text.search(data) is not None or (not _is_utf8(data) and bytewise.search(data) is not None)

    def _spans(self, data: bytes) -> list[tuple[int, int]]:
        """(begin, end) of each match that is not empty, in order."""
        text, bytewise = self._patterns
        spans = [self._span(match) for match in text.finditer(data)]
        if not _is_utf8(data):
            spans = sorted(spans + [self._span(match) for match in bytewise.finditer(data)])
        return [span for span in spans if span[0] < span[1]]

    def _span(self, match: Any) -> tuple[int, int]:
        begin, end = match.span(self._group)
        return (begin, end) if begin >= 0 else match.span()


def without_returns(printed: bytes) -> bytes:
    """Lines, joined by newlines, without the carriage returns at their ends, which a terminal puts there."""
    if printed.find(b"\r") < 0:  # `in` costs five times as much: it tries a number first
        return printed
    if b"\n" not in printed:
        return printed.rstrip(b"\r")
    return b"\n".join(line.rstrip(b"\r") for line in printed.split(b"\n"))


def _masked(text: bytes, spans: list[tuple[int, int]], mask: bytes) -> bytes:
    """`spans` are in order of their begins; those that overlap become one."""
    pieces: list[bytes] = []
    at = end = 0
    for begin, behind in spans:
        if begin >= end:
            pieces += text[at:begin], mask
        at = end = max(end, behind)
    return b"".join((*pieces, text[at:]))


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
