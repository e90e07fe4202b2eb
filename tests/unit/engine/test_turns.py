"""Turns on the event loop: few in each of its rounds, in order, whoever leaves."""

from __future__ import annotations

import asyncio

from otellogdriver.engine.turns import MOST, Turns
from tests.scene import LONG


async def test_a_round_of_the_loop_has_few_turns_in_order() -> None:
    turns, taken = Turns(), []

    async def take(number: int) -> None:
        await turns.take()
        taken.append(number)

    tasks = [asyncio.ensure_future(take(number)) for number in range(5 * MOST)]
    seen = [0]
    while len(taken) < len(tasks):
        await asyncio.sleep(0)
        assert len(taken) - seen[-1] <= MOST
        seen.append(len(taken))
    assert taken == list(range(5 * MOST)) and len(seen) > 5


async def test_who_leaves_takes_nobody_s_turn() -> None:
    turns, taken = Turns(), []

    async def take(number: int) -> None:
        await turns.take()
        taken.append(number)

    tasks = [asyncio.ensure_future(take(number)) for number in range(3 * MOST)]
    await asyncio.sleep(0)
    for task in tasks[MOST : 2 * MOST]:
        task.cancel()
    await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), LONG)
    assert taken == [*range(MOST), *range(2 * MOST, 3 * MOST)]
