"""The driver: joins the stages; the only module that knows them all.

In: the plugin protocol's calls (`start_logging`, `stop_logging`) and the state directory. It keeps one `Session` per
FIFO. Lives on one event loop, which never waits for a disk: what does is given to the threads of `disk`, each
container's work in order, and a call of the engine waits for that only so long.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from otellogdriver.codec.contract import Codec
from otellogdriver.container import EXCLUDE, Container
from otellogdriver.delivery import pumps
from otellogdriver.delivery.pumps import Pumps, cursor_at, destinations
from otellogdriver.delivery.recipe import Recipe
from otellogdriver.driver import recovery
from otellogdriver.driver.ended import Ended
from otellogdriver.driver.limits import Limits
from otellogdriver.driver.parking import Parking
from otellogdriver.driver.room import Room
from otellogdriver.driver.session import OVERHEAD, Session
from otellogdriver.driver.supervisor import Supervisor
from otellogdriver.errors import DriverError, ProtocolError
from otellogdriver.export.destination import Destination
from otellogdriver.intake import fifo_file
from otellogdriver.intake.crowd import Crowd
from otellogdriver.intake.rescue import Rescue
from otellogdriver.journal.entry import Entry
from otellogdriver.journal.store import Store
from otellogdriver.journal.stream import SEGMENT_SIZE
from otellogdriver.loop import Lock
from otellogdriver.pool import Pool, Result
from otellogdriver.resource import Host, attributes_of
from otellogdriver.settings.doubts import doubts
from otellogdriver.settings.options import PluginSettings, Settings, resolve

if TYPE_CHECKING:
    from otellogdriver.delivery.feed import Feed
    from otellogdriver.delivery.pump import Pump

log = logging.getLogger(__name__)

_CONTAINER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_ORPHANS_AFTER = 3.0
"""Seconds from the start until FIFOs found then are read if nobody claims them: an engine makes one before it calls."""
_TAKE_UP_AGAIN = 0.5
"""Seconds until a stream that could not be taken up (no file numbers, no memory, a disk that fails) is tried again."""
_RESUME_SELDOM = 4.0
"""Seconds between two looks for what an earlier run left and could not be looked at, where that fails for long."""
_UNREADABLE = 10.0
"""Seconds after which a state directory that cannot be read counts as lost."""
_STOP_PATIENCE = 5.0
"""Seconds StopLogging waits for the FIFO to be drained; it is a matter of milliseconds unless the disk hangs."""
_LEAVE_PATIENCE = 3.0
"""Seconds that all FIFO threads together get to end when the driver goes away."""
_GLANCE = 0.05
"""Seconds that StartLogging waits for a disk: `meta.json` is most often written by then, else with the first byte."""
_START_PATIENCE = 2.0
"""Seconds StartLogging waits for a thread where the system gives none."""
_EXPIRE_EVERY = 60.0
_SWEEP_EVERY = 1.0
"""Seconds between two looks for work that was left lying: a FIFO that nobody reads, a stream that nobody sends."""
_LOOK_AT_ALL = 10.0
"""Seconds after which it looks even where nothing has stirred since a look that found nothing."""
_GIVEN_UP = 50
"""Parked streams that a sweep looks at, at most, while there is no room: by `journal-full=drop-oldest` they go."""


class Driver:
    """See the module's text."""

    def __init__(self, plugin: PluginSettings, environ: Mapping[str, str], codec: Codec, host: Host) -> None:
        self.plugin = plugin
        self.environ = environ
        self.codec = codec
        self.store = Store(Path(plugin.state_directory))
        self.sessions: dict[str, Session] = {}
        """By FIFO path: those whose FIFO is read, or is to be."""
        self.active: dict[Entry, Session] = {}
        """All that have something to do, and those that ended lately."""
        self.ready = False
        self.started = time.time()
        self._began = time.monotonic()  # the clock may be set, while a host starts above all
        self._is_whole = False
        """All that an earlier run left has been looked at."""
        self.supervisor = Supervisor()
        self._host = host
        self._workers = Pool(2, "export")
        self._starts = Pool(4, "starts")
        """Apart from `_disk`, so that a start does not wait for what a slow disk has still to do."""
        self._disk = Pool(4, "disk")
        self._cursors = Pool(1, "cursors")
        self.unresumed: dict[Entry, None] = {}
        self._is_resuming = False
        self._resume_at = 0.0
        """Loop time before which nobody looks again for what could not be looked at."""
        self._unread: dict[Session, float] = {}
        """Whose FIFO nobody reads, and since when (loop time), as the last sweep found."""
        self._crowd = Crowd()
        self._looked = -math.inf
        """Loop time of the last look at all sessions; minus infinity if it left something to be done."""
        self._rescue = Rescue()
        self._calls: WeakValueDictionary[str, Lock] = WeakValueDictionary()
        self.pumps = Pumps(host, self._workers, self._cursors, self._committed, self._later)
        self.parking = Parking()
        self.room = Room(plugin, self.store, self.active, self._disk, self.supervisor, lambda: self.parking.sizes)
        self.ended = Ended(self.active, self.supervisor)
        self._limits = Limits(self.room, self.supervisor)

    # Start and end.

    def recover(self) -> None:
        """Resume what an earlier run left, before the first call is served. Never raises."""
        self.supervisor.guard("resuming", self._resume, recovery.looks(self))
        if Path(self.plugin.state_directory).parent == Path(self.plugin.fifo_directory):
            files = fifo_file.of_nobody(self.plugin.fifo_directory, self.sessions)
            self._later(_ORPHANS_AFTER, self._adopt, files)
        self.supervisor.every(_EXPIRE_EVERY, "deleting old logs", self._expire)
        self.supervisor.every(_SWEEP_EVERY, "looking for work left lying", self._sweep)
        self.room.check()
        self.ready = True

    def _resume(self, found: Iterable[recovery.Look]) -> None:
        self._is_whole = recovery.resume(self, found)
        self.supervisor.watch("deleting remains", self._disk.in_order("packing", self.store.delete_remains))

    async def _resume_rest(self) -> None:
        """What could not be looked at before."""
        self._is_resuming = True
        try:
            self._resume(await self._disk.submit(lambda: [*recovery.looks(self)]).awaited())
        finally:
            self._is_resuming = False

    def _adopt(self, files: list[str]) -> None:
        """Not before it is known whose they are; but a disk that cannot be read for good keeps no container waiting."""
        if self._is_whole or time.monotonic() - self._began > _UNREADABLE:
            recovery.adopt(self, files)
        else:
            self._later(_ORPHANS_AFTER, self._adopt, files)

    async def close(self) -> None:
        """Go away within a few seconds; everything undelivered stays in the journal."""
        self.ready = False
        self.supervisor.close()
        for session in self.sessions.values():
            session.leave()
        fifos = [session.fifo for session in self.sessions.values() if session.fifo]
        await self._within(_LEAVE_PATIENCE, self._starts.submit(lambda: [fifo.join(1.0) for fifo in fifos]))
        for fifo in fifos:
            if fifo.set_aside:
                log.error("FIFO %s: %d bytes in memory are lost: the disk does not answer", fifo.path, fifo.set_aside)
        await self.pumps.close()
        for session in self.active.values():
            session.close()
        for pool in self._pools:
            pool.shutdown()

    # The protocol's calls.

    async def start_logging(self, file: str, info: Mapping[str, Any]) -> None:
        """Raises ProtocolError, OptionError, DriverError; the message goes to the user of `docker run`. The FIFO of
        what is refused goes: the engine leaves it, open, and a later start would take it for a lost container's."""
        fifo_file.check_path(file, self.plugin.fifo_directory)
        async with self._calls_of(file):
            await self._within(_GLANCE, self._starts.in_order(file, fifo_file.check, file))
            try:
                await self._start_logging(file, info)
            except Exception:
                if file not in self.sessions:
                    self._remove_fifo(file)
                raise

    async def _start_logging(self, file: str, info: Mapping[str, Any]) -> None:
        container = Container.from_info(info)
        if not _CONTAINER_ID.fullmatch(container.id):
            raise ProtocolError(
                f"ContainerID {container.id[:80]!r} is not an id: letters, digits, `_`, `.` and `-` are allowed"
            )
        while (known := self.sessions.get(file)) is not None:
            if known.is_ending:
                await self._see_end(known)
            elif known.container.id == container.id and known.entry.info:
                return  # the engine repeats a call whose answer it did not get
            else:  # read for an unknown container: its state was lost, or this call came late
                known.hand_over()
        settings = resolve(container.config, self.environ)
        attributes_of(container, settings, self._host)  # refuses what it cannot make sense of, a bad tag for one
        for doubt in doubts(self.environ, container.config) if container.config else ():
            log.warning("container %s: %s", container.name, doubt)
        if container.excluded:
            log.info("container %s is labelled %s: its lines are kept, not sent", container.name, EXCLUDE)
        entry = self.store.create(
            container.id, file, info, self.kept(settings), self.segment_size(settings), settings.journal_sync
        )
        session = self.add(container, settings, entry)
        self.sessions[file] = session
        try:
            await self._within(_GLANCE, self._starts.submit(self.store.describe, entry))
            await self._open_new(session)
        except BaseException:  # else the next call would take it for one that is read
            del self.sessions[file], self.active[entry]
            self._on_disk(session, "removing a stream", self.store.remove, entry)
            raise

    async def _open_new(self, session: Session) -> None:
        """Start reading; a thread that cannot be had now may be there in a moment. Raises DriverError."""
        end = self._loop.time() + _START_PATIENCE
        while True:
            try:
                return session.open(resumed=False)
            except (RuntimeError, MemoryError) as error:
                if self._loop.time() < end:
                    await asyncio.sleep(_GLANCE)
                    continue
                raise DriverError(f"no thread for container {session.container.name}: {error}") from error

    def _calls_of(self, file: str) -> Lock:
        """What StartLogging and StopLogging of one FIFO hold while they decide: the later one sees what the earlier one
        has come to, whether or not its caller is still there."""
        return self._calls.setdefault(file, Lock())

    async def _see_end(self, known: Session) -> None:
        """Wait until a FIFO is done that has been stopped, handed over, or has ended; whoever starts it anew gets a
        stream of its own. Raises DriverError where that takes too long: two would take the FIFO apart."""
        await asyncio.wait([known.stopped], timeout=_STOP_PATIENCE)
        if not known.stopped.done():
            raise DriverError(f"FIFO {known.entry.file} is still being read for who had it before; the disk may hang")

    async def stop_logging(self, file: str) -> None:
        """Drain and finish. Never raises, whatever disk or collector do; an unknown FIFO is already finished."""
        try:
            async with asyncio.timeout(_STOP_PATIENCE):
                async with self._calls_of(file):
                    session = self.sessions.get(file)
                    if session is None:
                        return
                    session.stop()
                await asyncio.shield(session.stopped)
        except TimeoutError:
            log.error("FIFO %s is not drained after %.0f s", file, _STOP_PATIENCE)

    # What recovery and sessions ask for.

    def add(self, container: Container, settings: Settings, entry: Entry) -> Session:
        """A session for a stream; nobody reads its FIFO yet."""
        entry.keep, entry.compress = self.kept(settings), settings.compress
        session = Session(container, settings, entry, self, self.codec.count, self._crowd)
        self.active[entry] = session
        self._crowd.stirred = True
        return session

    def read(self, session: Session, resumed: bool) -> None:
        """Read a session's FIFO from now on; where there is no thread for it, as soon as there is one."""
        self.sessions[session.entry.file] = session
        self.supervisor.guard("starting to read a FIFO", session.open, resumed)
        self._crowd.stirred = True

    def kept(self, settings: Settings) -> int:
        """Bytes of delivered lines that `docker logs` wants of a container."""
        return settings.max_size * settings.max_file if self.plugin.read_logs else 0

    @staticmethod
    def segment_size(settings: Settings) -> int:
        """Bytes in a segment of a container's streams."""
        return max(64 << 10, min(SEGMENT_SIZE, settings.max_size, settings.journal_max_size // 4))

    def trim(self, container_id: str) -> None:
        """Bring a container back within what `docker logs` is to keep, soon."""
        self._in_background(container_id, self.store.trim, container_id)

    def is_full(self) -> bool:
        return self.room.full

    def attach(self, session: Session) -> None:
        self.supervisor.task(f"reading {session.stream.directory}", self._attach(session))

    async def _attach(self, session: Session) -> None:
        taken: list[tuple[Pump, Feed]] = []
        name = ""
        try:
            making = self._disk.in_order(session.container.id, self._feeds, session)
            name, feeds = await making.awaited()
            for destination, feed in feeds:
                pump = self.pumps.take(destination, session.settings)
                if taken:
                    pump.begin(feed)
                taken.append((pump, feed))
        except BaseException:
            for pump, _ in taken:
                self.pumps.release(pump)
            taken = []
            raise
        finally:
            session.attached(taken, name)

    def _feeds(self, session: Session) -> tuple[str, list[tuple[Destination, Feed]]]:
        """A thread of `_disk`: (the service's name, the feed for each destination). Raises OSError, ImportError."""
        pumps.load_pumps()
        entry = session.entry
        recipe = Recipe.of(session.container, session.settings, entry.file, self.codec, self._host)
        feeds = []
        for role, destination in destinations(session.settings):
            cursor = cursor_at(entry.stream, role)
            if cursor.damaged:
                log.warning("%s/%s is damaged: the stream is sent from its start", entry.stream.directory, role)
            feeds.append((destination, recipe.feed(entry, cursor)))
        if session.container.id == recovery.UNKNOWN:
            log.warning("FIFO %s belongs to no known container: its lines go out as container `unknown`", entry.file)
        return recipe.service_name, feeds

    def finished(self, session: Session, orphaned: bool) -> None:
        self._crowd.stirred = True
        self._on_disk(session, "noting the end of a FIFO", session.stream.mark_ended)
        if orphaned:
            self._remove_fifo(session.entry.file)

    def _remove_fifo(self, file: str) -> None:
        """In one order with the looks that StartLogging takes: what is started is not removed afterwards."""
        self.supervisor.watch("removing a FIFO", self._starts.in_order(file, fifo_file.remove, file))

    def _committed(self, feed: Feed) -> None:
        session = self.active.get(feed.entry)
        if session and (session.update_delivered() or feed.stream.ended_at is not None):
            self.changed(session)

    def changed(self, session: Session) -> None:
        """Something happened to a session: keep the limits, notice its end."""
        self.room.check()
        stream = session.stream
        self._limits.keep(session)
        if session.enough_to_trim():
            self.trim(session.container.id)
        if stream.ended_at is not None:
            if self.sessions.get(session.entry.file) is session:
                del self.sessions[session.entry.file]
            if session.entry in self.ended or session.entry not in self.active:
                return
            self._follow(session)
            if session.is_exhausted:
                self._end(session)
            elif stream.undelivered and not self.parking.has_bay(session) and not self._limits.may_need(session):
                self._park(session)

    def _follow(self, session: Session) -> None:
        """Streams that have ended come off the disk alone where this one has left a bay."""
        for entry in self.parking.left_by(session):
            self._later(0.0, self._unpark, entry)

    def _park(self, session: Session) -> None:
        """Let an ended stream wait on disk alone, unless something of it is on its way just now."""
        if session.is_attaching or any(pump.is_under_way(feed) for pump, feed in session.feeds):
            return
        session.close()
        for pump, _ in session.feeds:
            self.pumps.release(pump)
        self.ended.forget(session)
        self.parking.park(session)

    def _unpark(self, entry: Entry) -> None:
        self.supervisor.task(f"taking up {entry.stream.directory}", self._take_up(entry))

    async def _take_up(self, entry: Entry) -> None:
        """Go on with a stream that waited on disk alone, as soon as it can be looked at."""
        while True:
            try:
                looking = self._disk.in_order(entry.container_id, recovery.look, self.environ, entry)
                session = recovery.resume_entry(self, entry, await looking.awaited())
                break
            except (OSError, MemoryError) as error:
                self.supervisor.note("taking up a stream that waited", error)
                await asyncio.sleep(_TAKE_UP_AGAIN)
        if session:
            self.changed(session)
            session.poke()

    # Afterwards.

    def _end(self, session: Session) -> None:
        """Everything is delivered: free what the session holds; its counters linger for the metrics."""
        session.update_delivered()
        session.close()
        for pump, _ in session.feeds:
            self.pumps.release(pump)
        entry = session.entry
        self.store.settle(entry)
        self._follow(session)
        if not session.stream.size and not session.feeds and not (session.fifo and session.fifo.bytes_read):
            del self.active[entry]
            self._on_disk(session, "removing a stream", self.store.remove, entry)
            return
        self.trim(entry.container_id)
        self.ended.linger(session)

    def stalled(self) -> set[Entry]:
        """Streams with work at which nobody has looked for a minute: their pumps, or who should read their FIFOs."""
        from otellogdriver.delivery.pump import STALLED

        before = self._loop.time() - STALLED
        unread = {session.entry for session, since in self._unread.items() if since < before}
        return unread | {feed.entry for pump in self.pumps for feed in pump.stalled()}

    def _sweep(self) -> None:
        """Whatever went wrong, nothing is left lying for good. Where hundreds of containers are silent nothing is asked
        of them: all are looked at if a FIFO has stirred, or the last look left something to be done."""
        for pool in self._pools:
            pool.start_missing()
        self._crowd.relieve()
        over = self.room.over
        for _ in range(_GIVEN_UP):
            if over <= 0 or not (entry := self.parking.longest()):
                break
            over -= entry.stream.undelivered + OVERHEAD
            self.supervisor.guard("giving up what waits", self._unpark, entry)
        now = self._loop.time()
        if not self._is_whole and not self._is_resuming and now >= self._resume_at:  # seldom, where it fails for long
            self._resume_at = now + min(_RESUME_SELDOM, (time.monotonic() - self._began) / 4)
            self.supervisor.task("resuming", self._resume_rest())
        if self._crowd.stirred or now - self._looked >= _LOOK_AT_ALL:
            self._crowd.stirred, self._looked = False, -math.inf  # before the look
            if self._look_at_all(now):
                self._looked = now

    def _look_at_all(self, now: float) -> bool:
        """Whether nothing is to be done for any session."""
        away = [session.fifo for session in self.sessions.values() if session.fifo and session.fifo.is_away]
        self.supervisor.guard("reading FIFOs into memory", self._rescue.look, away)
        is_calm = not away
        self._unread = {
            session: self._unread.get(session, now) for session in self.sessions.values() if not session.is_read
        }
        for session in list(self._unread):
            is_calm = False
            if session.is_unread:
                self.supervisor.guard("starting to read a FIFO", self._read_again, session)
        for entry, session in list(self.active.items()):
            stream = entry.stream
            if stream.undelivered == 0 and stream.ended_at is None:
                continue  # as most are, most of the time
            if entry not in self.ended and entry in self.active:
                is_calm = False
                if session.is_looked_at(now - _SWEEP_EVERY) and not self.room.short:
                    continue  # where a thousand are busy, each is looked at often enough
                self.supervisor.guard("looking for work", session.poke)
                self.supervisor.guard("looking for the end", self.changed, session)
        return is_calm

    def _read_again(self, session: Session) -> None:
        if session.fifo:
            log.error("FIFO %s: its thread has ended before the FIFO did; it is read again", session.entry.file)
        session.open(resumed=True)

    def _expire(self) -> None:
        # In one order with packing: a half-made file that is deleted late may have the name of one that is made now.
        self._in_background("packing", self.store.expire, self.plugin.stopped_max_age, self.plugin.stopped_max_size)

    def _in_background(self, key: str, work: Any, *arguments: Any) -> None:
        """Have old lines deleted, then compress what is to be compressed: a segment at a time, and nothing waits."""

        def tidy() -> None:
            work(*arguments)
            with contextlib.suppress(RuntimeError):  # the driver goes away, and its threads have ended
                self._disk.in_order("packing", self._pack)

        self.supervisor.watch("deleting old lines", self._disk.in_order(key, tidy))

    def _pack(self) -> None:
        """A thread of `_disk`."""
        if self.store.pack_next() and self.ready:
            self._disk.in_order("packing", self._pack)

    # Means.

    @property
    def _pools(self) -> tuple[Pool, ...]:
        return self._workers, self._starts, self._disk, self._cursors

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def _later(self, seconds: float, what: Any, *arguments: Any) -> asyncio.TimerHandle:
        return self.supervisor.later(seconds, getattr(what, "__qualname__", "a timer"), what, *arguments)

    def _on_disk(self, session: Session, what: str, work: Any, *arguments: Any) -> None:
        """Have a thread do what may wait for a disk, after what was given before for the same container."""
        self.supervisor.watch(
            f"{what} of {session.container.id[:12]}", self._disk.in_order(session.container.id, work, *arguments)
        )

    async def _within(self, seconds: float, work: Result[Any]) -> None:
        """Wait for work in a thread, but not longer. Raises what it raises, if that comes in time."""
        future = work.awaited()
        done, _ = await asyncio.wait([future], timeout=seconds)
        if done:
            future.result()
        else:
            future.add_done_callback(lambda late: late.cancelled() or late.exception())
