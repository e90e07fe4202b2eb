"""`docker logs` from the journal: a container's streams in order, as the frames the engine's reader expects.

In: container id and the engine's ReadConfig. Out: frames with source, time and line, written through `write`, which
waits for a slow reader and raises once it is gone. Pieces of a long line go out as they are, only the last one with a
newline, which gives the bytes that `json-file` gives. The engine filters Since and Until once more; Tail and Follow are
ours. Never waits for export, never holds anything that intake or export need: it only reads segments.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from otellogdriver.codec.contract import MAX_FRAME, Codec
from otellogdriver.engine.turns import Turns
from otellogdriver.errors import ProtocolError
from otellogdriver.journal.reader import Reader
from otellogdriver.journal.stream import Stream
from otellogdriver.loop import Event
from otellogdriver.pool import Pool

if TYPE_CHECKING:
    from otellogdriver.driver.driver import Driver

log = logging.getLogger(__name__)

_CHUNK = 512 << 10
"""Bytes read at a time: each piece is handed from a thread to the loop, which costs as much as reading 100 KiB."""
_SMALL = 64 << 10
"""Bytes up to which a follower reads on the event loop itself: less than handing it to a thread costs."""
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Write = Callable[[bytes], Awaitable[None]]


def _nanoseconds(name: str, value: object) -> int:
    """An RFC 3339 time of Go's JSON as nanoseconds since the epoch; the zero time and null give 0."""
    if value is None or value == "":
        return 0
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ProtocolError(f"{name} is {value!r:.80}, a time like 2026-01-02T15:04:05.999Z is needed")
    whole, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(whole + ("+00:00" if zone == "Z" else zone))
    except ValueError as error:
        raise ProtocolError(f"{name} is {value!r:.80}: {error}") from error
    if moment.year == 1:
        return 0
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000 + int((fraction or "0").ljust(9, "0"))


@dataclass(frozen=True, slots=True)
class ReadConfig:
    """What the engine asks for: times in nanoseconds (0: no bound), tail -1 for everything."""

    since: int = 0
    until: int = 0
    tail: int = -1
    follow: bool = False

    @classmethod
    def from_request(cls, body: Any) -> ReadConfig:
        """Raises ProtocolError."""
        if body is None:
            return cls()
        if not isinstance(body, dict):
            raise ProtocolError(f"Config is {type(body).__name__}, an object is needed")
        tail = body.get("Tail", -1)
        if not isinstance(tail, int):
            raise ProtocolError(f"Tail is {tail!r:.80}, a number is needed")
        return cls(
            _nanoseconds("Since", body.get("Since")),
            _nanoseconds("Until", body.get("Until")),
            tail,
            bool(body.get("Follow")),
        )


class LogReader:
    """Answers every `docker logs`; owns the threads that read for it, and the turns of those that follow."""

    def __init__(self, driver: Driver) -> None:
        self.codec = driver.codec
        self.threads = Pool(2, "readlogs")
        self.turns = Turns()
        self._driver = driver

    def close(self) -> None:
        """Start no further read; what is being read ends in its thread."""
        self.threads.shutdown()

    async def read(self, container_id: str, config: ReadConfig, write: Write) -> None:
        """Write what is asked for; with `follow` until the container's FIFO ends. Raises what `write` raises."""
        streams = [entry.stream for entry in self._driver.store.of_container(container_id)]
        followed = None
        if config.follow:
            live = [stream for stream in streams if stream.ended_at is None]
            followed = live[-1] if live else None
        ends = {stream: stream.end for stream in streams}
        starts = {stream: stream.start for stream in streams}
        if config.tail >= 0:
            starts = await self.threads.submit(_tail, self.codec, streams, ends, config.tail).awaited()
            if followed is not None and followed not in starts:
                end = ends[followed]
                starts[followed] = await self.threads.submit(_boundary, self.codec, followed, end).awaited()
        for stream in streams:
            if stream not in starts:
                continue
            copy = _Copy(self, stream, starts[stream], config, write)
            if stream is followed:
                await self._follow(copy)
            else:
                await copy.up_to(ends[stream], final=True)
            if copy.done:
                return

    async def _follow(self, copy: _Copy) -> None:
        active = self._driver.active.values()
        session = next((session for session in active if session.stream is copy.stream), None)
        grown = Event()
        if session:
            session.followers.add(grown)
        try:
            while not copy.done:
                grown.clear()
                ended = copy.stream.ended_at is not None or session is None
                await copy.up_to(copy.stream.end, final=ended)
                if ended or copy.done:
                    return
                await grown.wait()
        finally:
            if session:
                session.followers.discard(grown)


