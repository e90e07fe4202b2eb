"""Where the driver's log goes: standard error, the status page, telemetry of its own.

Logging handlers. For the status page the last MOST records of level WARNING and above are kept as one-line texts. They
hold no secrets and no line contents, because nothing that the driver logs does.
"""

from __future__ import annotations

import logging
import os
import select
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
    """For the status page. Attach it to the driver's logger. Any thread may log."""

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


class StandardError(logging.Handler):
    """The process's own log. Where nobody reads it, because the engine or the disk of its log hangs, lines are left
    out: who logs would wait, and with it everybody else who does."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self._room = select.poll()
        self._room.register(fd, select.POLLOUT)
        self._missing = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if not self._room.poll(0):
                self._missing += 1
                return
            text = f"{self.format(record)}\n".encode("utf-8", "backslashreplace")
            if self._missing:
                text = b"level=WARNING %d lines are missing here: nobody read the log\n%b" % (self._missing, text)
                self._missing = 0
            while text and self._room.poll(0):  # then so much is taken at once: see pipe(7)
                text = text[os.write(self._fd, text[: select.PIPE_BUF]) :]
        except Exception:
            pass  # that a log cannot be written is no reason to try to write more


EARLY_MOST = 500
"""Log records kept until the driver's own telemetry is ready: a start with hundreds of containers to resume."""


class Early(logging.Handler):
    """What the driver logs, from before its own telemetry can send it: kept first, then handed on, each record once."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: deque[logging.LogRecord] = deque(maxlen=EARLY_MOST)
        self._to: logging.Handler | None = None
        logging.getLogger("otellogdriver").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if self._to:
            self._to.handle(record)
        else:
            self._kept.append(record)

    def hand_over(self, handler: logging.Handler) -> None:
        """From now on `handler` gets each record, and now those that were kept."""
        self.acquire()  # what is logged meanwhile comes after them
        try:
            for record in self._kept:
                handler.handle(record)
            self._kept.clear()
            self._to = handler
        finally:
            self.release()

    def end(self) -> None:
        logging.getLogger("otellogdriver").removeHandler(self)
        self._kept.clear()
