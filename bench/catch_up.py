"""After an outage: how fast a backlog is delivered, and what it costs in memory while it waits.

The sink is stopped, a container prints the backlog at full speed, the sink comes back. The clock of the delivery runs
from the first answered request; how long the driver took to notice that the sink is back is a figure of its own.
"""

from __future__ import annotations

import time

from bench.goals import OURS
from bench.printers import command, printed
from bench.processes import resident
from bench.result import Results
from bench.rig import Rig, Variant

WORKLOAD = "catch-up"
FRAME = 50
"""Bytes that a frame adds to a line in the journal, about."""


def catch_up(rig: Rig, results: Results, variant: Variant, backlog: int, length: int) -> None:
    """One outage in which about `backlog` bytes of journal pile up in a container of its own.

    The driver starts afresh before it, so that its memory is not that of an earlier measurement."""
    rig.plugin.kill()
    containers = rig.group(variant, 1)
    lines = backlog // (length + FRAME)
    rig.sink.reset()
    command(containers, 1, length)
    printed(containers)
    rig.sink.await_quiet()
    idle = resident(rig.plugin.pid)
    rig.sink.stop()
    command(containers, lines, length)
    done = printed(containers)
    waiting = resident(rig.plugin.pid)
    rig.sink.start()
    back = time.time_ns()
    with rig.usage(variant) as used:
        rig.sink.await_quiet()
    received = rig.sink.received(lines)
    rig.dismiss(variant.name)
    results.row(WORKLOAD, OURS).add(
        {
            "printed_per_second": lines / done.seconds,
            "delivered_per_second": lines / ((received.reached - received.first) / 1e9),
            "noticed_ms": (received.first - back) / 1e6,
            "driver_us": used.cpu["driver"] / lines * 1e6,
            "sink_us": used.cpu["sink"] / lines * 1e6,
            "waiting_mib": lines * (length + FRAME) / (1 << 20),
            "idle_rss_mib": idle,
            "waiting_rss_mib": waiting,
            "peak_rss_mib": used.peak["driver"],
        },
        used.foreign + used.stolen,
    )
