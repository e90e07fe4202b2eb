"""The journal's format on disk, version 1: every name, role and byte that outlives a process.

FROZEN: an older journal must be readable after any upgrade, and a newer one must not be taken for this one, so what is
below does not change; `tests/data/state` holds a state directory as this version writes it. Below the state directory
(directories 0700, files 0600):

    containers/<container id>/<sequence, 8 digits>-<FIFO name>/
        meta.json               {"version": 1, "file": FIFO's path, "info": Info of StartLogging}
        <offset, 20 digits>.log a segment, named by the offset in the stream of its first byte
        <offset>.log.gz         the same, packed (gzip); where both are there, the `.log` counts
        cursor, cursor-mirror   how far each destination has got the stream: two slots of 64 bytes
        ended                   the FIFO is finished; its mtime says when
    containers/<container id>/doomed-<name>     a stream that is being deleted: nothing in it counts

    slot = magic "OLC1" · sequence u64 · offset u64 · start of the open stdout group i64 (-1: none) · same for stderr
           · CRC-32 of the bytes before · zeros up to 64 bytes      (all little-endian)

`meta.json.new` and `<offset>.log.new` are files that were being written when a process ended: nothing in them counts.

What may be added without a new version: keys in `meta.json`, and files of other names, which this version leaves
alone. Anything else is a next version, with a higher number in each new stream's `meta.json` (and another magic in a
slot of another form, which is read here as damage: lines come twice rather than never). A driver that meets a stream of
a higher version leaves it exactly as it is, with a warning: neither sent, nor shown, nor deleted. Its FIFO, if there is
one, is read into a stream of its own, so that the container does not block.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otellogdriver.errors import JournalError

VERSION = 1

CONTAINERS = "containers"
META = "meta.json"
LOG_OPTS = "Config"
"""What the engine calls the log-opts in the Info of StartLogging."""
ENDED = "ended"
SEGMENT, PACKED = ".log", ".log.gz"
NEW = ".new"
STRANGE = ".strange"
"""How the name of what was in the way of a segment ends; nothing in it counts."""
DOOMED = "doomed-"
"""How a directory's name begins while it is being deleted: without its cursor it would be sent again."""

MAIN, MIRROR = "cursor", "cursor-mirror"
ROLES = {MAIN: "main", MIRROR: "mirror"}
"""The files that say how far a stream is delivered, and the names of these destinations: otlp-endpoint, otlp-mirror."""

SLOT = struct.Struct("<4sQQqq")
SLOT_CRC = struct.Struct("<I")
SLOT_SIZE = 64
SLOT_MAGIC = b"OLC1"

AT_ONCE = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
"""How each file here is opened: where a FIFO, a device or a link stands in its place, nobody waits for it and nothing
outside is read or written."""
_META_MOST = 128 << 20
"""Bytes that are read of `meta.json`: more than the longest StartLogging takes."""

OFFSET_LIMIT = 1 << 62
"""Offsets are lower: no stream gets so far, and a file named by a higher number is not the journal's."""


class NewerVersion(JournalError):
    """The stream was written by a later version of the driver."""


@dataclass(frozen=True, slots=True)
class Meta:
    """What StartLogging said of a stream: the FIFO's path and its Info."""

    file: str
    info: Mapping[str, Any]


def containers(state: Path) -> Path:
    return state / CONTAINERS


def stream_name(sequence: int, file: str) -> str:
    """The directory's name of a container's stream; `file` is the FIFO's path."""
    return f"{sequence:08d}-{os.path.basename(file)}"


def parse_stream_name(name: str) -> tuple[int, str] | None:
    """(sequence, FIFO name) of a stream's directory; None if this is no such name."""
    sequence, _, fifo = name.partition("-")
    return (int(sequence), fifo) if sequence.isascii() and sequence.isdigit() and fifo else None


def segment_name(start: int, packed: bool = False) -> str:
    return f"{start:020d}{PACKED if packed else SEGMENT}"


def parse_segment_name(name: str) -> tuple[int, bool] | None:
    """(offset of the first byte, whether it is packed); None if this is no segment's name."""
    digits, dot, suffix = name.partition(".")
    if len(digits) != 20 or not (digits.isascii() and digits.isdigit()) or dot + suffix not in (SEGMENT, PACKED):
        return None
    return int(digits), dot + suffix == PACKED


def is_leftover(name: str) -> bool:
    """Whether a file of this name was being written when a process ended."""
    stem = name.removesuffix(NEW)
    return stem != name and (stem == META or parse_segment_name(stem) is not None)


def read(path: Path | str, most: int = -1) -> bytes:
    """The first `most` bytes of a file, or all. Raises OSError, EINVAL where it is no file."""
    try:
        with open(path, "rb", buffering=0, opener=lambda name, _: os.open(name, os.O_RDONLY | AT_ONCE)) as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode):
                return file.read(min(most, status.st_size))  # room for all that it may read is taken at once
    except OSError as error:
        if error.errno != errno.ENXIO:  # a socket
            raise
    raise OSError(errno.EINVAL, "no file", str(path))


def read_meta(directory: Path) -> Meta:
    """What is known of the stream in this directory, without log-opts that are not text. Raises OSError; ValueError,
    which says why, where the file is damaged; NewerVersion."""
    try:
        meta = json.loads(read(directory / META, _META_MOST))
        version, file, info = meta.get("version", VERSION), str(meta["file"]), dict(meta["info"])
        if LOG_OPTS in info:
            info[LOG_OPTS] = _texts(info[LOG_OPTS])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None
    if isinstance(version, int) and version > VERSION:
        raise NewerVersion(
            f"{directory} was written by a later version of the driver (format {version}, known here: {VERSION})"
        )
    return Meta(file, info)


def _texts(found: object) -> dict[str, str]:
    """Of damaged log-opts, those that can be read: one that is lost must not take a `redact-pattern` along."""
    items = found.items() if isinstance(found, dict) else ()
    return {name: text for name, text in items if isinstance(text, str)}


def write_meta(directory: Path, meta: Meta, sync: bool) -> None:
    """Make the directory if need be, and `meta.json` in it, whole or not at all. It may hold secrets (log-opts,
    environment), so only root reads it. With `sync` the disk confirms it. Raises OSError; then it may be called again.
    """
    known = {"version": VERSION, "file": meta.file, "info": meta.info}
    try:
        data = json.dumps(known, separators=(",", ":")).encode()
    except (ValueError, TypeError, RecursionError):  # lines are worth more than what describes them
        data = json.dumps({**known, "info": {}}, separators=(",", ":")).encode()
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)
    try:
        replace(directory / META, data, sync)
    except FileNotFoundError:
        # StartLogging and the stream's first byte may write it at the same time, the same bytes under the same name.
        if not (directory / META).exists():
            raise


def replace(path: Path, data: bytes, sync: bool) -> None:
    """Make the file with these bytes: whole or not at all, also after a power cut if `sync`. Raises OSError; what may
    be left then has a name that does not count."""
    temporary = path.with_name(new_name(path.name))
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | AT_ONCE, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(temporary, path)


def new_name(name: str) -> str:
    """What a file is called while it is being written."""
    return name.removesuffix(PACKED) + SEGMENT + NEW if name.endswith(PACKED) else name + NEW
