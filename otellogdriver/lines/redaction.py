"""What must not leave the host: whatever a pattern finds becomes asterisks, in each text that a record may carry.

A line is redacted as it was printed. If it is structured, so is then each key and value as it will be sent, where that
can make a difference: escapes hide a match from the first look, and `^` means something else in a value. If the pattern
has a group named `secret`, only that group of a match is replaced, so that `"password": *"(?P<secret>[^"]*)"` leaves
the line structured.
"""

from __future__ import annotations

import re

from otellogdriver.lines.json_line import Double, Value
from otellogdriver.settings.patterns import Matcher

MASK = b"****"
GROUP = "secret"


class Redaction:
    """One pattern."""

    def __init__(self, pattern: str) -> None:
        self._matcher = Matcher(pattern, GROUP)
        # An escaped character is itself, and the sign for "none of these" is no begin of a text.
        shortened = re.sub(r"\\[^bBAzQ]", "", pattern, flags=re.DOTALL).replace("[^", "[")
        self._asserts = re.search(r"[\^$]|\\", shortened) is not None

    def line(self, line: bytes) -> bytes:
        """The line, or lines joined by newlines, without what the pattern finds and without a terminal's line ends."""
        return self._matcher.masked(line, MASK)

    def looks_at_values(self, line: bytes) -> bool:
        """Whether there may be something in the line's values that `line` does not find."""
        return self._asserts or b"\\" in line

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
