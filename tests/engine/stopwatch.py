"""How long docker commands take, by command and by what they are measured under."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field

from plugin.engine import Engine

LONGEST = 2.0
"""Seconds that no docker command may take."""
REFERENCE = "json-file"
RATIO, NOISE = 1.5, 0.05
"""How many times as long as with json-file a command may take, and the seconds that a process start varies by."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One command: its first word, how long it took, and under which fault (or REFERENCE)."""

    command: str
    seconds: float
    under: str


@dataclass
class Stopwatch:
    """Runs docker commands and keeps their times."""

    engine: Engine
    timings: list[Timing] = field(default_factory=list)

    def docker(self, under: str, *args: str) -> str:
        began = time.monotonic()
        said = self.engine.docker(*args, timeout=60)
        self.timings.append(Timing(args[0], time.monotonic() - began, under))
        return said

    def slowest(self, under: str | None = None) -> Timing:
        """The slowest command under a fault, or under any."""
        found = [
            timing for timing in self.timings if timing.under == under or (not under and timing.under != REFERENCE)
        ]
        return max(found, key=lambda timing: timing.seconds)

    def limit(self) -> float:
        """What the slowest command may take: more only where the machine keeps json-file waiting, too."""
        reference = [timing.seconds for timing in self.timings if timing.under == REFERENCE]
        return max(LONGEST, 2 * max(reference, default=0.0))

    def medians(self) -> dict[str, tuple[float, float]]:
        """Command -> (median under faults, median with json-file), for commands measured with both."""
        found: dict[str, tuple[list[float], list[float]]] = {}
        for timing in self.timings:
            found.setdefault(timing.command, ([], []))[timing.under == REFERENCE].append(timing.seconds)
        return {
            command: (statistics.median(ours), statistics.median(theirs))
            for command, (ours, theirs) in found.items()
            if ours and theirs
        }

    def check(self) -> None:
        """Fail if a command is slower than it may be."""
        slowest = self.slowest()
        assert slowest.seconds <= self.limit(), f"{slowest}; at most {self.limit():.2f} s"
        for command, (ours, theirs) in self.medians().items():
            assert ours <= RATIO * theirs + NOISE, f"docker {command}: {ours:.3f} s, with json-file {theirs:.3f} s"
