"""What the fault tests share: scenes, and an engine that they may restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from plugin.build import build
from plugin.private_engine import PrivateEngine
from tests.conftest import missing_means_skip, started
from tests.engine.collector import Collector
from tests.engine.fault_scene import Scene
from tests.engine.fault_table import FaultTable
from tests.engine.numbers import Ledger, at_collector, at_server
from tests.engine.plugin import Plugin
from tests.engine.registry import Registry
from tests.fakes.server_thread import ServerThread
from tests.tools.registry import registry as executable


@pytest.fixture(scope="session", autouse=True)
def _programs(programs: Path) -> None:
    """Also where a test starts an engine by itself."""


@pytest.fixture(scope="module")
def own_engine() -> Iterator[PrivateEngine]:
    """An engine of the module's own, which its tests may restart and kill."""
    with started(PrivateEngine()) as private:
        yield private


@pytest.fixture(scope="module")
def own_plugin(own_engine: PrivateEngine) -> Plugin:
    """The plugin in it, which may be disabled, set and upgraded."""
    made = Plugin(own_engine, build())
    made.enable()
    return made


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A plugin registry that runs."""
    with missing_means_skip():
        executable()
    with Registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The folder that containers see as /out."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def server() -> Iterator[ServerThread]:
    """A scripted collector over HTTP."""
    with ServerThread() as running:
        yield running


@pytest.fixture
def scene(
    engine: PrivateEngine, plugin: Plugin, server: ServerThread, fault_table: FaultTable, out: Path
) -> Iterator[Scene]:
    """The engine that all tests share, and a scripted collector, which takes many lines quickly."""
    made = Scene(engine, plugin, server.server.endpoint, Ledger(at_server(server)), fault_table, out)
    yield made
    made.clear()


@pytest.fixture
def own_scene(
    own_engine: PrivateEngine, own_plugin: Plugin, collector: Collector, fault_table: FaultTable, out: Path
) -> Iterator[Scene]:
    """The module's own engine and a real collector."""
    made = Scene(own_engine, own_plugin, collector.http, Ledger(at_collector(collector)), fault_table, out)
    yield made
    made.clear()
