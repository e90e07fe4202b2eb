"""Counts of requests."""

from __future__ import annotations

from otellogdriver.delivery.tally import LATENCY_BOUNDS, Tally


def test_outcomes_and_durations_are_counted() -> None:
    tally = Tally()
    for outcome in ("delivered", "timeout", "delivered"):
        tally.count(outcome)
    assert tally.outcomes == {"delivered": 2, "timeout": 1}
    for seconds in (0.001, LATENCY_BOUNDS[0], 0.3, 1000.0):
        tally.observe(seconds)
    assert sum(tally.durations) == 4 and tally.durations[0] == 2 and tally.durations[-1] == 1
    assert tally.durations[LATENCY_BOUNDS.index(0.5)] == 1
    assert tally.seconds == 0.001 + LATENCY_BOUNDS[0] + 0.3 + 1000.0
