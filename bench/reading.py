"""`docker logs` of a container with many lines, from the engine's API to a client that throws them away."""

from __future__ import annotations

import time
from collections.abc import Callable

from bench.plan import Plan
from bench.printers import command, printed
from bench.result import PATIENCE, Results
from bench.rig import Rig, Variant
from plugin.engine import EngineError

WORKLOAD = "docker logs"
LINES = 1_000_000
LENGTH = 150
ROOM = {"max-size": "1g", "max-file": "2"}
"""So that each driver keeps all of them."""


def reading(rig: Rig, results: Results, plan: Plan, say: Callable[[str], None]) -> None:
    """They take turns."""
    variants = [Variant("json-file", "json-file", ROOM), rig.ours(max_size="1g", max_file="2")]
    groups = {}
    for number, variant in enumerate(variants):
        groups[variant.name] = rig.printers.start(f"reading-{number}", 1, variant.driver, variant.options)
        command(groups[variant.name], LINES, LENGTH)
        printed(groups[variant.name])
        if variant.delivers:
            rig.sink.await_quiet()
    for turn in range(plan.repeats * PATIENCE):
        for variant in variants[:: -1 if turn % 2 else 1]:
            if results.row(WORKLOAD, variant.name).calm < plan.repeats:
                say(f"docker logs, {variant.name}, {turn + 1} of {plan.repeats}")
                once(rig, results, variant, groups[variant.name][0].id)
    for printers in groups.values():
        rig.printers.remove(printers)


def once(rig: Rig, results: Results, variant: Variant, container: str) -> None:
    with rig.usage(variant) as used:
        began = time.monotonic()
        lines = rig.api.lines(container)
        seconds = time.monotonic() - began
    if lines != LINES:
        raise EngineError(f"docker logs of {variant.name} gave {lines:,} lines of {LINES:,}")
    engine = used.cpu["dockerd"] / LINES * 1e6
    values = {"read_per_second": LINES / seconds, "ms": seconds * 1e3, "engine_us": engine}
    if "driver" in used.cpu:
        values["driver_us"] = used.cpu["driver"] / LINES * 1e6
    results.row(WORKLOAD, variant.name).add(values, used.foreign + used.stolen)
