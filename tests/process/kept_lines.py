"""Containers whose lines a driver keeps, with times that are easy to name; and a look at what the journal holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.fakes.engine import Container, Engine, frame
from tests.process.command_line import told
from tests.scene import files, until

DEAD = "http://127.0.0.1:9"
"""The discard port, where nobody listens."""
BEGAN = 1_800_000_000
"""When the first line of a container is printed here, in seconds since the epoch; one line a second."""


def started(engine: Engine, name: str, lines: int, **options: str) -> Container:
    """A container that has printed some lines."""
    container = engine.container(name, {key.replace("_", "-"): value for key, value in options.items()})
    assert container.start() == {"Err": ""}
    written = b"".join(frame(b"%s %d" % (name.encode(), n), time_nano=(BEGAN + n) * 10**9) for n in range(lines))
    container.write(written)
    until(lambda: kept(engine, container) >= len(written))
    return container


def kept(engine: Engine, container: Container) -> int:
    folder = engine.state / "containers" / container.id
    return sum(path.stat().st_size for path in folder.glob("*/*.log"))


def listed(engine: Engine, *arguments: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in told("journal", "ls", "--state", engine.state, *arguments)}


def everything(root: Path) -> dict[str, tuple[bytes, int]]:
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files(root)}
