"""The table of a run: phase × call × errno, with what was tried and what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.anomalies.trial import Outcome

HEAD = ("phase", "call", "errno", "tried", "lost", "given up", "twice", "slowest call", "whole after", "broken")


@dataclass
class Row:
    """What all injections of one error into one call in one phase came to. Times in seconds."""

    phase: str
    call: str
    errno: str
    tried: int = 0
    lost: int = 0
    dropped: int = 0
    twice: int = 0
    slowest: float = 0.0
    slowest_call: str = ""
    whole: float = 0.0
    broken: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.tried += 1
        self.lost += outcome.lost
        self.dropped += outcome.dropped
        self.twice += outcome.twice
        self.whole = max(self.whole, outcome.whole)
        if outcome.slowest > self.slowest:
            self.slowest, self.slowest_call = outcome.slowest, outcome.slowest_call
        self.broken += [f"{outcome.injection.when}: {text}" for text in outcome.broken]

    def cells(self) -> tuple[str, ...]:
        counts = (self.tried, self.lost, self.dropped, self.twice)
        slowest = f"{self.slowest:.2f} s {self.slowest_call.removeprefix('LogDriver.')}"
        broken = f"{len(self.broken)}: {self.broken[0]}"[:100] if self.broken else ""
        return (self.phase, self.call, self.errno, *map(str, counts), slowest, f"{self.whole:.2f} s", broken)


def rows(outcomes: Iterable[Outcome]) -> list[Row]:
    """Those injections count that struck: a call that was not made could not fail."""
    found: dict[tuple[str, str, str], Row] = {}
    for outcome in outcomes:
        if outcome.struck or outcome.broken:
            key = outcome.phase, outcome.injection.call, outcome.injection.errno
            found.setdefault(key, Row(*key)).add(outcome)
    return list(found.values())


def write(folder: Path, outcomes: list[Outcome]) -> str:
    """anomalies.txt and anomalies.json in `folder`; the text."""
    made = rows(outcomes)
    cells = [HEAD, *(row.cells() for row in made)]
    widths = [max(len(each[column]) for each in cells) for column in range(len(HEAD))]
    lines = [
        "  ".join(
            cell.rjust(width) if 3 <= column <= 6 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(each, widths, strict=True))
        ).rstrip()
        for each in cells
    ]
    total = (
        f"{sum(row.tried for row in made)} injections, {sum(row.lost for row in made)} lines without a fate, "
        f"{sum(bool(outcome.broken) for outcome in outcomes)} injections after which a promise was not kept, "
        f"{sum(outcome.crashed for outcome in outcomes)} crashes of the interpreter"
    )
    text = "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:], total]) + "\n"
    folder.mkdir(exist_ok=True)
    (folder / "anomalies.txt").write_text(text)
    data = {"total": total, "rows": [asdict(row) for row in made]}
    (folder / "anomalies.json").write_text(json.dumps(data, indent=1) + "\n")
    return text
