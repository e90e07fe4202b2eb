"""kill -9 of the driver at random instants, while a container prints as fast as it can.

With splice nothing is lost: every line arrives at least once, whole, in order, and what arrives twice was in a request
in flight when the driver died, with the same `log.record.uid`. Where the file system refuses splice, what the driver
had read and not yet written is lost with it: one read at most for each kill.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field

import pytest

from tests.fakes.behaviour import ok
from tests.fakes.engine import Container, Engine
from tests.fakes.received import read_records
from tests.fakes.server_thread import ServerThread
from tests.faults.conftest import MakeEngine
from tests.faults.writer import text
from tests.scene import lines, number, until

READ = 256 << 10
"""Bytes that the driver reads at once where it must copy."""


@dataclass
class Seen:
    """What arrived of one stream, in the order of arrival."""

    next: int = 0
    again: int = 0
    lost: int = 0
    lost_bytes: int = 0
    broken: int = 0
    uids: dict[int, str] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("kills", "spliced"),
    [
        pytest.param(50, True, marks=pytest.mark.timeout(300)),
        pytest.param(12, False, marks=pytest.mark.timeout(300)),
        pytest.param(500, True, marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
        pytest.param(200, False, marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
def test_kill_at_random_instants(make_engine: MakeEngine, collector: ServerThread, kills: int, spliced: bool) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    engine = make_engine(collector=collector, start=False)
    if not spliced:
        engine.command = [sys.executable, "-m", "tests.fakes.without_splice"]
    engine.start()
    container = engine.container(options={"record-uid": "true"})
    container.start()
    collector.server.default = ok(delay=0.02)
    command = [sys.executable, "-m", "tests.faults.writer", container.file, str(seed), str(150_000), "0.02"]
    died = 0
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        try:
            while died < kills:
                died += kill_at_random(engine, rng)
        finally:
            assert writer.stdin and writer.stdout
            writer.stdin.close()
            printed = json.loads(writer.stdout.read() or b"{}")
    container.stop()
    assert sum(printed.values()) > 100 * kills
    last = {stream: text(stream, count - 1) for stream, count in printed.items()}
    until(lambda: all(arrived(collector, body) for body in last.values()), what="the last lines")

    seen = check_order(collector, container, died)
    for stream, count in printed.items():
        found = seen[stream]
        assert found.next == count or not spliced
        assert len(set(found.uids.values())) == len(found.uids)
        print(f"{stream}: {count} lines, {found.again} arrived twice, {found.lost} lost, {found.broken} broken")
        if spliced:
            assert found.lost == found.broken == 0
    if spliced:
        assert engine.metric("otellogdriver_damaged_bytes_total") == 0
    lost = sum(found.lost_bytes for found in seen.values())
    assert lost <= died * (READ + 2 * 40_000)


def kill_at_random(engine: Engine, rng: random.Random) -> int:
    """Kill the driver at work or while it starts and catches up, and start it again; the number of kills."""
    time.sleep(rng.uniform(0, 0.25))
    engine.kill()
    kills = 1
    while rng.random() < 0.3:
        engine.launch()
        time.sleep(rng.uniform(0, 0.5))
        engine.kill()
        kills += 1
    engine.start()
    return kills


def arrived(collector: ServerThread, body: bytes) -> bool:
    return any(body in request.body for request in collector.server.requests[-50:])


def check_order(collector: ServerThread, container: Container, kills: int) -> dict[str, Seen]:
    """Each stream in order. What comes again stood in the requests just before, and comes again once for each kill."""
    seen = {"stdout": Seen(), "stderr": Seen()}
    before: deque[set[tuple[str, int]]] = deque(maxlen=4)
    resent = 0
    for request in list(collector.server.requests):
        held = set()
        again = False
        for record in read_records(request.body):
            assert record.container == container.id and record.uid
            stream, found = record.stream, seen[record.stream]
            if not isinstance(record.body, str) or not re.match(f"{stream} [0-9]{{8}} x*$", record.body):
                found.broken += 1
                continue
            number = int(record.body[7:15])
            held.add((stream, number))
            if number < found.next:
                again = True
                found.again += 1
                assert any((stream, number) in others for others in before), f"{stream} {number} came again, late"
                assert found.uids[number] == record.uid
                continue
            for missing in range(found.next, number):
                found.lost += 1
                found.lost_bytes += len(text(stream, missing))
            found.next = number + 1
            found.uids[number] = record.uid
            found.broken += record.body.encode() != text(stream, number)
        resent += again
        before.append(held)
    assert resent <= 2 * kills
    return seen


def test_kill_while_many_print(make_engine: MakeEngine, collector: ServerThread) -> None:
    """Many busy FIFOs are read by one thread in turn; one that is just changing hands must lose nothing either."""
    rng = random.Random(7)
    engine = make_engine(collector=collector)
    containers = [engine.container(f"c{index}") for index in range(12)]
    for container in containers:
        container.start()
    ended = threading.Event()
    printed = [0]

    def print_all() -> None:
        while not ended.wait(0.004):
            for container in containers:
                container.write(lines(printed[0], printed[0] + 1, size=100))
            printed[0] += 1

    printer = threading.Thread(target=print_all)
    printer.start()
    try:
        for _ in range(6):
            time.sleep(rng.uniform(0.2, 0.8))
            engine.kill()
            engine.start()
    finally:
        ended.set()
        printer.join(20)
    for container in containers:
        container.stop()
    whole = set(range(printed[0]))
    until(lambda: engine.metric("otellogdriver_driver_undelivered_bytes") == 0)
    found: dict[str, set[int]] = {container.id: set() for container in containers}
    for record in collector.server.records():
        found[record.container].add(number(record.body))
    assert all(numbers == whole for numbers in found.values())
