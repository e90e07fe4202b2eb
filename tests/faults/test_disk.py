"""The journal at its limits: during an outage, on a full disk, on one that cannot be written.

In all of it: printed = delivered + counted as dropped, no line out of order, no container that waits (but with
`journal-full=block`), and back to normal by itself.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.engine import Container, Engine
from tests.fakes.server_thread import ServerThread
from tests.faults.conftest import MakeEngine
from tests.scene import lines, number, until

LINE = 150
SMALL = {"journal-max-size": "256k"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a file system of its own where the state directory of an engine will be; gives the engine's directory."""
    mounted: list[Path] = []

    def mount(size: str) -> Path:
        state = tmp_path / "engine0" / "logging" / ".state"
        state.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "otellogdriver-test", str(state)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"cannot mount: {done.stderr.strip()}")
        mounted.append(state)
        return tmp_path / "engine0"

    yield mount
    for state in mounted:
        subprocess.run(["umount", "-l", str(state)], check=True)


def remount(state: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(state)], check=True)


def delivered(collector: ServerThread, container: Container) -> list[int]:
    """The numbers of the lines that arrived, which must be in order and not come twice."""
    found = [number(record.body) for record in collector.server.records(container.id)]
    assert found == sorted(set(found))
    return found


def dropped(engine: Engine, container: Container, **labels: str) -> int:
    return int(engine.metric("otellogdriver_dropped_lines_total", container_id=container.id, **labels))


def settled(engine: Engine, collector: ServerThread, container: Container, printed: int) -> list[int]:
    """Wait until each line printed is either delivered or counted; the numbers of those delivered."""

    def balance() -> int:
        arrived = int(engine.metric("otellogdriver_delivered_records_total", container_id=container.id))
        return printed - arrived - dropped(engine, container)

    until(lambda: balance() == 0, what="printed = delivered + dropped")
    found = delivered(collector, container)
    assert len(found) + dropped(engine, container) == printed
    return found


# An outage


@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest"])
def test_an_outage_longer_than_the_journal(engine: Engine, collector: ServerThread, policy: str) -> None:
    collector.down()
    container = engine.container(options={**SMALL, "journal-full": policy})
    container.start()
    container.write(lines(0, 20_000, size=LINE))  # ten times what may wait; returns, because it is read
    until(lambda: engine.metric("otellogdriver_read_bytes_total") >= 20_000 * LINE)
    until(lambda: dropped(engine, container, reason="journal_full"))
    collector.up()
    container.write(lines(20_000, 20_010, size=LINE))
    container.stop()
    found = settled(engine, collector, container, 20_010)
    assert found[-10:] == list(range(20_000, 20_010)) or policy == "drop-newest"
    if policy == "drop-newest":
        assert found[:1000] == list(range(1000))
    assert len(found) >= (256 << 10) // 2 // (LINE + 20)
    assert engine.log().count("new lines of this container are dropped") <= 1


def test_with_block_the_container_waits_and_nothing_is_dropped(engine: Engine, collector: ServerThread) -> None:
    collector.down()
    container = engine.container(options={**SMALL, "journal-full": "block"})
    container.start()
    writer = threading.Thread(target=container.write, args=(lines(0, 10_000, size=LINE),))
    writer.start()
    until(lambda: engine.metric("otellogdriver_undelivered_bytes") >= 256 << 10)
    writer.join(1.0)
    assert writer.is_alive()
    assert engine.call("LogDriver.Capabilities") == {"Cap": {"ReadLogs": True}}
    collector.up()
    writer.join(30)
    assert not writer.is_alive()
    container.stop()
    assert settled(engine, collector, container, 10_000) == list(range(10_000))


def test_stop_is_quick_also_while_the_container_is_blocked(engine: Engine, collector: ServerThread) -> None:
    collector.down()
    container = engine.container(options={**SMALL, "journal-full": "block"})
    container.start()
    container.write(lines(0, 1600, size=LINE))
    until(lambda: engine.metric("otellogdriver_undelivered_bytes") >= 256 << 10)
    container.write(lines(1600, 1900, size=LINE))  # stays in the pipe
    assert until(lambda: container.stop() == {"Err": ""}) < 2
    collector.up()
    assert settled(engine, collector, container, 1900) == list(range(1900))


