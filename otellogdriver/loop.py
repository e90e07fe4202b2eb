"""An event loop that goes on where memory or file numbers are short for a moment, and what tasks wait for on it.

asyncio takes such an error for one of the code that it runs: a task then waits for ever for a result of which nobody
told it, and the engine for an answer on a connection that nobody reads. This loop makes such a step again, and closes
such a connection. `Event`, `Lock` and `Semaphore` are asyncio's, but whoever waits hears of it: there an error strikes
between the change and the telling, and later changes tell nobody. All this reaches into asyncio, so its test holds that
the names it uses are still there.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import socket
import time
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, Literal, TypeVar

from otellogdriver.errors import is_shortage
from otellogdriver.insist import NO_MEMORY

T = TypeVar("T")

log = logging.getLogger(__name__)

_TRIES = 10
"""So often a thread tries to wake the loop. Beyond that it goes on: the loop wakes up by itself within a second."""


class Loop(asyncio.SelectorEventLoop):
    """See the module's text."""

    _is_woken = False
    """A byte is in the pipe that wakes it."""

    def __init__(self) -> None:
        super().__init__()
        self.set_exception_handler(_mend)
        # A future that is done tells of it by `call_soon`, and forgets whom it was to tell where that fails. These are
        # no methods, because to look one up takes memory, too.
        setattr(self, "call_soon", _insistent(super().call_soon))  # noqa: B010
        setattr(self, "call_later", _insistent(super().call_later))  # noqa: B010

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's; a thread that has done something can tell of it. The loop is woken once for all that it is told
        before it wakes up: a thread that reads a thousand FIFOs would lose the interpreter's lock for each of them."""
        handle: asyncio.Handle = self.call_soon(callback, *args, context=context)
        if self._is_woken:
            return handle
        self._is_woken = True
        for _ in range(_TRIES):
            if self._wake():
                return handle
            time.sleep(NO_MEMORY)  # the loop may be asleep: nobody else wakes it
        self._is_woken = False
        return handle

    def _wake(self) -> bool:
        """As asyncio's `_write_to_self`, which does not say that it has failed; whether the loop wakes up."""
        wake: socket.socket | None = self._csock  # type: ignore[attr-defined]
        try:
            if wake is not None:
                wake.send(b"\0")
        except BlockingIOError:  # it is full of such bytes
            return True
        except OSError as error:
            return error.errno == errno.EBADF  # the loop has been closed
        except MemoryError:
            return False
        return True

    def _read_from_self(self) -> None:
        try:
            super()._read_from_self()  # type: ignore[misc]
        finally:  # whose byte was just taken along, or was not needed, has made its call ready before
            self._is_woken = False

    def _run_once(self) -> None:
        """One round; what is ready stays so where there is no memory, and is run in the next one."""
        try:
            super()._run_once()  # type: ignore[misc]
        except MemoryError:
            try:
                log.error("no memory for a round of the event loop; it goes on")
            except MemoryError:
                pass

    def _start_serving(self, *arguments: Any) -> None:
        """Accept one connection in a round: where there is no file number for it, asyncio would try again, log and set
        a timer as often as the backlog is long, and hold up everything else meanwhile."""
        factory, sock, context, server, _, *rest = arguments
        super()._start_serving(factory, sock, context, server, 1, *rest)  # type: ignore[misc]

    async def _accept_connection2(self, factory: Any, connection: socket.socket, *arguments: Any) -> None:
        """asyncio does not say that it has failed; then nobody would read the connection."""
        await super()._accept_connection2(factory, connection, *arguments)  # type: ignore[misc]
        if connection.fileno() >= 0 and connection.fileno() not in self._selector.get_map():  # type: ignore[attr-defined]
            connection.close()


class Event(asyncio.Event):
    """See the module's text."""

    def set(self) -> None:
        while True:
            try:
                self._value = False  # else nobody is told
                super().set()
                return
            except MemoryError:
                time.sleep(NO_MEMORY)


class _Done:
    """What is awaited where there is nothing to wait for; that takes no memory."""

    def __await__(self) -> Generator[Any, None, None]:
        return _NOTHING


_DONE = _Done()
_NOTHING: Generator[Any, None, None] = iter(())  # type: ignore[assignment]


def _leave(turn: asyncio.Lock | asyncio.Semaphore, _: object, __: object, ___: object) -> _Done:
    """The end of `async with`. asyncio's takes memory before it gives the turn back: it might never be."""
    turn.release()
    return _DONE


class Lock(asyncio.Lock):
    """See the module's text."""

    __aexit__ = _leave  # type: ignore[assignment]

    async def acquire(self) -> Literal[True]:
        try:
            return await super().acquire()
        except BaseException:  # the turn may have been this one's: the next is told
            if not self.locked():
                self._wake_up_first()
            raise

    def _wake_up_first(self) -> None:
        while True:
            try:
                asyncio.Lock._wake_up_first(self)  # type: ignore[attr-defined]
                return
            except MemoryError:
                time.sleep(NO_MEMORY)


class Semaphore(asyncio.Semaphore):
    """See the module's text."""

    __aexit__ = _leave  # type: ignore[assignment]

    def _wake_up_next(self) -> None:
        while True:
            try:
                asyncio.Semaphore._wake_up_next(self)
                return
            except MemoryError:
                time.sleep(NO_MEMORY)


def _insistent(call: Callable[..., T]) -> Callable[..., T]:
    """As `insist`, but it takes no memory itself for a call with one argument and a context."""

    def again(first: Any, *args: Any, context: Context | None = None) -> T:
        while True:
            try:
                return call(first, *args, context=context)
            except MemoryError:
                time.sleep(NO_MEMORY)

    return again


def begin(work: Callable[[], Coroutine[Any, Any, T]], name: str | None = None) -> asyncio.Task[T]:
    """A task that is begun, however short memory is; on the running loop."""
    while True:
        coroutine = None
        try:
            coroutine = work()
            return asyncio.get_running_loop().create_task(coroutine, name=name)
        except MemoryError:
            if coroutine:
                coroutine.close()  # the task may be there all the same
            time.sleep(NO_MEMORY)


def _mend(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Handle an error that nobody has caught. One that struck while a connection was accepted or made leaves that
    connection open with nobody to read it, and the other side waiting: it is closed, so that the other side can try
    again. A step of a task, or the call that was to tell it of a result, leaves the task waiting for ever if there was
    no memory for it: it is made again."""
    error, handle = context.get("exception"), context.get("handle")
    callback = getattr(handle, "_callback", None)
    owner = getattr(callback, "__self__", None)
    if isinstance(error, MemoryError) and handle and not isinstance(owner, asyncio.BaseTransport | type(loop)):
        loop._ready.append(handle)  # type: ignore[attr-defined]
    if isinstance(error, Exception) and is_shortage(error):
        log.error("%s: %s", context.get("message"), str(error) or type(error).__name__)
        # A connection that was half accepted ends with what holds it: the traceback, and a task that was half made.
        error.__traceback__ = None
        if isinstance(error, MemoryError):
            gc.collect()
    else:
        loop.default_exception_handler(context)
    for each in (context.get("transport"), owner, *(getattr(handle, "_args", None) or ())):
        if isinstance(each, asyncio.Transport):
            each.abort()
