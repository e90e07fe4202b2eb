"""A progress bar on stderr, for work that takes longer than a moment; nothing where stderr is no terminal.

12% [###---------------------]  1.2 of 9.6 GiB  210 MiB/s  41 s left
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from otellogdriver.commands.amounts import size

_AFTER = 0.5
"""Seconds that work may take without a bar."""
_EVERY = 0.1
_WIDTH = 24


class Progress:
    """A context manager. `total` in bytes."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._began = time.monotonic()
        self._drawn = self._began + _AFTER - _EVERY
        self._shown = False
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.clear()

    def add(self, count: int) -> None:
        """So many bytes more are done."""
        self.reach(self._done + count)

    def reach(self, done: int) -> None:
        """So many bytes are done in all."""
        self._done = done
        now = time.monotonic()
        if self._terminal and now - self._drawn >= _EVERY:
            self._drawn = now
            self._draw(now - self._began)

    def clear(self) -> None:
        """Take the bar away, before something else is written."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False

    def _draw(self, seconds: float) -> None:
        part = min(1.0, self._done / self._total) if self._total else 1.0
        bar = "#" * round(part * _WIDTH)
        speed = self._done / seconds if seconds else 0.0
        left = f"  {(self._total - self._done) / speed:.0f} s left" if speed else ""
        text = f"{part:4.0%} [{bar:-<{_WIDTH}}]  {size(self._done)} of {size(self._total)}  {size(speed)}/s{left}"
        sys.stderr.write(f"\r{text}\x1b[K")
        sys.stderr.flush()
        self._shown = True
