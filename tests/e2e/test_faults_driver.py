"""kill -9 of the driver on a real engine: while containers print as fast as they can, and while they stop."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engine.fault_scene import Scene
from tests.engine.loopback import wait_for
from tests.engine.numbers import at_once, with_last_words
from tests.engine.stopwatch import LONGEST, Stopwatch
from tests.fakes.behaviour import ok
from tests.fakes.server_thread import ServerThread


@pytest.mark.each_engine
def test_killed_at_full_speed(scene: Scene, server: ServerThread) -> None:
    """Nothing is lost, and what comes twice was in the one request that each container has in flight."""
    kills, each = 4, 100_000
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    server.server.default = ok(delay=0.05)
    sent = {scene.run(f"fast-{number}", at_once(each)): 2 * each for number in range(2)}
    for _ in range(kills):
        time.sleep(chance.random() * 0.5)
        scene.plugin.kill()
    scene.wait_exit(*scene.names)
    row = scene.row(f"driver killed {kills} times, 2 containers at full speed", sent)
    largest = max(request.records for request in server.server.requests)
    assert row.duplicated <= kills * len(sent) * largest
    assert all(scene.metric("damaged_bytes_total", container) == 0 for container in sent)


@pytest.mark.each_engine
@pytest.mark.measures
def test_killed_within_stop_logging(scene: Scene) -> None:
    """The engine repeats the call with an empty body; by then it is another driver that answers."""
    watch, name = Stopwatch(scene.engine), "stops"
    container = scene.run(name, with_last_words(name, 300, 20))
    wait_for(lambda: scene.printed(name), "lines", 20)
    scene.ledger.wait({container: 300})
    driver = scene.plugin.pid
    os.kill(driver, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(1) as stopping:
            stopped = stopping.submit(watch.docker, "kill", "stop", name)
            wait_for(lambda: unread(driver), "call that the driver has not read", 20)
            scene.plugin.kill()
            stopped.result()
    finally:
        if scene.plugin.running() == driver:
            os.kill(driver, signal.SIGCONT)
    assert scene.engine.docker("logs", "--tail=1", name) == "320\n"
    scene.row("driver killed within StopLogging", {container: 320}, slowest=watch.slowest())
    assert watch.slowest().seconds < LONGEST + 1.0  # the engine itself waits a second before it repeats the call
    assert not fifo_of(scene, container), "the FIFO is left"


def test_killed_while_containers_end(scene: Scene) -> None:
    """Containers that print at once and end, and a driver that dies at any moment of it."""
    sent = {}
    for number in range(4):
        sent[scene.run(f"ends-{number}", "seq 1 5000")] = 5000
        time.sleep(0.05 * number)
        scene.plugin.kill(wait=False)
    scene.wait_exit(*scene.names)
    wait_for(scene.plugin.ready, "driver", 20)
    scene.row("driver killed 4 times while containers end", sent)


def unread(pid: int) -> int:
    """Bytes that wait unread in the unix sockets of a process, and connections that it has not taken."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        inodes |= set(re.findall(r"^socket:\[(\d+)\]$", os.readlink(entry)))
    found = 0
    for line in subprocess.run(["ss", "-xaH"], capture_output=True, text=True, check=True).stdout.splitlines():
        words = line.split()
        if words[5] in inodes:
            found += int(words[2])
    return found


def fifo_of(scene: Scene, container: str) -> list[Path]:
    """FIFOs that there are of a container, by what the journal says."""
    streams = (scene.plugin.state / ".state/containers" / container).glob("*/meta.json")
    names = {name for meta in streams for name in re.findall(r"/run/docker/logging/([0-9a-f]{64})", meta.read_text())}
    return [scene.plugin.state / name for name in names if (scene.plugin.state / name).exists()]
