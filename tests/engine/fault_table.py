"""The one table that a run of the fault tests ends with: a row for each fault, what was sent and what became of it.

`lost` is what is neither there nor counted by the driver as given up: it has to be 0 in every row.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.engine.stopwatch import Timing

HEAD = ("fault", "sent", "received", "lost", "twice", "given up", "slowest docker command", "")


@dataclass(frozen=True)
class Row:
    """One fault. `received` counts different lines, `duplicated` those that came again. `in_engine` are lines that died
    with an engine that was killed: it had read them and not yet passed them on."""

    fault: str
    sent: int
    received: int
    duplicated: int = 0
    dropped: int = 0
    slowest: Timing | None = None
    note: str = ""
    in_engine: int = 0

    @property
    def lost(self) -> int:
        return self.sent - self.received - self.dropped - self.in_engine

    def cells(self) -> tuple[str, ...]:
        numbers = (self.sent, self.received, self.lost, self.duplicated, self.dropped)
        slowest = f"{self.slowest.command} {self.slowest.seconds:.2f} s" if self.slowest else ""
        return (self.fault, *(f"{number:,}" for number in numbers), slowest, self.note)


@dataclass
class FaultTable:
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Add a row, and fail the test if lines were lost."""
        self.rows.append(row)
        assert row.lost == 0, f"{row.fault}: {row.lost} of {row.sent} lines lost"

    def extend(self, other: FaultTable) -> None:
        """Take over what another process has found."""
        self.rows += other.rows
        self.notes += other.notes

    def text(self) -> str:
        table = [HEAD, *(row.cells() for row in self.rows)]
        widths = [max(len(cells[column]) for cells in table) for column in range(len(HEAD))]
        lines = []
        for cells in table:
            shown = [
                cell.rjust(width) if 0 < column < 6 else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
            ]
            lines.append("  ".join(shown).rstrip())
        lines.insert(1, "-" * max(len(line) for line in lines))
        return "\n".join([*lines, *self.notes]) + "\n"

    def write(self, folder: Path, name: str = "faults") -> None:
        """The table as `faults.txt` and `faults.json`."""
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.txt").write_text(self.text())
        rows = [{**asdict(row), "lost": row.lost} for row in self.rows]
        (folder / f"{name}.json").write_text(json.dumps({"rows": rows, "notes": self.notes}, indent=1) + "\n")
