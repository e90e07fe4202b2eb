"""What runs on the event loop, or is to be run again, has somebody here who sees it end.

A timer, a task or a callback that ends by an exception is logged (a kind of fault once a minute) and counted; what is
to be done again and again is done again whatever happened the last time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from otellogdriver.errors import is_shortage
from otellogdriver.pool import Result

log = logging.getLogger(__name__)

_TELL = 60.0
"""Seconds between two log lines about the same kind of fault."""
_KINDS = 1000
"""Kinds that are remembered for that: most name a container."""


class Supervisor:
    """One per driver; used on the event loop only."""

    def __init__(self) -> None:
        self.faults = 0
        """Exceptions that were met, and survived."""
        self._loop = asyncio.get_running_loop()
        self._timers: set[asyncio.TimerHandle] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._told: dict[str, float] = {}
        self._closed = False

    def guard(self, what: str, call: Callable[..., Any], *arguments: Any) -> None:
        """Call now; whatever it raises stays here."""
        try:
            call(*arguments)
        except Exception as error:
            self.note(what, error)

    def later(self, seconds: float, what: str, call: Callable[..., Any], *arguments: Any) -> asyncio.TimerHandle:
        """Call once, some seconds from now."""

        def run() -> None:
            self._timers.discard(handle)
            self.guard(what, call, *arguments)

        handle = self._loop.call_later(seconds, run)
        self._timers.add(handle)
        return handle

    def cancel(self, timer: asyncio.TimerHandle) -> None:
        """Take a timer back."""
        timer.cancel()
        self._timers.discard(timer)

    def every(self, seconds: float, what: str, call: Callable[[], Any]) -> None:
        """Call again and again, until `close`."""

        def run() -> None:
            if not self._closed:
                self._loop.call_later(seconds, run)  # first of all: the next time comes whatever happens now
                self.guard(what, call)

        self._loop.call_later(seconds, run)

    def task(self, what: str, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine. Raises MemoryError before it has begun; then it never will."""
        try:
            task = self._loop.create_task(coroutine)
            self._tasks.add(task)
            task.add_done_callback(lambda done: self._ended(what, done))
        except BaseException:
            coroutine.close()  # the task may be there all the same
            raise

    def watch(self, what: str, result: Result[Any]) -> None:
        """Note how work in a pool ends that nobody awaits. Any thread."""

        def look(done: Result[Any]) -> None:
            if done.error is not None:
                self.note(what, done.error)

        result.then(look)

    def _ended(self, what: str, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.note(what, error)

    def note(self, what: str, error: BaseException) -> None:
        """A fault that was survived. Any thread."""
        self.faults += 1
        now = time.monotonic()
        key = f"{what} {type(error).__name__}"
        if now - self._told.get(key, -_TELL) >= _TELL:
            if len(self._told) >= _KINDS:
                self._told.clear()
            self._told[key] = now
            expected = isinstance(error, OSError) or is_shortage(error)
            log.error(
                "%s failed, tried again: %s", what, error or type(error).__name__, exc_info=None if expected else error
            )

    def close(self) -> None:
        """Nothing that waits for its time is done any more; tasks are cancelled."""
        self._closed = True
        for timer in self._timers:
            timer.cancel()
        for task in self._tasks:
            task.cancel()
