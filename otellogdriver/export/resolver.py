"""Name lookup for new HTTP connections: never cached, never in the way.

The system's resolver (nsswitch, /etc/hosts) blocks for up to tens of seconds when the name server is away, which is
just when a collector is. In the loop's shared thread pool a few such lookups would hold up everybody, and the process
could not exit before they end. So each lookup has a daemon thread of its own, and callers that ask for the same name
meanwhile share it: there are never more threads than names.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from functools import partial

from aiohttp.abc import AbstractResolver, ResolveResult

from otellogdriver.pool import alone

FILES = ("/etc/resolv.conf", "/etc/hosts")


class Resolver(AbstractResolver):
    """aiohttp's resolver interface over `getaddrinfo`."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, int, int], asyncio.Future[list[ResolveResult]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises OSError (gaierror) if there is none."""
        key = (host, port, family)
        answer = self._running.get(key)
        if answer is None:
            try:
                result = alone(partial(_look_up, host, port, family), f"resolve {host}")
            except RuntimeError:  # the next caller tries again
                raise OSError(errno.EAGAIN, "no thread for it") from None
            answer = self._running[key] = result.awaited()
            answer.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(answer)

    async def close(self) -> None:
        """Whoever still waits is told; a thread that still looks up ends by itself."""
        for answer in list(self._running.values()):
            answer.cancel()

    def _forget(self, key: tuple[str, int, int], answer: asyncio.Future[list[ResolveResult]]) -> None:
        self._running.pop(key, None)
        if not answer.cancelled():
            answer.exception()  # retrieved here, because the caller may have given up


def replaced() -> str:
    """What to say with a look-up that failed: whether a file that it reads is no longer the host's. Inside a plugin
    these are mounts of single files, which stay the old ones when the host's are replaced by new ones (the old one then
    has no name left); only a new start of the plugin mounts the new ones."""
    for path in FILES:
        try:
            if os.stat(path).st_nlink == 0:
                return f"{path} has been replaced on the host since the plugin was enabled: disable and enable it"
        except OSError:
            pass
    return ""


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    """A thread's work. Raises OSError, MemoryError."""
    try:
        addresses = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
    except UnicodeError:
        raise OSError(None, "not a valid host name") from None
    return [
        ResolveResult(
            hostname=host,
            # Numeric, with the zone of a link-local IPv6 address.
            host=socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0],
            port=port,
            family=kind,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for kind, _, protocol, _, address in addresses
    ]
