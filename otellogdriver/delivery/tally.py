"""What became of one destination's requests: counts, durations, bytes. Filled by its pump, read by the metrics."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

LATENCY_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds in seconds of the request durations counted."""


@dataclass(slots=True)
class Tally:
    """`durations[i]` counts the requests up to LATENCY_BOUNDS[i] seconds, the last one all longer ones."""

    outcomes: dict[str, int] = field(default_factory=dict)
    durations: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))
    seconds: float = 0.0
    sent_bytes: int = 0
    in_flight: int = 0

    def count(self, outcome: str) -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def observe(self, seconds: float) -> None:
        self.durations[bisect_left(LATENCY_BOUNDS, seconds)] += 1
        self.seconds += seconds