class _Copy:
    """One stream on its way to one reader."""

    def __init__(self, logs: LogReader, stream: Stream, offset: int, config: ReadConfig, write: Write) -> None:
        self.stream = stream
        self.done = False
        self._codec = logs.codec
        self._threads = logs.threads
        self._turns = logs.turns
        self._offset = offset
        self._config = config
        self._write = write

    async def up_to(self, end: int, final: bool) -> None:
        """Copy the whole frames before `end`."""
        size = _CHUNK
        while self._offset < end and not self.done:
            if end - self._offset <= _SMALL:
                await self._turns.take()
                try:
                    frames, behind = self._read(end, size, waits=False)
                except BlockingIOError:
                    frames, behind = await self._threads.submit(self._read, end, size).awaited()
            else:
                frames, behind = await self._threads.submit(self._read, end, size).awaited()
            if frames:
                await self._write(frames)
            if behind > self._offset:
                self._offset, size = behind, _CHUNK
            elif size < MAX_FRAME + 4 and end - self._offset > size:
                size = MAX_FRAME + _CHUNK
            elif (final and self.stream.ended_at is not None) or end - self._offset >= MAX_FRAME + 4:
                self._offset += 1  # damage at the end: the rest may still hold whole frames
            else:
                return

    def _read(self, end: int, size: int, waits: bool = True) -> tuple[bytes, int]:
        """(frames, where they end). Raises BlockingIOError where it is not to wait for the disk, and would."""
        reader = Reader(self.stream, waits)
        try:
            buffer = memoryview(bytearray(min(size, end - self._offset)))
            offset, got = reader.read(self._offset, buffer)
            after = offset + got
            is_gap = 0 < got < len(buffer) and reader.read(after, buffer[got:][:1])[0] > after
        except BlockingIOError:
            raise
        except OSError as error:
            behind = self.stream.behind(self._offset)
            log.error("%s cannot be read, left out up to offset %d: %s", self.stream.directory, behind, error)
            return b"", behind
        finally:
            reader.close()
        if not got:
            return b"", end
        frames, behind, self.done = self._codec.readable(buffer[:got], offset, self._config.since, self._config.until)
        if behind == self._offset and is_gap and not self.done:
            behind = after  # the rest of this frame is lost
        return frames, max(behind, offset)


def _tail(codec: Codec, streams: list[Stream], ends: dict[Stream, int], count: int) -> dict[Stream, int]:
    """Where to begin in each stream, so that the last `count` frames are read; streams before are left out."""
    starts: dict[Stream, int] = {}
    for stream in reversed(streams):
        if count <= 0:
            break
        reader = Reader(stream)
        behind = ends[stream]
        try:
            for segment in reversed(list(stream.segments)):
                if segment.start >= behind:
                    continue
                buffer = memoryview(bytearray(behind - segment.start))
                try:
                    offset, got = reader.read(segment.start, buffer)
                except OSError:
                    continue  # said when it is copied
                places = codec.positions(buffer[:got], offset)
                if not places:
                    continue
                if len(places) >= count:
                    starts[stream], count = places[-count], 0
                    break
                count -= len(places)
                starts[stream] = behind = places[0]
        finally:
            reader.close()
    return starts


def _boundary(codec: Codec, stream: Stream, end: int) -> int:
    """Where the first frame begins that is not whole at `end`: the place to follow a stream from."""
    start = min(end, max(stream.boundary, stream.start))
    reader, buffer = Reader(stream), memoryview(bytearray(MAX_FRAME + _CHUNK))
    try:
        while start < end:
            offset, got = reader.read(start, buffer[: end - start])
            *_, behind = codec.count(buffer[:got], offset, end)
            if behind <= start:
                break
            start = behind
    except OSError:
        return end
    finally:
        reader.close()
    return start