def test_a_limit_below_one_segment_is_kept(engine: Engine, collector: ServerThread) -> None:
    collector.down()
    container = engine.container(options={"journal-max-size": "4096", "journal-full": "drop-oldest"})
    container.start()
    for begin in range(0, 5000, 500):
        container.write(lines(begin, begin + 500, size=LINE))
    until(lambda: engine.metric("otellogdriver_read_bytes_total") >= 5000 * LINE)
    until(lambda: engine.metric("otellogdriver_undelivered_bytes") <= 3 << 20)
    collector.up()
    container.stop()
    settled(engine, collector, container, 5000)


# The whole driver


class Printer(threading.Thread):
    """A container that prints steadily, about 6 MB/s, until it is told to stop."""

    def __init__(self, container: Container) -> None:
        super().__init__(daemon=True)
        self.container = container
        self.printed = 0
        self.told_to_stop = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.told_to_stop.wait(0.005):
            self.container.write(lines(self.printed, self.printed + 200, size=LINE))
            self.printed += 200


def stands_still(printer: Printer) -> bool:
    before = printer.printed
    printer.join(0.3)
    return printer.printed == before


@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest", "block"])
def test_the_limit_of_the_whole_driver(make_engine: MakeEngine, collector: ServerThread, policy: str) -> None:
    engine = make_engine({"OTELLOGDRIVER_JOURNAL_TOTAL_MAX_SIZE": "600k"}, collector)
    collector.down()
    containers = [engine.container(f"c{index}", {"journal-full": policy}) for index in range(3)]
    for container in containers:
        container.start()
    printers = [Printer(container) for container in containers]
    until(lambda: engine.log().count("total limit"))
    if policy == "block":
        for printer in printers:
            until(lambda printer=printer: stands_still(printer))  # type: ignore[misc]
    else:
        until(lambda: min(dropped(engine, container) for container in containers) > 0)
    collector.up()
    for printer, container in zip(printers, containers, strict=True):
        before = printer.printed
        until(lambda printer=printer, before=before: printer.printed > before + 1000)  # type: ignore[misc]
        printer.told_to_stop.set()
        printer.join(20)
        container.stop()
        found = settled(engine, collector, container, printer.printed)
        assert policy != "block" or found == list(range(printer.printed))
    total = sum(dropped(engine, container) for container in containers)
    assert int(engine.metric("otellogdriver_driver_dropped_lines_total")) == total


def test_lines_kept_for_docker_logs_do_not_count_as_waiting(make_engine: MakeEngine, collector: ServerThread) -> None:
    engine = make_engine({"OTELLOGDRIVER_JOURNAL_TOTAL_MAX_SIZE": "200k"}, collector)
    container = engine.container(options={"journal-full": "drop-newest"})
    container.start()
    for begin in range(0, 5_000, 500):
        container.write(lines(begin, begin + 500, size=LINE))
        collector.reach(records=begin + 500, within=30)
    assert dropped(engine, container) == 0
    assert len(container.logs()) == 5_000


# A disk of its own


def test_a_full_disk(make_engine: MakeEngine, collector: ServerThread, small_disk: Callable[[str], Path]) -> None:
    engine = make_engine(collector=collector, root=small_disk("2m"))
    collector.down()
    container = engine.container()
    container.start()
    container.write(lines(0, 40_000, size=LINE))  # 6 MB
    until(lambda: engine.metric("otellogdriver_read_bytes_total") >= 40_000 * LINE)
    assert dropped(engine, container) > 0
    until(lambda: container.logs(Tail=5) != [])  # not at the moment at which the oldest lines, all there are, have gone
    collector.up()
    until(lambda: engine.metric("otellogdriver_undelivered_bytes") == 0)
    before = dropped(engine, container)
    printed = 40_000
    recovered = False
    while not recovered:  # a line finds room again
        container.write(lines(printed, printed + 1, size=LINE))
        printed += 1
        settled(engine, collector, container, printed)
        recovered, before = dropped(engine, container) == before, dropped(engine, container)
        assert printed < 40_000 + 1000
    for begin in range(printed, printed + 10_000, 500):
        container.write(lines(begin, begin + 500, size=LINE))
        until(lambda: engine.metric("otellogdriver_undelivered_bytes") == 0)
    assert dropped(engine, container) == before
    container.stop()
    found = settled(engine, collector, container, printed + 10_000)
    assert found[-10_000:] == list(range(printed, printed + 10_000))


