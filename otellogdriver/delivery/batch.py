"""A batch: parts of several feeds that become one request.

In: the feeds that the pump has chosen, and the size of the request. Out: parts, in the order of the feeds, and the
request made of them; or nothing, and then the feeds take everything back (`put_back`). `encode` runs in a worker
thread, everything else on the event loop.
"""

from __future__ import annotations

import logging
import mmap
import threading
import time
from asyncio import Future
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import cast

from otellogdriver.delivery.feed import BUFFER, Feed, Part
from otellogdriver.export.client import is_plain, prepare
from otellogdriver.export.destination import Destination
from otellogdriver.export.outcome import Body
from otellogdriver.export.request import SCOPE, resource_logs
from otellogdriver.insist import insist

_FAIR = 64 << 10
"""Least bytes a feed may put into a batch when many want to."""
_APART = 256 << 10
"""Most bytes in a part of a feed that is set apart."""

_workspace = threading.local()


def _buffer() -> memoryview:
    """This worker thread's buffer to read the journal into; the threads are shared by all pumps. Mapped, not filled
    with zeros: what small requests never reach is no memory of ours."""
    try:
        return cast(memoryview, _workspace.buffer)
    except AttributeError:
        pages = mmap.mmap(-1, BUFFER, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        _workspace.buffer = buffer = memoryview(pages)
        return buffer


def quota(size: int, feeds: int) -> int:
    """How many bytes of a request of `size` bytes one feed may fill, where so many feeds want to be in it."""
    return max(_FAIR, size // max(1, feeds))


@dataclass(eq=False, slots=True)
class Taken:
    """A part that is under way. `is_free` when the next one of its feed may be handed on, which waits for `freed`."""

    part: Part
    is_free: bool = False
    freed: Future[None] | None = None

    def free(self) -> None:
        self.is_free = True
        if self.freed and not self.freed.done():
            self.freed.set_result(None)


class Batch:
    """See the module's text. `size` is the most bytes of the request, before compression. Parts of feeds in `apart` are
    taken as well, but are not in the request."""

    def __init__(self, feeds: Sequence[Feed], apart: Collection[Feed], size: int) -> None:
        self.feeds = feeds
        self.is_building = True
        self.body: Body = ()
        """The request of the `shared` parts."""
        self.shared: list[Part] = []
        self.parts: list[Part] = []
        """All that has been taken."""
        self.left: Sequence[Feed] = ()
        """Feeds that had no room."""
        self.failed: list[Feed] = []
        """Feeds that cannot be read."""
        self.taken: list[Taken] = []
        """The parts once they are under way."""
        self._apart = apart
        self._size = size

    def encode(self, destination: Destination, say: Callable[[int, str, str], None]) -> None:
        """Take the parts, make the request. Worker thread. Whatever this raises, `put_back` undoes what it did."""
        buffer = _buffer()
        observed = time.time_ns()
        share = quota(self._size, len(self.feeds))
        pieces: list[bytes | memoryview] = []
        left: list[Feed] = []
        places: list[tuple[Part, int]] = []
        used = length = 0
        for index, feed in enumerate(self.feeds):
            alone = feed in self._apart
            budget = min(_APART, self._size - feed.around) if alone else min(share, self._size - used - feed.around)
            if budget <= 0 and used and not alone:
                left += self.feeds[index:]
                break
            try:
                part = feed.take(buffer, max(1, budget), observed, strict=used > 0 and not alone)
            except Exception as error:  # a fault of the disk, or of ours, must not stop the other containers
                say(logging.ERROR, "journal", f"{feed.stream.directory} cannot be read: {error!r}")
                self.failed.append(feed)
                continue
            if part is None:
                if feed.is_cut:  # its next record does not fit in any more
                    left.append(feed)
                continue
            try:
                self.parts.append(part)
            except MemoryError:  # nobody has it yet
                insist(feed.put_back, part)
                raise
            if alone:
                continue
            if budget < share and feed.is_cut:
                left.append(feed)
            self.shared.append(part)
            if part.payload:
                entry = resource_logs(feed.resource, part.payload, SCOPE)
                places.append((part, length + len(entry[0])))
                length += len(entry[0]) + part.size + len(entry[-1])
                pieces += entry
                used += part.size + feed.around
        self.left = left
        if not pieces:
            return
        self.body = prepare(destination, pieces)
        if is_plain(destination) and self.body is not pieces:  # the records need not be kept a second time
            view = memoryview(self.body[0])
            for part, begin in places:
                part.payload = [view[begin : begin + part.size]]

    def put_back(self) -> None:
        """Have the feeds take back all parts. May be called again if it raises."""
        while self.parts:
            self.parts[-1].feed.put_back(self.parts[-1])
            self.parts.pop()
