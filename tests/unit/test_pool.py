"""Threads for slow work: all of it is done, in order where that is asked for, also where threads are scarce."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any, TypeVar

import pytest

from otellogdriver import pool as pool_module
from otellogdriver.pool import Pool, Result, Thread, in_thread
from tests.scene import until

START = "_start_joinable_thread" if hasattr(threading, "_start_joinable_thread") else "_start_new_thread"
"""The interpreter's own call, by the name it has had since Python 3.13 and before."""


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool(3, "test")
    yield made
    made.shutdown()


T = TypeVar("T")


def value(result: Result[T]) -> T:
    until(lambda: result.is_done)
    return result.value


def test_results_and_exceptions_come_back(pool: Pool) -> None:
    assert value(pool.submit(pow, 2, 10)) == 1024
    with pytest.raises(ZeroDivisionError):
        value(pool.submit(divmod, 1, 0))


async def test_results_and_exceptions_are_awaited(pool: Pool) -> None:
    assert await pool.submit(pow, 2, 10).awaited() == 1024
    with pytest.raises(ZeroDivisionError):
        await pool.submit(divmod, 1, 0).awaited()


@pytest.mark.parametrize("is_done", [True, False])
def test_whoever_asks_is_told_once(pool: Pool, is_done: bool) -> None:
    go, told = threading.Event(), deque[int]()
    result = pool.submit(go.wait, 20)
    if is_done:
        go.set()
        until(lambda: result.is_done)
    for number in range(3):
        result.then(lambda _, number=number: told.append(number))  # type: ignore[misc]
    go.set()
    until(lambda: len(told) == 3)
    assert list(told) == [0, 1, 2]


async def test_whoever_finds_no_memory_to_wait_goes_on_when_the_thread_is_done(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not while it works on what both of them have."""
    real, failed, done = Result.awaited, deque[int](), list[int]()

    def awaited(result: Result[Any]) -> asyncio.Future[Any]:
        if len(failed) < 3:
            failed.append(1)
            raise MemoryError
        return real(result)

    def work() -> int:
        until(lambda: len(failed) == 3)
        done.append(1)
        return 7

    monkeypatch.setattr(Result, "awaited", awaited)
    assert await pool.ended(work) == 7 and done == [1]
    with pytest.raises(ZeroDivisionError):
        await pool.ended(lambda: divmod(1, 0))


def test_work_is_made_or_refused_whatever_finds_no_memory(testcapi: Any) -> None:
    """The first, second, third … allocation fails. Whoever is refused undoes what a thread must not find undone."""
    pool, refused = Pool(1, "test"), 0
    value(pool.submit(pow, 1, 1))
    for number in range(60):
        made, result = list[int](), None
        try:
            testcapi.set_nomemory(number, number + 1)
            result = pool.submit(made.append, 1)
        except MemoryError:
            refused += 1
        finally:
            testcapi.remove_mem_hooks()
        value(pool.submit(pow, 1, 1))
        assert made == ([] if result is None else [1]), number
    pool.shutdown()
    assert refused > 2


def test_work_with_one_key_is_done_in_order_and_beside_others(pool: Pool) -> None:
    go = threading.Event()
    seen: list[int] = []
    held = pool.in_order("a", go.wait, 20)
    later = [pool.in_order("a", seen.append, number) for number in range(50)]
    assert value(pool.in_order("b", pow, 2, 3)) == 8
    assert seen == [] and not held.is_done
    go.set()
    for future in later:
        value(future)
    assert seen == [*range(50)]


def test_a_failure_does_not_hold_up_what_comes_after_it(pool: Pool) -> None:
    broken = pool.in_order("a", divmod, 1, 0)
    after = pool.in_order("a", pow, 2, 3)
    assert value(after) == 8
    assert isinstance(broken.error, ZeroDivisionError)


def test_work_waits_for_threads_that_cannot_be_had(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        future = pool.submit(pow, 2, 3)
        pool.start_missing()
        assert not future.is_done
    pool.start_missing()
    assert value(future) == 8


def no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_work_that_finds_no_memory_keeps_no_later_work_from_its_turn(pool: Pool) -> None:
    class Full(SimpleQueue[Any]):
        def put(self, *_: object) -> None:
            raise MemoryError

    there, pool._waiting = pool._waiting, Full()
    with pytest.raises(MemoryError):
        pool.in_order("a", pow, 1, 1)
    pool._waiting = there
    assert value(pool.in_order("a", pow, 2, 3)) == 8


def test_whoever_is_to_be_told_is_told_again_where_that_meets_a_lack_of_memory(pool: Pool) -> None:
    go, told = threading.Event(), threading.Event()
    tries: list[int] = []

    def tell(future: Any) -> None:
        tries.append(future.value)
        if len(tries) < 3:
            raise MemoryError
        told.set()

    pool.submit(go.wait, 20)
    future = pool.in_order("a", go.wait, 20)
    future.then(tell)
    go.set()
    assert told.wait(20) and tries == [True] * 3


def test_an_error_goes_with_who_asked_for_it(pool: Pool) -> None:
    """Not when the garbage collector looks: what its frames hold may be what others wait for."""

    class Held:
        pass

    def fail() -> None:
        held = Held()
        kept.append(weakref.ref(held))
        raise ZeroDivisionError

    kept: list[weakref.ref[Held]] = []
    gc.collect()
    gc.disable()
    try:
        results = [pool.submit(fail)]
        until(lambda: results[0].is_done)
        assert isinstance(results.pop().error, ZeroDivisionError)
        until(lambda: kept[0]() is None)
    finally:
        gc.enable()


def test_what_a_thread_has_taken_is_done_where_memory_is_short_at_first(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what comes after it with the same key."""
    real, failed = Result.make, deque[int]()

    def make(result: Result[Any], call: Any) -> None:
        if len(failed) < 2:
            failed.append(1)
            raise MemoryError
        real(result, call)

    monkeypatch.setattr(Result, "make", make)
    first, second = pool.in_order("a", pow, 2, 3), pool.in_order("a", pow, 2, 4)
    assert (value(first), value(second), len(failed)) == (8, 16, 2)


def test_who_cannot_be_told_holds_up_nobody(pool: Pool) -> None:
    go = threading.Event()
    first, second = pool.in_order("a", go.wait, 20), pool.in_order("a", pow, 2, 4)
    first.then(lambda _: divmod(1, 0))
    go.set()
    assert value(second) == 16


@pytest.mark.parametrize("there_are_threads", [True, False])
async def test_one_call_in_a_thread_of_its_own(there_are_threads: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not there_are_threads:
        monkeypatch.setattr(threading.Thread, "start", no_thread)
    name = await in_thread(lambda: threading.current_thread().name, "alone")
    assert (name == "alone") is there_are_threads
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: divmod(1, 0), "alone")


async def test_who_waits_for_a_call_in_a_thread_may_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[object] = []
    monkeypatch.setattr(threading, "excepthook", said.append)
    go = threading.Event()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(in_thread(lambda: go.wait(20), "left"), 0.01)
    go.set()
    until(lambda: not any(thread.name == "left" for thread in threading.enumerate()))
    assert said == []


def test_no_more_threads_than_allowed_and_none_after_the_end() -> None:
    pool, go = Pool(2, "counted"), threading.Event()
    for _ in range(10):
        pool.submit(go.wait, 20)
    until(lambda: sum(thread.name == "counted" for thread in threading.enumerate()) == 2)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="ended"):
        pool.submit(pow, 1, 1)
    go.set()
    until(lambda: not any(thread.name == "counted" for thread in threading.enumerate()))


