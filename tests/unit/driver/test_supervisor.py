"""Whatever ends by a fault is noted, and what is to be done again is done again."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from otellogdriver.driver import supervisor as supervisor_module
from otellogdriver.driver.supervisor import Supervisor
from otellogdriver.pool import Result, nothing
from tests.scene import LONG, soon


def fails() -> None:
    raise ValueError("broken")


async def fails_later() -> None:
    fails()


async def test_a_fault_stays_where_it_was_met_and_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    supervisor = Supervisor()
    for _ in range(3):
        supervisor.guard("a thing", fails)
    supervisor.guard("another", fails)
    assert supervisor.faults == 4
    assert [record.message for record in caplog.records] == [
        "a thing failed, tried again: broken",
        "another failed, tried again: broken",
    ]


async def test_kinds_of_faults_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each container on a disk that fails has kinds of its own."""
    monkeypatch.setattr(supervisor_module, "_KINDS", 10)
    supervisor = Supervisor()
    for number in range(35):
        supervisor.note(f"writing for container {number}", OSError("disk"))
    assert supervisor.faults == 35 and len(supervisor._told) <= 10


@pytest.mark.parametrize(("fault", "traced"), [(OSError("disk"), False), (MemoryError(), False), (KeyError("k"), True)])
async def test_only_what_nobody_expects_has_a_traceback(
    fault: Exception, traced: bool, caplog: pytest.LogCaptureFixture
) -> None:
    Supervisor().note("a thing", fault)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR and bool(record.exc_info) is traced
    assert record.exc_info is None or record.exc_info[1] is fault, "of what was met, wherever that was"


async def test_what_is_done_again_is_done_again_after_a_fault() -> None:
    supervisor = Supervisor()
    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        fails()

    supervisor.every(0.001, "a round", call)
    await soon(lambda: len(calls) >= 3)
    supervisor.close()
    done = len(calls)
    await asyncio.sleep(0.01)
    assert len(calls) == done and supervisor.faults == done


async def test_a_task_for_which_there_is_no_memory_never_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where the loop has it already: whoever asked for it asks again."""
    supervisor, loop, ran = Supervisor(), asyncio.get_running_loop(), []
    real = loop.create_task

    def create_task(coroutine: Any, **more: Any) -> asyncio.Task[Any]:
        made.append(real(coroutine, **more))
        raise MemoryError

    async def work() -> None:
        ran.append(1)

    made: list[asyncio.Task[Any]] = []
    with monkeypatch.context() as patched, pytest.raises(MemoryError):
        patched.setattr(loop, "create_task", create_task)
        supervisor.task("a thing", work())
    await asyncio.wait(made)
    assert isinstance(made[0].exception(), RuntimeError) and ran == []
    supervisor.task("a thing", work())
    await soon(lambda: ran == [1])


async def test_a_timer_calls_once_unless_it_is_taken_back() -> None:
    supervisor = Supervisor()
    calls: list[str] = []
    supervisor.cancel(supervisor.later(0.001, "a timer", calls.append, "cancelled"))
    supervisor.later(0.001, "a timer", fails)
    supervisor.later(0.002, "a timer", calls.append, "called")
    await soon(lambda: calls)
    assert calls == ["called"] and supervisor.faults == 1


async def test_tasks_and_work_of_threads_are_seen_to_their_end() -> None:
    supervisor, failed, made = Supervisor(), Result[None](), Result[None]()
    supervisor.task("a task", fails_later())
    await soon(lambda: supervisor.faults == 1)
    supervisor.watch("work", failed)
    supervisor.watch("work", made)
    failed.make(fails)
    made.make(nothing)
    assert supervisor.faults == 2


async def test_the_end_cancels_what_runs() -> None:
    supervisor, ended = Supervisor(), asyncio.Event()

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    supervisor.task("a task", waits())
    await asyncio.sleep(0)
    supervisor.close()
    await asyncio.wait_for(ended.wait(), LONG)
    assert supervisor.faults == 0
