"""All streams of the state directory: making, finding, keeping within limits, deleting.

The only place that deletes. A segment goes when it is delivered (or given up) *and* beyond what `docker logs` is to
keep: per container `max-size` x `max-file`, for stopped containers an age and a total. Docker tells a plugin when a
container stops, never when it is removed, hence the age.

What is found damaged at the start is named in one WARN each and kept as far as it can be read; foreign files are left
alone.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from otellogdriver.errors import JournalError
from otellogdriver.journal.stream import SEGMENT_SIZE, Stream

log = logging.getLogger(__name__)

_CONTAINERS = "containers"
_META = "meta.json"
OVERHEAD = 128 << 10
"""Bytes that a stopped stream counts beside its lines: what its four files and our memory of it cost, so that a host
with many short-lived containers that print little is bounded, too."""
_RUNS = 100
"""Streams of one container that are kept for `docker logs`: one that restarts every minute must not fill the disk with
files."""
_DOOMED = "doomed-"
"""Begin of a directory's name while it is being deleted: without its cursor it would be sent again."""


@dataclass(slots=True, eq=False)
class Entry:
    """A stream with what StartLogging said of it. `info` is empty where `meta.json` is lost."""

    container_id: str
    file: str
    info: Mapping[str, Any]
    stream: Stream
    keep: int = 0
    """Bytes of delivered data that `docker logs` wants kept for this container."""
    compress: bool = False
    live: bool = True
    """A FIFO thread or a feed still works on it; until then only delivered segments may go."""

    @property
    def sequence(self) -> int:
        return int(self.stream.directory.name.split("-", 1)[0])


