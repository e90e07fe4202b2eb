"""The results as pictures for the README: one container at full speed, beside other drivers; and what a line costs the
whole host, beside what people use without a plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot
from matplotlib.axes import Axes

from bench.goals import FAST, FILES, GZIP, ONE, OURS, STEADY
from bench.result import Results
from bench.table import number, where

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
PICTURE, BILL = IMAGES / "benchmark.svg", IMAGES / "bill.svg"
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
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def draw_bill(results: Results, path: Path = BILL) -> None:
    """Nothing where the peers were not measured."""
    if not results.find(FAST, FILES):
        return
    with pyplot.rc_context(STYLE):
        figure, panels = pyplot.subplots(1, 2, figsize=(10, 1.7), layout="constrained", sharey=True)
        for axes, workload in zip(panels, (FAST, STEADY), strict=True):
            shares(results, axes, workload)
        figure.suptitle(f"CPU of the whole host per delivered line, µs · {where(results)}", fontsize=9, color="#57606a")
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def shares(results: Results, axes: Axes, workload: str) -> None:
    """CPU per line: the engine's share, then the driver's or the collector's."""
    for at, (name, sender, color) in enumerate(((GZIP, "driver", OWN), (FILES, "collector", GREY))):
        engine = results.value(workload, name, "engine_us") or 0.0
        own = results.value(workload, name, "sender_us") or 0.0
        lost = results.value(workload, name, "lost_percent") or 0.0
        axes.barh(at, engine, 0.6, color=LIGHT)
        axes.barh(at, own, 0.6, left=engine, color=color)
        parts = f"engine {number(engine)} + {sender} {number(own)}" + (f", {lost:.0f} % lost" if lost >= 1 else "")
        axes.text(engine + own, at, f"  {parts}", va="center", fontsize=9)
    axes.set_yticks((0, 1), ("otellogdriver", "json-file and\ncollector"))
    axes.set_ylim(1.6, -0.6)
    axes.set_title(workload.removesuffix(", whole host"))
    finish(axes, 2.0)


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
