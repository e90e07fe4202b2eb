"""Set-ups that people have: the engine's data on other file systems, containers whose root is nobody on the host."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugin.build import build
from plugin.debian import HostError, require
from plugin.private_engine import PrivateEngine
from tests.conftest import missing_means_skip, started
from tests.engine.collector import Collector
from tests.engine.fault_scene import Scene
from tests.engine.fault_table import FaultTable
from tests.engine.loopback import wait_for
from tests.engine.numbers import Ledger, at_collector, with_last_words
from tests.engine.plugin import Plugin

MAKERS = {"xfs": ("mkfs.xfs", "xfsprogs"), "btrfs": ("mkfs.btrfs", "btrfs-progs")}


@pytest.fixture
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A disk with the file system that the test names."""
    kind, image, place = request.param, tmp_path / "disk", tmp_path / "mounted"
    place.mkdir()
    with missing_means_skip():
        if kind not in Path("/proc/filesystems").read_text().split():
            subprocess.run(["modprobe", kind], capture_output=True)
        maker = require(*MAKERS[kind])
        subprocess.run(["truncate", "--size=2G", image], check=True)
        subprocess.run([maker, "-q", image], check=True)
        done = subprocess.run(["mount", "-o", "loop", image, place], capture_output=True, text=True)
        if done.returncode:
            raise HostError(f"cannot mount {kind}: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--recursive", place], check=True)


class Remapped(PrivateEngine):
    """Root of a container is user 100000 of the host. Only this engine's process sees the file that says so."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        (folder / "ids").write_text("nobody:100000:65536\n")
        self.program = folder / "dockerd"
        bind = "mount --bind $0 /etc/subuid && mount --bind $0 /etc/subgid"
        group = "nogroup" if "\nnogroup:" in Path("/etc/group").read_text() else "nobody"
        inner = f'{bind} && exec {super().dockerd()} "$@" --userns-remap=nobody:{group}'
        self.program.write_text(
            f"#!/bin/sh\nexec unshare --mount --propagation=slave sh -c '{inner}' {folder / 'ids'} \"$@\"\n"
        )
        self.program.chmod(0o755)

    def dockerd(self) -> str:
        return str(self.program)

    def launch(self) -> None:
        assert self.home
        self.home.chmod(0o711)
        self.data.mkdir(mode=0o711, exist_ok=True)
        super().launch()


def job(engine: PrivateEngine, collector: Collector, table: FaultTable, out: Path, what: str) -> Plugin:
    """What every set-up must do: deliver, outlive the driver's death, answer `docker logs`."""
    plugin = Plugin(engine, build())
    plugin.enable()
    scene = Scene(engine, plugin, collector.http, Ledger(at_collector(collector)), table, out)
    try:
        sent = {scene.run("at-once", "seq 1 50000"): 50000}
        container = scene.run("stays", with_last_words("stays", 1000, 20))
        wait_for(lambda: scene.ledger.received(container) == 1000, "lines", 30)
        plugin.kill()
        scene.engine.docker("stop", "stays")
        scene.row(what, {container: 1020, **sent})
        assert engine.docker("logs", "stays").splitlines()[-1] == "1020"
    finally:
        scene.clear()
    return plugin


@pytest.mark.parametrize("disk", MAKERS, indirect=True)
def test_data_of_the_engine_on_another_file_system(
    disk: Path, collector: Collector, fault_table: FaultTable, out: Path, request: pytest.FixtureRequest
) -> None:
    kind = request.node.callspec.params["disk"]
    with started(PrivateEngine(disk / "data")) as engine:
        plugin = job(engine, collector, fault_table, out, f"data root on {kind}, driver killed")
        state = subprocess.run(["stat", "-fc", "%T", plugin.state], capture_output=True, text=True, check=True)
        assert state.stdout.strip() == kind
        assert plugin.metric("otellogdriver_faults_total") == 0


def test_users_of_containers_are_others_on_the_host(
    collector: Collector, fault_table: FaultTable, out: Path, tmp_path: Path
) -> None:
    out.chmod(0o777)
    with started(Remapped(tmp_path)) as engine:
        assert "name=userns" in engine.docker("info", "--format={{.SecurityOptions}}")
        job(engine, collector, fault_table, out, "userns-remap, driver killed")
