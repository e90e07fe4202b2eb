"""What every test may ask for: real parts as fixtures, and a check that unit tests leave nothing running."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from plugin import images
from plugin.build import build
from plugin.debian import HostError
from plugin.private_engine import PrivateEngine
from tests.engine.collector import Collector
from tests.engine.plugin import Plugin
from tests.tools.collector import collector as executable
from tests.tools.golang import ToolError

E = TypeVar("E", bound=PrivateEngine)

CHECKED_FOR_LEAKS = ("unit", "property")


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread or a child process; it gets a second to end what is ending."""
    if request.path.parent.name not in CHECKED_FOR_LEAKS:
        yield
        return
    before = set(threading.enumerate()), children()
    yield
    deadline = time.monotonic() + 1.0
    while left := [*(set(threading.enumerate()) - before[0]), *(children() - before[1])]:
        if time.monotonic() > deadline:
            pytest.fail(f"the test left running: {left}")
        time.sleep(0.01)


def children() -> set[str]:
    """Child processes of this one, as `pid name`."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            pids = (task / "children").read_text().split()
        except OSError:
            continue
        for pid in pids:
            try:
                found.add(f"{pid} {Path(f'/proc/{pid}/comm').read_text().strip()}")
            except OSError:
                continue
    return found


@contextlib.contextmanager
def missing_means_skip() -> Iterator[None]:
    """Skip the test where the host cannot give a real part; in CI it fails."""
    try:
        yield
    except (HostError, ToolError) as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


@contextlib.contextmanager
def started(private: E) -> Iterator[E]:
    """Start an engine, with the image `busybox`; stop it at the end."""
    with missing_means_skip():
        private.start()
    try:
        images.ensure(private, "busybox:latest")
        yield private
    finally:
        private.stop()


@pytest.fixture(scope="session")
def engine() -> Iterator[PrivateEngine]:
    """A Docker engine of the tests' own, with the image `busybox`."""
    with started(PrivateEngine()) as private:
        yield private


@pytest.fixture(scope="session")
def plugin(engine: PrivateEngine) -> Plugin:
    """The plugin, built from this checkout, created and enabled in the engine."""
    made = Plugin(engine, build())
    made.enable()
    return made


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """A collector that runs; `Collector(folder, ...)` makes others."""
    with missing_means_skip():
        executable()
    with Collector(tmp_path / "collector") as running:
        yield running
