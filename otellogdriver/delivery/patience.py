"""How long a feed waits for what is missing: the rest of a line or of a frame, a disk or an encoder that fails.

In: what is unfinished after each `take`, and where something has just failed. Out: what has been so for too long. Only
while the FIFO is read does anything unfinished grow old: with `journal-full=block` its rest cannot come otherwise.
"""

from __future__ import annotations

import math
import time
from typing import Any

from otellogdriver.codec.contract import NOTHING
from otellogdriver.journal.stream import Stream

MAX_AGE = 30.0
"""Seconds after which an unfinished record is sent as it is, an unfinished frame is taken for damage, and what fails is
given up."""
MAX_SPAN = 8 << 20
"""Bytes that may come after the begin of an unfinished line, by lines of the container's other output, before the
unfinished one is sent as it is: these bytes cannot be deleted until then, and all are read again at the next start."""


def begins(carry: Any) -> tuple[int, int]:
    """Where the unfinished records of stdout and stderr begin; -1 where there is none."""
    out, err = carry
    return -1 if out is None else out.begin, -1 if err is None else err.begin


def far(carry: Any, offset: int) -> int:
    """The mask of the streams (1 stdout, 2 stderr) whose unfinished record began MAX_SPAN or more before `offset`."""
    return sum(1 << stream for stream, begin in enumerate(begins(carry)) if 0 <= begin < offset - MAX_SPAN)


class Patience:
    """That of one feed; used where the feed is. Times are monotonic, pairs are of stdout and stderr."""

    __slots__ = ("_began", "_begins", "_cut_at", "_cut_since", "_failing", "_grown", "_is_over", "_sizes", "_stream")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._begins, self._sizes = (-1, -1), [0, 0]
        self._began, self._grown = [0.0, 0.0], [0.0, 0.0]
        self._cut_at, self._cut_since = -1, 0.0
        self._is_over = False
        self._failing: dict[str, tuple[int, float]] = {}
        """What fails -> at which offset, and since when."""

    def note(self, carry: Any, cut_at: int) -> None:
        """These records, and the frame cut at `cut_at` (-1: none), are unfinished now."""
        if carry == NOTHING and self._begins == (-1, -1) and cut_at == self._cut_at and not self._is_over:
            return
        now = time.monotonic()
        begun = begins(carry)
        for stream, group in enumerate(carry):
            if begun[stream] != self._begins[stream]:
                self._began[stream] = self._grown[stream] = now
            size = group.size if group else 0
            if size != self._sizes[stream]:
                self._sizes[stream], self._grown[stream] = size, now
        self._begins = begun
        self._is_over = False
        if cut_at != self._cut_at:
            self._cut_at, self._cut_since = cut_at, now

    def end(self) -> None:
        """Until the next `note`, any unfinished record is too old."""
        self._is_over = True

    def old_records(self, carry: Any) -> int:
        """The mask of the streams (1 stdout, 2 stderr) whose unfinished record is too old."""
        if carry == NOTHING:
            return 0
        now = math.inf if self._is_over else time.monotonic()
        return sum(1 << stream for stream, at in enumerate(self._due(carry)) if at is not None and at <= now)

    def is_old_frame(self, offset: int) -> bool:
        """Whether the frame that begins at `offset` has been cut for too long."""
        return self._cut_at == offset and time.monotonic() - self._cut_read_since() >= MAX_AGE

    def left(self, carry: Any) -> float:
        """Seconds until something unfinished may be too old."""
        now = time.monotonic()
        cut = now if self._cut_at < 0 else min(now, self._cut_read_since())
        due = (MAX_AGE + now if at == math.inf else at for at in self._due(carry) if at is not None)
        return min([cut + MAX_AGE, *due]) - now

    def is_lasting(self, what: str, offset: int) -> bool:
        """`what` ("reading", "encoding") has just failed at `offset`: whether it has failed there for MAX_AGE."""
        now = time.monotonic()
        place, since = self._failing.get(what, (-1, 0.0))
        if place != offset:
            since = now
            self._failing[what] = offset, now
        return now - since >= MAX_AGE

    def _cut_read_since(self) -> float:
        return max(self._cut_since, self._stream.read_since)

    def _due(self, carry: Any) -> tuple[float | None, float | None]:
        """When the unfinished records become too old; None where there is none, or another one than at the last
        `note`."""
        read = self._stream.read_since
        out, err = (
            min(max(self._began[stream], read) + MAX_AGE, max(self._grown[stream], read) + group.patience)
            if group is not None and group.begin == self._begins[stream]
            else None
            for stream, group in enumerate(carry)
        )
        return out, err
