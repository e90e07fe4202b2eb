"""One stream and the feeds on it, without a pump."""

from __future__ import annotations

from pathlib import Path

from otellogdriver.codec import python
from otellogdriver.codec.contract import EncodeOptions
from otellogdriver.delivery.feed import BUFFER, Feed, Part
from otellogdriver.journal.cursor import Cursor
from otellogdriver.journal.entry import Entry
from otellogdriver.journal.stream import Stream
from tests.scene import bodies

BIG = 1 << 20


class Bench:
    """One stream in a directory, and the feeds that are made on it one after another, as by restarts."""

    def __init__(self, directory: Path, segment_size: int = 1 << 20) -> None:
        self.directory = directory
        directory.mkdir(exist_ok=True)
        self.segment_size = segment_size
        self.buffer = memoryview(bytearray(BUFFER))
        self.feeds: list[Feed] = []
        self.streams: list[Stream] = []
        self.open()

    def open(self) -> Feed:
        """A start of the driver."""
        self.stream = Stream(self.directory, segment_size=self.segment_size)
        self.streams.append(self.stream)
        return self.open_feed()

    def open_feed(self) -> Feed:
        entry = Entry("c" * 64, "/fifo", {}, self.stream)
        options = EncodeOptions(uid=b"8 bytes.")
        self.feed = Feed(entry, Cursor(self.directory / "cursor"), python, options, b"")
        self.feeds.append(self.feed)
        return self.feed

    def take(self, budget: int = BIG, strict: bool = False) -> Part | None:
        return self.feed.take(self.buffer, budget, 1, strict)

    def deliver(self) -> list[bytes]:
        """Take and commit until nothing is left to say; the bodies."""
        found = []
        while self.feed.needs_work:
            part = self.take()
            if part is None:
                break
            self.feed.settle(part)
            self.feed.commit()
            found += bodies(part.payload)
        return found

    def close(self) -> None:
        for each in self.feeds:
            each.close()
        for stream in self.streams:
            stream.close()
