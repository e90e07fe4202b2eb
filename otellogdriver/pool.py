"""Threads for work that may take long: a disk, encoding. What is given to them is done, sooner or later.

Unlike `ThreadPoolExecutor`: where the system gives no thread, the work waits until it does (`start_missing` is to be
called now and then); the threads are daemons, so that one that hangs with a disk does not keep the process from
ending; and `in_order` does what belongs together one after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Generic, ParamSpec, TypeVar, cast

from otellogdriver.insist import NO_MEMORY, insist

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

_BEGINS_WITHIN, _BARRED = 0.25, 0.5
"""Seconds in which a new thread begins, or somebody else is to do its work; and for which none is tried then."""

_Work = Callable[[], None]


def nothing() -> None:
    """The work of whom has none, or none any more."""


class _Begun(threading.Event):
    """That a thread runs, for who has started it. Nobody waits for good, also where memory is short: an Event's lock
    may stay locked then, see `Result`."""

    def __init__(self) -> None:
        self._is_set = False
        self._bell = threading.Lock()
        self._bell.acquire()

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        if not self._is_set:
            self._is_set = True
            self._bell.release()

    def wait(self, timeout: float | None = None) -> bool:
        return self._is_set or self._bell.acquire(timeout=_BEGINS_WITHIN)

    def _at_fork_reinit(self) -> None:
        """A child has none of these threads, and nobody who waits for them."""


_STARTED = _Begun()
_STARTED.set()


class Thread(threading.Thread):
    """A daemon whose `start` comes back. That of the standard library waits until the new thread says that it runs, and
    so for good if that one meets a lack of memory before."""

    _barred_until = 0.0

    def __init__(self, run: Callable[[], object], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._work = run
        self._gate = threading.Lock()
        self._begun = self._too_late = False
        self._started: threading.Event = _Begun()

    def start(self) -> None:
        """Raises RuntimeError where there is no thread, MemoryError where it did not begin; then it never will."""
        if time.monotonic() < Thread._barred_until:
            raise MemoryError("no new threads for a moment: one has just ended before it began")
        super().start()
        with self._gate:
            self._too_late = not self._begun and not self._started.is_set()
        if self._too_late:
            limbo: dict[threading.Thread, object] = getattr(threading, "_limbo", {})
            limbo.pop(self, None)  # else it counts among the threads that there are
            Thread._barred_until = time.monotonic() + _BARRED
            raise MemoryError("the thread has ended before it began")
        self._started = _STARTED  # one for all: there is a thread for each container

    def _bootstrap_inner(self) -> None:
        getattr(threading, "_limbo", {}).setdefault(self, self)  # out of it again if it begins after all, but too late
        try:
            super()._bootstrap_inner()  # type: ignore[misc]
        except KeyError:  # too late after the line before: `start` has taken it out
            getattr(threading, "_active", {}).pop(threading.get_ident(), None)

    def run(self) -> None:
        with self._gate:
            if self._too_late:
                return
            self._begun = True
        work, self._work = self._work, nothing  # what it belongs to most often keeps this thread
        work()


class Result(Generic[T]):
    """What a thread will have made. There is no lock in it, as in the standard library's: where memory is short, one
    may stay locked for good, because a `with` around a lock that is written in Python takes memory to be left."""

    __slots__ = ("_to_be_told", "_value", "error", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self._value: T | None = None
        self.error: BaseException | None = None
        """What making it has raised."""
        self._to_be_told: deque[Callable[[Result[T]], object]] = deque()

    @property
    def value(self) -> T:
        """What was made. Raises what making it has raised."""
        if self.error is not None:
            raise self.error
        return cast(T, self._value)

    def make(self, call: Callable[[], T]) -> None:
        """Become what `call` gives, and tell whoever waits. Raises MemoryError where it is to be called again."""
        if not self.is_done:
            try:
                self._value = call()
            except BaseException as error:
                self.error = error
            self.is_done = True
        self._tell()
        del self  # the frame belongs to the error, which would else be freed by the garbage collector alone

    def then(self, tell: Callable[[Result[T]], object]) -> None:
        """Have `tell` called once it is there: by the thread that has made it, or now. It may be called twice where
        memory is short, and must not raise anything but MemoryError."""
        self._to_be_told.append(tell)
        if self.is_done:
            self._tell()

    def _tell(self) -> None:
        while True:
            try:
                tell = self._to_be_told[0]
            except IndexError:
                return
            tell(self)
            with contextlib.suppress(ValueError):  # another thread was here, too
                self._to_be_told.remove(tell)

    def awaited(self) -> asyncio.Future[T]:
        """To be awaited on the running loop. Who cancels it leaves the thread to end by itself."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def end(result: Result[T]) -> None:
            if future.done():
                return
            if result.error is not None:
                future.set_exception(result.error)
            else:
                future.set_result(result.value)

        def tell(result: Result[T]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(end, result)

        self.then(tell)
        return future


def alone(call: Callable[[], T], name: str) -> Result[T]:
    """What `call` gives, made in a thread of its own, which does not keep the process from ending. Raises RuntimeError
    or MemoryError where there is none just now."""
    result: Result[T] = Result()
    Thread(partial(insist, result.make, call), name).start()
    return result


async def in_thread(call: Callable[[], T], name: str) -> T:
    """What `call` gives, made in a thread of its own, or by the caller where there is none just now."""
    try:
        result = alone(call, name)
    except (RuntimeError, MemoryError):
        result = Result()
        insist(result.make, call)
    return await result.awaited()


class Pool:
    """See the module's text. Any thread may call."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._lock = threading.Lock()
        self._waiting: SimpleQueue[tuple[Hashable, _Work] | None] = SimpleQueue()
        """None ends a thread."""
        self._chains: dict[Hashable, deque[_Work]] = {}
        """What waits for the work with the same key that is under way."""
        self._threads = 0
        self._given = 0
        """Work that is not done yet, without what waits in chains."""
        self._closed = False

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Result[T]:
        """Have a thread make a call. Raises RuntimeError after `shutdown`, MemoryError, and nothing else; then it is
        never made."""
        return self.in_order(None, call, *args, **kwargs)

    def in_order(self, key: Hashable, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Result[T]:
        """The same, after all work that was given with this key before; None stands for no order."""
        result: Result[T] = Result()
        work = partial(result.make, partial(call, *args, **kwargs))
        given = key, work
        with self._lock:
            if self._closed:
                raise RuntimeError(f"the {self._name} threads have ended")
            if key is not None and key in self._chains:
                self._chains[key].append(work)
                return result
            try:
                number = self._given + 1  # counted when it is there
                if key is not None:
                    self._chains[key] = deque()
                self._waiting.put(given)
                self._given = number
            except MemoryError:
                self._chains.pop(key, None)  # else what comes later would wait for this
                raise
        try:
            self.start_missing()
        except MemoryError:  # it will be made all the same; what suppresses an error by `with` takes memory itself
            pass
        return result

    async def ended(self, call: Callable[[], T]) -> T:
        """What a thread makes of a call. Whoever awaits this goes on when the thread is done with it, and not before
        where memory is short: what the thread works on is its own until then."""
        result = self.submit(call)
        while not result.is_done:
            try:
                await result.awaited()
            except MemoryError:
                time.sleep(NO_MEMORY)
        return result.value

    def start_missing(self) -> None:
        """Start threads for what waits; what cannot be had now is tried with the next call."""
        with self._lock:
            while self._threads < min(self._most, self._given) and not self._closed:
                try:
                    Thread(self._run, self._name).start()
                except (RuntimeError, MemoryError):
                    return
                self._threads += 1

    def shutdown(self) -> None:
        """Begin nothing more; what is under way ends in its thread."""
        with self._lock:
            self._closed = True
            self._chains.clear()
            with contextlib.suppress(Empty):
                while True:
                    self._waiting.get_nowait()
            for _ in range(self._threads):
                self._waiting.put(None)

    def _run(self) -> None:
        given: tuple[Hashable, _Work] | None = None
        while True:
            try:
                given = given or self._waiting.get()
                if given is None:
                    with self._lock:
                        self._threads -= 1
                    return
                try:
                    given[1]()
                except MemoryError:
                    raise
                except Exception:
                    log.exception("a %s thread met a fault", self._name)
                self._next(given[0])
                given = None  # its result may be all that keeps what others wait for
            except MemoryError:  # what was taken is still here
                time.sleep(NO_MEMORY)

    def _next(self, key: Hashable) -> None:
        """Work is done: let the next with the same key have its turn."""
        with self._lock:
            chain = self._chains.get(key)
            if chain:
                self._waiting.put((key, chain[0]))
                chain.popleft()
            else:
                self._given -= 1
                self._chains.pop(key, None)
