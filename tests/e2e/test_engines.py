"""One data root through all engines, from the oldest to the newest, under a container that prints all the time."""

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
from tests.engine.loopback import wait_for
from tests.engine.numbers import Ledger, at_collector, until_stopped
from tests.engine.plugin import Plugin
from tests.tools.engine import engine as programs_of

IN_TURN = ("20.10", "26", "28", "29")


def use(private: PrivateEngine, name: str) -> None:
    private.programs = programs_of(name) / "bin"


@pytest.fixture
def oldest() -> Iterator[PrivateEngine]:
    private = PrivateEngine(live_restore=True)
    with missing_means_skip():
        for name in reversed(IN_TURN):
            use(private, name)
    with started(private):
        yield private


@pytest.mark.engines
@pytest.mark.timeout(600)
def test_an_engine_is_upgraded_again_and_again(
    oldest: PrivateEngine, collector: Collector, fault_table: FaultTable, out: Path
) -> None:
    plugin = Plugin(oldest, build())
    plugin.set(OTEL_EXPORTER_OTLP_ENDPOINT=collector.http)
    plugin.enable()
    scene = Scene(oldest, plugin, "", Ledger(at_collector(collector)), fault_table, out)
    try:
        container = scene.run("upgraded", until_stopped("upgraded"), otlp_endpoint="")
        sent = {}
        for name in IN_TURN[1:]:
            scene.go_on("upgraded")
            # What an engine holds of a line when it ends is nobody's: the container is quiet for that moment.
            (out / "quiet").touch()
            scene.stand_still("upgraded")
            scene.ledger.wait({container: scene.printed("upgraded")})
            oldest.halt()
            use(oldest, name)
            (out / "quiet").unlink()
            oldest.launch()
            wait_for(plugin.ready, "driver", 30)
            assert Path(f"/proc/{oldest.pid}/exe").resolve().is_relative_to(programs_of(name))
            sent[scene.run(f"on-{name}", "seq 1 1000", otlp_endpoint="")] = 1000
        scene.go_on("upgraded")
        sent[container] = scene.stop("upgraded")
        scene.row("engine upgraded 20.10 to 26 to 28 to 29, live-restore", sent)
        assert oldest.docker("logs", "--tail=1", "upgraded") == f"{sent[container]}\n"
    finally:
        scene.clear()
