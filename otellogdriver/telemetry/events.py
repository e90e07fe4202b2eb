"""The driver's latest warnings and errors, kept for the status page.

A logging handler: in go records of level WARNING and above, out come the last MOST of them as one-line texts. They hold
no secrets and no line contents, for nothing that the driver logs does.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass

MOST = 50
"""Events kept."""
_LONGEST = 500
"""Characters of one event."""


@dataclass(frozen=True, slots=True)
class Event:
    """`time` is in seconds since the epoch; `lost` says that the level is ERROR or above."""

    time: float
    lost: bool
    text: str


class Events(logging.Handler):
    """Attach it to the driver's logger. Any thread may log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._kept: deque[Event] = deque(maxlen=MOST)

    def emit(self, record: logging.LogRecord) -> None:
        text = " ".join(record.getMessage().split())
        self._kept.append(Event(record.created, record.levelno >= logging.ERROR, text[:_LONGEST]))

    def latest(self) -> list[Event]:
        """The events, the latest first."""
        return list(self._kept)[::-1]

    def about(self, *words: str) -> Event | None:
        """The latest event whose text has one of the words in it."""
        return next((event for event in self.latest() if any(word in event.text for word in words)), None)
