"""The journal's room on the disk: the limit of the whole driver, and the floor of free space.

In: what waits for delivery, what the disk has left. Out: `full`, by which the FIFOs keep their `journal-full` policies,
and how much is to be given up (`claim`). It looks while something arrives, and again as long as there is no room. Lives
on the event loop.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping

from otellogdriver.driver.session import Session
from otellogdriver.journal.store import Entry, Store
from otellogdriver.journal.stream import SEGMENT_SIZE
from otellogdriver.settings.options import PluginSettings

log = logging.getLogger(__name__)

_CHECK_EVERY = 0.5
"""Least seconds between two looks at the disk."""


class Room:
    """See the module's text. `later` calls something after some seconds."""

    def __init__(
        self,
        plugin: PluginSettings,
        store: Store,
        active: Mapping[Entry, Session],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self.full = False
        self._plugin = plugin
        self._store = store
        self._active = active
        self._later = later
        self._over = 0
        """Bytes still to be given up, found by the last look."""
        self._checked = 0.0
        self._due = False

    def check(self) -> None:
        """Look, if the last look was some time ago; else soon."""
        now = time.monotonic()
        if now - self._checked < _CHECK_EVERY:
            self._check_again()
            return
        self._checked = now
        missing = self._missing()
        if missing:
            for entry in self._store.entries():
                self._store.drop_segments(entry, entry.stream.delivered)
            for session in self._active.values():
                for pump, feed in session.feeds:
                    pump.let_go(feed)  # a deleted file takes its space as long as it is open
            missing = self._missing()
        limit = self._plugin.journal_total_max_size
        over = sum(session.stream.undelivered for session in self._active.values()) - limit
        # A little more is given up than must be, so that it is not needed again with the next line.
        self._over = max(missing + SEGMENT_SIZE if missing else 0, over + limit // 16 if over > 0 else 0)
        was, self.full = self.full, self._over > 0
        if self.full:
            self._check_again()  # where everybody is blocked nothing else may ever happen
        if self.full and not was:
            log.error("the journal has reached its total limit or the free-disk floor: `journal-full` policies apply")
        if was and not self.full:
            for session in self._active.values():
                if session.fifo and session.fifo.blocked:
                    session.fifo.wake()

    def _check_again(self) -> None:
        def check() -> None:
            self._due = False
            self.check()

        if not self._due:
            self._due = True
            self._later(_CHECK_EVERY, check)

    def claim(self, waiting: int) -> int:
        """How much of a container's `waiting` bytes is to be given up for the others' sake. Whoever comes next need
        not give up the same again."""
        share = max(0, min(self._over, waiting))
        self._over -= share
        return share

    def free(self) -> int:
        """Free bytes where the journal is; 0 if it cannot be asked."""
        try:
            disk = os.statvfs(self._store.root)
        except OSError:
            return 0
        return disk.f_bavail * disk.f_frsize

    def _missing(self) -> int:
        """Bytes that lack to the free-disk floor."""
        try:
            disk = os.statvfs(self._store.root)
        except OSError:
            return 0
        floor = min(self._plugin.journal_min_free, disk.f_blocks * disk.f_frsize // 20)
        return max(0, floor - disk.f_bavail * disk.f_frsize)
