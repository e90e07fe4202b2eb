"""Connections of aiohttp's server that end with the task that serves them.

aiohttp starts a task for each connection and does not see how it ends. One that ends by a fault, where there is no
memory for its first step, would leave the connection open with nobody to read it, and whoever asks waiting for ever.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

log = logging.getLogger(__name__)
log.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))
"""What aiohttp says of requests, but not of those that are no HTTP: their sender is told, and any port scanner could
fill the log with tracebacks."""


class Runner(web.AppRunner):
    """Sites take their protocols from its server."""

    def __init__(self, application: web.Application, **more: Any) -> None:
        super().__init__(application, access_log=None, logger=log, **more)

    @property
    def server(self) -> Any:
        server = super().server
        return (lambda: Served(server, loop=server._loop, **server._kwargs)) if server else None


class Served(web.RequestHandler):
    """See the module's text."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport) and self._task_handler

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception():
                transport.abort()

        self._task_handler.add_done_callback(ended)
