"""`otellogdriver serve`: the process that the engine starts.

Order matters at the start: the socket is bound before anything slow is imported, so that the engine's first dial
succeeds; then FIFOs left by an earlier run are read again, whose containers may be waiting; then calls are served.
What these do not need, which is most, is imported afterwards, in threads: the clients (export/client.py), and what is
here for people (`People`).
A bad plugin-wide value, an address in use, a collector that is away: none of them keeps the driver from running, for a
container without its driver hangs. SIGTERM ends it in a few seconds; SIGKILL at any instant loses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import ipaddress
import logging
import resource
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from otellogdriver.engine.listener import Listener
from otellogdriver.errors import DriverError
from otellogdriver.loading import load
from otellogdriver.loop import Event, Loop
from otellogdriver.pool import in_thread

if TYPE_CHECKING:
    from aiohttp import web

    from otellogdriver.driver.driver import Driver
    from otellogdriver.resource import Host
    from otellogdriver.telemetry.events import Early, Events
    from otellogdriver.telemetry.self_telemetry import SelfTelemetry

T = TypeVar("T")

log = logging.getLogger("otellogdriver")

_BACKLOG = 1024
"""Connections of the engine that may wait to be taken; one more fails at once, and a container's start with it."""

_LISTEN_AGAIN = 2.0
"""Seconds until a metrics address that cannot be had is tried again."""

_START_AGAIN = 0.2
"""Seconds until something without which no call can be served is tried again, where a shortage refused it: an engine
that finds a plugin ended while it starts may leave it disabled."""

_ANSWER = 2.0
"""Seconds within which another driver answers that is well, or is just starting."""

_PATIENCE = 3.0
"""Seconds for which anything is tried again: what may never go well then ends the driver."""

_SHORTAGES = frozenset(
    getattr(errno, name) for name in "EMFILE ENFILE ENOMEM ENOBUFS EAGAIN ENOSPC EDQUOT EROFS EIO EADDRINUSE".split()
)
"""Errors that pass by themselves, or when the host is mended: tried again for good."""


def run(environ: Mapping[str, str]) -> int:
    """Serve until SIGTERM or SIGINT; the exit code."""
    gc.disable()  # until all is loaded: there is no garbage, and each look for it takes longer than the one before
    from otellogdriver.settings.options import plugin_settings
    from otellogdriver.telemetry.events import StandardError

    environ = dict(environ)
    plugin, _ = plugin_settings(environ)
    logging.basicConfig(
        level=plugin.log_level.upper(),
        format="level=%(levelname)s %(message)s",
        handlers=[StandardError(sys.stderr.fileno())] if sys.stderr else [],
        force=True,
    )
    logging.raiseExceptions = False  # a log that cannot be written is no reason to try to write more
    # The engine may end what it has just started. As process 1 of a plugin we would not even hear of it: the kernel's
    # own reaction to a signal is not for such. `_serve` has a better one later.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _raise_file_limit()
    try:
        listener = _insist(lambda: _listen(plugin.socket), f"cannot listen on {plugin.socket}")
    except OSError as error:
        log.error("cannot listen on %s: %s", plugin.socket, error)
        return 1
    try:
        runner = asyncio.Runner(loop_factory=Loop)
        _insist(runner.get_loop, "there is no event loop")
        with runner:
            return runner.run(_serve(listener, environ))
    finally:
        listener.remove()
        listener.close()


def _listen(path: str) -> Listener:
    """Raises OSError, also while another driver is well there: two would take the bytes of each FIFO apart, and calls
    would come to one of them alone."""
    if _answers(path):
        raise OSError(errno.EADDRINUSE, "another driver answers there, stop it first")
    return Listener(path, _BACKLOG)


def _answers(path: str) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as other:
        other.settimeout(_ANSWER)
        other.connect(path)
        other.sendall(b"POST /LogDriver.Capabilities HTTP/1.0\r\n\r\n")
        return bool(other.recv(1))
    return False


