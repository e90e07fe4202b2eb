"""The results as text of the documentation: a section of README.md, and the tables of docs/BENCHMARK.md.

Both are written between markers; what is around them is written by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.goals import ONE
from bench.result import Results, Row
from bench.table import NOISY, label, number, where

ROOT = Path(__file__).resolve().parent.parent
BEGIN = "<!-- benchmark: begin, made by `python -m bench --render` -->"
END = "<!-- benchmark: end -->"
SPEED = "printed_per_second"


def write(all_results: Sequence[Results]) -> None:
    """`all_results`: of each engine, the newest last."""
    for name, section in (("README.md", _readme(all_results)), ("docs/BENCHMARK.md", _page(all_results))):
        path = ROOT / name
        before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise ValueError(f"{name} has no markers {BEGIN} and {END}")
        path.write_text(f"{before}{BEGIN}\n\n{section}\n{END}{after}", encoding="utf-8")


def _readme(all_results: Sequence[Results]) -> str:
    rows = [row for row in all_results[-1].rows if row.workload == ONE and row.variant != "none"]
    noisy = any(row.noisy(SPEED) for results in all_results for row in results.rows if row.workload == ONE)
    doubt = " Some figures are rough: other programs used the machine meanwhile." if noisy else ""
    names = (SPEED, "acknowledged_per_second", "driver_us", "dockerd_us")
    cells = [
        (row.variant, *(_beside(results.value(ONE, row.variant, name) for results in all_results) for name in names))
        for row in rows
    ]
    head = ("driver", "lines/s printed", "lines/s acknowledged", "driver µs/line", "dockerd µs/line")
    return (
        "![One container at full speed, beside the engine's own drivers](docs/images/benchmark.svg)\n\n"
        "One container prints 150-byte lines at full speed; ours go through journal and HTTP to the last record\n"
        "acknowledged: without compression, as to a collector on the same host, and with gzip, as to one beyond.\n"
        "Beside them the engine's own drivers, and a plugin in Go that only throws lines away. µs are of CPU. Medians\n"
        f"on engine {_engines(all_results)}; {where(all_results[-1])}.{doubt}\n\n{_table(head, cells)}"
    )


def _page(all_results: Sequence[Results]) -> str:
    newest = all_results[-1]
    throughput = [row for row in newest.rows if "dockerd_us" in row.samples]
    names = (SPEED, "acknowledged_per_second", "driver_us", "dockerd_us", "peak_rss_mib")
    speeds = [
        (row.workload, row.variant, *(_beside(_cell(results, row, name) for results in all_results) for name in names))
        for row in throughput
    ]
    head = (
        *("containers at full speed", "driver", "lines/s printed", "lines/s acknowledged"),
        *("driver µs/line", "dockerd µs/line", "driver peak MiB"),
    )
    others = [
        (row.workload, row.variant, label(name), *(number(_value(results, row, name)) for results in all_results))
        for row in newest.rows
        if row not in throughput
        for name in row.samples
    ]
    columns = tuple(f"engine {results.engine}" for results in all_results)
    goals = [
        (
            goal.what,
            f"{'≤' if goal.most else '≥'} {number(goal.limit)} {goal.unit}",
            *(_verdict(results, goal.what) for results in all_results),
        )
        for goal in newest.goals
    ]
    return (
        f"Engine {_engines(all_results)}: where a cell has several figures, they are in this order. {NOISY} marks\n"
        f"what is not to be trusted. {'; '.join(f'{where(one)}, mode {one.mode}' for one in all_results)}.\n\n"
        f"{_table(head, speeds, 2)}\n{_table(('what', 'driver', 'median', *columns), others, 3)}\n"
        f"{_table(('goal', 'wanted', *columns), goals)}"
    )


def _engines(all_results: Sequence[Results]) -> str:
    return " / ".join(results.engine for results in all_results)


def _beside(cells: Iterable[float | str | None]) -> str:
    """Figures of several engines in one cell; empty where none has any."""
    texts = [cell if isinstance(cell, str) else number(cell) for cell in cells]
    return " / ".join(text or "–" for text in texts) if any(texts) else ""


def _value(results: Results, row: Row, name: str) -> float | None:
    return results.value(row.workload, row.variant, name)


def _cell(results: Results, row: Row, name: str) -> str:
    is_noisy = name == SPEED and results.noisy([(row.workload, row.variant, name)])
    return number(_value(results, row, name)) + (f" {NOISY}" if is_noisy else "")


def _verdict(results: Results, what: str) -> str:
    goal = next((goal for goal in results.goals if goal.what == what), None)
    if goal is None:
        return ""
    return f"{number(goal.value)}, {'met' if goal.met else 'missed'}" + (f" {NOISY}" if goal.noisy else "")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]], left: int = 1) -> str:
    """In Markdown; columns after the first `left` are numbers."""
    rule = ["---"] * left + ["---:"] * (len(head) - left)
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, tuple(rule), *rows))
