"""Calls are taken up where the process has no file number left, again and again."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otellogdriver.engine.listener import SPARE, Listener


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    with Listener(str(tmp_path / "folder" / "driver.sock"), 64) as listener:
        yield listener


@contextlib.contextmanager
def no_number() -> Iterator[None]:
    """Every number below the limit is in use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 8, hard))
    taken = []
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for number in taken:
            os.close(number)


def callers(listener: Listener, count: int) -> list[socket.socket]:
    made = [socket.socket(socket.AF_UNIX) for _ in range(count)]
    for number, caller in enumerate(made):
        caller.connect(listener.getsockname())
        caller.sendall(bytes([number]))
    return made


def test_it_is_a_socket_for_its_user_alone(listener: Listener) -> None:
    assert stat.S_IMODE(os.stat(listener.getsockname()).st_mode) == 0o600
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_one_left_behind_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "driver.sock")
    left = Listener(path, 1)
    with Listener(path, 1) as listener:
        (caller,) = callers(listener, 1)
        taken, _ = listener.accept()
        assert taken.recv(1) == b"\0"
        taken.close()
        caller.close()
    left.close()


def test_without_a_number_calls_are_taken_up_and_closed_again_and_again(listener: Listener) -> None:
    calls = callers(listener, 3 * SPARE + 1)
    with no_number():
        for first in range(0, 3 * SPARE, SPARE):
            taken = [listener.accept()[0] for _ in range(SPARE)]
            with pytest.raises(OSError, match="Too many open files"):
                listener.accept()
            for index, connection in enumerate(taken):
                assert connection.recv(1) == bytes([first + index])
                connection.close()
                assert connection.fileno() == -1
                assert calls[first + index].recv(1) == b"", "closed"
            with pytest.raises(OSError, match="Too many open files"):
                os.dup(0)
    for call in calls:
        call.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_is_served_without_a_number(host: str) -> None:
    with Listener((host, 0), 64) as listener:
        call = socket.create_connection(listener.getsockname()[:2])
        with no_number():
            connection, _ = listener.accept()
            call.sendall(b"a")
            assert connection.recv(1) == b"a"
        for each in (call, connection):
            each.close()


def test_nothing_stays_open(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    listener = Listener(str(tmp_path / "driver.sock"), 64)
    calls = callers(listener, 2 * SPARE)
    taken = [listener.accept()[0] for _ in calls]
    for connection in taken[:SPARE]:
        connection.close()
    listener.close()
    for connection in (*taken[SPARE:], *calls):
        connection.close()
    assert os.listdir("/proc/self/fd") == before


def test_a_connection_that_python_loses_for_want_of_memory_is_closed(listener: Listener) -> None:
    """CPython forgets what it has accepted if it gets no memory for the address."""
    lost, kept, later = callers(listener, 3)
    pair = socket.socketpair()
    real, losing = listener._accept, [1]  # type: ignore[attr-defined]

    def accept() -> Any:
        found = real()
        if losing:
            losing.pop()
            raise MemoryError
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Listener, "_accept", lambda _: accept(), raising=False)
        with pytest.raises(MemoryError):
            listener.accept()
        assert is_closed(lost)
        connection, _ = listener.accept()
        assert connection.recv(1) == b"\1"
        losing.append(1)
        with pytest.raises(MemoryError):
            listener.accept()
        assert is_closed(later)
        connection.sendall(b"a")
        assert kept.recv(1) == b"a", "what is in use stays"
    pair[0].sendall(b"a")
    assert pair[1].recv(1) == b"a"
    for each in (lost, kept, later, connection, *pair):
        each.close()


def is_closed(caller: socket.socket) -> bool:
    """By the other side, which has or has not read what came."""
    with contextlib.suppress(ConnectionResetError):
        return caller.recv(1) == b""
    return True


def test_a_path_on_which_another_one_listens_by_now_stays(listener: Listener) -> None:
    path = listener.getsockname()
    with Listener(path, 1) as other:
        listener.remove()
        assert os.path.exists(path)
        other.remove()
        assert not os.path.exists(path)
        other.remove()


def _with_a_zone() -> str:
    """An address of this host that has one, best one that cannot be had without."""
    interfaces = [line.split() for line in Path("/proc/net/if_inet6").read_text().splitlines()]
    for address, _, _, scope, _, interface in sorted(interfaces, key=lambda fields: int(fields[1], 16)):
        if scope == "20":  # the oldest one: it is not another test's
            return f"{socket.inet_ntop(socket.AF_INET6, bytes.fromhex(address))}%{interface}"
    return "::1%1"


def test_an_address_may_have_a_zone() -> None:
    host = _with_a_zone()
    with Listener((host, 0), 8) as listener, socket.socket(socket.AF_INET6) as caller:
        caller.connect(socket.getaddrinfo(host, listener.getsockname()[1])[0][4])
        with listener.accept()[0] as connection:
            assert connection.getpeername() == caller.getsockname()
