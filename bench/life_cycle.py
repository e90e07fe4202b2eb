"""Starts and stops: whole containers, the plugin's own calls under load, and the plugin after a crash."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import time
from collections.abc import Sequence
from pathlib import Path

from bench.latency import percentile
from bench.printers import command, printed
from bench.processes import usage
from bench.result import Results
from bench.rig import Rig, Variant
from otellogdriver.commands.engine_api import UnixConnection
from plugin.engine import EngineError

FIFOS = "/run/docker/logging"
"""Where the driver sees its FIFOs."""
CALLS, CRASH = "StartLogging under load", "ready after a crash"
LENGTH = 150
BETWEEN = 0.01
"""Seconds between two calls."""


def start_stop(rig: Rig, results: Results, variants: Sequence[Variant], rounds: int) -> None:
    """Containers that print a line and end, one after the other: created, started, waited for, removed."""
    for number in range(rounds):
        for variant in variants:
            with rig.usage(variant) as used:
                began = time.monotonic()
                name = f"start-stop-{number}"
                container = rig.api.create(
                    name, "busybox:latest", variant.driver, variant.options, Cmd=["echo", "a line of a short container"]
                )
                rig.api.start(container)
                rig.api.wait(container)
                rig.api.remove(container)
                seconds = time.monotonic() - began
            results.row("start and stop", variant.name).add({"ms": seconds * 1e3}, used.foreign + used.stolen)


def start_logging(rig: Rig, results: Results, variant: Variant, lines: int) -> None:
    """StartLogging and StopLogging, called as the engine does it, while a container prints `lines` at full speed."""
    loaded = rig.group(variant, 1)
    plugin, socket = rig.plugin_of(variant)
    folder = plugin.state
    rig.sink.reset()
    times: list[float] = []
    info: dict[str, object] = {
        "Config": {},
        "ContainerName": "/call",
        "ContainerImageName": "none",
        "ContainerArgs": None,
    }
    with rig.usage(variant) as used:
        command(loaded, lines, LENGTH)
        while not select.select([printer.control for printer in loaded], [], [], BETWEEN)[0]:
            name, container = secrets.token_hex(32), secrets.token_hex(32)
            fifo = folder / name
            os.mkfifo(fifo, 0o700)
            held = os.open(fifo, os.O_RDWR)
            try:
                body = {"File": f"{FIFOS}/{name}", "Info": info | {"ContainerID": container}}
                began = time.perf_counter()
                plugin_call(socket, "StartLogging", body)
                times.append((time.perf_counter() - began) * 1e3)
                plugin_call(socket, "StopLogging", {"File": f"{FIFOS}/{name}"})
            finally:
                os.close(held)
                fifo.unlink()
        printed(loaded)
        if variant.delivers:
            rig.sink.await_quiet()
    if variant.delivers:
        rig.sink.received(lines)
    times.sort()
    values = {"p50_ms": percentile(times, 0.5), "p99_ms": percentile(times, 0.99), "max_ms": times[-1]}
    results.row(CALLS, variant.name).add(values | {"calls": float(len(times))}, used.foreign + used.stolen)


def plugin_call(socket: Path, method: str, body: object) -> None:
    connection = UnixConnection(str(socket), 30.0)
    with contextlib.closing(connection):
        connection.request("POST", f"/LogDriver.{method}", json.dumps(body).encode())
        answer = json.loads(connection.getresponse().read())
    if answer.get("Err"):
        raise EngineError(f"{method}: {answer['Err']}")


def answers(socket: Path) -> bool:
    try:
        plugin_call(socket, "Capabilities", {})
        return True
    except OSError:
        return False


def crash(rig: Rig, results: Results, variant: Variant, containers: int) -> None:
    """kill -9 of the plugin with open streams, until its successor answers the engine's calls, and reads again."""
    group = rig.group(variant, containers)
    rig.sink.reset()
    old, socket = rig.plugin.pid, rig.plugin_of(variant)[1]
    with usage({"dockerd": rig.engine.pid}, rig.home) as used:
        began = time.monotonic()
        rig.plugin.kill(wait=False)
        while rig.plugin.running() in (None, old) or not answers(socket):
            if time.monotonic() - began > 30:
                raise EngineError("the plugin is not ready 30 s after it was killed")
            time.sleep(0.01)
        ready = time.monotonic() - began
    command(group, 1, LENGTH)
    printed(group)
    rig.sink.await_quiet()
    rig.sink.received(len(group))
    row = results.row(CRASH, variant.name)
    row.add({"ms": ready * 1e3, "streams": float(containers)}, used.foreign + used.stolen)
