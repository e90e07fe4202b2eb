"""The streams of a state directory as they are now, for whoever may only look: a driver at work does not notice.

In: the state directory of a driver that runs, of one that does not, or a copy. Out: the journal's own `Entry`s, whose
streams are read with the journal's own `Reader`. Nothing is written, made, deleted or locked. What grows or goes
meanwhile is no fault: a snapshot ends where the stream ended when it was taken, and `Reader` steps over what is gone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from otellogdriver.errors import JournalError
from otellogdriver.journal import layout
from otellogdriver.journal.cursor import Cursor
from otellogdriver.journal.entry import Entry
from otellogdriver.journal.segment import scan
from otellogdriver.journal.stream import Stream

log = logging.getLogger(__name__)


def entries(state: Path) -> list[Entry]:
    """All streams, those of a container in the order of their starts. Raises JournalError if this is no state directory
    or cannot be read; what is damaged inside is told as a warning."""
    base = layout.containers(state)
    try:
        folders = sorted(base.iterdir())
    except FileNotFoundError:
        if not state.is_dir():
            raise JournalError(f"state directory {str(state)!r} does not exist") from None
        if any(state.iterdir()):
            raise JournalError(f"{str(state)!r} is no state directory: it has no `{layout.CONTAINERS}` in it") from None
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
        name = layout.parse_stream_name(directory.name)
        if name is None or directory.is_file():  # being deleted, or foreign
            continue
        meta = layout.Meta(name[1], {})
        try:
            meta = layout.read_meta(directory)
        except FileNotFoundError:
            pass
        except layout.NewerVersion as error:
            log.warning("%s: left out", error)
            continue
        except (OSError, ValueError) as error:
            log.warning("%s of %s is damaged (%s): only the id is known", layout.META, directory, error)
        try:
            found = scan(directory)
        except OSError as error:
            log.warning("%s cannot be read: %s", directory, error.strerror or error)
            continue
        if not directory.exists():
            continue
        for path in found.strange:
            log.warning("%s is named like a segment, but cannot be one of this stream: left out", path)
        yield Entry(folder.name, meta.file, meta.info, Stream(directory, found=found))


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
    mirrored = bool(entry.log_opts.get("otlp-mirror", environ.get("OTELLOGDRIVER_OTLP_MIRROR", "")).strip())
    places = {role: entry.stream.directory / role for role in layout.ROLES}
    return {role: Cursor(path) for role, path in places.items() if role == layout.MAIN or mirrored or path.exists()}