def _insist(make: Callable[[], T], what: str) -> T:
    """What `make` gives; tried again while a shortage refuses it. Raises other OSErrors."""
    told, began = False, time.monotonic()
    while True:
        try:
            return make()
        except (OSError, MemoryError) as error:
            if isinstance(error, OSError) and error.errno not in _SHORTAGES and time.monotonic() - began > _PATIENCE:
                raise
            if not told:
                log.error("%s: %s; tried again", what, error)
            told = True
        time.sleep(_START_AGAIN)


def _raise_file_limit() -> None:
    """Each container takes up to five descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(listener: socket.socket, environ: Mapping[str, str]) -> int:
    from otellogdriver import __version__, codec
    from otellogdriver.driver.driver import Driver
    from otellogdriver.engine import protocol
    from otellogdriver.engine.http import Server
    from otellogdriver.engine.readlogs import LogReader
    from otellogdriver.resource import this_host
    from otellogdriver.settings.doubts import doubts
    from otellogdriver.settings.options import plugin_settings, problems
    from otellogdriver.telemetry.events import Early, Events

    plugin, _ = plugin_settings(environ)
    wrong = problems(environ)
    early = Early() if plugin.self_telemetry == "otlp" else None
    for problem in wrong:
        log.error("%s", problem)
    for doubt in doubts(environ):
        log.warning("%s", doubt)
    events = Events()
    log.addHandler(events)
    host = this_host(environ)
    driver = Driver(plugin, environ, codec.load(plugin.codec), host)
    driver.recover()
    logs = LogReader(driver)
    calls = Server(protocol.application(driver, logs))
    await _open(
        lambda: calls.start(listener, _BACKLOG), f"no calls yet: cannot listen on {plugin.socket}", _START_AGAIN
    )
    _tell_systemd(environ)
    log.info("otellogdriver %s ready, codec %s, state in %s", __version__, driver.codec.name, plugin.state_directory)
    people = People(driver, environ, host, events, wrong, early)

    stop = Event()
    loop = asyncio.get_running_loop()
    while not _hears_signals(loop, stop):
        await asyncio.sleep(_START_AGAIN)
    await stop.wait()
    log.info("stopping: what is not delivered stays in the journal")
    logs.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(driver.close(), people.leave()), 4.5)
    for close in (calls.close, people.close):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(close(), 0.5)
    return 0


class People:
    """What only people and Prometheus want of the driver: the metrics port, telemetry of its own. Most of what there is
    to import is for these, so calls are served before; it is imported in a thread, and again where that fails."""

    def __init__(
        self,
        driver: Driver,
        environ: Mapping[str, str],
        host: Host,
        events: Events,
        wrong: list[str],
        early: Early | None,
    ) -> None:
        self._driver, self._environ, self._host = driver, environ, host
        self._events, self._wrong, self._early = events, wrong, early
        self._page: web.AppRunner | None = None
        self._listener = _bound(driver.plugin.metrics_address)
        """Who comes early waits, and is not refused."""
        self._own: SelfTelemetry | None = None
        driver.supervisor.task("opening the metrics port", self._come())

    async def _come(self) -> None:
        await _open(self._load, "no metrics yet: not all of the driver can be loaded", _LISTEN_AGAIN)
        assert self._page
        await _open_status(self._page, self._driver.plugin.metrics_address, self._listener)

    async def _load(self) -> None:
        """May be called again where it has failed."""
        names = ["otellogdriver.telemetry.doors", "otellogdriver.telemetry.status"]
        names += ["otellogdriver.telemetry.self_telemetry"] if self._early else []
        doors, status, *own = await in_thread(lambda: _imported(names), "imports")
        gc.collect()
        gc.freeze()  # what is loaded now stays; later collections need not walk it
        known = doors.Doors()
        hosts = (self._host.name, *self._driver.plugin.metrics_hosts)
        page = known.runner(status.application(self._driver, self._events, self._wrong, known, hosts))
        await page.setup()
        self._page = page
        if self._early:
            self._own = self._tell_of_itself(own[0], self._early)

    def _tell_of_itself(self, module: Any, early: Early) -> SelfTelemetry | None:
        """The driver's own telemetry, if its settings can be used."""
        try:
            made: SelfTelemetry = module.SelfTelemetry(self._driver, self._environ, self._host, len(self._wrong), early)
            return made
        except (DriverError, ValueError) as error:  # a ValueError is the SDK's, of its own variables
            early.end()
            log.warning("no telemetry of the driver's own: %s", error)
            return None

    async def leave(self) -> None:
        """Say the last of the driver itself."""
        if self._own:
            await self._own.close()

    async def close(self) -> None:
        """Close the metrics port."""
        if self._page:
            await self._page.cleanup()
        if self._listener:
            self._listener.close()


