"""What stands where the journal's files should be: it costs no more than what was in them, and nobody waits for it."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from otellogdriver.journal import layout
from tests.fakes.engine import Container, Engine
from tests.fakes.server_thread import ServerThread
from tests.faults.conftest import MakeEngine
from tests.scene import lines, number, until

SEGMENT = layout.segment_name(0)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        place = os.open(path.parent, os.O_PATH)
        made.bind(f"/proc/self/fd/{place}/{path.name}")  # the path itself would be too long
        os.close(place)


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 << 30)


STRANGERS: dict[str, Callable[[Path], None]] = {
    "FIFO": os.mkfifo,
    "directory": Path.mkdir,
    "loop": lambda path: path.symlink_to(path.name),
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "socket": _socket,
    "huge": _huge,
}


def stream(engine: Engine, container: Container) -> Path:
    return next((engine.state / "containers" / container.id).iterdir())


def arrived(collector: ServerThread, container: str) -> list[int]:
    return [number(record.body) for record in collector.server.records(container)]


def _begun(make_engine: MakeEngine, collector: ServerThread) -> tuple[Engine, Container]:
    """A container of which ten lines have arrived."""
    engine = make_engine(collector=collector)
    container = engine.container()
    container.start()
    container.write(lines(0, 10))
    collector.reach(records=10)
    return engine, container


@pytest.mark.parametrize("names", [(layout.META,), (layout.MAIN,), (SEGMENT, layout.MAIN)], ids=lambda names: names[0])
def test_what_is_no_file_keeps_nobody_waiting(
    make_engine: MakeEngine, collector: ServerThread, names: tuple[str, ...]
) -> None:
    """With each kind of stranger at once, one container each, and one container that has none."""
    engine = make_engine(collector=collector)
    kinds = [kind for kind in STRANGERS if kind != "huge" or SEGMENT not in names]
    strangers = {engine.container(kind.lower()): STRANGERS[kind] for kind in kinds}
    good = engine.container("good")
    everybody = [*strangers, good]
    for container in everybody:
        container.start()
        container.write(lines(0, 10))
    collector.reach(records=10 * len(everybody), within=30)
    until(lambda: engine.metric("otellogdriver_undelivered_bytes") == 0)
    engine.kill()
    for container, put in strangers.items():
        for name in names:
            path = stream(engine, container) / name
            path.unlink()
            put(path)
    for container in everybody:
        container.write(lines(10, 20))
    assert engine.start() < 10
    for container in everybody:
        container.write(lines(20, 30))
        until(lambda container=container: set(range(10, 30)) <= set(arrived(collector, container.id)))  # type: ignore[misc]
        assert container.stop() == {"Err": ""}
    assert arrived(collector, good.id) == list(range(30))
    assert "WARN" in engine.log()


def test_a_state_directory_that_is_another_file_for_a_while(make_engine: MakeEngine, collector: ServerThread) -> None:
    engine, container = _begun(make_engine, collector)
    engine.kill()
    away = engine.state.with_name("away")
    engine.state.rename(away)
    engine.state.write_text("hello")
    container.write(lines(10, 20))
    engine.start()
    other = engine.container("other")
    assert other.start() == {"Err": ""}
    other.write(lines(0, 10))
    until(lambda: "nothing is resumed" in engine.log())
    until(lambda: engine.metric("otellogdriver_dropped_lines_total", container_id=other.id) == 10)
    engine.state.unlink()
    away.rename(engine.state)
    until(lambda: arrived(collector, container.id)[-10:] == list(range(10, 20)), within=10)
    other.write(lines(10, 20))
    until(lambda: arrived(collector, other.id) == list(range(10, 20)), within=10)


def test_a_state_directory_that_is_deleted_under_the_driver(make_engine: MakeEngine, collector: ServerThread) -> None:
    """What was not delivered is gone with it; what is printed from then on is not."""
    engine, container = _begun(make_engine, collector)
    # Again for what the driver made meanwhile (a cursor, a segment): `rm -rf` too would say that a folder is not empty.
    until(lambda: shutil.rmtree(engine.state, ignore_errors=True) or not engine.state.exists())  # type: ignore[func-returns-value]
    for begin in range(10, 110, 10):
        container.write(lines(begin, begin + 10))
        until(lambda begin=begin: begin + 9 in arrived(collector, container.id), within=10)  # type: ignore[misc]
    assert arrived(collector, container.id) == list(range(110))
    container.stop()
