"""The event loop where memory is short: nothing waits for what did not come about."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otellogdriver.loop import Event, Lock, Loop, Semaphore, begin
from tests.scene import LONG


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
    assert loop.run_until_complete(asyncio.wait_for(done, LONG)) == 7
    assert calls == [7, 7, 7]


def test_who_waits_for_a_result_hears_of_it_though_there_is_no_memory_for_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A future forgets whom it has to tell, whether or not that went well."""
    missing: list[int] = []
    real: Any = asyncio.SelectorEventLoop.call_soon

    def call_soon(*arguments: Any, **named: Any) -> asyncio.Handle:
        if missing:
            missing.pop()
            raise MemoryError
        handle: asyncio.Handle = real(*arguments, **named)
        return handle

    monkeypatch.setattr(asyncio.SelectorEventLoop, "call_soon", call_soon)

    async def wait(loop: asyncio.AbstractEventLoop) -> list[int]:
        done = loop.create_future()
        waiting = [asyncio.create_task(_value(done)) for _ in range(3)]
        await asyncio.sleep(0)
        missing.extend((1, 1))
        done.set_result(7)
        assert not missing
        return await asyncio.wait_for(asyncio.gather(*waiting), LONG)

    with contextlib.closing(Loop()) as loop:
        assert loop.run_until_complete(wait(loop)) == [7, 7, 7]


def test_a_timer_and_a_task_are_made_though_there_is_no_memory_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    missing: list[int] = []

    def short_of_memory(name: str) -> None:
        real = getattr(asyncio.SelectorEventLoop, name)

        def call(*arguments: Any, **more: Any) -> Any:
            made = real(*arguments, **more)
            if missing:  # a task may be scheduled by then
                missing.pop()
                raise MemoryError
            return made

        monkeypatch.setattr(asyncio.SelectorEventLoop, name, call)

    async def wait() -> tuple[list[str], int]:
        done: list[str] = []

        async def work() -> None:
            done.append("task")

        missing.extend((1, 1))
        asyncio.get_running_loop().call_later(0.001, done.append, "timer")
        assert not missing
        missing.extend((1, 1))
        await begin(work, "some work")
        await asyncio.sleep(0.05)
        return sorted(set(done)), done.count("task")

    short_of_memory("call_later")
    short_of_memory("create_task")
    with contextlib.closing(Loop()) as loop:
        assert loop.run_until_complete(wait()) == (["task", "timer"], 1)


async def _value(future: asyncio.Future[int]) -> int:
    return await future


class Wire:
    """The socket that wakes the loop, which fails as often as told."""

    def __init__(self, loop: Loop) -> None:
        self._real: socket.socket = loop._csock  # type: ignore[attr-defined]
        self.errors: list[Exception] = []
        self.wakes = 0
        loop._csock = self  # type: ignore[attr-defined]

    def send(self, data: bytes) -> int:
        if self.errors:
            raise self.errors.pop()
        self.wakes += 1
        return self._real.send(data)

    def close(self) -> None:
        self._real.close()


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOBUFS, "")], ids=["memory", "ENOBUFS"])
def test_a_thread_wakes_the_loop_though_it_cannot_at_first(loop: Loop, error: Exception) -> None:
    wire = Wire(loop)

    async def wait() -> None:
        called = asyncio.Event()
        wire.errors = [error] * 2
        teller = threading.Thread(target=loop.call_soon_threadsafe, args=(called.set,))
        teller.start()
        await asyncio.wait_for(called.wait(), LONG)
        teller.join()
        assert (wire.errors, wire.wakes) == ([], 1)

    loop.run_until_complete(wait())


def test_a_thread_that_cannot_wake_the_loop_goes_on_and_the_next_one_wakes_it(loop: Loop) -> None:
    wire = Wire(loop)
    called: list[int] = []

    async def wait() -> None:
        wire.errors = [OSError(errno.ENOMEM, "")] * 1000
        heard = asyncio.Event()

        def tell() -> None:
            loop.call_soon_threadsafe(called.append, 1)
            wire.errors.clear()
            loop.call_soon_threadsafe(heard.set)

        teller = threading.Thread(target=tell)
        teller.start()
        await asyncio.wait_for(heard.wait(), LONG)
        teller.join()
        assert (called, wire.wakes) == ([1], 1)

    loop.run_until_complete(wait())


