"""What is counted of a feed. The feed counts what it takes, skips and settles, `fates.py` what is delivered or refused;
the metrics read, from any thread. Each line in `passed` has one fate: their sum is `delivered`, all of `given_up`, all
of `excluded` and what is under way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import add
from typing import NamedTuple

from otellogdriver.codec.contract import Encoded


class Passed(NamedTuple):
    """What lies before a feed's offset. Lists are [stdout, stderr]; they are replaced, never changed."""

    lines: list[int]
    bytes: list[int]
    damaged_bytes: int


@dataclass(slots=True)
class Counters:
    """See the module's text. Where a part is put back, `passed` goes back, and nothing else."""

    passed: Passed = field(default_factory=lambda: Passed([0, 0], [0, 0], 0))
    records: int = 0
    """Records that have their fate."""
    severities: Sequence[int] = ()
    """How many of them have a severity, as `Encoded` has it."""
    delivered: int = 0
    excluded: dict[str, int] = field(default_factory=dict)
    """Reason -> lines that the options leave out. They count when their part is settled: until then it may be put back,
    and given up."""
    given_up: dict[str, int] = field(default_factory=dict)
    """Reason -> lines."""
    _most: Passed | None = None
    """What was passed before a part was put back: its lines come again, and what was reported must not fall."""

    def reported(self) -> Passed:
        """`passed` as it never falls."""
        now, most = self.passed, self._most
        if most is None:
            return now
        return Passed(
            [max(pair) for pair in zip(now.lines, most.lines, strict=True)],
            [max(pair) for pair in zip(now.bytes, most.bytes, strict=True)],
            max(now.damaged_bytes, most.damaged_bytes),
        )

    def after(self, done: Sequence[Encoded], lost: int) -> tuple[Passed, Sequence[int], Mapping[str, int]]:
        """What will be passed after these, of which `lost` bytes are missing; their severities, and the lines excluded
        among them. Changes nothing."""
        lines, sizes, damaged = self.passed
        damaged += lost
        severities: Sequence[int] = ()
        excluded: dict[str, int] = {}
        for encoded in done:
            lines = [lines[0] + encoded.lines[0], lines[1] + encoded.lines[1]]
            sizes = [sizes[0] + encoded.bytes[0], sizes[1] + encoded.bytes[1]]
            damaged += encoded.skipped
            if encoded.excluded:
                _add(excluded, encoded.excluded)
            if encoded.severities:
                severities = _sums(severities, encoded.severities)
        return Passed(lines, sizes, damaged), severities, excluded

    def settle(self, records: int, severities: Sequence[int], excluded: Mapping[str, int]) -> None:
        """Records that were taken have their fate, whichever it is. If this raises, nothing has changed."""
        total = self.records + records
        all_severities = _sums(self.severities, severities) if severities else self.severities
        all_excluded = self.excluded
        if excluded:
            all_excluded = dict(all_excluded)
            _add(all_excluded, excluded)
        self.records, self.severities, self.excluded = total, all_severities, all_excluded

    def go_back(self, passed: Passed) -> None:
        """What has been passed since comes again."""
        self._most = self.reported()
        self.passed = passed

    def skip(self, damaged: int, lines: tuple[int, int] = (0, 0), reason: str = "") -> None:
        """Pass damaged bytes, and lines that are given up without being taken."""
        passed = self.passed
        self.passed = Passed(
            [passed.lines[0] + lines[0], passed.lines[1] + lines[1]], passed.bytes, passed.damaged_bytes + damaged
        )
        self.give_up(reason, sum(lines))

    def give_up(self, reason: str, lines: int) -> None:
        """Give up lines that have been passed."""
        if lines:
            _add(self.given_up, {reason: lines})


def _add(counts: dict[str, int], more: Mapping[str, int]) -> None:
    for reason, lines in more.items():
        counts[reason] = counts.get(reason, 0) + lines


def _sums(counts: Sequence[int], more: Sequence[int]) -> Sequence[int]:
    return tuple(map(add, counts, more)) if counts and more else counts or more