def _imported(names: Sequence[str]) -> list[ModuleType]:
    """A thread's work."""
    try:
        load("otellogdriver.export.client").load_clients()
        return [load(name) for name in names]
    finally:
        gc.enable()


def _hears_signals(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> bool:
    """Have SIGTERM and SIGINT set `stop`; whether that can be had now."""
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
            # asyncio tells itself of a signal by a byte in a pipe, and loses it when a thousand FIFO threads have
            # filled that pipe with theirs. This handler needs no room there.
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
        signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)
    except (RuntimeError, OSError, MemoryError) as error:  # asyncio makes a RuntimeError of what the system refuses
        log.error("signals are not heard: %s; tried again", error)
        return False
    return True


def _tell_systemd(environ: Mapping[str, str]) -> None:
    """Where it is systemd that started us and waits (`Type=notify`), say that calls are served: see sd_notify(3)."""
    address = environ.get("NOTIFY_SOCKET", "")
    if address:
        address = "\0" + address[1:] if address.startswith("@") else address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", address)


def _bound(address: tuple[str, int] | None) -> Listener | None:
    """What listens at the metrics address, where that can be had at once."""
    with contextlib.suppress(OSError, MemoryError):
        return Listener(address, _BACKLOG) if address and _is_numeric(address[0]) else None
    return None


async def _open_status(page: web.AppRunner, address: tuple[str, int] | None, listener: Listener | None) -> None:
    """Open the metrics port; tried again until it can be had: an address may come later (a network's gateway).
    `listener`: what listens there already."""
    if address is None:
        return
    bound = [listener] if listener else []

    async def start() -> tuple[str, int]:
        made = None if not _is_numeric(address[0]) else bound.pop() if bound else Listener(address, _BACKLOG)
        return await _started(page, address, made)

    opened = await _open(start, "no metrics yet: cannot listen on {}:{}".format(*address), _LISTEN_AGAIN)
    log.info("metrics on http://%s:%d/metrics", *opened)


async def _started(page: web.AppRunner, address: tuple[str, int], listener: Listener | None) -> tuple[str, int]:
    """Where the page is served now. Closes `listener` where it cannot be: it would listen on, and nobody answer."""
    from aiohttp import web

    async with contextlib.AsyncExitStack() as undo:
        if listener:
            undo.callback(listener.close)
        site = web.SockSite(page, listener) if listener else web.TCPSite(page, *address)
        undo.push_async_callback(site.stop)
        await site.start()
        if not page.addresses:
            raise OSError(errno.ENFILE, "no socket")  # asyncio takes that for an address it need not listen on
        host, port = page.addresses[0][:2]
        undo.pop_all()
    return host, port


def _is_numeric(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return False


async def _open(start: Callable[[], Awaitable[T]], what: str, again: float) -> T:
    """What `start` gives; tried again after `again` seconds until it can be had."""
    told = False
    while True:
        try:
            return await start()
        except Exception as error:
            if not told:
                log.error("%s: %s; tried again", what, getattr(error, "strerror", None) or str(error) or repr(error))
            told = True
        await asyncio.sleep(again)
