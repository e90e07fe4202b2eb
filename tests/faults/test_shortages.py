"""Two things that fail together, on the driver's process: it starts, no container waits, and afterwards all is well.

Files, threads, a disk that is read-only, full or frozen, at the start, in the middle and at the end of a container;
lines longer than a limit, and what is half in the FIFO while nobody reads.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugin.debian import HostError
from tests.anomalies.shortages import small_disk
from tests.conftest import missing_means_skip
from tests.fakes.engine import Container, Engine, pieces
from tests.fakes.server_thread import ServerThread
from tests.faults.conftest import MakeEngine
from tests.scene import lines, number, until

SOON = 5.0
"""Seconds from the end of a shortage until all is as before."""
MANY = 12
PIDS = Path("/sys/fs/cgroup/pids")


def arrived(collector: ServerThread, container: Container) -> list[int]:
    return [number(record.body) for record in collector.server.records(container.id)]


def all_arrive(collector: ServerThread, container: Container, count: int) -> None:
    """All lines, in order; those that were in a request when the driver was killed may come twice."""
    until(lambda: len(set(arrived(collector, container))) == count, what=f"{count} lines")
    assert list(dict.fromkeys(arrived(collector, container))) == list(range(count))


def dropped(engine: Engine, container: Container) -> int:
    return int(engine.metric("otellogdriver_dropped_lines_total", container_id=container.id))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """The directory of an engine whose journal has a small disk of its own."""
    root = tmp_path / "engine0"
    with missing_means_skip(), small_disk(root):
        yield root


def remount(state: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(state)], check=True)


# At the start


def killed_with_open_streams(engine: Engine, collector: ServerThread) -> list[Container]:
    """Containers that go on printing while the driver is dead."""
    containers = [engine.container(f"c{index}") for index in range(MANY)]
    for container in containers:
        container.start()
        container.write(lines(0, 10))
    collector.reach(records=10 * MANY, within=30)
    engine.kill()
    for container in containers:
        container.write(lines(10, 20))
    return containers


def go_on(engine: Engine, collector: ServerThread, containers: list[Container]) -> None:
    for container in containers:
        container.write(lines(20, 30))
    began = time.monotonic()
    until(lambda: all(29 in arrived(collector, container) for container in containers))
    assert time.monotonic() - began < SOON
    for container in containers:
        assert until(lambda container=container: container.stop() == {"Err": ""}) < 2  # type: ignore[misc]
        found = list(dict.fromkeys(arrived(collector, container)))
        assert found == sorted(found) and set(found) >= {*range(10), *range(20, 30)}
        assert len(found) + dropped(engine, container) == 30  # a file for the line, too, may have had no number


def answers(engine: Engine) -> bool:
    try:
        return bool(engine.call("LogDriver.Capabilities", timeout=5))
    except OSError:
        return False


FEW_FILES = (
    "import resource, sys; hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]; "
    "resource.setrlimit(resource.RLIMIT_NOFILE, (24, hard)); resource.setrlimit = lambda *_: None; "
    "from otellogdriver.cli import main; sys.argv = ['otellogdriver', 'serve']; sys.exit(main())"
)
"""The driver with a limit of 24 files, which it does not raise by itself."""


def test_a_start_without_file_numbers(engine: Engine, collector: ServerThread) -> None:
    containers = killed_with_open_streams(engine, collector)
    engine.command = [sys.executable, "-c", FEW_FILES]
    engine.launch()
    assert engine.process
    until(lambda: "Too many open files" in engine.log())
    soft, hard = resource.prlimit(engine.process.pid, resource.RLIMIT_NOFILE)
    assert soft == 24
    resource.prlimit(engine.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
    until(lambda: answers(engine))
    until(lambda: engine.metric("otellogdriver_open_streams") == MANY)
    go_on(engine, collector, containers)


def test_a_start_without_threads(engine: Engine, collector: ServerThread) -> None:
    with missing_means_skip():
        if not PIDS.is_dir():
            raise HostError(f"{PIDS} is not there: threads cannot be limited")
    containers = killed_with_open_streams(engine, collector)
    group = PIDS / f"shortage-{os.getpid()}"
    group.mkdir()
    try:
        (group / "pids.max").write_text("8")
        command = engine.command
        engine.command = ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh", *command]
        engine.start()
        until(lambda: engine.metric("otellogdriver_open_streams") == MANY)
        assert engine.process
        until(lambda: engine.metric("otellogdriver_threads") <= 8 and "new thread" in engine.log())
        (group / "pids.max").write_text("max")
        go_on(engine, collector, containers)
    finally:
        engine.kill()
        group.rmdir()
        engine.command = command
        engine.start()


def test_a_start_with_a_disk_that_is_read_only_and_has_segments_to_delete(
    make_engine: MakeEngine, collector: ServerThread, disk: Path
) -> None:
    """Also to compress; and a FIFO is gone."""
    state = disk / "logging" / ".state"
    engine = make_engine(collector=collector, root=disk)
    rotates = engine.container("rotates", {"max-size": "64k", "max-file": "2", "compress": "true"})
    gone, other = engine.container("gone"), engine.container("other")
    for container in (rotates, gone, other):
        container.start()
        container.write(lines(0, 10))
    collector.reach(records=30)
    collector.down()
    rotates.write(lines(10, 2000, size=200))
    until(lambda: engine.metric("otellogdriver_undelivered_bytes", container_name="rotates") > 400_000)
    engine.kill()
    gone.close()
    remount(state, "ro")
    collector.up()
    engine.start()
    all_arrive(collector, rotates, 2000)
    other.write(lines(10, 1000))
    until(lambda: engine.metric("otellogdriver_dropped_lines_total", reason="disk_error") >= 900)
    remount(state, "rw")
    other.write(lines(1000, 1100))
    until(lambda: 1099 in arrived(collector, other))
    for container in (rotates, other):
        assert container.stop() == {"Err": ""}
    until(lambda: len(set(arrived(collector, other))) + dropped(engine, other) == 1100)


# In the middle, and at the end


@contextlib.contextmanager
def no_file_numbers(engine: Engine) -> Iterator[None]:
    assert engine.process
    pid = engine.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")), before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_stop_without_file_numbers(engine: Engine, collector: ServerThread) -> None:
    container = engine.container()
    container.start()
    container.write(lines(0, 10))
    collector.reach(records=10)
    connection = engine.connection(timeout=10)
    connection.connect()  # the engine has one already
    until(lambda: engine.metric("otellogdriver_driver_undelivered_bytes") == 0)
    with no_file_numbers(engine):
        container.write(lines(10, 600))
        connection.request("POST", "/LogDriver.StopLogging", json.dumps({"File": container.file}))
        assert json.loads(connection.getresponse().read()) == {"Err": ""}
        connection.close()
    container.close()
    all_arrive(collector, container, 600)


def test_a_scrape_without_file_numbers_is_whole(engine: Engine, collector: ServerThread) -> None:
    container = engine.container()
    container.start()
    container.write(lines(0, 10))
    until(lambda: engine.metric("otellogdriver_delivered_records_total", container_id=container.id) == 10)
    usual = {name for name in engine.metrics() if not name.startswith("process_")}  # these need a file to be read
    with no_file_numbers(engine):
        for _ in range(3):
            assert usual - set(engine.metrics()) == set()
            assert engine.metric("otellogdriver_delivered_records_total", container_id=container.id) == 10
    container.stop()


def test_a_frozen_disk_holds_up_no_call(make_engine: MakeEngine, collector: ServerThread, disk: Path) -> None:
    """Beyond its bound; and those that need no disk are answered at once, also while another one waits."""
    state = disk / "logging" / ".state"
    engine = make_engine(collector=collector, root=disk)
    idle, busy = engine.container("idle"), engine.container("busy")
    for container in (idle, busy):
        container.start()
        container.write(lines(0, 10))
    collector.reach(records=20)
    until(lambda: engine.metric("otellogdriver_driver_undelivered_bytes") == 0)
    subprocess.run(["fsfreeze", "--freeze", state], check=True)
    try:
        busy.write(lines(10, 20))
        assert until(lambda: idle.stop() == {"Err": ""}) < 5.5
        for call in (lambda: engine.call("LogDriver.Capabilities"), engine.metrics):
            began = time.monotonic()
            call()
            assert time.monotonic() - began < 0.5
        fresh = engine.container("fresh")
        began = time.monotonic()
        assert fresh.start() == {"Err": ""}
        assert time.monotonic() - began < 1
        fresh.write(lines(0, 10))
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", state], check=True)
    began = time.monotonic()
    all_arrive(collector, busy, 20)
    all_arrive(collector, fresh, 10)
    assert time.monotonic() - began < SOON
    for container in (busy, fresh):
        container.stop()


# Limits

AGES_SOON = (
    "import sys; from otellogdriver.delivery import patience; patience.MAX_AGE = 0.5; "
    "from otellogdriver.cli import main; sys.argv = ['otellogdriver', 'serve']; sys.exit(main())"
)
"""The driver, to which what is unfinished is old after half a second instead of thirty."""


def test_a_frame_that_is_half_in_the_fifo_does_not_grow_old_while_nobody_reads(
    make_engine: MakeEngine, collector: ServerThread
) -> None:
    engine = make_engine(collector=collector, start=False)
    engine.command = [sys.executable, "-c", AGES_SOON]
    engine.start()
    collector.down()
    container = engine.container(options={"journal-max-size": "64k", "journal-full": "block"})
    container.start()
    writer = threading.Thread(target=container.write, args=(lines(0, 4000, size=900),))
    writer.start()
    until(lambda: engine.metric("otellogdriver_blocked_streams") == 1)
    writer.join(2.0)
    assert writer.is_alive()
    collector.up()
    writer.join(30)
    container.stop()
    all_arrive(collector, container, 4000)
    assert engine.metric("otellogdriver_damaged_bytes_total") == 0


@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest", "block"])
def test_a_line_longer_than_the_limit_arrives_whole(engine: Engine, collector: ServerThread, policy: str) -> None:
    container = engine.container(options={"journal-max-size": "64k", "journal-full": policy})
    container.start()
    long = b"00000000 " + b"x" * (3 << 19)
    container.write(pieces(long))
    until(lambda: arrived(collector, container))
    container.write(lines(1, 2))
    container.stop()
    all_arrive(collector, container, 2)
    assert len(next(collector.server.records(container.id)).body) == len(long)
    assert dropped(engine, container) == 0
