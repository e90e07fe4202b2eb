"""Beside what people use without a plugin: json-file, and a collector that reads its files.

In: the same containers, lines and sink for both. Out: what a delivered line costs the whole host, in all processes that
touch it (dockerd, containerd, shims, driver or collector; neither the program that prints nor the sink), what was
lost, memory, bytes on the network. The collector has what its documentation advises: the parser for Docker's files,
batches of 8,192 records or 200 ms, a queue that blocks where it is full; rotated files are read, too. It keeps no
offsets on disk, which would cost more.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.goals import FAST, FILES, GZIP, STEADY
from bench.plan import Plan
from bench.printers import command, printed
from bench.processes import processes, shims, usage
from bench.result import PATIENCE, Results
from bench.rig import KEPT, Rig, Variant
from tests.engine.program import Program
from tests.tools.collector import file_collector

PEER = Variant(FILES, "json-file", KEPT, delivers=True)
LENGTH = 150
RATE = 100.0
"""Lines a second of each container, in writes of their own: as of services that are in use."""
LATE = 3.0
"""Seconds without another record after which what is missing is lost."""


@dataclass(frozen=True, slots=True)
class Workload:
    """`rate` is each container's, in lines a second; 0 is full speed."""

    name: str
    containers: int
    each: int
    rate: float = 0.0


def workloads(plan: Plan) -> list[Workload]:
    return [Workload(FAST, 1, plan.lines // 2), Workload(STEADY, 10, int(RATE * plan.seconds), RATE)]


def settings(files: str, endpoint: str) -> dict[str, Any]:
    """The collector's configuration (JSON is YAML, too)."""
    parser = {"type": "container", "format": "docker", "add_metadata_from_filepath": False}
    batch = {"sizer": "items", "min_size": 8192, "flush_timeout": "200ms"}
    queue = {"sizer": "items", "queue_size": 100_000, "block_on_overflow": True, "batch": batch}
    return {
        "receivers": {"filelog": {"include": [files], "start_at": "beginning", "operators": [parser]}},
        "exporters": {"otlphttp": {"endpoint": endpoint, "sending_queue": queue}},
        "service": {
            "pipelines": {"logs": {"receivers": ["filelog"], "exporters": ["otlphttp"]}},
            "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}},
        },
    }


class FileCollector(Program):
    """The collector as a process that reads the files of all containers of the engine."""

    name = "file-collector"

    def __init__(self, folder: Path, containers: Path, endpoint: str) -> None:
        super().__init__(folder)
        self.settings = settings(f"{containers}/*/*-json.log*", endpoint)

    def command(self) -> list[str | Path]:
        file = self.folder / "file-collector.json"
        file.write_text(json.dumps(self.settings))
        return [file_collector(), f"--config={file}"]

    def ready(self) -> bool:
        return True  # the first lines are those of a warm-up


def peers(rig: Rig, results: Results, plan: Plan, say: Callable[[str], None]) -> None:
    """Both take turns."""
    variants = [rig.gzip(), PEER]  # as the collector has it by default
    with FileCollector(rig.folder, rig.engine.data / "containers", rig.sink.http) as collector:
        for workload in workloads(plan):
            for variant in variants:
                warm_up = Workload(workload.name, workload.containers, workload.each // 10, workload.rate)
                once(rig, collector, Results("warm-up"), warm_up, variant)
            for turn in range(plan.repeats * PATIENCE):
                wanted = [one for one in variants if results.row(workload.name, one.name).calm < plan.repeats]
                for variant in wanted[:: -1 if turn % 2 else 1]:
                    say(f"{workload.name}, {variant.name}, {turn + 1} of {plan.repeats}")
                    once(rig, collector, results, workload, variant)
        for variant in variants:
            rig.dismiss(variant.name)


def once(rig: Rig, collector: FileCollector, results: Results, workload: Workload, variant: Variant) -> None:
    """One round: into the row of this workload and variant."""
    containers = rig.group(variant, workload.containers)
    all = processes()
    engine = {rig.engine.pid, *shims(all, rig.home)}
    engine |= {pid for pid, process in all.items() if process.parent == rig.engine.pid and process.name == "containerd"}
    sender = rig.plugin.pid if variant.name == GZIP else collector.pid
    lines = workload.each * workload.containers
    rig.sink.reset()
    with usage({"sender": sender} | {f"engine {pid}": pid for pid in engine}, rig.home) as used:
        command(containers, workload.each, LENGTH, workload.rate)
        done = printed(containers)
        rig.sink.await_quiet()
        delivered = at_last(rig, lines)
    answered = rig.sink.ask("GET", "/totals")
    host = sum(used.cpu.values())
    values = {
        "host_us": host / delivered * 1e6,
        "engine_us": (host - used.cpu["sender"]) / delivered * 1e6,
        "sender_us": used.cpu["sender"] / delivered * 1e6,
        "printed_per_second": lines / done.seconds,
        "delivered_per_second": delivered / ((answered["last"] - done.began) / 1e9),
        "lost": float(lines - delivered),
        "lost_percent": (lines - delivered) / lines * 100,
        "peak_rss_mib": used.peak["sender"],
        "sent_bytes_per_line": answered["bytes"] / delivered,
    }
    results.row(workload.name, variant.name).add(values, used.foreign + used.stolen)


def at_last(rig: Rig, lines: int) -> int:
    """Records that have come, as soon as all have, or when no more come."""
    found, since = 0, time.monotonic()
    while found < lines and time.monotonic() - since < LATE:
        now = int(rig.sink.ask("GET", "/records?reach=0")["records"])
        if now != found:
            found, since = now, time.monotonic()
        time.sleep(0.1)
    return found
