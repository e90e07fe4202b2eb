"""The results as text of the documentation: a section of README.md, and the tables of docs/BENCHMARK.md.

Both are written between markers; what is around them is written by hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bench.goals import ONE
from bench.result import Results, Row
from bench.table import NOISY, label, number, where

ROOT = Path(__file__).resolve().parent.parent
BEGIN = "<!-- benchmark: begin, made by `python -m bench --render` -->"
END = "<!-- benchmark: end -->"


def write(results: Results) -> None:
    for name, section in (("README.md", _readme(results)), ("docs/BENCHMARK.md", _page(results))):
        path = ROOT / name
        before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise ValueError(f"{name} has no markers {BEGIN} and {END}")
        path.write_text(f"{before}{BEGIN}\n\n{section}\n{END}{after}", encoding="utf-8")


def _readme(results: Results) -> str:
    rows = [row for row in results.rows if row.workload == ONE and row.variant != "none"]
    doubt = " Other programs used the machine meanwhile: the figures are rough." if any(map(noisy, rows)) else ""
    cells = [
        (
            row.variant,
            number(row.median("printed_per_second")),
            number(row.median("acknowledged_per_second")),
            _micro(row.median("driver_us")),
            _micro(row.median("dockerd_us")),
        )
        for row in rows
    ]
    head = ("driver", "lines/s printed", "lines/s acknowledged", "CPU of the driver", "CPU of dockerd")
    return (
        "![One container at full speed, beside the engine's own drivers](docs/images/benchmark.svg)\n\n"
        "One container prints 150-byte lines at full speed; ours go through journal and HTTP to the last record\n"
        "acknowledged: without compression, as to a collector on the same host, and with gzip, as to one beyond.\n"
        "Beside them the engine's own drivers, and a plugin in Go that only throws lines away. Medians of\n"
        f"one run on {where(results)}.{doubt}\n\n{_table(head, cells)}"
    )


def _page(results: Results) -> str:
    throughput = [row for row in results.rows if "dockerd_us" in row.samples]
    names = ("printed_per_second", "acknowledged_per_second", "driver_us", "dockerd_us", "peak_rss_mib")
    speeds = [
        (row.workload, row.variant, *(number(row.median(name)) for name in names), _spread(row)) for row in throughput
    ]
    head = (
        *("containers at full speed", "driver", "lines/s printed", "lines/s acknowledged"),
        *("driver µs/line", "dockerd µs/line", "driver peak MiB", "spread"),
    )
    others = [
        (row.workload, row.variant, "; ".join(f"{label(name)} {number(row.median(name))}" for name in row.samples))
        for row in results.rows
        if row not in throughput
    ]
    goals = [
        (
            goal.what,
            f"{number(goal.value)} {goal.unit}",
            f"{'≤' if goal.most else '≥'} {number(goal.limit)}",
            ("met" if goal.met else "missed") + (f" {NOISY}" if goal.noisy else ""),
        )
        for goal in results.goals
    ]
    return (
        f"{where(results)}, mode {results.mode}. {NOISY} marks what is not to be trusted.\n\n"
        f"{_table(head, speeds, 2)}\n{_table(('what', 'driver', 'medians'), others, 3)}\n"
        f"{_table(('goal', 'measured', 'wanted', ''), goals)}"
    )


def noisy(row: Row) -> bool:
    return row.noisy("printed_per_second")


def _spread(row: Row) -> str:
    return f"{row.spread('printed_per_second'):.0%}" + (f" {NOISY}" if noisy(row) else "")


def _micro(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} µs/line"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]], left: int = 1) -> str:
    """In Markdown; columns after the first `left` are numbers."""
    rule = ["---"] * left + ["---:"] * (len(head) - left)
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, tuple(rule), *rows))
