"""The results as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from bench.result import FOREIGN_LIMIT, SPREAD_LIMIT, Goal, Results, Row

NOISY = "!"
COLUMNS = (
    ("lines/s", "printed", 10),
    ("lines/s", "acknowl.", 10),
    ("to json-", "file", 8),
    ("to dis-", "card", 8),
    ("driver", "µs/line", 8),
    ("dockerd", "µs/line", 8),
    ("driver", "peak MiB", 9),
    ("", "spread", 8),
)
UNITS = {"ms": "ms", "us": "µs/line", "mib": "MiB", "rss": "RSS", "cpu": "CPU", "percent": "%"}


def terminal(results: Results) -> str:
    noisy = any(row.noisy(_main(row)) for row in results.rows)
    why = f"others took more than {FOREIGN_LIMIT:.0%} of a core each time, or repeats differ by over {SPREAD_LIMIT:.0%}"
    parts = [
        [f"otellogdriver benchmark, {results.mode}: {where(results)}"],
        _throughput(results),
        _others(results),
        _goals(results.goals),
        [f"{NOISY} not to be trusted: {why}"] if noisy else [],
    ]
    return "\n" + "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def where(results: Results) -> str:
    machine = results.machine
    return (
        f"{machine['cores']} cores of {machine['cpu']}, kernel {machine['kernel']}, engine {machine['engine']}, "
        f"{machine['date']}"
    )


def _main(row: Row) -> str:
    """The value by whose spread a row is judged."""
    return next((name for name in ("printed_per_second", "driver_us", "p99_ms", "ms") if name in row.samples), "")


def _throughput(results: Results) -> list[str]:
    lines = [
        f"{'':34}" + "".join(f"{top:>{width}}" for top, _, width in COLUMNS),
        f"{'containers at full speed':34}" + "".join(f"{bottom:>{width}}" for _, bottom, width in COLUMNS),
    ]
    workload = ""
    for row in results.rows:
        if "dockerd_us" not in row.samples:
            continue
        if row.workload != workload:
            workload = row.workload
            lines.append(workload)
        cells = "".join(f"{cell:>{width}}" for cell, (_, _, width) in zip(_cells(results, row), COLUMNS, strict=True))
        lines.append(f"  {row.variant:32}{cells}{NOISY if row.noisy(_main(row)) else ''}")
    return lines if workload else []


def _cells(results: Results, row: Row) -> Iterator[str]:
    printed = row.median("printed_per_second") or 0.0
    yield number(printed)
    yield number(row.median("acknowledged_per_second"))
    for base in ("json-file", "discard plugin"):
        other = results.value(row.workload, base, "printed_per_second")
        yield f"{printed / other:.2f} ×" if other else ""
    for name, digits in (("driver_us", 2), ("dockerd_us", 2), ("peak_rss_mib", 0)):
        value = row.median(name)
        yield "" if value is None else f"{value:.{digits}f}"
    yield f"{row.spread('printed_per_second'):.0%}"


def _others(results: Results) -> list[str]:
    lines = []
    for row in results.rows:
        if "dockerd_us" not in row.samples:
            values = ", ".join(f"{label(name)} {number(row.median(name))}" for name in row.samples)
            mark = f" {NOISY}" if row.noisy(_main(row)) else ""
            lines.append(f"{f'{row.workload}, {row.variant}':56} {values}{mark}")
    return lines


def label(name: str) -> str:
    return " ".join(UNITS.get(word, word) for word in name.replace("_per_second", "_lines/s").split("_"))


def _goals(goals: list[Goal]) -> list[str]:
    lines = []
    for goal in goals:
        limit = f"{'≤' if goal.most else '≥'} {number(goal.limit)}"
        verdict = ("met" if goal.met else "MISSED") + (NOISY if goal.noisy else "")
        lines.append(f"{goal.what:44} {f'{number(goal.value)} {goal.unit}':>20} {limit:>14}   {verdict}")
    return lines


def number(value: float | None) -> str:
    """With three digits or so."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{round(value, -3 if abs(value) >= 100_000 else 0):,.0f}"
    return f"{value:.3g}"
