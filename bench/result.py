"""What was measured: samples with their median and spread, rows, goals; as JSON and back.

A row is trusted unless other processes or the hypervisor took a part of the machine in each of its repeats, or those
that were not disturbed differ too much: then it is marked as noisy, wherever it is shown.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FOREIGN_LIMIT = 0.06
"""Share of one core that others may use."""
SPREAD_LIMIT = 0.15
"""(highest - lowest) / median."""
PATIENCE = 2
"""Repeats that others disturbed are made again, until there are so many times those asked for."""


@dataclass(slots=True)
class Row:
    """One workload with one driver. `samples` are by the name of what was measured, one for each repeat; `foreign` is
    the share of one core that others took in it. Repeats that were disturbed count only where there are no others."""

    workload: str
    variant: str
    samples: dict[str, list[float]] = field(default_factory=dict)
    foreign: list[float] = field(default_factory=list)

    def add(self, values: Mapping[str, float], foreign: float = 0.0) -> None:
        for name, value in values.items():
            self.samples.setdefault(name, []).append(value)
        self.foreign.append(foreign)

    @property
    def calm(self) -> int:
        """Repeats that nobody disturbed."""
        return sum(share <= FOREIGN_LIMIT for share in self.foreign)

    def values(self, name: str) -> list[float]:
        pairs = zip(self.samples.get(name, []), self.foreign, strict=False)
        return [value for value, share in pairs if share <= FOREIGN_LIMIT or not self.calm]

    def median(self, name: str) -> float | None:
        values = self.values(name)
        return statistics.median(values) if values else None

    def spread(self, name: str) -> float:
        values = self.values(name)
        middle = statistics.median(values)
        return (max(values) - min(values)) / middle if middle else 0.0

    def noisy(self, name: str = "") -> bool:
        return not self.calm or bool(name and name in self.samples and self.spread(name) > SPREAD_LIMIT)


@dataclass(slots=True)
class Goal:
    """`value` against `limit`; `most` says that lower is better."""

    what: str
    value: float
    limit: float
    unit: str
    most: bool
    noisy: bool = False

    @property
    def met(self) -> bool:
        return self.value <= self.limit if self.most else self.value >= self.limit


@dataclass(slots=True)
class Results:
    mode: str
    machine: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)

    @property
    def engine(self) -> str:
        """The engine's generation: 20.10, 29."""
        return ".".join(str(self.machine["engine"]).split()[0].split(".")[:2])

    def row(self, workload: str, variant: str) -> Row:
        """The row, made when missing."""
        found = self.find(workload, variant)
        if found is None:
            found = Row(workload, variant)
            self.rows.append(found)
        return found

    def wanting(self, workload: str, variant: str, repeats: int) -> Iterator[int]:
        """Numbers of the repeats to make, until `repeats` have been calm."""
        for number in range(repeats * PATIENCE):
            row = self.find(workload, variant)
            if row and row.calm >= repeats:
                return
            yield number + 1

    def find(self, workload: str, variant: str) -> Row | None:
        return next((row for row in self.rows if (row.workload, row.variant) == (workload, variant)), None)

    def value(self, workload: str, variant: str, name: str) -> float | None:
        row = self.find(workload, variant)
        return row.median(name) if row else None

    def noisy(self, places: Iterable[tuple[str, str, str]]) -> bool:
        """Whether any (workload, variant, name) cannot be trusted."""
        rows = ((self.find(workload, variant), name) for workload, variant, name in places)
        return any(row is not None and row.noisy(name) for row, name in rows)

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Results:
        found = json.loads(path.read_text())
        rows = [Row(**row) for row in found["rows"]]
        return cls(found["mode"], found["machine"], rows, [Goal(**goal) for goal in found["goals"]])


def machine(engine_version: str) -> dict[str, Any]:
    """Where it was measured. No names of the host."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "cpu": models[0].partition(":")[2].strip() if models else platform.machine(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)),
        "kernel": platform.release().split("-")[0],
        "engine": engine_version,
        "load_before": round(os.getloadavg()[0], 2),
    }
