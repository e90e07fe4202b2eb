"""All streams of the state directory: making, finding, keeping within limits, deleting.

The only place that deletes. A segment goes when it is delivered (or given up) *and* beyond what `docker logs` is to
keep: per container `max-size` x `max-file`, for stopped containers an age and a total. Docker tells a plugin when a
container stops, never when it is removed, hence the age.

What is found damaged at the start is named in one WARN each and kept as far as it can be read; foreign files are left
alone. What cannot be read just now, or only because files or memory are short, is found by a later `open`.

A fault of the disk, or a lack of memory, stays with its stream: it is logged once, the others go on, what is known here
stays what is on the disk, and `trim` and `expire` try again by themselves.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from sys import intern
from typing import Any

from otellogdriver.errors import JournalError, may_pass
from otellogdriver.journal import layout
from otellogdriver.journal.age import Clock
from otellogdriver.journal.entry import Entry
from otellogdriver.journal.segment import Found, scan
from otellogdriver.journal.stream import SEGMENT_SIZE, Stream
from otellogdriver.loading import load

log = logging.getLogger(__name__)

OVERHEAD = 128 << 10
"""Bytes that a stopped stream counts beside its lines: what its four files and our memory of it cost, so that a host
with many short-lived containers that print little is bounded, too."""
_RUNS = 100
"""Streams of one container that are kept for `docker logs`: one that restarts every minute must not fill the disk with
files."""


_COMMON = frozenset(("ContainerEntrypoint", "ContainerImageID", "ContainerImageName", "DaemonName"))
"""Fields of Info that many containers have the same of."""


class Store:
    """The streams below one state directory. Methods may be called from any thread. Those that touch the disk say so;
    no lock is held meanwhile, so that one that waits for it keeps nobody from the others."""

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        self.root = root
        self.unread: set[Path] = set()
        """What `open` could not look at for now: call it again."""
        self._clock = clock or Clock()
        self._lock = threading.Lock()
        """Held while a list of streams or of segments changes, and never while the disk is asked for something."""
        self._containers: dict[str, list[Entry]] = {}
        self._left: set[Path] = set()
        """What is not ours, or is damaged."""
        self._named: set[Path] = set()
        """What could not be read, and was said."""
        self._to_pack: dict[str, None] = {}
        """Containers that may have segments to pack, in order."""
        self._again: set[str] = set()
        """Containers of which something could not be deleted."""
        self._remains: set[Path] = set()
        """Files and directories that nobody knows any more, and that could not be deleted."""

    # Finding.

    def open(self) -> list[Entry]:
        """Make the state directory if need be and find what an earlier run left: the streams that were not known
        before. May be called again, which makes sense while `unread` names something. Disk.

        Raises JournalError if the directory cannot be read at all; one that cannot be written is reported when the
        first stream is made. A stream that cannot be read is left alone, with a warning."""
        base = layout.containers(self.root)
        try:
            if not base.is_dir():  # on a frozen disk even the making of what is there would wait
                base.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.root.stat().st_mode & 0o777 != 0o700:
                os.chmod(self.root, 0o700)
        except Exception as error:
            log.error("state directory %s cannot be written: %s; lines will be read and dropped", self.root, error)
        try:
            folders = sorted(base.iterdir())
        except FileNotFoundError:
            return []
        except Exception as error:
            raise JournalError(f"state directory {self.root} cannot be read: {_why(error)}") from error
        self.unread = set()
        known = {entry.stream.directory for entry in self.entries()} | self._left
        found: list[Entry] = []
        for folder in folders:
            try:
                directories = sorted(folder.iterdir()) if folder.is_dir() else []
            except Exception as error:
                self._leave(folder, error)
                continue
            for directory in directories:
                if directory in known:
                    continue
                try:
                    loaded = self._load(folder.name, directory)
                except Exception as error:
                    self._leave(directory, error)
                    continue
                if loaded and self._insert(loaded[0]):
                    found.append(loaded[0])
                    self._remains.update(loaded[1])  # not where it is being made just now: nothing has ended there
        return found

    def _leave(self, path: Path, error: Exception) -> None:
        """What cannot be read is left alone: until the next `open`, or for good."""
        if may_pass(error):
            self.unread.add(path)
        else:
            self._left.add(path)
        if path not in self._named:
            self._named.add(path)
            known = isinstance(error, layout.NewerVersion)
            log.warning("%s: left alone", error if known else f"{path} cannot be read: {_why(error)}")

    def _insert(self, entry: Entry) -> bool:
        """Have a stream that was found; False if it is known by now."""
        with self._lock:
            entries = self._containers.setdefault(entry.container_id, [])
            if entries and any(other.stream.directory == entry.stream.directory for other in entries):
                return False
            entry.container_id = entries[0].container_id if entries else entry.container_id  # one string for all
            entries.append(entry)
            if len(entries) > 1 and entries[-2].sequence >= entry.sequence:
                entries.sort(key=lambda other: other.stream.directory.name)
            return True

    def _load(self, container_id: str, directory: Path) -> tuple[Entry, tuple[Path, ...]] | None:
        """The stream in a directory, and the files that were being written when a process ended; None if it is no
        stream's. Raises OSError, NewerVersion, MemoryError."""
        if directory.name.startswith(layout.DOOMED):
            self._remains.add(directory)
            return None
        name = layout.parse_stream_name(directory.name)
        if name is None or not directory.is_dir():
            self._left.add(directory)
            log.warning("foreign entry in the state directory, left alone: %s", directory)
            return None
        try:
            meta = layout.read_meta(directory)
            meta = layout.Meta(meta.file, _shared(meta.info))
        except (OSError, ValueError) as error:
            if may_pass(error):
                raise
            log.warning(
                "%s of %s is damaged (%s): going on with the container's id alone", layout.META, directory, error
            )
            meta = layout.Meta(f"{self.root.parent}/{name[1]}", {})
        found = scan(directory)
        for path in found.strange:
            log.warning("%s is named like a segment, but cannot be one of this stream: left alone", path)
        stream = Stream(directory, partial(_describe, str(directory), meta, False), found=found)
        entry = Entry(container_id, meta.file, meta.info, stream)
        if stream.ended_at is not None:
            stream.settle()
            if meta.info:
                entry.forget_info()
        self._check(entry)
        return entry, found.leftovers

    def _check(self, entry: Entry) -> None:
        for segment, following in pairwise(entry.stream.segments):
            missing = following.start - segment.start - segment.stored()
            if missing > 0:
                log.warning("%d bytes are missing at the end of %s: its other bytes are used", missing, segment.path)

    # Making.

    def create(
        self,
        container_id: str,
        file: str,
        info: Mapping[str, Any],
        keep: int,
        segment_size: int = SEGMENT_SIZE,
        sync: bool = False,
    ) -> Entry:
        """A new stream for the FIFO `file`, after all earlier ones of the container. In memory alone: it touches no
        disk and cannot fail for the disk's sake. `describe` is to follow, which the first byte does if nobody else."""
        with self._lock:
            entries = self._containers.get(container_id) or []
            sequence = entries[-1].sequence + 1 if entries else 0
            directory = layout.containers(self.root) / container_id / layout.stream_name(sequence, file)
            meta = layout.Meta(file, _shared(info))
            stream = Stream(directory, partial(_describe, str(directory), meta, sync), segment_size, sync, Found())
            self._remains.discard(directory)
            entry = Entry(container_id, file, meta.info, stream, keep)
            self._containers.setdefault(container_id, entries).append(entry)
        return entry

    def describe(self, entry: Entry) -> bool:
        """Write down what is known of a stream, before its first byte. Whether that went well; what fails is logged
        and tried again with the first byte. Never raises. Disk, which may be slow."""
        stream = entry.stream
        try:
            layout.write_meta(stream.directory, layout.Meta(entry.file, entry.info), stream.sync)
        except Exception as error:
            log.error(
                "cannot write %s: %s; lines are dropped until the state directory can be written",
                stream.directory,
                _why(error),
            )
            return False
        return True

    # Looking.

    def entries(self) -> Iterator[Entry]:
        """All streams."""
        with self._lock:
            found = [entry for entries in self._containers.values() for entry in entries]
        return iter(found)

    def of_container(self, container_id: str) -> list[Entry]:
        """The container's streams in the order of their starts."""
        with self._lock:
            return list(self._containers.get(container_id, ()))

    def bytes(self) -> int:
        """Bytes kept of all streams."""
        return sum(entry.stream.size for entry in self.entries())

    def settle(self, entry: Entry) -> None:
        """The stream is finished and delivered: what is kept now is for `docker logs` alone. Touches no disk."""
        entry.live = False
        if entry.stream.segments:  # else there may be no `meta.json`
            entry.forget_info()
        entry.stream.settle()

    # Deleting. Nothing here raises for the sake of the disk or of memory.

    @contextlib.contextmanager
    def _contained(self, entry: Entry, what: str) -> Iterator[None]:
        """A fault stays with this stream, is logged once, and `expire` has the container trimmed again."""
        try:
            yield
        except Exception as error:
            self._again.add(entry.container_id)
            if not entry.faulty:
                entry.faulty = True
                log.warning(
                    "%s cannot be %s: %s; it is tried again",
                    entry.stream.directory,
                    what,
                    _why(error),
                )

    def drop_segments(self, entry: Entry, before: int) -> int:
        """Delete the segments that lie wholly before `before`; the bytes deleted. Disk."""
        stream, freed = entry.stream, 0
        with self._contained(entry, "made shorter"):
            while True:
                first = stream.segments[:2]  # one look, because the FIFO's thread may cut the list meanwhile
                if not first:
                    break
                end = first[1].start if len(first) > 1 else stream.end
                live = entry.live or stream.ended_at is None
                if end > before or (len(first) == 1 and live and not stream.sealed):
                    break
                for path in reversed(first[0].paths):  # the one in use goes last: until then nothing has changed
                    path.unlink(missing_ok=True)
                with self._lock:
                    if stream.segments and stream.segments[0] is first[0]:
                        del stream.segments[0]
                        freed += end - first[0].start
        return freed

    def remove(self, entry: Entry) -> bool:
        """Delete a stream with all that it holds; whether it is gone. One that cannot be deleted now stays known if it
        holds anything. Disk."""
        directory = entry.stream.directory
        doomed: Path | None = directory.with_name(layout.DOOMED + directory.name)
        with self._contained(entry, "deleted"):
            try:
                os.rename(directory, doomed or directory)
            except FileNotFoundError:
                doomed = None
            except OSError:
                if entry.stream.size:
                    raise
                doomed = directory
            with self._lock:
                entries = self._containers.get(entry.container_id, [])
                if entry in entries:
                    entries.remove(entry)
                if not entries:
                    self._containers.pop(entry.container_id, None)
            if doomed:
                self._delete(doomed)
            return True
        return False

    def _delete(self, path: Path) -> None:
        """Delete a file or directory that nobody knows any more, and its container's directory if that is empty."""
        try:
            if path.is_dir() and not path.is_symlink():
                shutil = load("shutil")  # brings compression along that nothing here needs
                shutil.rmtree(path, ignore_errors=True)
                with contextlib.suppress(OSError):
                    path.parent.rmdir()
            else:
                path.unlink(missing_ok=True)
            gone = not os.path.lexists(path)
        except Exception:
            gone = False
        with self._lock:
            (self._remains.discard if gone else self._remains.add)(path)

    def delete_remains(self) -> None:
        """Delete what a crash left half made or half deleted: after `open`, before anything is packed. Disk."""
        for path in list(self._remains):
            self._delete(path)

    def trim(self, container_id: str) -> None:
        """Bring one container back within what `docker logs` is to keep; only delivered data goes. Disk."""
        try:
            self._again.discard(container_id)
            self._trim(container_id)
        except Exception as error:
            self._again.add(container_id)
            log.warning("container %s cannot be trimmed, which is tried again: %s", container_id[:12], _why(error))

    def _trim(self, container_id: str) -> None:
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
            if not entry.live and stream.undelivered <= 0 and (keep == 0 or stream.size == 0):
                self.remove(entry)
            else:
                with self._contained(entry, "marked as ended"):
                    stream.mark_ended()
        if any(entry.compress for entry in entries):
            with self._lock:
                self._to_pack[container_id] = None
        if container_id not in self._again:
            for entry in entries:
                entry.faulty = False

    def pack_next(self) -> bool:
        """Compress one segment that is closed and delivered, of those with the option `compress`; whether there may be
        more. It takes a processor for a while and holds nothing that others need; readers do not notice. Disk."""
        with self._lock:
            container_id = next(iter(self._to_pack), None)
        if container_id is None:
            return False
        for entry in self.of_container(container_id):
            if entry.compress:
                with self._contained(entry, "compressed"):
                    if self._pack(entry):
                        return True
        with self._lock:
            self._to_pack.pop(container_id, None)
            return bool(self._to_pack)

    def _pack(self, entry: Entry) -> bool:
        """Pack one segment; whether there was one. Raises what kept the first one from it if none could be packed."""
        stream, fault = entry.stream, None
        for segment, following in pairwise(list(stream.segments)):
            if following.start > stream.delivered:
                break
            if segment.packed:
                continue
            try:
                packed = segment.pack()
            except Exception as error:
                fault = fault or error
                continue
            with self._lock:
                known = segment in stream.segments  # it may have been dropped meanwhile
                if known:
                    self._remains.discard(packed.path)  # an earlier one of this name, which is replaced
                    stream.segments[stream.segments.index(segment)] = packed
            self._delete((segment if known else packed).path)
            return True
        if fault:
            raise fault
        return False

    def expire(self, max_age: float, max_size: int) -> None:
        """Delete stopped containers' delivered logs by age (seconds), and the oldest of them beyond a total (bytes);
        try again what could not be deleted before. Disk.

        By age nothing goes until the clock has been steady for a while: see age.py. To be called every minute or so."""
        self.delete_remains()
        for container_id in list(self._again):
            self.trim(container_id)
        self._mend_dates()
        now = self._clock.now
        stopped: list[tuple[float, list[Entry]]] = []
        with self._lock:
            groups = [list(entries) for entries in self._containers.values()]
        for entries in groups:
            if all(not entry.live and entry.stream.undelivered <= 0 for entry in entries):
                ends = [entry.stream.ended_at for entry in entries if entry.stream.ended_at is not None]
                stopped.append((max(ends, default=now), entries))
        stopped.sort(key=lambda item: item[0], reverse=True)
        total = 0
        for ended, entries in stopped:
            total += sum(entry.stream.size + OVERHEAD for entry in entries)
            if total > max_size or (self._clock.is_steady and now - ended > max_age):
                for entry in entries:
                    self.remove(entry)

    def _mend_dates(self) -> None:
        """If the clock has been set, what ended while it was wrong is dated anew."""
        jump = self._clock.look()
        if jump is None:
            return
        for entry in self.entries():
            ended = entry.stream.ended_at
            if ended is not None and jump.since <= ended <= jump.until:
                with self._contained(entry, "dated anew"):
                    entry.stream.move_end(ended + jump.by)


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _shared(info: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same with texts that are in memory once: names of fields, and what is the same for other containers. Nothing
    else, because Python 3.12 never frees such a text."""
    return {
        intern(name): intern(value) if name in _COMMON and type(value) is str else value for name, value in info.items()
    }


def _describe(directory: str, meta: layout.Meta, sync: bool) -> None:
    """What a stream calls before it makes a segment. Raises OSError."""
    place = Path(directory)
    if not (place / layout.META).exists():
        layout.write_meta(place, meta, sync)