def test_a_disk_too_small_for_anything(
    make_engine: MakeEngine, collector: ServerThread, small_disk: Callable[[str], Path]
) -> None:
    engine = make_engine(collector=collector, root=small_disk("16k"))
    containers = [engine.container(f"c{index}") for index in range(4)]
    for index, container in enumerate(containers):
        container.start()
        container.write(lines(0, 5000, size=LINE))
        until(lambda index=index: engine.metric("otellogdriver_driver_read_bytes_total") >= (index + 1) * 5000 * LINE)  # type: ignore[misc]
    for container in containers:
        assert until(lambda container=container: container.stop() == {"Err": ""}) < 2  # type: ignore[misc]

    def total() -> float:
        delivered = engine.metric("otellogdriver_driver_delivered_records_total")
        return delivered + engine.metric("otellogdriver_driver_dropped_lines_total")

    until(lambda: total() == 20_000, within=10)


def test_a_state_directory_that_is_read_only(
    make_engine: MakeEngine, collector: ServerThread, small_disk: Callable[[str], Path]
) -> None:
    root = small_disk("4m")
    state = root / "logging" / ".state"
    remount(state, "ro")
    engine = make_engine(collector=collector, root=root)
    container, other = engine.container("one"), engine.container("two")
    assert container.start() == {"Err": ""}
    container.write(lines(0, 10_000, size=LINE))
    until(lambda: dropped(engine, container, reason="disk_error") > 9000)
    assert other.start() == other.stop() == {"Err": ""}
    remount(state, "rw")
    container.write(lines(10_000, 11_000, size=LINE))
    container.stop()
    found = settled(engine, collector, container, 11_000)
    assert found[-1000:] == list(range(10_000, 11_000))


def test_the_free_disk_floor_with_block_is_left_by_itself(
    make_engine: MakeEngine, collector: ServerThread, small_disk: Callable[[str], Path]
) -> None:
    """With the collector away and everybody blocked nothing happens that could make the driver look again."""
    root = small_disk("40m")
    engine = make_engine(collector=collector, root=root)
    collector.down()
    filler = root / "logging" / ".state" / "somebody-else"
    filler.write_bytes(bytes(39 << 20))  # 1 MiB left; the floor is a twentieth of the disk
    container = engine.container(options={"journal-full": "block"})
    container.start()
    writer = threading.Thread(target=container.write, args=(lines(0, 30_000, size=LINE),), daemon=True)
    writer.start()
    writer.join(2.0)
    assert writer.is_alive()
    filler.unlink()
    writer.join(20)
    assert not writer.is_alive()
    collector.up()
    container.stop()
    assert settled(engine, collector, container, 30_000) == list(range(30_000))


def test_below_the_floor_lines_that_are_delivered_at_once_go_on(
    make_engine: MakeEngine, collector: ServerThread, small_disk: Callable[[str], Path]
) -> None:
    root = small_disk("40m")
    engine = make_engine(collector=collector, root=root)
    (root / "logging" / ".state" / "somebody-else").write_bytes(bytes(39 << 20))
    containers = [engine.container(policy, {"journal-full": policy}) for policy in ("drop-newest", "block")]
    for container in containers:
        container.start()
    for begin in range(0, 2000, 200):
        for container in containers:
            container.write(lines(begin, begin + 200, size=LINE))
        collector.reach(records=2 * (begin + 200), within=30)
    for container in containers:
        assert settled(engine, collector, container, 2000) == list(range(2000))
