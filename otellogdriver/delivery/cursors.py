"""The cursors of one pump's feeds, written one batch after another.

In: feeds that have settled something (`write`). Out: their cursors on disk, soon; then `written` is called for each.
Where a disk hangs, cursors wait and nothing else does; what cannot be written is tried again. Lives on the event loop,
writes in a thread of `files`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from otellogdriver.delivery.feed import Feed
from otellogdriver.loop import begin
from otellogdriver.pool import Pool

_PAUSE = 1.0
"""Seconds between two tries of what has failed by a fault of memory, of threads, of ours."""


class Cursors:
    """See the module's text. `failed` is called with the reason why a batch could not be written. Neither `written` nor
    `failed` may raise."""

    def __init__(
        self, files: Pool, sync: bool, written: Callable[[Feed], None], failed: Callable[[Exception], None]
    ) -> None:
        self._files = files
        self._sync = sync
        self._has_written = written
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._waiting: set[Feed] = set()
        self._writing: set[Feed] = set()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def __contains__(self, feed: Feed) -> bool:
        """Whether the feed's cursor is still to be written, or is just being written. Any thread."""
        return feed in self._waiting or feed in self._writing

    def write(self, feed: Feed) -> None:
        """Have the feed's cursor written soon, with the position that it has by then."""
        self._waiting.add(feed)
        self._begin()

    def forget(self, feed: Feed) -> None:
        self._waiting.discard(feed)

    async def close(self, patience: float) -> None:
        """Wait `patience` seconds for what is to be written. The rest is sent again at the next start."""
        self._closing = True
        if self._task:
            await asyncio.wait([self._task], timeout=patience)
            if self._task:
                self._task.cancel()

    def _begin(self) -> None:
        if self._task is None and self._waiting:
            self._task = begin(self._work, "cursors")

    async def _work(self) -> None:
        try:
            while self._waiting:
                self._writing, self._waiting = self._waiting, set()
                try:
                    await self._files.submit(self._write).awaited()
                except Exception as error:  # no thread, no memory
                    self._waiting |= self._writing
                    self._failed(error)
                    if self._closing:
                        return
                    await asyncio.sleep(_PAUSE)
                    continue
                done, self._writing = self._writing, set()
                for feed in done:
                    self._has_written(feed)
        finally:
            self._waiting |= self._writing
            self._writing, self._task = set(), None
            if self._waiting and not self._closing:  # it was ended by a fault
                self._loop.call_later(_PAUSE, self._begin)

    def _write(self) -> None:
        """Thread of `files`."""
        for feed in list(self._writing):
            feed.commit(self._sync)
