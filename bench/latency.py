"""From printed to acknowledged: each line says when it was printed, the sink knows when it answered."""

from __future__ import annotations

from bench.printers import command, printed
from bench.result import Results
from bench.rig import Rig, Variant

WORKLOAD = "latency"
CONTAINERS = 5
RATE = 20.0
"""Lines a second of each container: quiet, and more often than the batch delay."""
LENGTH = 150


def percentile(values: list[float], share: float) -> float:
    """Of sorted values."""
    return values[min(len(values) - 1, int(len(values) * share))]


def latency(rig: Rig, results: Results, variant: Variant, seconds: float) -> None:
    containers = rig.group(variant, CONTAINERS)
    each = int(RATE * seconds)
    rig.sink.reset()
    with rig.usage(variant) as used:
        command(containers, each, LENGTH, RATE)
        printed(containers)
        rig.sink.await_quiet()
    rig.sink.received(each * CONTAINERS)
    found = rig.sink.latencies()
    values = {"p50_ms": percentile(found, 0.5), "p99_ms": percentile(found, 0.99), "max_ms": found[-1]}
    results.row(WORKLOAD, variant.name).add(values, used.foreign + used.stolen)
