"""Threads for work that may take long: a disk, encoding. What is given to them is done, sooner or later.

Unlike `ThreadPoolExecutor`: where the system gives no thread, the work waits until it does (`start_missing` is to be
called now and then); the threads are daemons, so that one that hangs with a disk does not keep the process from
ending; and `in_order` does what belongs together one after the other.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from concurrent.futures._base import FINISHED
from functools import partial
from typing import Any, ParamSpec, TypeVar

from otellogdriver.insist import insist

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

_BEGINS_WITHIN, _BARRED = 0.25, 0.5
"""Seconds in which a new thread begins, or somebody else is to do its work; and for which none is tried then."""

_Work = Callable[[], None]


def nothing() -> None:
    """The work of whom has none, or none any more."""


class _Bounded(threading.Event):
    """Nobody waits for it for good."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(_BEGINS_WITHIN if timeout is None else timeout)


_STARTED = threading.Event()
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
        self._started: threading.Event = _Bounded()

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
        super()._bootstrap_inner()  # type: ignore[misc]

    def run(self) -> None:
        with self._gate:
            if self._too_late:
                return
            self._begun = True
        work, self._work = self._work, nothing  # what it belongs to most often keeps this thread
        work()


async def in_thread(call: Callable[[], T], name: str) -> T:
    """What `call` gives, made in a thread of its own, or by the caller where there is none just now."""
    future: _Result[T] = _Result()
    try:
        Thread(partial(future.work, call), name).start()
    except (RuntimeError, MemoryError):
        future.work(call)
    return await asyncio.wrap_future(future)


class _Result(Future[T]):
    """The standard library's, but who waits hears of it: there, what is in the way of telling it is logged, at best."""

    def work(self, call: Callable[[], T]) -> None:
        """Become what `call` gives, unless it is cancelled before."""
        if not insist(self._begin):
            return
        try:
            self._result = call()
        except BaseException as error:
            self._exception = error
        insist(self._end)
        for callback in self._done_callbacks:  # type: ignore[attr-defined]
            insist(callback, self)
        del self  # the frame belongs to the error, which would else be freed by the garbage collector alone

    def _begin(self) -> bool:
        return self.running() or (not self.cancelled() and self.set_running_or_notify_cancel())

    def _end(self) -> None:
        with self._condition:
            self._state = FINISHED
            self._condition.notify_all()


class Pool(Executor):
    """See the module's text. Any thread may call."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._lock = threading.Lock()
        self._ready = threading.Condition(self._lock)
        self._waiting: deque[tuple[Hashable, _Work]] = deque()
        self._chains: dict[Hashable, deque[_Work]] = {}
        """What waits for the work with the same key that is under way."""
        self._threads = 0
        self._idle = 0
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a thread call `fn`. Raises RuntimeError after `shutdown`, and nothing else but MemoryError."""
        return self.in_order(None, fn, *args, **kwargs)

    def in_order(self, key: Hashable, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """The same, after all work that was given with this key before; None stands for no order."""
        future: _Result[T] = _Result()
        work = partial(future.work, partial(fn, *args, **kwargs))
        with self._lock:
            if self._closed:
                raise RuntimeError(f"the {self._name} threads have ended")
            if key is not None and key in self._chains:
                self._chains[key].append(work)
                return future
            try:
                if key is not None:
                    self._chains[key] = deque()
                self._waiting.append((key, work))
            except MemoryError:
                self._chains.pop(key, None)  # else what comes later would wait for this
                raise
            self._ready.notify()
        self.start_missing()
        return future

    def start_missing(self) -> None:
        """Start threads for what waits. Never raises: what cannot be had now is tried with the next call."""
        with self._lock:
            while self._threads < self._most and len(self._waiting) > self._idle and not self._closed:
                thread = Thread(self._run, self._name)
                try:
                    thread.start()
                except (RuntimeError, MemoryError):
                    return
                self._threads += 1

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = True) -> None:
        """Begin nothing more; what is under way ends in its thread. `wait` is not for daemons."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            self._chains.clear()
            self._ready.notify_all()

    def _run(self) -> None:
        while True:
            try:
                with self._lock:
                    while not self._waiting and not self._closed:
                        self._idle += 1
                        try:
                            self._ready.wait()
                        finally:
                            self._idle -= 1
                    if not self._waiting:
                        self._threads -= 1
                        return
                    key, work = self._waiting.popleft()
                try:
                    work()
                finally:
                    work = nothing  # its result may be all that keeps what others wait for
                    if key is not None:
                        insist(self._next, key)
            except BaseException:  # no memory: the thread stays
                log.error("a %s thread met a fault", self._name)

    def _next(self, key: Any) -> None:
        """Let the next work with the same key have its turn; this thread looks for work now."""
        with self._lock:
            chain = self._chains.get(key)
            if chain:
                self._waiting.append((key, chain[0]))
                chain.popleft()
            else:
                self._chains.pop(key, None)
