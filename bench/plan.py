"""How much is measured: quick (a few minutes), default (under ten), full (when the figures are to be published)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """`repeats` of each throughput row with `lines` of 150 bytes (as many bytes of others); `backlog` in bytes."""

    name: str
    repeats: int
    lines: int
    backlog: int
    outages: int
    starts: int
    seconds: float
    """Of latency, idling and spreading, each."""
    small_containers: int = 100
    idle_containers: int = 500
    spread: tuple[int, ...] = (1, 10, 100, 1000)
    spread_rate: int = 100_000

    def lines_of(self, length: int) -> int:
        """As many lines of `length` as are worth the same time, about: longer lines cost less a byte."""
        return max(self.lines // 40, self.lines * 400 // (length + 250))


QUICK = Plan("quick", repeats=1, lines=1_200_000, backlog=256 << 20, outages=1, starts=5, seconds=5.0)
DEFAULT = Plan("default", repeats=3, lines=2_000_000, backlog=512 << 20, outages=2, starts=10, seconds=10.0)
FULL = Plan("full", repeats=7, lines=4_000_000, backlog=2 << 30, outages=3, starts=30, seconds=30.0)
