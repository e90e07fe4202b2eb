"""What every test may ask for: real parts as fixtures, a turn on the machine, a check that nothing is left running.

`pytest -n 3 --dist loadfile` runs three files at a time, each in one process, which has an engine of its own.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

from plugin import images
from plugin.build import ROOT, build
from plugin.debian import HostError
from plugin.private_engine import PrivateEngine
from tests.engine.collector import Collector
from tests.engine.fault_table import FaultTable
from tests.engine.plugin import Plugin
from tests.engine.runs_on import write_about
from tests.fakes.engine import PATIENCE
from tests.tools.collector import collector as executable
from tests.tools.engine import chosen
from tests.tools.engine import engine as programs_of
from tests.tools.golang import ToolError
from tests.turns import turn

E = TypeVar("E", bound=PrivateEngine)

CHECKED_FOR_LEAKS = ("unit", "process", "house", "property")
FAULTS = pytest.StashKey[FaultTable]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "measures: has the machine to itself, and comes after the tests that do not")
    config.addinivalue_line("markers", "each_engine: part of what `make test` runs on more than one engine")
    config.addinivalue_line("markers", "engines: of several engines at once; only `make engines` runs it")
    config.addinivalue_line("markers", "soak: takes minutes; runs only with -m soak")
    config.stash[FAULTS] = FaultTable()
    # Where each instruction is emulated, examples take ten times as long, and that says nothing of the test.
    patient: dict[str, Any] = {"max_examples": 20, "suppress_health_check": [HealthCheck.too_slow]}
    settings.register_profile("here", deadline=None, **(patient if PATIENCE > 1 else {}))
    settings.load_profile("here")


def measures(item: pytest.Item) -> bool:
    return item.get_closest_marker("measures") is not None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Those that take minutes, or several engines, run only when asked for. Those that measure come last: then nobody's
    long test has to be waited for."""
    asked = config.option.markexpr
    apart = [name for name in ("engines", "soak") if name not in asked]
    items[:] = [item for item in items if not any(item.get_closest_marker(name) for name in apart)]
    items.sort(key=measures)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    with turn(alone=measures(item)):
        return (yield)


@pytest.fixture(scope="session")
def fault_table(request: pytest.FixtureRequest) -> FaultTable:
    """Rows added here are shown at the end of the run, and written to build/faults.txt and build/faults.json."""
    return request.config.stash[FAULTS]


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["faults"] = pickle.dumps(session.config.stash[FAULTS])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """One of several processes has ended: take its rows over."""
    if "faults" in getattr(node, "workeroutput", {}):
        node.config.stash[FAULTS].extend(pickle.loads(node.workeroutput["faults"]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    table = config.stash[FAULTS]
    if table.rows:
        table.write(ROOT / "build")
        terminalreporter.section("faults")
        terminalreporter.write(table.text())


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread or a child process; it gets a second to end what is ending, and another one to
    end what only garbage held (grpc's thread polls as long as there is a channel)."""
    if request.path.relative_to(ROOT / "tests").parts[0] not in CHECKED_FOR_LEAKS:
        yield
        return
    before = set(threading.enumerate()), children()
    yield
    deadline, collected = time.monotonic() + 1.0, False
    while left := [*(set(threading.enumerate()) - before[0]), *(children() - before[1])]:
        if time.monotonic() > deadline and not collected:
            gc.collect()
            deadline, collected = time.monotonic() + 1.0, True
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
def programs() -> Path:
    """The programs of the engine that ENGINE names; each engine of the tests' own is of them."""
    with missing_means_skip():
        PrivateEngine.programs = programs_of(chosen()) / "bin"
    return PrivateEngine.programs


@pytest.fixture(scope="session")
def engine(programs: Path, request: pytest.FixtureRequest) -> Iterator[PrivateEngine]:
    """A Docker engine of the tests' own, with the image `busybox`."""
    with started(PrivateEngine()) as private:
        if "ENGINE" in os.environ:
            write_about(private, part=bool(request.config.option.markexpr))
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


@pytest.fixture
def testcapi() -> Iterator[Any]:
    """What lets allocations fail. The garbage collector is off meanwhile: others have it call them (hypothesis does),
    and what they raise then would be the test's."""
    found = pytest.importorskip("_testcapi")
    gc.disable()
    try:
        yield found
    finally:
        found.remove_mem_hooks()
        gc.enable()
