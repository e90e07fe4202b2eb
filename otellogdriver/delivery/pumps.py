"""The pumps in use: one for each destination and way of batching, shared by all containers that want the same.

In: settings. Out: a running `Pump`. A pump that nobody uses any more is closed after a while. Lives on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from otellogdriver.export.destination import Destination, Reading
from otellogdriver.journal.cursor import Cursor
from otellogdriver.journal.layout import MAIN, MIRROR
from otellogdriver.journal.stream import Stream
from otellogdriver.loading import load
from otellogdriver.loop import begin
from otellogdriver.pool import Pool
from otellogdriver.resource import Host
from otellogdriver.settings.options import Settings

if TYPE_CHECKING:
    from otellogdriver.delivery.feed import Feed
    from otellogdriver.delivery.pump import Pump

log = logging.getLogger(__name__)

_IDLE = 60.0
"""Seconds that a pump without a user stays, with its connections: containers come back."""


def load_pumps() -> None:
    """Import what pumps and feeds are made of, as `load_clients` does what clients are: see there. FIFOs are read
    before."""
    load("otellogdriver.export.client").load_clients()
    load("otellogdriver.delivery.pump")
    load("opentelemetry.sdk.resources")


@lru_cache(maxsize=64)
def destinations(settings: Settings) -> tuple[tuple[str, Destination], ...]:
    """(name of the cursor file, destination) for each place the lines go to. Most containers share their settings."""
    places: list[tuple[str, tuple[str, ...], Reading]] = [
        (MAIN, settings.otlp_endpoint, settings.otlp_endpoint_reading)
    ]
    if settings.otlp_mirror:
        places.append((MIRROR, settings.otlp_mirror, "either"))
    return tuple(
        (
            role,
            Destination(
                endpoints=endpoints,
                protocol=settings.otlp_protocol,
                headers=settings.otlp_headers,
                headers_file=settings.otlp_headers_file,
                compression=settings.otlp_compression,
                compression_level=settings.otlp_compression_level,
                timeout=settings.otlp_timeout,
                certificate=settings.otlp_certificate,
                client_certificate=settings.otlp_client_certificate,
                client_key=settings.otlp_client_key,
                server_name=settings.otlp_server_name,
                insecure=settings.otlp_insecure,
                skip_verify=settings.otlp_insecure_skip_verify,
                reading=reading,
                proxy=settings.otlp_proxy,
                https_proxy=settings.https_proxy,
                http_proxy=settings.http_proxy,
                no_proxy=settings.no_proxy,
            ),
        )
        for role, endpoints, reading in places
    )


def cursor_at(stream: Stream, role: str) -> Cursor:
    """How far a stream is delivered to the destination whose cursor file is named `role`. A destination that is added
    to a stream which has been sent elsewhere begins where the main one is: with new lines, not with all those that are
    kept for `docker logs`. Reads the disk; raises OSError, MemoryError."""
    path = stream.directory / role
    cursor = Cursor(path)
    main = stream.directory / MAIN
    if role != MAIN and not path.exists() and main.exists():
        cursor.position = Cursor(main).position
    return cursor


@dataclass(slots=True)
class _InUse:
    pump: Pump
    users: int = 0


class Pumps:
    """See the module's text. The pumps encode in threads of `executor`, write cursors in those of `files`, and call
    `committed` after each commit. `later(seconds, call)` makes a call after so many seconds."""

    def __init__(
        self,
        host: Host,
        executor: Pool,
        files: Pool,
        committed: Callable[[Feed], None],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._host = host
        self._executor = executor
        self._files = files
        self._committed = committed
        self._later = later
        self._in_use: dict[tuple[Any, ...], _InUse] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Pump]:
        return iter([one.pump for one in self._in_use.values()])

    def __len__(self) -> int:
        return len(self._in_use)

    def take(self, destination: Destination, settings: Settings) -> Pump:
        """The pump for this destination. The caller gives it back with `release`."""
        from otellogdriver.delivery.pump import Pump
        from otellogdriver.export.client import client_for
        from otellogdriver.export.failover import spread

        if settings.otlp_endpoint_order == "spread":
            endpoints = spread(destination.endpoints, self._host.id or self._host.name)
            destination = replace(destination, endpoints=endpoints)
        wants: dict[str, Any] = {
            "lanes": settings.otlp_concurrency,
            "delay": settings.batch_delay,
            "size": settings.batch_size,
            "hold": settings.otlp_refused == "hold",
            "sync": settings.journal_sync,
        }
        key = (destination, *wants.values())
        found = self._in_use.get(key)
        if not found:
            client = client_for(destination)
            pump = Pump(destination, client, self._executor, self._committed, files=self._files, **wants)
            found = self._in_use[key] = _InUse(pump)
        found.users += 1
        return found.pump

    def release(self, pump: Pump) -> None:
        key, found = next((key, one) for key, one in self._in_use.items() if one.pump is pump)
        found.users -= 1
        if not found.users:
            self._later(_IDLE, lambda: self._close_idle(key))

    def _close_idle(self, key: tuple[Any, ...]) -> None:
        found = self._in_use.get(key)
        if found and not found.users:
            del self._in_use[key]
            task = begin(found.pump.close)
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        await asyncio.gather(*(pump.close() for pump in self), return_exceptions=True)
