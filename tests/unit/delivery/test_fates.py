"""What becomes of records by an answer: by a client that does as it is told."""

from __future__ import annotations

from otellogdriver.export.outcome import Delivered, Outcome, Refused, Unread
from tests.fakes.received import count_records
from tests.scene import lines
from tests.unit.delivery.accounting import fates
from tests.unit.delivery.pump_scene import MARK, Scene, answering, marked


async def test_partial_success_is_shared_out_and_never_more_than_was_sent(scene: Scene) -> None:
    answers = [Delivered(rejected=150, message="some"), Delivered(rejected=10_000, message="more"), Delivered()]

    async def answer(_: bytes) -> Outcome:
        return answers.pop(0)

    scene.start(answer)
    for name in ("a", "b"):
        scene.feed(name)
    for begin in (0, 100, 200):
        for name in scene.feeds:
            scene.write(name, lines(begin, begin + 100))
        await scene.settled()
    counters = [scene.feeds[name].counters for name in ("a", "b")]
    assert sum(each.given_up["rejected"] for each in counters) == 350
    assert sum(each.delivered for each in counters) == 600 - 350


async def test_partial_success_within_what_is_taken_apart_is_counted(scene: Scene) -> None:
    async def answer(body: bytes) -> Outcome:
        return Refused("bad") if MARK in body else Delivered(rejected=1)

    client = scene.start(answer)
    for name in ("a", "b"):
        scene.feed(name)
    scene.write("a", lines(0, 10))
    scene.write("b", marked(0, 8, {3}))
    await scene.settled()
    b = fates(scene.feeds["b"])
    pieces = sum("b".ljust(64, "0") in count_records(body) and MARK not in body for body in client.bodies)
    assert b["refused"] == 1 and b["rejected"] == pieces and b["delivered"] == 7 - pieces
    assert fates(scene.feeds["a"])["rejected"] == 1


async def test_an_answer_that_is_too_long_is_an_error_that_is_not_tried_again(scene: Scene) -> None:
    client = scene.start(answering(lambda body: Unread("longer than 4 MiB")))
    scene.feed("a")
    scene.write("a", marked(0, 10, {3}))
    await scene.settled()
    assert scene.feeds["a"].counters.given_up == {"unread": 10} and len(client.bodies) == 1
    assert scene.pump.tally.outcomes == {"unread": 1}
