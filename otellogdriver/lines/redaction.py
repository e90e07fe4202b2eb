"""What must not leave the host: whatever a pattern finds becomes asterisks, in each text that a record may carry.

A line is redacted as it was printed. If it is structured, so is then each key and value as it will be sent, where that
can make a difference: escapes hide a match from the first look, and `^` means something else in a value. If the pattern
has a group named `secret`, only that group of a match is replaced, so that `"password": *"(?P<secret>[^"]*)"` leaves
the line structured.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from otellogdriver.codec.contract import MAX_RECORD, Line
from otellogdriver.lines.json_line import Double, Value
from otellogdriver.settings.patterns import Matcher

MASK = b"****"
GROUP = "secret"
EDGE = 64 << 10
"""Bytes on both sides of a cut that are masked: half of a match would not be found. So the longest match that a cut
cannot leave a part of."""
_PIECE = 16 << 10
"""The longest piece of a line that the engine sends."""
Cuts = tuple[bool, bool]
"""Of stdout and stderr, whether the last line goes on in the next one."""
UNCUT: Cuts = (False, False)


def without_edges(
    lines: Sequence[Line], cuts: Cuts, early: frozenset[int] = frozenset()
) -> tuple[Sequence[Line], Cuts]:
    """The lines with what is near a cut masked, in the same length. A line is cut where the next piece would have made
    it longer than MAX_RECORD, or if it is sent before its end was seen: `early` is where those begin. What comes next
    is its rest. A line without an end that is shorter than a piece has none: its stream was closed."""
    if not any(cuts) and not early and all(len(line[3]) <= MAX_RECORD - _PIECE for line in lines):
        return lines, cuts
    masked: list[Line] = []
    last = list(cuts)
    for begin, time, stream, data in lines:
        if last[stream]:
            data = b"*" * min(EDGE, len(data)) + data[EDGE:]
        last[stream] = len(data) > MAX_RECORD - _PIECE or (begin in early and len(data) >= _PIECE)
        if last[stream]:
            data = data[:-EDGE] + b"*" * min(EDGE, len(data))
        masked.append((begin, time, stream, data))
    return masked, (last[0], last[1])


_TEXT_OR_WORD = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\w.+*-]++')


def _is_masked(word: bytes) -> bool:
    return MASK in word and not word.startswith(b'"')


class Redaction:
    """One pattern."""

    def __init__(self, pattern: str) -> None:
        self._matcher = Matcher(pattern, GROUP)
        # An escaped character is itself, and the sign for "none of these" begins no text.
        shortened = re.sub(r"\\[^bBAzQ]", "", pattern, flags=re.DOTALL).replace("[^", "[")
        self._asserts = re.search(r"[\^$]|\\", shortened) is not None

    def line(self, line: bytes) -> bytes:
        """The line, or lines joined by newlines, without what the pattern finds and without a terminal's line ends."""
        return self._matcher.masked(line, MASK)

    def quoted(self, line: bytes) -> bytes:
        """JSON that was redacted, with numbers that became asterisks, or have some, as texts."""
        return _TEXT_OR_WORD.sub(lambda found: b'"%s"' % found[0] if _is_masked(found[0]) else found[0], line)

    def looks_at_values(self, line: bytes) -> bool:
        """Whether there may be something in the line's values that `line` does not find."""
        return self._asserts or line.find(b"\\") >= 0

    def text(self, text: str) -> str:
        data = text.encode()
        redacted = self._matcher.masked(data, MASK, data)
        return text if redacted is data else redacted.decode(errors="replace")

    def members(self, members: dict[str, Value]) -> dict[str, Value]:
        """The same for all keys and values."""
        return {self.text(key): self.value(value) for key, value in members.items()}

    def value(self, value: Value) -> Value:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return self.members(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if value is None or isinstance(value, bool):
            return value
        text = value.text if isinstance(value, Double) else str(value)
        redacted = self.text(text)
        return value if redacted == text else redacted
