"""Work that the event loop has done in another thread: done once, or not at all, and then an exception says so.

In: an executor and a function. Out: the function's result. An executor that cannot start a thread raises, but may keep
the function and run it when another of its threads is free. Then nobody would wait for the result, and the caller would
have the same done a second time. So a function that was not begun when the executor raised is never begun.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, cast

T = TypeVar("T")


async def off_loop(executor: Executor, work: Callable[[], T]) -> T:
    """The result of `work`, or what it raised. Raises RuntimeError if there is no thread for it. A caller that is
    cancelled while it waits leaves the work to end by itself."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    begun = threading.Lock()

    def end(result: T | None, fault: BaseException | None) -> None:
        if done.done():
            return  # the caller was cancelled
        if fault is not None:
            done.set_exception(fault)
        else:
            done.set_result(cast(T, result))

    def run() -> None:
        if not begun.acquire(blocking=False):
            return
        result, fault = None, None
        try:
            result = work()
        except BaseException as error:  # whatever it is, the caller must hear of it
            fault = error
        try:
            loop.call_soon_threadsafe(end, result, fault)
        except RuntimeError:
            pass  # the loop is closed: nobody waits any more

    try:
        executor.submit(run)
    except RuntimeError:
        if begun.acquire(blocking=False):
            raise
    return await done
