"""Work in another thread: once, or not at all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from otellogdriver.delivery.offloop import off_loop


class Short(ThreadPoolExecutor):
    """Takes work in, and then finds no thread for it, as the real one does."""

    def __init__(self) -> None:
        super().__init__(1)
        self.kept: list[Callable[[], object]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.kept.append(fn)
        raise RuntimeError("can't start new thread")


async def test_the_result_or_what_was_raised() -> None:
    def fail() -> None:
        raise MemoryError("none left")

    with ThreadPoolExecutor(1) as executor:
        assert await off_loop(executor, lambda: threading.current_thread().name != "MainThread")
        with pytest.raises(MemoryError, match="none left"):
            await off_loop(executor, fail)


async def test_what_found_no_thread_is_never_done_later() -> None:
    executor, done = Short(), []
    with pytest.raises(RuntimeError, match="new thread"):
        await off_loop(executor, lambda: done.append(1))
    for work in executor.kept:
        work()  # a thread has become free
    await asyncio.sleep(0)
    assert done == []


async def test_what_a_free_thread_has_begun_counts_though_no_new_one_was_found() -> None:
    class Busy(Short):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            fn()
            return super().submit(fn)

    executor, done = Busy(), []
    await off_loop(executor, lambda: done.append(1))
    assert done == [1]
