"""An event loop that goes on where memory or file numbers are short for a moment.

asyncio takes such an error for one of the code that it runs: a task then waits for ever for a result of which nobody
told it, and the engine for an answer on a connection that nobody reads. This loop makes such a step again, and closes
such a connection. It reaches into asyncio, so its test holds that the names it uses are still there.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from typing import Any

from otellogdriver.errors import is_shortage

log = logging.getLogger(__name__)


class Loop(asyncio.SelectorEventLoop):
    """See the module's text."""

    def __init__(self) -> None:
        super().__init__()
        self.set_exception_handler(_mend)

    def _run_once(self) -> None:
        """One round; what is ready stays so where there is no memory, and is run in the next one."""
        try:
            super()._run_once()  # type: ignore[misc]
        except MemoryError:
            log.error("no memory for a round of the event loop; it goes on")

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
