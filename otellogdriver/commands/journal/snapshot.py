"""The streams of a state directory as they are now, for whoever may only look: a driver at work does not notice.

In: the state directory of a driver that runs, of one that does not, or a copy. Out: the journal's own `Entry`s, whose
streams are read with the journal's own `Reader`. Nothing is written, made, deleted or locked. What grows or goes
meanwhile is no fault: a snapshot ends where the stream ended when it was taken, and `Reader` steps over what is gone.
"""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from otellogdriver.errors import JournalError
from otellogdriver.journal.cursor import Cursor
from otellogdriver.journal.store import Entry
from otellogdriver.journal.stream import Segment, Stream

log = logging.getLogger(__name__)

ROLES = {"cursor": "main", "cursor-mirror": "mirror"}
"""Files that say how far a stream is delivered, and what they are called here: otlp-endpoint and otlp-mirror."""
_NOWHERE = Path("/nonexistent")
_SUFFIXES = (".log", ".log.gz")


class Snapshot(Stream):
    """A stream as found. Never written to."""

    def __init__(self, directory: Path) -> None:
        # A stream that is opened the usual way mends what a crash left. Here that would be done under the hands of a
        # driver at work, and what looks like a leftover may be a segment that is just being packed.
        super().__init__(_NOWHERE)
        self.directory = directory
        self.segments, self.end = _segments(directory)
        start = self.segments[0].start if self.segments else 0
        self.advance(delivered=start, boundary=start)
        try:
            self.ended_at = (directory / "ended").stat().st_mtime
        except OSError:
            self.ended_at = None


def _segments(directory: Path) -> tuple[list[Segment], int]:
    """The segments, in order, and the offset behind the last one. Raises OSError."""
    while True:
        found: dict[int, Segment] = {}
        for name in sorted(os.listdir(directory)):  # of a segment's two files the unpacked one comes first
            stem = name.partition(".")[0]
            if name.removeprefix(stem) in _SUFFIXES and len(stem) == 20 and stem.isdecimal():
                path = directory / name
                if _is_regular(path):
                    found.setdefault(int(stem), Segment(int(stem), path))
        segments = list(found.values())
        if not segments:
            return [], 0
        try:
            return segments, segments[-1].start + segments[-1].stored()
        except FileNotFoundError:
            continue  # deleted or packed just now: look again


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def entries(state: Path) -> list[Entry]:
    """All streams, those of a container in the order of their starts. Raises JournalError if this is no state directory
    or cannot be read; what is damaged inside is told as a warning."""
    base = state / "containers"
    try:
        folders = sorted(base.iterdir())
    except FileNotFoundError:
        if not state.is_dir():
            raise JournalError(f"state directory {str(state)!r} does not exist") from None
        if any(state.iterdir()):
            raise JournalError(f"{str(state)!r} is no state directory: it has no `containers` in it") from None
        return []
    except OSError as error:
        raise JournalError(f"state directory {str(state)!r} cannot be read: {error.strerror}") from None
    return [entry for folder in folders for entry in _of_container(folder)]


def _of_container(folder: Path) -> Iterator[Entry]:
    try:
        directories = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        log.warning("%s cannot be read: %s", folder, error.strerror)
        return
    for directory in directories:
        sequence, dash, name = directory.name.partition("-")
        if not (sequence.isdecimal() and dash):  # being deleted, or foreign
            continue
        try:
            file, info = name, {}
            meta = json.loads((directory / "meta.json").read_bytes())
            file, info = str(meta["file"]), dict(meta["info"])
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            log.warning("meta.json of %s is damaged (%s): only the id is known", directory, type(error).__name__)
        try:
            yield Entry(folder.name, file, info, Snapshot(directory))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            log.warning("%s cannot be read: %s", directory, error.strerror)


def name_of(entry: Entry) -> str:
    """The container's name, or nothing if it is lost."""
    return str(entry.info.get("ContainerName") or "").lstrip("/")


def chosen(found: Sequence[Entry], wanted: Sequence[str]) -> list[Entry]:
    """The entries of the containers with one of these names, or an id that begins so; all without any. Raises
    JournalError, which names what there is, for one that fits none."""
    if not wanted:
        return list(found)
    kept: dict[int, Entry] = {}
    for word in wanted:
        fits = [entry for entry in found if name_of(entry) == word.lstrip("/")]
        fits = fits or [entry for entry in found if word and entry.container_id.startswith(word)]
        if not fits:
            known = sorted({name_of(entry) or entry.container_id[:12] for entry in found})
            more = ", ..." if len(known) > 20 else ""
            raise JournalError(f"no container {word!r} in the journal; there are: {', '.join(known[:20])}{more}")
        kept |= {id(entry): entry for entry in fits}
    return [entry for entry in found if id(entry) in kept]


def cursors(entry: Entry, environ: Mapping[str, str]) -> dict[str, Cursor]:
    """How far the stream is delivered, by role; a role without a file has got nothing. `environ` is the driver's."""
    config = entry.info.get("Config") or {}
    mirrored = bool(config.get("otlp-mirror", environ.get("OTELLOGDRIVER_OTLP_MIRROR", "")).strip())
    places = {role: entry.stream.directory / role for role in ROLES}
    return {role: Cursor(path) for role, path in places.items() if role == "cursor" or mirrored or path.exists()}
