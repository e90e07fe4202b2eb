"""Which records a rate limit lets through: by their own times, whatever order those come in."""

from __future__ import annotations

from collections.abc import Sequence

from otellogdriver.codec.contract import BOTH, Line
from otellogdriver.lines.selection import SECOND, Selection, Used

START = 1_763_980_000 * SECOND


def let_through(seconds: Sequence[float], rate: int = 1, burst: int = 1) -> list[float]:
    """The times of the records that stay."""
    selection = Selection(BOTH, "", "", rate, burst)
    lines: list[Line] = [(0, START + int(second * SECOND), 1, b"x") for second in seconds]
    kept, _, _ = selection.apply(lines, Used())
    return [seconds[index] for index in kept]


def test_a_record_a_second() -> None:
    assert let_through([0, 0.5, 1, 1.5, 2]) == [0, 1, 2]


def test_times_that_go_to_and_fro_credit_no_time_twice() -> None:
    assert len(let_through([0, *(2 - place % 2 for place in range(100))])) == 2


def test_a_clock_that_is_set_back_does_not_stop_the_lines() -> None:
    assert let_through([3600, 0, 0, 1, 2]) == [3600, 1, 2]
