"""The journal's room on the disk: the limit of the whole driver, and the floor of free space.

In: what waits for delivery, what the disk has left. Out: `full`, by which the FIFOs keep their `journal-full` policies,
and how much is to be given up (`claim`): what is kept for mirrors alone goes first, and while that is enough nothing is
full. It looks while something arrives, and again as long as there is no room. Lives
on the event loop; the disk itself is asked in a thread, because it may hang; then its last answer holds.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from otellogdriver.driver.session import Session
from otellogdriver.driver.supervisor import Supervisor
from otellogdriver.journal.entry import Entry
from otellogdriver.journal.store import Store
from otellogdriver.journal.stream import SEGMENT_SIZE
from otellogdriver.pool import Pool
from otellogdriver.settings.options import PluginSettings

log = logging.getLogger(__name__)

_CHECK_EVERY = 0.5
"""Least seconds between two looks at the disk."""


class Room:
    """See the module's text. `elsewhere`: bytes in streams that are not active, those that wait and those that are kept
    for mirrors alone."""

    def __init__(
        self,
        plugin: PluginSettings,
        store: Store,
        active: Mapping[Entry, Session],
        disk: Pool,
        supervisor: Supervisor,
        elsewhere: Callable[[], tuple[int, int]] = lambda: (0, 0),
    ) -> None:
        self.full = False
        """Lines are to be given up, or containers to wait."""
        self.short = False
        """Something is to be given up, if only by mirrors."""
        self.free = 0
        """Free bytes where the journal is, by the disk's last answer."""
        self._plugin = plugin
        self._store = store
        self._active = active
        self._disk = disk
        self._supervisor = supervisor
        self._elsewhere = elsewhere
        self._missing = 0
        """Bytes that lack to the free-disk floor, as far as is known."""
        self._floor: int | None = None
        """Bytes that are to stay free; None as long as the disk has not answered."""
        self._over = self._over_of_mirrors = 0
        """Bytes still to be given up, found by the last look; and of those that are kept for mirrors alone."""
        self._checked = 0.0
        self._due = False
        self._asking = False

    def check(self) -> None:
        """Look, if the last look was some time ago; else soon."""
        now = time.monotonic()
        if now - self._checked < _CHECK_EVERY:
            if not self._due:
                self._check_again()
            return
        self._checked = now
        if not self._asking:
            self._supervisor.task("looking at the disk", self._ask())
            self._asking = True  # not before: there may be no memory for the task
        self._judge()

    def claim(self, weight: int) -> int:
        """How much of what a container weighs is to be given up for the others' sake. Whoever comes next need not give
        up the same again."""
        share = max(0, min(self._over, weight))
        self._over -= share
        return share

    def claim_of_mirror(self, kept: int) -> int:
        """The same of the bytes that are kept for a mirror alone."""
        share = max(0, min(self._over_of_mirrors, kept))
        self._over_of_mirrors -= share
        return share

    @property
    def over(self) -> int:
        """Bytes that are still to be given up, by mirrors or by all."""
        return self._over + self._over_of_mirrors

    def left(self, waiting: int) -> int:
        """Bytes that may come until the limits of the whole driver make lines be given up, when so many wait. What is
        delivered does not count: it is deleted first."""
        room = self._plugin.journal_total_max_size - waiting
        if self._floor is None:
            return max(0, room)
        return max(0, min(room, self.free - self._floor + self._store.bytes() - waiting))

    async def _ask(self) -> None:
        """Ask the disk; where it has too little, delete what is delivered first."""
        try:
            await self._look()
            if self._missing:
                await self._disk.submit(self._delete_delivered).awaited()
                for session in self._active.values():
                    for pump, feed in session.feeds:
                        pump.let_go(feed)  # a deleted file takes its space as long as it is open
                await self._look()
        finally:
            self._asking = False
        self._judge()

    async def _look(self) -> None:
        looked = self._disk.submit(_look, self._store.root, self._plugin.journal_min_free)
        self.free, floor = await looked.awaited()
        self._floor, self._missing = floor, max(0, floor - self.free)

    def _delete_delivered(self) -> None:
        for entry in self._store.entries():
            try:
                self._store.drop_segments(entry, entry.stream.delivered)
            except OSError as error:
                self._supervisor.note("deleting delivered lines", error)

    def _judge(self) -> None:
        limit = self._plugin.journal_total_max_size
        waiting, kept = self._elsewhere()
        waiting += sum(session.weight for session in self._active.values())
        kept += sum(session.kept_for_mirror for session in self._active.values())
        over = waiting + kept - limit
        # A little more is given up than must be, so that it is not needed again with the next line.
        missing = self._missing + SEGMENT_SIZE if self._missing else 0
        over = max(missing, over + limit // 16 if over > 0 else 0)
        self._over_of_mirrors = min(over, kept)
        self._over = over - self._over_of_mirrors
        self.short = over > 0
        was, self.full = self.full, self._over > 0
        if self.short:
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
            self._supervisor.later(_CHECK_EVERY, "looking at the journal's room", check)
            self._due = True


def _look(root: Path, least: int) -> tuple[int, int]:
    """(free bytes, the floor that is kept free) of a file system; nothing is known where it cannot be asked: (0, 0)."""
    try:
        disk = os.statvfs(root)
    except OSError:
        return 0, 0
    return disk.f_bavail * disk.f_frsize, min(least, disk.f_blocks * disk.f_frsize // 20)
