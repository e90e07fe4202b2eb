"""What a session gives up: its oldest lines by `drop-oldest`, and what is kept for a mirror alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from otellogdriver.driver.limits import Limits
from otellogdriver.driver.supervisor import Supervisor

LIMIT = 1600


class Scene:
    """A session of 10,000 bytes, delivered up to `main` and `mirror`, and a room with so much to give up. `under_way`:
    bytes after that which are just being sent."""

    def __init__(self, policy: str, main: int, mirror: int | None = None, under_way: int = 0) -> None:
        self.under_way = under_way
        self.skipped: list[tuple[str, int, bool]] = []
        self.short = False
        self.over = self.over_of_mirrors = 0
        self.stream = Named(end=10_000, waiting=10_000 - main, undelivered=10_000 - min(main, mirror or main))
        places = {"main": main} if mirror is None else {"main": main, "mirror": mirror}
        self.session: Any = Named(
            stream=self.stream,
            settings=Named(journal_full=policy, journal_max_size=LIMIT),
            feeds=[(self._pump(role), self._feed(at)) for role, at in places.items()],
            weight=10_000 - main,
        )
        room: Any = self
        self.limits = Limits(room, Supervisor())

    def claim(self, weight: int) -> int:
        self.claimed = min(self.over, weight)
        return self.claimed

    def claim_of_mirror(self, kept: int) -> int:
        return min(self.over_of_mirrors, kept)

    async def keep(self) -> list[tuple[str, int, bool]]:
        self.limits.keep(self.session)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return self.skipped

    def _feed(self, at: int) -> Any:
        offset = at + self.under_way
        return Named(delivered=at, offset=offset, unfinished=offset < 10_000, stream=Named(directory="stream"))

    def _pump(self, role: str) -> Any:
        async def skip(_: object, to: int, spares_one: bool) -> None:
            self.skipped.append((role, to, spares_one))

        return Named(skip=skip)


class Named:
    """Something with these attributes."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


@pytest.mark.parametrize("policy", ["block", "drop-newest"])
async def test_other_policies_give_up_nothing_here(policy: str) -> None:
    scene = Scene(policy, 1000)
    scene.over = 5000
    assert await scene.keep() == []


async def test_beyond_the_limit_the_oldest_go_and_a_little_more() -> None:
    assert await Scene("drop-oldest", 8400).keep() == []
    assert await Scene("drop-oldest", 7400).keep() == [("main", 7400 + 1000 + LIMIT // 16, True)]


async def test_for_the_others_sake_more_goes_and_one_long_line_is_not_spared() -> None:
    scene = Scene("drop-oldest", 9000)
    scene.over = 600
    assert await scene.keep() == [("main", 9600, False)]


@pytest.mark.parametrize("policy", ["block", "drop-newest", "drop-oldest"])
async def test_a_mirror_that_is_too_far_behind_gets_a_gap_under_each_policy(policy: str) -> None:
    assert await Scene(policy, 10_000, 8400).keep() == []
    assert await Scene(policy, 10_000, 5000).keep() == [("mirror", 10_000 - LIMIT + LIMIT // 16, False)]
    assert await Scene(policy, 6000, 10_000).keep() == ([("main", 8500, True)] if policy == "drop-oldest" else [])


async def test_a_mirror_gives_up_what_the_main_destination_has() -> None:
    scene = Scene("block", 6000, 5500)
    scene.over_of_mirrors = 5000
    assert await scene.keep() == [("mirror", 6000, False)]


@pytest.mark.parametrize(
    ("policy", "main", "mirror", "helps"),
    [("block", 1, None, False), ("drop-oldest", 1, None, True), ("block", 10_000, 1, True)],
)
async def test_only_what_may_go_makes_room(policy: str, main: int, mirror: int | None, helps: bool) -> None:
    scene = Scene(policy, main, mirror)
    assert not scene.limits.may_need(scene.session)
    scene.short = True
    assert scene.limits.may_need(scene.session) is helps


async def test_what_is_under_way_claims_nothing_of_what_others_can_give() -> None:
    scene = Scene("drop-oldest", 9000, under_way=1000)
    scene.over = 300
    assert await scene.keep() == [] and scene.claimed == 0
    scene = Scene("drop-oldest", 9000, under_way=600)
    scene.over = 300
    assert await scene.keep() == [("main", 9900, False)] and scene.claimed == 300
