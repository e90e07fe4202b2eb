"""A clock that jumps dates nothing wrongly, and deletes nothing."""

from __future__ import annotations

from otellogdriver.journal.age import STEADY, Clock, Jump


class Times:
    """Two clocks that a test moves."""

    def __init__(self, wall: float) -> None:
        self.wall, self.boot = wall, 5.0
        self.clock = Clock(lambda: self.wall, lambda: self.boot)

    def go(self, seconds: float, jump: float = 0.0) -> Jump | None:
        self.wall += seconds + jump
        self.boot += seconds
        return self.clock.look()


def test_a_clock_is_steady_after_a_while() -> None:
    times = Times(1e9)
    assert times.go(STEADY - 1) is None and not times.clock.is_steady
    assert times.go(1.0, jump=0.5) is None  # slewed
    assert times.clock.is_steady and times.clock.now == times.wall


def test_a_jump_is_reported_once_and_the_clock_is_not_trusted_for_a_while() -> None:
    times = Times(60.0)
    times.go(STEADY)
    assert times.go(10, jump=1.7e9) == Jump(60.0, 60.0 + STEADY + 10, 1.7e9)
    assert not times.clock.is_steady
    assert times.go(10) is None and not times.clock.is_steady
    times.go(STEADY)
    assert times.clock.is_steady


def test_a_clock_that_is_set_back_has_jumped_too() -> None:
    times = Times(1e9)
    jump = times.go(60, jump=-3600)
    assert jump == Jump(1e9, 1e9 + 60, -3600) and not times.clock.is_steady


def test_a_host_that_slept_has_the_right_time() -> None:
    times = Times(1e9)
    assert times.go(7 * 86400) is None and times.clock.is_steady
