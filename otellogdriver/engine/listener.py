"""A listening socket that accepts a call even where the process has no file number left: the engine's, and the metrics
port.

A call that is not accepted holds up a container's start or end. So some numbers are kept from the beginning. One is
given up for a connection that could not be had otherwise, and comes back when that is closed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import Any
from weakref import WeakSet

SPARE = 8
"""Connections that are accepted where there is no file number: the engine keeps a few, and opens one for each call that
it makes at the same time as others."""

_NO_NUMBER = (errno.EMFILE, errno.ENFILE)


class Listener(socket.socket):
    """Listens on a path, where a socket left behind by a killed driver is replaced, or on a numeric address and a port.
    `backlog` connections may wait."""

    def __init__(self, address: str | tuple[str, int], backlog: int) -> None:
        family = socket.AF_UNIX
        if isinstance(address, tuple):
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._spare: list[int] = []
        self._nothing = -1
        self._taken: WeakSet[_Connection] = WeakSet()
        self._forgotten = False
        """There may be a connection of which only the kernel knows."""
        self._path: tuple[str, object] | None = None
        try:
            self._nothing = os.open(os.devnull, os.O_RDWR)
            self._keep()
            if isinstance(address, tuple):
                self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                # By way of the resolver, because `bind` itself takes no notice of an IPv6 zone.
                self.bind(socket.getaddrinfo(*address, family, self.type, flags=socket.AI_NUMERICHOST)[0][4])
            else:
                self._bind_to_path(address)
            self.listen(backlog)
        except OSError:
            self.close()
            raise

    def _bind_to_path(self, path: str) -> None:
        with contextlib.suppress(FileExistsError):  # it says so, too, of a folder that it cannot look at
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self.bind(path)
        os.chmod(path, 0o600)
        self._path = path, _file(path)

    def remove(self) -> None:
        """Take the path away, unless another one listens there by now."""
        with contextlib.suppress(OSError):
            if self._path and _file(self._path[0]) == self._path[1]:
                os.unlink(self._path[0])

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection, as `socket.accept` has it. Raises OSError as that does, of EMFILE and ENFILE only where
        every spare number is in use."""
        self._keep()
        self._close_forgotten()
        while True:
            try:
                number, address = self._accept()  # type: ignore[attr-defined]
            except MemoryError:
                self._forgotten = True
                self._close_forgotten()
                raise
            except OSError as error:
                if error.errno not in _NO_NUMBER or not self._spare:
                    raise
                os.close(self._spare.pop())  # another thread may be faster to use it: then the next one
                continue
            connection = None
            try:
                connection = _Connection(self, number)
                self._taken.add(connection)
                return connection, address
            except BaseException:  # the library's own `accept` would forget it, and the engine would wait for ever
                os.close(connection.detach() if connection else number)
                raise

    def _close_forgotten(self) -> None:
        """Close connections that nobody has: CPython loses what it has accepted where it gets no memory for the rest,
        and the engine would wait for ever. Never raises; what fails is done with the next call."""
        if not self._forgotten:
            return
        try:
            known = {self.fileno(), *(connection.fileno() for connection in self._taken)}
            for number in {int(name) for name in os.listdir("/proc/self/fd")} - known:
                if self._is_ours(number):
                    os.close(number)
            self._forgotten = False
        except (OSError, MemoryError):
            pass

    def _is_ours(self, number: int) -> bool:
        """Whether it is a connection of this listener's, or was."""
        try:
            other = socket.socket(self.family, self.type, self.proto, number)
        except OSError:
            return False  # not a socket, or not there any more
        try:
            return _place(other) == _place(self)
        except OSError:
            return False
        finally:
            other.detach()

    def close(self) -> None:
        super().close()
        for number in (*self._spare, self._nothing):
            with contextlib.suppress(OSError):
                os.close(number)
        self._spare, self._nothing = [], -1

    def take_back(self, number: int) -> bool:
        """Keep the number of a connection that ends, which closes it; whether that was needed. In one step, or another
        thread would take the number first."""
        if self.fileno() < 0 or len(self._spare) >= SPARE:
            return False
        try:
            os.dup2(self._nothing, number, inheritable=False)
        except OSError:
            return False
        self._spare.append(number)
        return True

    def _keep(self) -> None:
        with contextlib.suppress(OSError):
            while len(self._spare) < SPARE:
                self._spare.append(os.dup(self._nothing))


def _file(path: str) -> object:
    """What tells a file from another one that takes its path. Raises OSError."""
    found = os.lstat(path)
    return found.st_dev, found.st_ino


def _place(sock: socket.socket) -> object:
    """What a connection has in common with the socket that accepted it."""
    name = sock.getsockname()
    return name[1] if isinstance(name, tuple) else name


class _Connection(socket.socket):
    def __init__(self, listener: Listener, number: int) -> None:
        self._listener = listener
        super().__init__(listener.family, listener.type, listener.proto, number)

    def close(self) -> None:
        if self.fileno() >= 0 and self._listener.take_back(self.fileno()):
            self.detach()
        super().close()
