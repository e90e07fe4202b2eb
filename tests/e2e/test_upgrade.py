"""`docker plugin upgrade` from a registry while a container prints: the new driver goes on where the old one was."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugin.build import ROOT, build
from plugin.private_engine import PrivateEngine
from tests.engine.collector import Collector
from tests.engine.fault_scene import Scene
from tests.engine.fault_table import FaultTable
from tests.engine.numbers import Ledger, at_collector, until_stopped
from tests.engine.plugin import Plugin
from tests.engine.registry import Registry


@pytest.fixture
def versions() -> Iterator[list[Path]]:
    """Two plugins that differ in a file of their root file system: the engine takes no two that are the same."""
    folders = [ROOT / "build" / f"plugin-version-{version}" for version in (1, 2)]
    try:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run(["cp", "--archive", "--link", build(), folder], check=True)
            (folder / "rootfs/version").write_text(folder.name)
        yield folders
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.each_engine
@pytest.mark.timeout(300)
def test_upgrade_under_a_running_container(
    own_engine: PrivateEngine,
    collector: Collector,
    fault_table: FaultTable,
    out: Path,
    registry: Registry,
    versions: list[Path],
) -> None:
    docker, references = own_engine.docker, [f"{registry.address}/otellogdriver:{version}" for version in (1, 2)]
    for reference, folder in zip(references, versions, strict=True):
        docker("plugin", "create", reference, folder, timeout=300)
        docker("plugin", "push", reference, timeout=300)
        docker("plugin", "rm", reference)
    plugin = Plugin(own_engine, None, references[0])
    plugin.set(OTEL_EXPORTER_OTLP_ENDPOINT=collector.http)
    plugin.enable()
    scene = Scene(own_engine, plugin, "", Ledger(at_collector(collector)), fault_table, out)
    try:
        container = scene.run("upgraded", until_stopped("upgraded"), otlp_endpoint="")
        ended = scene.run("ended", "seq 1 100", otlp_endpoint="")
        scene.go_on("upgraded")
        before = own_engine.docker("plugin", "inspect", "--format={{.Id}}", plugin.name)
        plugin.disable()
        scene.go_on("upgraded")
        upgrade = ("plugin", "upgrade", "--grant-all-permissions", "--skip-remote-check")
        docker(*upgrade, *references, timeout=300)
        plugin.enable()
        scene.go_on("upgraded")
        assert own_engine.docker("plugin", "inspect", "--format={{.Id}}", plugin.name) == before
        assert (own_engine.data / "plugins" / plugin.id / "rootfs/version").read_text().endswith("2")
        assert docker("logs", "--tail=1", "ended") == "100\n"
        sent = {container: scene.stop("upgraded"), ended: 100}
        scene.row("docker plugin upgrade under a running container", sent)
    finally:
        scene.clear()
        plugin.remove()