class Store:
    """The streams below one state directory. Methods may be called from any thread; none of them is called while a
    line waits."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._segments = threading.Lock()
        """Held while the list of a stream's segments shrinks or changes; the FIFO threads never take it."""
        self._containers: dict[str, list[Entry]] = {}

    def open(self) -> list[Entry]:
        """Make the state directory if need be and find what an earlier run left. Raises JournalError if the directory
        cannot be read at all; one that cannot be written is reported when the first stream is made."""
        base = self.root / _CONTAINERS
        try:
            base.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.chmod(self.root, 0o700)
        except OSError as error:
            log.error("state directory %s cannot be written: %s; lines will be read and dropped", self.root, error)
        try:
            folders = sorted(base.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise JournalError(f"state directory {self.root} cannot be read: {error}") from error
        for folder in folders:
            try:
                directories = sorted(folder.iterdir()) if folder.is_dir() else []
            except OSError as error:
                log.warning("%s cannot be read, left alone: %s", folder, error)
                continue
            for directory in directories:
                try:
                    entry = self._load(folder.name, directory)
                except OSError as error:
                    log.warning("stream %s cannot be read, left alone: %s", directory, error)
                    continue
                if entry:
                    self._containers.setdefault(folder.name, []).append(entry)
        return list(self.entries())

    def _load(self, container_id: str, directory: Path) -> Entry | None:
        if directory.name.startswith(_DOOMED):
            self._delete(directory)
            return None
        sequence, _, name = directory.name.partition("-")
        if not (sequence.isdecimal() and name and directory.is_dir()):
            log.warning("foreign entry in the state directory, left alone: %s", directory)
            return None
        file, info = f"{self.root.parent}/{name}", {}
        try:
            meta = json.loads((directory / _META).read_bytes())
            file, info = str(meta["file"]), dict(meta["info"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            log.warning("%s of %s is damaged (%s): going on with the container's id alone", _META, directory, error)
        entry = Entry(container_id, file, info, self._stream(directory, file, info))
        self._check(entry)
        return entry

    def _check(self, entry: Entry) -> None:
        segments = entry.stream.segments
        for segment, following in pairwise(segments):
            missing = following.start - segment.start - segment.stored()
            if missing > 0:
                log.warning("%d bytes are missing at the end of %s: its other bytes are used", missing, segment.path)

    def _stream(
        self, directory: Path, file: str, info: Mapping[str, Any], segment_size: int = SEGMENT_SIZE, sync: bool = False
    ) -> Stream:
        def describe() -> None:
            if not (directory / _META).exists():
                self._describe(directory, file, info, sync)

        return Stream(directory, describe, segment_size, sync)

    def _describe(self, directory: Path, file: str, info: Mapping[str, Any], sync: bool) -> None:
        """Write `meta.json` atomically; it may hold secrets (log-opts, environment), so only root reads it."""
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        temporary = directory / f"{_META}.new"
        data = json.dumps({"version": 1, "file": file, "info": info}, separators=(",", ":")).encode()
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temporary, directory / _META)

    def create(
        self,
        container_id: str,
        file: str,
        info: Mapping[str, Any],
        keep: int,
        segment_size: int = SEGMENT_SIZE,
        sync: bool = False,
    ) -> Entry:
        """A new stream for the FIFO `file`, behind all earlier ones of the container.

        Never fails for the disk's sake: where `meta.json` cannot be written now, it is tried again with the first byte.
        """
        with self._lock:
            entries = self._containers.setdefault(container_id, [])
            sequence = entries[-1].sequence + 1 if entries else 0
            directory = self.root / _CONTAINERS / container_id / f"{sequence:08d}-{os.path.basename(file)}"
            entry = Entry(container_id, file, info, self._stream(directory, file, info, segment_size, sync), keep)
            entries.append(entry)
        try:
            self._describe(directory, file, info, sync)
        except OSError as error:
            log.error(
                "cannot write %s: %s; lines are dropped until the state directory can be written", directory, error
            )
        return entry

    def entries(self) -> Iterator[Entry]:
        with self._lock:
            found = [entry for entries in self._containers.values() for entry in entries]
        return iter(found)

    def of_container(self, container_id: str) -> list[Entry]:
        """The container's streams in the order of their starts."""
        with self._lock:
            return list(self._containers.get(container_id, ()))

    def bytes(self) -> int:
        return sum(entry.stream.size for entry in self.entries())

    # Deleting.

    def drop_segments(self, entry: Entry, before: int) -> int:
        """Delete the segments that lie wholly before `before`; the bytes deleted."""
        segments, freed = entry.stream.segments, 0
        with self._segments:
            while segments:
                end = segments[1].start if len(segments) > 1 else entry.stream.end
                live = entry.live or entry.stream.ended_at is None
                if end > before or (len(segments) == 1 and live and not entry.stream.sealed):
                    break
                segment = segments.pop(0)
                freed += end - segment.start
                segment.path.unlink(missing_ok=True)
        return freed

    def remove(self, entry: Entry) -> None:
        """Delete a stream with all that it holds."""
        with self._lock:
            entries = self._containers.get(entry.container_id, [])
            if entry in entries:
                entries.remove(entry)
            if not entries:
                self._containers.pop(entry.container_id, None)
        directory = entry.stream.directory
        doomed = directory.with_name(_DOOMED + directory.name)
        try:
            os.rename(directory, doomed)
        except OSError:
            doomed = directory
        self._delete(doomed)

    @staticmethod
    def _delete(directory: Path) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        try:
            directory.parent.rmdir()
        except OSError:
            pass

    def settle(self, entry: Entry) -> None:
        """The stream is finished and delivered: what is kept now is for `docker logs` alone. There may be thousands."""
        entry.live = False
        entry.info = {}
        entry.stream.settle()

    def trim(self, container_id: str) -> None:
        """Bring one container back within what `docker logs` is to keep; only delivered data goes."""
        entries = self.of_container(container_id)
        for entry in entries[:-_RUNS]:
            if not entry.live and entry.stream.undelivered <= 0:
                self.remove(entry)
        entries = entries[-_RUNS:]
        keep = max((entry.keep for entry in entries), default=0)
        excess = sum(entry.stream.size for entry in entries) - keep
        for entry in entries:
            stream = entry.stream
            if excess > 0:
                excess -= self.drop_segments(entry, min(stream.delivered, stream.start + excess))
            if entry.compress:
                with self._segments:
                    stream.pack(stream.delivered)
            if not entry.live and stream.undelivered <= 0 and (keep == 0 or stream.size == 0):
                self.remove(entry)

    def expire(self, max_age: float, max_size: int) -> None:
        """Delete stopped containers' delivered logs by age, and the oldest of them beyond a total."""
        now = time.time()
        stopped: list[tuple[float, list[Entry]]] = []
        with self._lock:
            groups = [list(entries) for entries in self._containers.values()]
        for entries in groups:
            if entries and all(not entry.live and entry.stream.undelivered <= 0 for entry in entries):
                stopped.append((max(entry.stream.ended_at or now for entry in entries), entries))
        stopped.sort(key=lambda item: item[0], reverse=True)
        total = 0
        for ended, entries in stopped:
            total += sum(entry.stream.size + OVERHEAD for entry in entries)
            if now - ended > max_age or total > max_size:
                for entry in entries:
                    self.remove(entry)
