"""The same rate from 1 and up to 1,000 containers, and the driver with idle ones, without an engine.

A real engine with 1,000 containers would be the measurement; so the driver runs as a process of its own, called over
its socket and fed through real FIFOs, a frame with each write, as the engine does it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from bench.goals import OURS
from bench.processes import cpu, resident, usage
from bench.result import Results
from bench.sink import Sink
from tests.fakes.engine import Container, Engine, frame

TICK = 0.001
"""Seconds between two rounds of writing."""
WARM_UP = 2.0
"""Seconds of writing before the measurement, until everybody has a stream, a feed and a pace."""
LENGTH = 150


def workload(number: int) -> str:
    return f"spread over {number:,} containers"


def driver(folder: Path, sink: Sink) -> Engine:
    return Engine(
        folder,
        {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http, "OTELLOGDRIVER_CODEC": "require", "OTELLOGDRIVER_LOG_LEVEL": "info"},
    )


def started(engine: Engine, number: int) -> list[Container]:
    containers = [engine.container(f"c{index}") for index in range(number)]
    for container in containers:
        answer = container.start()
        if answer.get("Err"):
            raise OSError(f"StartLogging: {answer['Err']}")
    return containers


def spread(folder: Path, sink: Sink, results: Results, number: int, rate: int, seconds: float) -> None:
    """`rate` lines a second in all, by `number` containers."""
    with driver(folder / f"spread-{number}", sink) as engine:
        assert engine.process
        containers = started(engine, number)
        pid = engine.process.pid
        sink.reset()
        before, lines = int(rate * WARM_UP), int(rate * seconds)
        write(containers, before, rate)
        with usage({"driver": pid}, folder) as used:
            took = write(containers, lines, rate)
            sink.await_quiet()
        sink.received(before + lines)
        values = {
            "driver_us": used.cpu["driver"] / lines * 1e6,
            "rate": lines / took,
            "peak_rss_mib": used.peak["driver"],
        }
    results.row(workload(number), OURS).add(values, used.foreign + used.stolen)


def write(containers: Sequence[Container], lines: int, rate: int) -> float:
    """Write the lines to the containers in turn; the seconds it took."""
    data = [
        frame(
            f"{index:05d} ".encode() + b"a line of some container, as long as the others are ".ljust(LENGTH - 6, b".")
        )
        for index in range(1000)
    ]
    began = time.monotonic()
    written = 0
    while written < lines:
        due = min(lines, int((time.monotonic() - began) * rate) + 1)
        for number in range(written, due):
            containers[number % len(containers)].write(data[number % len(data)])
        written = due
        time.sleep(TICK)
    return time.monotonic() - began


def idle(folder: Path, sink: Sink, results: Results, number: int, seconds: float) -> None:
    """`number` containers that have printed a line each and then say nothing."""
    with driver(folder / "idle", sink) as engine:
        assert engine.process
        containers = started(engine, number)
        sink.reset()
        write(containers, number, 1000)
        sink.await_quiet()
        pid = engine.process.pid
        before, began = cpu(pid), time.monotonic()
        time.sleep(seconds)
        values = {
            "containers": float(number),
            "cpu_percent": (cpu(pid) - before) / (time.monotonic() - began) * 100,
            "rss_mib": resident(pid),
        }
    results.row("idle, simulated engine", OURS).add(values)
