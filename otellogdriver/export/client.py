"""The seam between batching and the network: `prepare` a request, `send` it.

`prepare` runs in a worker thread, `send` in the event loop; what is sent again is sent as the very same bytes.
"""

from __future__ import annotations

import ssl
import sys
import threading
from typing import Any

from otellogdriver.export import gzip
from otellogdriver.export.destination import GRPC, HTTP, Destination
from otellogdriver.export.failover import FailoverClient
from otellogdriver.export.outcome import Body, Client, Denied, Outcome
from otellogdriver.loading import load

METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

_LONG = 32 << 10
"""Bytes of a piece, on average, from which on pieces are sent as they are."""
_LOADING = threading.Lock()


def load_clients() -> None:
    """Import what clients are made of, if it is not: most of what the driver imports, so that a start does not wait for
    it. Takes a while; whoever has an event loop calls this in a thread before. Raises what an import raises where files
    or memory are short; then it may be called again.

    aiohttp reads the host's certificate authorities twice when it is imported. None of our connections uses those
    contexts (tls.py makes ours), and without authorities they trust nobody."""
    with _LOADING:
        if "aiohttp" not in sys.modules:
            contexts: Any = ssl.SSLContext
            read, here = contexts.set_default_verify_paths, threading.get_ident()
            contexts.set_default_verify_paths = lambda made: None if threading.get_ident() == here else read(made)
            try:
                load("aiohttp")
            finally:
                contexts.set_default_verify_paths = read
    load("otellogdriver.export.grpc")


def client_for(destination: Destination, method: str = METHOD) -> Client:
    """The client of a destination; `method` is what grpc calls. What is wrong with its settings or files is told by
    `send`, as Denied."""
    load_clients()
    from otellogdriver.export.grpc import GrpcClient
    from otellogdriver.export.http import HttpClient

    clients: list[Client] = []
    for endpoint in destination.endpoints:
        if destination.protocol == HTTP:
            client = HttpClient(destination, endpoint)
            late = endpoint in destination.gzipped and not _all_gzipped(destination)
            clients.append(_Compressing(client, destination.compression_level) if late else client)
        elif destination.protocol == GRPC:
            clients.append(GrpcClient(destination, endpoint, method))
    if not clients:
        return _NoClient(f"protocol {destination.protocol!r}: must be {HTTP} or {GRPC}, with at least one endpoint")
    return clients[0] if len(clients) == 1 else FailoverClient(clients)


def prepare(destination: Destination, pieces: Body) -> Body:
    """One request of all pieces: compressed if all endpoints want it, without lock and without the GIL; else, where
    they are long, as they are, because a copy costs more than it saves; else joined. gRPC compresses by itself."""
    if not is_plain(destination):
        return [gzip.compress(pieces, destination.compression_level)]
    if destination.protocol == HTTP and sum(map(len, pieces)) >= _LONG * len(pieces) > 0:
        return pieces
    return [b"".join(pieces)]


def is_plain(destination: Destination) -> bool:
    """Whether a prepared request has the bytes of its pieces."""
    return destination.protocol != HTTP or not _all_gzipped(destination)


def _all_gzipped(destination: Destination) -> bool:
    return destination.gzipped.issuperset(destination.endpoints)


class _Compressing:
    """An endpoint that gets gzip while others of its destination do not. It compresses on the loop, a few milliseconds
    for the longest request, and only while it is this endpoint that is sent to."""

    def __init__(self, client: Client, level: int) -> None:
        self._client = client
        self._level = level
        self.close = client.close

    async def send(self, body: Body, alone: bool = False) -> Outcome:
        return await self._client.send([gzip.compress(body, self._level)], alone)


class _NoClient:
    def __init__(self, reason: str) -> None:
        self._outcome = Denied(reason, local=True)

    async def send(self, body: Body, alone: bool = False) -> Outcome:
        return self._outcome

    async def close(self) -> None:
        return None
