"""What an earlier run left: streams whose FIFOs are read again, lines to be delivered, FIFOs of nobody.

In: the state directory and the directory of the FIFOs. Out: sessions, made by the driver's own means. Containers may
be waiting, so what is open is read first of all. One stream that is damaged in a way that nobody thought of must not
keep the others from being read, nor the driver from starting.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from otellogdriver.container import Container
from otellogdriver.delivery.pumps import cursor_at, destinations
from otellogdriver.delivery.recipe import container_of
from otellogdriver.driver.session import Session
from otellogdriver.errors import may_pass
from otellogdriver.intake import fifo_file
from otellogdriver.journal.cursor import Position
from otellogdriver.journal.entry import Entry
from otellogdriver.journal.store import Store
from otellogdriver.settings.options import Settings, resolve_running

log = logging.getLogger(__name__)

UNKNOWN = "unknown"
"""Stands for the container of a FIFO that nobody knows."""


class Driver(Protocol):
    """What recovery needs of the driver; see there."""

    environ: Mapping[str, str]
    store: Store
    sessions: dict[str, Session]
    unresumed: dict[Entry, None]
    """Streams that are still to be looked at."""

    def add(self, container: Container, settings: Settings, entry: Entry) -> Session: ...
    def read(self, session: Session, resumed: bool) -> None: ...
    def changed(self, session: Session) -> None: ...
    def trim(self, container_id: str) -> None: ...
    def kept(self, settings: Settings) -> int: ...
    def segment_size(self, settings: Settings) -> int: ...


@dataclass(frozen=True, slots=True)
class Found:
    """What the disk says of a stream. `faults`: what its options cannot mean any more."""

    container: Container
    settings: Settings
    faults: list[str]
    positions: list[Position]
    """Of each destination, the main one first."""
    has_fifo: bool
    """There may be somebody who prints."""


Look = tuple[Entry | None, Found | Exception]
"""A stream, or None for the state directory itself, and what was found, or why nothing was."""


def look(environ: Mapping[str, str], entry: Entry) -> Found:
    """Disk. Raises OSError, MemoryError for a shortage."""
    settings, faults = resolve_running(entry.log_opts, environ)
    positions = [cursor_at(entry.stream, role).position for role, _ in destinations(settings)]
    return Found(container_of(entry), settings, faults, positions, fifo_file.may_be(entry.file))


def looks(driver: Driver) -> Iterator[Look]:
    """What is to be resumed, and what the disk says of it: what could not be looked at before, and what is found now.
    Writes nothing to the disk, but waits for it. Raises MemoryError; nothing is forgotten then."""
    try:
        driver.unresumed.update(dict.fromkeys(driver.store.open()))
    except Exception as error:
        yield None, error
    # Of streams of one FIFO the one in use comes first: the last one, and that of a container that is known.
    for entry in sorted(driver.unresumed, key=lambda entry: (entry.container_id == UNKNOWN, -entry.sequence)):
        try:
            found: Found | Exception = look(driver.environ, entry)
        except Exception as error:
            found = error
        yield entry, found


def resume(driver: Driver, found: Iterable[Look]) -> bool:
    """Make sessions of the streams that are not done. Waits for no disk but in `found`. False where something could not
    be looked at for now: to be called again."""
    is_whole = True
    resumed: list[Session] = []
    containers = set()
    for entry, seen in found:
        if entry is None:
            log.error("%s: nothing is resumed, tried again", seen)
            is_whole = False
            continue
        containers.add(entry.container_id)
        try:
            if isinstance(seen, Exception):
                raise seen
            session, has_fifo = resume_entry(driver, entry, seen), seen.has_fifo
        except Exception as error:
            if may_pass(error):
                log.warning("stream %s cannot be resumed now, tried again: %r", entry.stream.directory, error)
                continue
            log.exception("stream %s cannot be resumed, left alone", entry.stream.directory)
            session, has_fifo = None, False
        driver.unresumed.pop(entry, None)
        if session:
            resumed.append(session)
            if session.stream.ended_at is None and has_fifo and entry.file not in driver.sessions:
                driver.read(session, resumed=True)
    for session in resumed:
        try:
            _go_on(driver, session)
        except Exception:  # the driver looks at each of its sessions again and again
            log.exception("stream %s cannot go on yet", session.stream.directory)
    if resumed:
        log.info("%d streams resumed, %d of them with an open FIFO", len(resumed), len(driver.sessions))
    for container in containers:
        driver.trim(container)
    return is_whole and not driver.store.unread and not driver.unresumed


def _go_on(driver: Driver, session: Session) -> None:
    # A crash where a FIFO got another stream leaves two for it; only one of them is read.
    if session.stream.ended_at is None and driver.sessions.get(session.entry.file) is not session:
        session.finish()
    driver.changed(session)
    session.poke()


def resume_entry(driver: Driver, entry: Entry, found: Found) -> Session | None:
    """The session of a stream; None if nothing is to be done for it any more. Touches no disk."""
    settings, positions, stream = found.settings, found.positions, entry.stream
    # The FIFO is read before there is a feed, and its thread must know what is delivered. A power cut may have lost the
    # stream's last bytes and kept the cursor: what comes now must not stand before it.
    furthest = max(position.offset for position in positions)
    if stream.ended_at is None and furthest > stream.end:
        stream.resume_at(furthest)
    stream.advance(
        delivered=min(position.needed for position in positions),
        boundary=min(position.offset for position in positions),
        done=positions[0].offset,
    )
    if stream.ended_at is not None and stream.undelivered <= 0:
        entry.keep = driver.kept(settings)
        driver.store.settle(entry)
        return None
    if found.faults:
        log.warning("container %s: %s; what else it asks for holds", entry.container_id[:12], "; ".join(found.faults))
    stream.segment_size, stream.sync = driver.segment_size(settings), settings.journal_sync
    return driver.add(found.container, settings, entry)


def adopt(driver: Driver, files: list[str]) -> None:
    """Read FIFOs that are still nobody's: their containers would block otherwise. One that says nothing (of a start
    that failed, or of a removed container) is not worth a warning: it goes away when nobody holds it any more."""
    for file in files:
        if file in driver.sessions or not os.path.exists(file):
            continue
        settings = resolve_running({}, driver.environ)[0]
        info = {"ContainerID": UNKNOWN, "ContainerName": f"/{UNKNOWN}"}
        entry = driver.store.create(UNKNOWN, file, info, driver.kept(settings))
        driver.read(driver.add(container_of(entry), settings, entry), resumed=True)