def test_threads_that_tell_much_wake_the_loop_once_for_all_that_it_has_not_heard(loop: Loop) -> None:
    called: list[int] = []
    wire = Wire(loop)

    def tell(calls: int) -> None:
        for number in range(calls):
            loop.call_soon_threadsafe(called.append, number)

    async def wait() -> None:
        tellers = [threading.Thread(target=tell, args=(1000,)) for _ in range(4)]
        for thread in tellers:
            thread.start()
        for thread in tellers:
            thread.join()  # the loop does not wake up before they are done
        assert (called, wire.wakes) == ([], 1)
        async with asyncio.timeout(LONG):
            while len(called) < 4000:
                await asyncio.sleep(0.001)
            for count in range(4001, 4101):  # asleep, each time
                await asyncio.to_thread(tell, 1)
                assert len(called) == count

    loop.run_until_complete(wait())


class Scarce(deque[Any]):
    """Gives no memory to whoever looks at what is in it, as often as told."""

    missing = 0

    def __iter__(self) -> Iterator[Any]:
        if self.missing:
            self.missing -= 1
            raise MemoryError
        return super().__iter__()


@pytest.mark.parametrize("kind", [Event, Lock, Semaphore])
def test_who_waits_for_a_turn_hears_of_it_though_there_is_no_memory_for_the_telling(
    loop: Loop, kind: type[Event | Lock | Semaphore]
) -> None:
    async def wait() -> None:
        what = kind()
        if isinstance(what, Event):
            waiting = [asyncio.create_task(what.wait()) for _ in range(2)]
        else:
            await what.acquire()
            waiting = [asyncio.create_task(what.acquire()) for _ in range(2)]
        await asyncio.sleep(0)
        what._waiters = scarce = Scarce(what._waiters or ())
        scarce.missing = 2
        for each in waiting:
            what.set() if isinstance(what, Event) else what.release()
            await asyncio.wait_for(each, LONG)

    loop.run_until_complete(wait())


@pytest.mark.parametrize("kind", [Lock, Semaphore])
@pytest.mark.parametrize("leaves", [False, True])
def test_a_turn_is_given_back_whatever_finds_no_memory_then(
    loop: Loop, testcapi: Any, kind: type[Lock | Semaphore], leaves: bool
) -> None:
    """The first, second, third … allocation from there on fails."""

    async def wait(number: int) -> None:
        turn = kind()
        if leaves:
            with contextlib.suppress(MemoryError):
                async with turn:
                    waiting = asyncio.create_task(turn.acquire())
                    await asyncio.sleep(0)
                    testcapi.set_nomemory(number, number + 1)
        else:
            await turn.acquire()
            waiting = asyncio.create_task(turn.acquire())
            await asyncio.sleep(0)
            with contextlib.suppress(MemoryError):
                testcapi.set_nomemory(number, number + 1)
                turn.release()
        testcapi.remove_mem_hooks()
        await asyncio.wait_for(waiting, LONG)

    for number in range(12):
        loop.run_until_complete(wait(number))


def test_a_turn_that_is_not_taken_for_want_of_memory_is_the_next_ones(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait() -> None:
        lock = Lock()
        await lock.acquire()
        first = asyncio.create_task(lock.acquire())
        await asyncio.sleep(0)
        second = asyncio.create_task(lock.acquire())
        await asyncio.sleep(0)
        assert lock._waiters
        lock._waiters[0].set_exception(MemoryError())
        lock.release()
        with pytest.raises(MemoryError):
            await first
        await asyncio.wait_for(second, LONG)

    loop.run_until_complete(wait())


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
            return await asyncio.wait_for(loop.sock_recv(caller, 1), LONG)

    monkeypatch.setattr(loop, "_make_socket_transport", refuse)
    assert loop.run_until_complete(call()) == b""
    assert kept and kept[0].fileno() == -1


@pytest.mark.parametrize(
    "name", "_run_once _start_serving _accept_connection2 _make_socket_transport _read_from_self".split()
)
def test_this_python_has_the_parts_that_are_replaced(name: str) -> None:
    assert hasattr(asyncio.SelectorEventLoop, name)


def test_this_python_wakes_a_loop_by_a_socket(loop: Loop) -> None:
    assert isinstance(loop._csock, socket.socket)  # type: ignore[attr-defined]


def test_this_python_has_the_parts_that_tell_who_waits() -> None:
    assert hasattr(asyncio.Lock, "_wake_up_first") and hasattr(asyncio.Semaphore, "_wake_up_next")
    assert hasattr(asyncio.Event(), "_value")
