"""The event loop where memory is short: nothing waits for what did not come about."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otellogdriver.loop import Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


def test_a_call_that_failed_for_want_of_memory_is_made_again(loop: Loop) -> None:
    done = loop.create_future()
    calls: list[int] = []

    def tell(result: int) -> None:
        calls.append(result)
        if len(calls) < 3:
            raise MemoryError
        done.set_result(result)

    loop.call_soon(tell, 7)
    assert loop.run_until_complete(asyncio.wait_for(done, 20)) == 7
    assert calls == [7, 7, 7]


def test_another_fault_is_not_met_again(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise ValueError("a fault of ours")

    loop.call_soon(fail)
    loop.run_until_complete(asyncio.sleep(0.05))
    assert calls == [1] and "a fault of ours" in caplog.text


def test_a_connection_that_nobody_will_read_is_closed(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What failed is held by something, as a traceback does: to forget it does not close it."""
    kept: list[socket.socket] = []

    def refuse(connection: socket.socket, *_: Any, **__: Any) -> asyncio.Transport:
        kept.append(connection)
        raise MemoryError

    async def call() -> bytes:
        server = await loop.create_unix_server(asyncio.Protocol, str(tmp_path / "socket"))
        with contextlib.closing(server), socket.socket(socket.AF_UNIX) as caller:
            caller.setblocking(False)
            caller.connect(str(tmp_path / "socket"))
            return await asyncio.wait_for(loop.sock_recv(caller, 1), 20)

    monkeypatch.setattr(loop, "_make_socket_transport", refuse)
    assert loop.run_until_complete(call()) == b""
    assert kept and kept[0].fileno() == -1


@pytest.mark.parametrize("name", ["_run_once", "_start_serving", "_accept_connection2", "_make_socket_transport"])
def test_this_python_has_the_parts_that_are_replaced(name: str) -> None:
    assert hasattr(asyncio.SelectorEventLoop, name)
