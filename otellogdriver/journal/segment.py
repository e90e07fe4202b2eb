"""The files of one stream: what a directory holds, found without changing anything, and a segment in its two forms.

In: a stream's directory. Out: its segments in order, where the stream ends, and what is left over or strange, which
others act on: only the store deletes. A driver at work, its next start and a command beside it look with the same eyes.
"""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from otellogdriver.journal import layout

_GAP_MOST = 1 << 30
"""Bytes that may be missing between two segments (files lost, or a power cut): a file that is further away from the
others is not the journal's, whatever its name."""
_LOOKS = 20
"""How often a directory is looked at again because a file went meanwhile."""


class Segment:
    """One file of a stream. There may be very many, so it keeps little."""

    __slots__ = ("_directory", "packed", "start")

    def __init__(self, directory: str, start: int, packed: bool = False) -> None:
        self._directory = directory
        self.start = start
        self.packed = packed

    def __repr__(self) -> str:
        return f"Segment({str(self.path)!r})"

    @property
    def path(self) -> Path:
        return Path(self._directory, layout.segment_name(self.start, self.packed))

    @property
    def paths(self) -> tuple[Path, Path]:
        """The file in use, and the one in the other form, which is left where a crash or the disk kept it from being
        deleted: it would count if it were there alone."""
        return self.path, Path(self._directory, layout.segment_name(self.start, not self.packed))

    @property
    def packed_path(self) -> Path:
        return Path(self._directory, layout.segment_name(self.start, True))

    def stored(self) -> int:
        """Bytes of the stream that the file holds, as far as can be told without reading all of it. Raises OSError."""
        path = self.path
        size = path.stat().st_size
        if not self.packed:
            return size
        with path.open("rb") as file:
            file.seek(max(0, size - 4))
            return int.from_bytes(file.read(4), "little")  # gzip's ISIZE

    def pack(self) -> Segment:
        """Make the packed file beside this one, which stays. Raises OSError, MemoryError; nothing has changed then.

        The disk always confirms the new file first: the other one is deleted next, and a power cut must not leave an
        empty file as the only copy. Nobody waits for it."""
        path = self.path
        layout.replace(self.packed_path, gzip.compress(layout.read(path), 1, mtime=0), sync=True)
        return Segment(self._directory, self.start, True)


@dataclass(frozen=True, slots=True)
class Found:
    """What a stream's directory holds."""

    segments: list[Segment] = field(default_factory=list)
    end: int = 0
    """The offset after the last byte."""
    ended_at: float | None = None
    leftovers: tuple[Path, ...] = ()
    """Files in which nothing counts."""
    strange: tuple[Path, ...] = ()
    """Files with a segment's name that cannot be this stream's."""


def scan(directory: Path) -> Found:
    """Look into the directory; a missing one holds nothing. Raises OSError where it, or the end of its last segment,
    cannot be read."""
    for _ in range(_LOOKS):
        try:
            return _scan(directory)
        except FileNotFoundError:
            continue  # the last segment was deleted or packed just now
    raise FileNotFoundError(f"the files of {directory} change all the time")


def _scan(directory: Path) -> Found:
    place = str(directory)
    found: dict[int, Segment] = {}
    leftovers: list[Path] = []
    strange: list[Path] = []
    ended_at = None
    try:
        with os.scandir(place) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)  # of a segment's two files the `.log` comes first
    except (FileNotFoundError, NotADirectoryError):
        return Found()
    for entry in entries:
        name = layout.parse_segment_name(entry.name)
        if name is not None:
            start, packed = name
            if not entry.is_file(follow_symlinks=False):
                continue
            if start >= layout.OFFSET_LIMIT:
                strange.append(Path(entry.path))
            elif start in found:
                leftovers.append(Path(entry.path))  # of a crash while it was packed: the first one is whole
            else:
                found[start] = Segment(place, start, packed)
        elif entry.name == layout.ENDED:
            ended_at = entry.stat(follow_symlinks=False).st_mtime
        elif layout.is_leftover(entry.name):
            leftovers.append(Path(entry.path))
    segments = list(found.values())
    for group in _strangers(directory, segments):
        strange += [segment.path for segment in group]
        segments = [segment for segment in segments if segment not in group]
    end = segments[-1].start + segments[-1].stored() if segments else 0
    return Found(segments, end, ended_at, tuple(leftovers), tuple(strange))


def _strangers(directory: Path, segments: list[Segment]) -> list[list[Segment]]:
    """Of segments so far apart that they cannot be one stream's: those that are not. The stream's are those that a
    cursor points to, else those that hold most."""
    groups = [segments[:1]]
    for before, segment in pairwise(segments):
        if segment.start - before.start > _GAP_MOST:
            groups.append([])
        groups[-1].append(segment)
    if len(groups) == 1:
        return []
    from otellogdriver.journal.cursor import Cursor  # needed for damage alone

    offsets = [Cursor(directory / role).position.offset for role in layout.ROLES]

    def rank(group: list[Segment]) -> tuple[int, int]:
        end = group[-1].start + group[-1].stored()
        points = sum(group[0].start <= offset <= end for offset in offsets if offset)
        return points, sum(segment.stored() for segment in group)

    chosen = max(groups, key=rank)
    return [group for group in groups if group is not chosen]
