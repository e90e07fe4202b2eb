"""Containers at full speed: lines a second until the last one is printed and until the last one is acknowledged, and
what a line costs driver and engine.

The variants take turns (A B C, B C A, ...), so that a machine that becomes slower hits all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.printers import command, printed
from bench.result import PATIENCE, Results
from bench.rig import Rig, Variant

SETTLE = 0.4
"""Seconds for what is still in pipes when the last line is printed, where no sink tells the end."""


@dataclass(frozen=True, slots=True)
class Workload:
    """`lines` of `length` characters, by `containers` together."""

    name: str
    containers: int
    lines: int
    length: int


def compare(
    rig: Rig,
    results: Results,
    workload: Workload,
    variants: Sequence[Variant],
    repeats: int,
    say: Callable[[str], None],
) -> None:
    for variant in variants:
        rig.group(variant, workload.containers)
        once(rig, Results("warm-up"), workload, variant, max(workload.containers, workload.lines // 10))
    for turn in range(repeats * PATIENCE):
        wanted = [variant for variant in variants if results.row(workload.name, variant.name).calm < repeats]
        for index in range(len(wanted)):
            variant = wanted[(turn + index) % len(wanted)]
            say(f"{workload.name}, {variant.name}, {turn + 1} of {repeats}")
            once(rig, results, workload, variant, workload.lines)


def once(rig: Rig, results: Results, workload: Workload, variant: Variant, lines: int) -> None:
    """One round: into the row of this workload and variant."""
    containers = rig.group(variant, workload.containers)
    each = lines // len(containers)
    total = each * len(containers)
    rig.sink.reset()
    with rig.usage(variant) as used:
        command(containers, each, workload.length)
        done = printed(containers)
        if variant.delivers:
            rig.sink.await_quiet()
        else:
            time.sleep(SETTLE)
    values = {
        "printed_per_second": total / done.seconds,
        "dockerd_us": used.cpu["dockerd"] / total * 1e6,
    }
    if "driver" in used.cpu:
        values |= {"driver_us": used.cpu["driver"] / total * 1e6, "peak_rss_mib": used.peak["driver"]}
    if variant.delivers:
        received = rig.sink.received(total)
        seconds = (received.reached - done.began) / 1e9
        values |= {
            "acknowledged_per_second": total / seconds,
            "acknowledged_ratio": seconds / done.seconds,
            "sink_us": used.cpu["sink"] / total * 1e6,
            "sent_bytes_per_line": received.bytes / total,
            "raw_bytes_per_line": received.raw / total,
            "requests": received.requests,
        }
    results.row(workload.name, variant.name).add(values, used.foreign + used.stolen)
