"""A FIFO that a test writes, and the thread that reads it."""

from __future__ import annotations

import os
from pathlib import Path

from otellogdriver.codec import python
from otellogdriver.codec.contract import NOTHING, EncodeOptions
from otellogdriver.intake.crowd import PAUSE, Crowd
from otellogdriver.intake.fifo import Fifo, Limit
from otellogdriver.journal.stream import Stream
from tests.scene import LONG, bodies, content, number

NO_LIMIT = Limit(1 << 40, "drop-oldest")


class Pipe:
    """The FIFO is held open as the engine holds it (read and write); its stream is in a folder beside it."""

    def __init__(self, directory: Path, segment_size: int = 1 << 20, sync: bool = False) -> None:
        directory.mkdir(exist_ok=True)
        self.path = str(directory / "fifo")
        os.mkfifo(self.path)
        self.fd = os.open(self.path, os.O_RDWR)
        self.stream = Stream(directory / "stream", self._describe, segment_size, sync)
        self.notified = 0
        self.ends = 0
        self.fifo: Fifo

    def start(
        self, limit: Limit = NO_LIMIT, resumed: bool = False, patience: float = PAUSE, crowd: Crowd | None = None
    ) -> Fifo:
        self.fifo = Fifo(
            self.path,
            self.stream,
            limit,
            python.count,
            notify=self.notify,
            ended=self.end,
            crowd=crowd or Crowd(),
            resumed=resumed,
            patience=patience,
        )
        self.fifo.start()
        return self.fifo

    def _describe(self) -> None:
        if not self.stream.directory.is_dir():
            os.mkdir(self.stream.directory)

    def notify(self) -> None:
        self.notified += 1

    def end(self) -> None:
        self.ends += 1

    def write(self, data: bytes) -> None:
        """As the engine does. With nobody to read it this would wait for good, which the test's time limit sees."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.fd, view) :]

    def hang_up(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def stop(self) -> None:
        self.fifo.stop()
        assert self.fifo.join(2 * LONG)
        assert self.ends == 1

    def numbers(self) -> list[int]:
        """The lines in the stream, which must be whole frames."""
        encoded = python.encode(content(self.stream), 0, NOTHING, EncodeOptions(), 1, 1 << 40, final=True)
        assert encoded.skipped == 0
        return [number(body) for body in bodies([encoded.payload])]
