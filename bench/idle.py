"""Containers that say nothing: what the driver costs while nothing happens."""

from __future__ import annotations

import time

from bench.printers import command, printed
from bench.processes import resident
from bench.result import Results
from bench.rig import Rig, Variant


def idle(rig: Rig, results: Results, variant: Variant, containers: int, seconds: float) -> None:
    """Each has printed a line before, so that everything that it needs is there."""
    group = rig.group(variant, containers)
    rig.sink.reset()
    command(group, 1, 150)
    printed(group)
    rig.sink.await_quiet()
    rig.sink.received(containers)
    with rig.usage(variant) as used:
        time.sleep(seconds)
    values = {
        "containers": float(containers),
        "cpu_percent": used.cpu["driver"] / used.seconds * 100,
        "rss_mib": resident(rig.plugin.pid),
    }
    results.row("idle", variant.name).add(values, used.foreign + used.stolen)
