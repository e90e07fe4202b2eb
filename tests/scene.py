"""What the tests of the core share: waiting for something, lines that carry numbers, and a look into what came out."""

from __future__ import annotations

import asyncio
import fcntl
import os
import termios
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from opentelemetry.proto.logs.v1.logs_pb2 import ScopeLogs

from otellogdriver.journal.reader import Reader
from otellogdriver.journal.stream import Stream
from tests.engine.loopback import wait_for
from tests.fakes.engine import LONG, frame

__all__ = ["LONG", "bodies", "content", "files", "in_pipe", "line", "lines", "number", "soon", "until"]


def until(condition: Callable[[], object], within: float = LONG, what: str = "") -> float:
    """Wait until `condition` holds; the seconds that it took. Fails the test after `within`. A condition that raises
    ConnectionError, because whoever is asked does not answer yet, does not hold."""
    began = time.monotonic()
    try:
        wait_for(condition, what or repr(condition), within)
    except TimeoutError as error:
        raise AssertionError(str(error)) from None
    return time.monotonic() - began


async def soon(condition: Callable[[], object], within: float = LONG, what: str = "") -> None:
    """The same on an event loop, which goes on meanwhile."""
    began = time.monotonic()
    while not (found := condition()):
        if time.monotonic() - began > within:
            raise AssertionError(f"not within {within:g} s: {what or condition}: {found!r}")
        await asyncio.sleep(0.002)


def in_pipe(fd: int) -> int:
    """Bytes that wait in a FIFO."""
    waiting = bytearray(4)
    fcntl.ioctl(fd, termios.FIONREAD, waiting)
    return int.from_bytes(waiting, "little")


def line(number: int, size: int = 0) -> bytes:
    """A line that says which one it is, at least `size` bytes long."""
    return b"%08d " % number + b"x" * (size - 9)


def lines(begin: int, end: int, source: bytes = b"stdout", size: int = 0) -> bytes:
    """The frames of lines `begin` to `end` - 1."""
    return b"".join(frame(line(number, size), source, number + 1) for number in range(begin, end))


def number(body: str | bytes) -> int:
    """Which line a record's body is."""
    return int(body[:8])


def bodies(payload: Iterable[bytes | memoryview]) -> list[bytes]:
    """The bodies of the LogRecords in the codec's payload."""
    found = []
    for record in ScopeLogs.FromString(b"".join(payload)).log_records:
        text = record.body.string_value.encode()
        found.append(record.body.bytes_value if record.body.WhichOneof("value") == "bytes_value" else text)
    return found


def content(stream: Stream, begin: int | None = None) -> bytes:
    """Everything that a stream keeps, from `begin` on."""
    offset = stream.start if begin is None else begin
    reader, buffer, found = Reader(stream), memoryview(bytearray(1 << 16)), bytearray()
    try:
        while True:
            offset, got = reader.read(offset, buffer)
            if not got:
                return bytes(found)
            found += buffer[:got]
            offset += got
    finally:
        reader.close()


def files(directory: Path) -> Iterator[Path]:
    """All files below a directory."""
    return (Path(folder, name) for folder, _, names in os.walk(directory) for name in names)
