"""The driver: starts threads and joins the stages; the only module that knows them all.

In: the plugin protocol's calls (`start_logging`, `stop_logging`) and the state directory. It keeps one `Session` per
FIFO. Lives on one event loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import stat
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from otellogdriver.codec.contract import Codec
from otellogdriver.container import EXCLUDE, Container
from otellogdriver.delivery.feed import Feed
from otellogdriver.delivery.pump import Pump
from otellogdriver.delivery.pumps import Pumps, cursor_at, destinations
from otellogdriver.delivery.recipe import Recipe, container_of
from otellogdriver.driver.room import Room
from otellogdriver.driver.session import Session
from otellogdriver.errors import DriverError, JournalError, ProtocolError
from otellogdriver.intake.crowd import Crowd
from otellogdriver.journal.store import Entry, Store
from otellogdriver.journal.stream import SEGMENT_SIZE
from otellogdriver.resource import Host, resource_of
from otellogdriver.settings.options import PluginSettings, Settings, resolve, resolve_running

log = logging.getLogger(__name__)

_CONTAINER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_FIFO_NAME = re.compile(r"[0-9a-f]{64}")
_ORPHANS_AFTER = 3.0
"""Seconds from the start until FIFOs found then are read if nobody claims them: an engine makes one before it calls."""
_STOP_PATIENCE = 5.0
"""Seconds StopLogging waits for the FIFO to be drained; it is a matter of milliseconds unless the disk hangs."""
_LINGER, _LINGER_MOST = 300.0, 200
"""Seconds, and number of sessions, that ended sessions stay visible in the metrics."""
_EXPIRE_EVERY = 60.0


@dataclass(slots=True)
class Totals:
    """Sums over all containers, those forgotten included."""

    read: int = 0
    delivered: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def add(self, session: Session) -> None:
        self.read += session.fifo.bytes_read if session.fifo else 0
        self.delivered += sum(feed.counters.delivered for _, feed in session.feeds)
        for reason, (lines, _) in session.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + lines


class Driver:
    """See the module's text. `problems` are bad plugin-wide values, reported by every StartLogging."""

    def __init__(self, plugin: PluginSettings, environ: Mapping[str, str], codec: Codec, host: Host) -> None:
        self.plugin = plugin
        self.codec = codec
        self.store = Store(Path(plugin.state_directory))
        self.sessions: dict[str, Session] = {}
        """By FIFO path: those whose FIFO is open."""
        self.active: dict[Entry, Session] = {}
        """All that have something to do, and those that ended lately."""
        self.ready = False
        self.started = time.time()
        self._environ = environ
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._workers = ThreadPoolExecutor(2, "export")
        self._files = ThreadPoolExecutor(2, "files")
        self._cursors = ThreadPoolExecutor(1, "cursors")
        self._past = Totals()
        self._crowd = Crowd()
        self._timers: set[asyncio.TimerHandle] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._packing = False
        self.pumps = Pumps(host, self._workers, self._cursors, self._committed, self._later)
        self.room = Room(plugin, self.store, self.active, self._later)

    # Start and end.

    def recover(self) -> None:
        """Resume what an earlier run left: open FIFOs are read again first of all, for containers may be waiting."""
        try:
            entries = self.store.open()
        except JournalError as error:
            log.error("%s: nothing is resumed", error)
            entries = []
        resumed: list[Session] = []
        for entry in entries:
            # A stream that is damaged in a way nobody thought of must not keep the others from being read.
            try:
                if entry.stream.ended_at is not None and self._is_delivered(entry):
                    self.store.settle(entry)
                    continue
                session = self._resume(entry)
                if session.stream.ended_at is None and self._is_free_fifo(entry.file):
                    self.sessions[entry.file] = session
                    session.open(resumed=True)
                resumed.append(session)
            except Exception:
                log.exception("stream %s cannot be resumed, left alone", entry.stream.directory)
        for session in resumed:
            if session.stream.ended_at is None and self.sessions.get(session.entry.file) is not session:
                session.finish()
            try:
                session.poke()
                self._changed(session)
            except Exception:
                log.exception("stream %s cannot be sent, left alone", session.stream.directory)
        if resumed:
            log.info("%d streams resumed, %d of them with an open FIFO", len(resumed), len(self.sessions))
        for container in {entry.container_id for entry in entries}:
            self._trim(container)
        if Path(self.plugin.state_directory).parent == Path(self.plugin.fifo_directory):
            self._later(_ORPHANS_AFTER, self._adopt, self._orphans())
        self._later(_EXPIRE_EVERY, self._expire)
        self.ready = True

    def _is_free_fifo(self, file: str) -> bool:
        """Whether there is a FIFO that nobody else here reads (a crash while StartLogging was repeated leaves two)."""
        try:
            return file not in self.sessions and stat.S_ISFIFO(os.lstat(file).st_mode)
        except (OSError, ValueError):
            return False

    def _is_delivered(self, entry: Entry) -> bool:
        settings = self._settings(entry.info.get("Config") or {})[0]
        stream = entry.stream
        entry.keep = self._keep(settings)
        stream.advance(delivered=min(cursor_at(stream, role).position.needed for role, _ in destinations(settings)))
        return stream.delivered >= stream.end

    def _resume(self, entry: Entry) -> Session:
        settings, why = self._settings(entry.info.get("Config") or {})
        if why:
            log.warning("container %s: %s; what else it asks for holds", entry.container_id[:12], why)
        stream = entry.stream
        stream.segment_size, stream.sync = self._segment_size(settings), settings.journal_sync
        # The FIFO is read before there is a feed, and its thread must know what is delivered. A power cut may have lost
        # the stream's last bytes and kept the cursor: what comes now must not stand before it.
        positions = [cursor_at(stream, role).position for role, _ in destinations(settings)]
        furthest = max(position.offset for position in positions)
        if stream.ended_at is None and furthest > stream.end:
            stream.resume_at(furthest)
        stream.advance(
            delivered=min(position.needed for position in positions),
            boundary=min(position.offset for position in positions),
        )
        return self._session(container_of(entry), settings, entry)

    def _settings(self, log_opts: Mapping[str, str]) -> tuple[Settings, str]:
        """The settings of a container that already runs, and what of them cannot be used."""
        settings, faults = resolve_running(log_opts, self._environ)
        return settings, "; ".join(faults)

    def _orphans(self) -> list[str]:
        """FIFOs without a stream: of containers that start just now, or of those whose state was lost."""
        try:
            paths = list(Path(self.plugin.fifo_directory).iterdir())
        except OSError:
            return []
        return [
            str(path)
            for path in paths
            if _FIFO_NAME.fullmatch(path.name) and str(path) not in self.sessions and path.is_fifo()
        ]

    def _adopt(self, files: list[str]) -> None:
        """Read FIFOs that are still nobody's: their containers would block otherwise."""
        for file in files:
            if file in self.sessions or not os.path.exists(file):
                continue
            log.warning("FIFO %s belongs to no known container: its lines go out as container `unknown`", file)
            info = {"ContainerID": "unknown", "ContainerName": "/unknown"}
            settings = self._settings({})[0]
            entry = self.store.create("unknown", file, info, self._keep(settings))
            self.store.describe(entry)
            session = self._session(Container.from_info(info), settings, entry)
            self.sessions[file] = session
            session.open(resumed=True)

    async def close(self) -> None:
        """Go away within a few seconds; everything undelivered stays in the journal."""
        self.ready = False
        for timer in self._timers:
            timer.cancel()
        for session in self.sessions.values():
            session.leave()
        fifos = [session.fifo for session in self.sessions.values() if session.fifo]
        await self._loop.run_in_executor(None, lambda: [fifo.join(1.0) for fifo in fifos])
        await self.pumps.close()
        for session in self.active.values():
            session.close()
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._files.shutdown(wait=False, cancel_futures=True)
        self._cursors.shutdown(wait=False, cancel_futures=True)

    # The protocol's calls.

    async def start_logging(self, file: str, info: Mapping[str, Any]) -> None:
        """Raises ProtocolError, OptionError; the message goes to the user of `docker run`."""
        container = Container.from_info(info)
        if not _CONTAINER_ID.fullmatch(container.id):
            raise ProtocolError(
                f"ContainerID {container.id[:80]!r} is not an id: letters, digits, `_`, `.` and `-` are allowed"
            )
        self._check_file(file)
        while (known := self.sessions.get(file)) is not None:
            if known.container.id == container.id and known.entry.info:
                return  # the engine repeats a call whose answer it did not get
            await self._hand_over(known)
        settings = resolve(container.config, self._environ)
        resource_of(container, settings, self._host)  # refuses what it cannot make sense of, a bad tag for one
        if container.excluded:
            log.info("container %s is labelled %s: its lines are kept, not sent", container.name, EXCLUDE)
        entry = await self._loop.run_in_executor(self._files, self._create, container, file, info, settings)
        if file in self.sessions:
            self.store.remove(entry)
            return
        session = self._session(container, settings, entry)
        try:
            session.open(resumed=False)
        except (RuntimeError, OSError) as error:
            self.store.remove(entry)
            del self.active[entry]
            raise DriverError(f"no thread for container {container.name}: {error}") from error
        self.sessions[file] = session

    async def _hand_over(self, known: Session) -> None:
        """The engine tells of a FIFO that is read for an unknown container (its state was lost, or StartLogging came
        late): what was read is finished, the rest becomes a stream of the container's own."""
        known.leave()
        if known.fifo:
            await self._loop.run_in_executor(self._files, known.fifo.join, _STOP_PATIENCE)
        known.finish()

    def _create(self, container: Container, file: str, info: Mapping[str, Any], settings: Settings) -> Entry:
        segment = self._segment_size(settings)
        entry = self.store.create(container.id, file, info, self._keep(settings), segment, settings.journal_sync)
        self.store.describe(entry)
        return entry

    @staticmethod
    def _segment_size(settings: Settings) -> int:
        return max(64 << 10, min(SEGMENT_SIZE, settings.max_size, settings.journal_max_size // 4))

    def _check_file(self, file: str) -> None:
        """Only a FIFO directly in Docker's logging directory may be opened."""
        directory, name = os.path.split(file)
        allowed = self.plugin.fifo_directory
        if directory != allowed.rstrip("/") or name in ("", ".", ".."):
            raise ProtocolError(f"File {file[:200]!r} is not a FIFO in {allowed}")
        try:
            mode = os.lstat(file).st_mode
        except (OSError, ValueError) as error:  # ValueError: no name of a file, for a NUL
            why = getattr(error, "strerror", None) or "not the name of a file"
            raise ProtocolError(f"File {file[:200]!r} cannot be opened: {why}") from error
        if not stat.S_ISFIFO(mode):
            raise ProtocolError(f"File {file[:200]!r} is not a FIFO")

    async def stop_logging(self, file: str) -> None:
        """Drain and finish. Never raises, whatever disk or collector do; an unknown FIFO is already finished."""
        session = self.sessions.get(file)
        if session is None:
            return
        session.stop()
        done, _ = await asyncio.wait([session.stopped], timeout=_STOP_PATIENCE)
        if not done:
            log.error("FIFO %s is not drained after %.0f s", file, _STOP_PATIENCE)

    # Joining the stages.

    def _session(self, container: Container, settings: Settings, entry: Entry) -> Session:
        entry.keep, entry.compress = self._keep(settings), settings.compress
        session = Session(
            container,
            settings,
            entry,
            self._attach,
            self._changed,
            lambda: self.room.full,
            self.codec.count,
            self._crowd,
        )
        self.active[entry] = session
        return session

    def _keep(self, settings: Settings) -> int:
        return settings.max_size * settings.max_file if self.plugin.read_logs else 0

    def _attach(self, session: Session) -> list[tuple[Pump, Feed]]:
        """The feeds of a session that has data."""
        entry = session.entry
        recipe = Recipe.of(session.container, session.settings, entry.file, self.codec, self._host)
        session.service_name = recipe.service_name
        feeds: list[tuple[Pump, Feed]] = []
        for role, destination in destinations(session.settings):
            cursor = cursor_at(entry.stream, role)
            if cursor.damaged:
                log.warning("%s/%s is damaged: the stream is sent from its start", entry.stream.directory, role)
            pump, feed = self.pumps.take(destination, session.settings), recipe.feed(entry, cursor)
            if feeds:
                pump.begin(feed)
            feeds.append((pump, feed))
        return feeds

    def _committed(self, feed: Feed) -> None:
        session = self.active.get(feed.entry)
        if session:
            session.update_delivered()
            self._changed(session)

    def _changed(self, session: Session) -> None:
        """Something happened to a session: keep the limits, notice its end."""
        self.room.check()
        stream = session.stream
        if session.settings.journal_full == "drop-oldest" and stream.undelivered:
            excess = session.excess
            if excess > 0:
                excess += session.settings.journal_max_size // 16  # not again with the next line
            excess = max(excess, self.room.claim(stream.undelivered))
            if excess > 0:
                to = min(stream.end, stream.delivered + excess)
                for pump, feed in session.feeds:
                    if feed.needed < to:  # a mirror may be far ahead
                        self._task(pump.skip(feed, to))
        if stream.delivered - session.trimmed_to >= min(SEGMENT_SIZE, max(session.settings.max_size, 1 << 16)):
            session.trimmed_to = stream.delivered
            self._trim(session.entry.container_id)
        if stream.ended_at is not None:
            if self.sessions.get(session.entry.file) is session:
                del self.sessions[session.entry.file]
            if session.exhausted and session.ended is None:
                self._end(session)

    def _end(self, session: Session) -> None:
        """Everything is delivered: free what the session holds; its counters linger for the metrics."""
        session.ended = time.monotonic()
        session.update_delivered()
        session.close()
        for pump, _ in session.feeds:
            self.pumps.release(pump)
        self.store.settle(session.entry)
        if not session.stream.size and not session.feeds and not (session.fifo and session.fifo.bytes_read):
            del self.active[session.entry]
            self._loop.run_in_executor(self._files, self.store.remove, session.entry)
        else:
            self._trim(session.entry.container_id)
            session.linger = self._later(_LINGER, self._forget, session)
            lingering = [entry for entry, other in self.active.items() if other.ended is not None]
            for entry in lingering[:-_LINGER_MOST]:
                self._forget(self.active[entry])

    def _forget(self, session: Session) -> None:
        if session.linger:
            session.linger.cancel()
            self._timers.discard(session.linger)
        if self.active.pop(session.entry, None):
            self._past.add(session)

    def totals(self) -> Totals:
        """What all containers together came to since the start."""
        totals = replace(self._past, dropped=dict(self._past.dropped))
        for session in self.active.values():
            totals.add(session)
        return totals

    def _expire(self) -> None:
        self._loop.run_in_executor(
            self._files, self.store.expire, self.plugin.stopped_max_age, self.plugin.stopped_max_size
        ).add_done_callback(self._pack)
        self._later(_EXPIRE_EVERY, self._expire)

    def _trim(self, container_id: str) -> None:
        self._loop.run_in_executor(self._files, self.store.trim, container_id).add_done_callback(self._pack)

    def _pack(self, _: object) -> None:
        """Compress what is to be compressed: one segment after another, others' files in between."""
        if self._packing or not self.ready:
            return
        self._packing = True

        def packed(done: asyncio.Future[bool]) -> None:
            self._packing = False
            if not done.cancelled() and not done.exception() and done.result():
                self._pack(None)

        self._loop.run_in_executor(self._files, self.store.pack_next).add_done_callback(packed)

    def _later(self, seconds: float, what: Any, *args: Any) -> asyncio.TimerHandle:
        def run() -> None:
            self._timers.discard(handle)
            what(*args)

        handle = self._loop.call_later(seconds, run)
        self._timers.add(handle)
        return handle

    def _task(self, coroutine: Any) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
