"""The results as a picture for the README: one container at full speed, beside other drivers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot
from matplotlib.axes import Axes

from bench.goals import GZIP, ONE, OURS
from bench.result import Results
from bench.table import number, where

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "benchmark.svg"
VARIANTS = ("json-file", "local", "discard plugin", OURS, GZIP)
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "svg.hashsalt": "otellogdriver",  # the same results make the same file
    "svg.fonttype": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": "#57606a",
    "axes.edgecolor": "#d0d7de",
    "grid.color": "#eaeef2",
}
GREY, LIGHT, OWN, OWN_LIGHT = "#8c959f", "#d0d7de", "#0969da", "#80b3ff"


def draw(results: Results, path: Path = PICTURE) -> None:
    names = [name for name in VARIANTS if results.find(ONE, name)]
    with pyplot.rc_context(STYLE):
        figure, (speed, cost) = pyplot.subplots(1, 2, figsize=(10, 3.1), layout="constrained", sharey=True)
        bars(results, speed, names)
        costs(results, cost, names)
        figure.suptitle(f"One container at full speed, 150-byte lines · {where(results)}", fontsize=9, color="#57606a")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def bars(results: Results, axes: Axes, names: list[str]) -> None:
    """Lines a second, with lowest and highest repeat."""
    for at, name in enumerate(names):
        row = results.find(ONE, name)
        assert row
        for key, height, offset in (("printed_per_second", 0.36, -0.2), ("acknowledged_per_second", 0.36, 0.2)):
            middle = row.median(key)
            if middle is None:
                continue
            alone = "acknowledged_per_second" not in row.samples
            place, thick = (at, 0.5) if alone else (at + offset, height)
            color = GREY if alone else OWN if key.startswith("printed") else OWN_LIGHT
            low, high = min(row.values(key)), max(row.values(key))
            axes.barh(place, middle, thick, color=color, xerr=[[middle - low], [high - middle]], ecolor="#57606a")
            text = number(middle) + ("" if alone else " printed" if key.startswith("printed") else " acknowledged")
            axes.text(high, place, f"  {text}", va="center", fontsize=9)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_title("lines per second")
    finish(axes, 1.45)


def costs(results: Results, axes: Axes, names: list[str]) -> None:
    """CPU per line: the engine's, and the driver's behind it."""
    for at, name in enumerate(names):
        dockerd = results.value(ONE, name, "dockerd_us") or 0.0
        driver = results.value(ONE, name, "driver_us")
        axes.barh(at, dockerd, 0.5, color=LIGHT)
        axes.barh(at, driver or 0.0, 0.5, left=dockerd, color=OWN if name in (OURS, GZIP) else GREY)
        parts = f"dockerd {dockerd:.2f}" + ("" if driver is None else f" + driver {driver:.2f}")
        axes.text(dockerd + (driver or 0.0), at, f"  {parts}", va="center", fontsize=9)
    axes.set_title("CPU per line, µs")
    finish(axes, 1.35)


def finish(axes: Axes, room: float) -> None:
    """From zero, with room for the numbers."""
    axes.set_xlim(0, axes.dataLim.xmax * room)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1000 else f"{value:g}")
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