def test_no_more_threads_than_there_is_work() -> None:
    pool, go = Pool(4, "few"), threading.Event()

    def threads() -> int:
        return sum(thread.name == "few" for thread in threading.enumerate())

    for _ in range(3):
        pool.in_order("a", go.wait, 20)
    assert threads() == 1
    pool.submit(go.wait, 20)
    assert threads() == 2
    go.set()
    until(lambda: pool._given == 0)
    assert value(pool.submit(pow, 2, 3)) == 8 and threads() == 2
    pool.shutdown()
    until(lambda: threads() == 0)


def test_a_thread_that_dies_before_it_begins_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory is short a thread may end before its first line; the standard library waits for it for good."""
    monkeypatch.setattr(pool_module, "_BEGINS_WITHIN", 0.1)
    monkeypatch.setattr(Thread, "_barred_until", 0.0)
    ran: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(threading, START, lambda *_, **__: 0)
        thread = Thread(lambda: ran.append("never"), "short-lived")
        with pytest.raises(MemoryError):
            thread.start()
    thread.run()  # should it come to life after all, somebody else does its work by now
    assert ran == [] and not thread.is_alive()


@pytest.mark.parametrize("step", ["_bootstrap", "_set_ident"], ids=["before its first line", "within the library's"])
def test_a_thread_that_begins_too_late_ends_without_a_word(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    monkeypatch.setattr(pool_module, "_BEGINS_WITHIN", 0.05)
    monkeypatch.setattr(Thread, "_barred_until", 0.0)
    said: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    monkeypatch.setattr(threading, "excepthook", said.append)
    go, ran, ended = threading.Event(), [], threading.Event()
    begin, goes_on = Thread._bootstrap, getattr(Thread, step)  # type: ignore[attr-defined]

    def late(self: Thread) -> None:
        go.wait(20)
        goes_on(self)

    def whole(self: Thread) -> None:
        begin(self) if step != "_bootstrap" else late(self)
        ended.set()

    monkeypatch.setattr(Thread, step, late)
    monkeypatch.setattr(Thread, "_bootstrap", whole)
    thread = Thread(lambda: ran.append("never"), "late")
    with pytest.raises(MemoryError):
        thread.start()
    go.set()
    assert ended.wait(20)
    assert said == [] and ran == [] and thread not in threading.enumerate()


def test_a_pool_goes_on_when_a_thread_died_before_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_BEGINS_WITHIN", 0.1)
    monkeypatch.setattr(Thread, "_barred_until", 0.0)
    pool = Pool(1, "test")
    with monkeypatch.context() as patched:
        patched.setattr(threading, START, lambda *_, **__: 0)
        future = pool.submit(lambda: 7)

    def done() -> bool:
        pool.start_missing()
        return future.is_done

    until(done)
    assert future.value == 7
    pool.shutdown()


def test_a_thread_that_has_ended_keeps_nothing() -> None:
    """Else it and whom its work belongs to would wait for the garbage collector, for one has the other."""

    class Owner:
        def __init__(self) -> None:
            self.thread = Thread(self.work, "owner")

        def work(self) -> None:
            pass

    owner = Owner()
    owner.thread.start()
    owner.thread.join(20)
    freed = weakref.ref(owner)
    gc.disable()
    try:
        del owner
        assert freed() is None
    finally:
        gc.enable()
