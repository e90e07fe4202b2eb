"""What happens to driver, plugin and engine while containers print: on an engine of the tests' own, no line is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from plugin.build import build
from plugin.private_engine import PrivateEngine
from tests.engine.collector import Collector
from tests.engine.fault_table import FaultTable, Row
from tests.engine.loopback import free_port, listening, wait_for
from tests.engine.numbers import Ledger, at_collector, at_once, printed, until_stopped
from tests.engine.plugin import Plugin
from tests.tools.registry import registry


class Scene:
    """An engine that may be restarted, the plugin in it, and a collector with its ledger."""

    def __init__(
        self, engine: PrivateEngine, plugin: Plugin, collector: Collector, table: FaultTable, out: Path
    ) -> None:
        self.engine, self.plugin, self.collector, self.table, self.out = engine, plugin, collector, table, out
        self.ledger = Ledger(at_collector(collector))
        self.names: list[str] = []

    def driver(self, **options: str) -> list[str]:
        log = {"otlp-endpoint": self.collector.http, "record-uid": "true"}
        log |= {name.replace("_", "-"): value for name, value in options.items()}
        return [
            f"--log-driver={self.plugin.name}",
            *(f"--log-opt={name}={value}" for name, value in log.items() if value),
        ]

    def run(self, name: str, script: str, **options: str) -> str:
        """Start a container; its id."""
        self.names.append(name)
        where = ("--detach", f"--name={name}", f"--volume={self.out}:/out")
        said = self.engine.docker("run", *where, *self.driver(**options), "busybox", "sh", "-c", script)
        return said.strip().splitlines()[-1]

    def wait_exit(self, name: str) -> None:
        self.engine.docker("wait", name)

    def stop(self, name: str) -> int:
        """Stop a container that prints `until_stopped`; how many lines it printed."""
        self.engine.docker("stop", name)
        return printed(self.out, name)

    def row(self, fault: str, container: str, sent: int, note: str = "", dropped: int = 0) -> None:
        self.ledger.wait({container: sent - dropped}, 60)
        self.ledger.check(container)
        received, twice = self.ledger.received(container), self.ledger.duplicated[container]
        self.table.add(Row(fault, sent, received, twice, dropped, note=note))


@pytest.fixture
def scene(
    own_engine: PrivateEngine, own_plugin: Plugin, collector: Collector, fault_table: FaultTable, out: Path
) -> Iterator[Scene]:
    made = Scene(own_engine, own_plugin, collector, fault_table, out)
    yield made
    if made.names:
        own_engine.run("rm", "--force", *made.names)


def test_driver_killed_at_full_speed(scene: Scene) -> None:
    chance = random.Random(1)
    containers = [scene.run(f"fast-{number}", at_once(150_000)) for number in range(2)]
    for _ in range(5):
        time.sleep(chance.random() * 0.5)
        scene.plugin.kill()
    for number, container in enumerate(containers):
        scene.wait_exit(f"fast-{number}")
        scene.row(f"driver killed 5 times at full speed ({number + 1} of 2)", container, 300_000)


def test_driver_killed_while_containers_stop(scene: Scene) -> None:
    for round_ in range(3):
        name = f"stops-{round_}"
        container = scene.run(name, until_stopped(name))
        wait_for(partial(printed, scene.out, name), "lines", 20)
        stopping = threading.Thread(target=scene.engine.docker, args=("stop", name))
        stopping.start()
        time.sleep(0.05 * round_)
        scene.plugin.kill()
        stopping.join(60)
        assert not stopping.is_alive()
        scene.row(f"driver killed during docker stop ({round_ + 1} of 3)", container, printed(scene.out, name))


def test_containers_that_live_for_milliseconds(scene: Scene) -> None:
    driver = scene.driver()
    began = time.monotonic()
    for number in range(1, 41):
        scene.engine.docker("run", "--rm", "--label=short=1", *driver, "busybox", "echo", str(number))
    each = (time.monotonic() - began) / 40

    def bodies() -> set[str]:
        return {record.body for record in scene.collector.records()}

    wait_for(lambda: len(bodies()) >= 40, "all lines", 20)
    received = len(bodies() & {str(number) for number in range(1, 41)})
    scene.table.add(Row("docker run --rm, 40 in turn", 40, received, note=f"{each:.2f} s each"))


def test_wrong_endpoint_mended_by_plugin_set(scene: Scene) -> None:
    scene.plugin.set(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    container = scene.run("mended", until_stopped("mended"), otlp_endpoint="")
    wait_for(lambda: printed(scene.out, "mended") >= 200, "lines", 20)
    scene.plugin.disable()
    scene.engine.docker("plugin", "set", scene.plugin.name, f"OTEL_EXPORTER_OTLP_ENDPOINT={scene.collector.http}")
    scene.plugin.enable()
    before = printed(scene.out, "mended")
    wait_for(lambda: printed(scene.out, "mended") > before + 100, "container goes on", 20)
    scene.row("plugin disabled, endpoint mended, enabled", container, scene.stop("mended"))


def test_container_removed_while_the_plugin_is_disabled(scene: Scene) -> None:
    container = scene.run("removed", "seq 1 500; sleep 1000")
    scene.ledger.wait({container: 500})
    scene.plugin.disable()
    scene.engine.run("rm", "--force", "removed", timeout=60)
    scene.names.remove("removed")
    scene.plugin.enable()
    wait_for(scene.plugin.ready, "driver", 20)
    scene.row("container removed while the plugin is disabled", container, 500)
    other = scene.run("after", "seq 1 100")
    scene.row("a container after that", other, 100)


@pytest.mark.parametrize("kill", (False, True), ids=("restarted", "killed"))
def test_engine_with_live_restore(scene: Scene, kill: bool) -> None:
    name = f"restored-{kill}"
    container = scene.run(name, until_stopped(name))
    wait_for(partial(printed, scene.out, name), "lines", 20)
    scene.engine.restart(live_restore=True, kill=kill)
    before = printed(scene.out, name)
    wait_for(lambda: printed(scene.out, name) > before + 100, "container goes on", 30)
    what = "killed" if kill else "restarted"
    scene.row(f"engine {what}, live-restore", container, scene.stop(name))


@pytest.mark.parametrize("kill", (False, True), ids=("restarted", "killed"))
def test_engine_without_live_restore(scene: Scene, kill: bool) -> None:
    name = f"ended-{kill}"
    container = scene.run(name, "seq 1 20000; sleep 1000")
    wait_for(lambda: scene.engine.docker("logs", "--tail=1", name) == "20000\n", "lines", 20)
    scene.engine.restart(live_restore=False, kill=kill)
    wait_for(scene.plugin.ready, "driver", 30)
    scene.row(f"engine {'killed' if kill else 'restarted'}", container, 20_000)
    leftover = [path for path in scene.plugin.state.iterdir() if path.is_fifo()]
    wait_for(lambda: not [path for path in leftover if path.exists()], "stale FIFOs removed", 10)
    other = scene.run(f"next-{kill}", "seq 1 100")
    scene.row("a container after that", other, 100)


@pytest.mark.parametrize("policy", ("drop-oldest", "drop-newest"))
def test_journal_limit(scene: Scene, policy: str) -> None:
    scene.collector.freeze()
    name = f"limit-{policy}"
    container = scene.run(name, "seq 1 300000", journal_max_size="2m", journal_full=policy)
    scene.wait_exit(name)
    scene.collector.thaw()
    wait_for(lambda: scene.plugin.metric("otellogdriver_undelivered_bytes", container_id=container) == 0, "end", 60)
    dropped = int(scene.plugin.metric("otellogdriver_dropped_lines_total", container_id=container))
    assert 0 < dropped < 300_000
    scene.row(f"journal full, {policy}", container, 300_000, "all drops counted", dropped)


def test_journal_limit_that_blocks(scene: Scene) -> None:
    """More lines than the engine's own buffers (about 1 MB) hide from the container. It stays after its last line, for
    of a container that ends while it is blocked the engine gives up the rest after some seconds."""
    count = 600_000
    scene.collector.kill()
    container = scene.run("blocks", f"seq 1 {count}; sleep 1000", journal_max_size="256k", journal_full="block")
    try:
        waiting = partial(scene.plugin.metric, "otellogdriver_undelivered_bytes", container_id=container)
        wait_for(lambda: waiting() >= 256 << 10, "a full journal", 20)
        began = time.monotonic()
        scene.engine.docker("run", "--rm", *scene.driver(), "busybox", "true")
        assert time.monotonic() - began < 5, "another container is not concerned"
        state = scene.engine.docker("inspect", "--format={{.State.Running}}", "blocks", timeout=20)
        assert state == "true\n"
    finally:
        scene.collector.start()
    scene.row("journal full, block", container, count, "the container waits, nothing is dropped")


def test_wrong_certificate_and_unknown_name(scene: Scene) -> None:
    """Held, and kept for `docker logs`; nothing else is concerned."""
    for name, endpoint in (
        ("tls", scene.collector.http.replace("http:", "https:")),
        ("dns", "http://nowhere.invalid:4318"),
    ):
        began = time.monotonic()
        container = scene.run(name, "seq 1 100", otlp_endpoint=endpoint)
        scene.wait_exit(name)
        assert time.monotonic() - began < 10
        assert scene.engine.docker("logs", "--tail=1", name) == "100\n"
        assert scene.plugin.metric("otellogdriver_undelivered_bytes", container_id=container) > 0
        assert scene.plugin.metric("otellogdriver_dropped_lines_total", container_id=container) == 0
        scene.table.add(Row(f"collector's {name} is wrong", 100, 100, note="held in the journal"))


@pytest.fixture
def plugin_registry(tmp_path: Path) -> Iterator[str]:
    """host:port of a plugin registry."""
    port = free_port()
    settings = tmp_path / "registry.yml"
    settings.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/registry}}}}\n"
        f"http: {{addr: 127.0.0.1:{port}}}\n"
    )
    with open(tmp_path / "registry.log", "wb") as log:
        process = subprocess.Popen([registry(), "serve", settings], stdout=log, stderr=log)
    try:
        wait_for(lambda: listening(port), "registry", 20)
        yield f"127.0.0.1:{port}"
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(20)


def test_upgrade_with_a_running_container(scene: Scene, plugin_registry: str) -> None:
    docker, name = scene.engine.docker, f"{plugin_registry}/otellogdriver"

    folder = build()
    marker = folder / "rootfs" / "version"
    try:
        for version in ("1", "2"):  # the engine takes no two plugins with the same content
            marker.write_text(version)
            docker("plugin", "create", f"{name}:{version}", folder, timeout=300)
            docker("plugin", "push", f"{name}:{version}", timeout=300)
            docker("plugin", "rm", f"{name}:{version}")
    finally:
        marker.unlink()
    port = free_port()
    docker(
        *("plugin", "install", "--grant-all-permissions", f"{name}:1"),
        *(f"OTEL_EXPORTER_OTLP_ENDPOINT={scene.collector.http}", f"OTELLOGDRIVER_METRICS_ADDRESS=127.0.0.1:{port}"),
        timeout=300,
    )
    try:
        scene.names.append("upgraded")
        script = until_stopped("upgraded")
        where = ("--detach", "--name=upgraded", f"--volume={scene.out}:/out", f"--log-driver={name}:1")
        said = docker("run", *where, "--log-opt=record-uid=true", "busybox", "sh", "-c", script)
        container = said.strip().splitlines()[-1]
        wait_for(lambda: printed(scene.out, "upgraded") >= 200, "lines", 20)
        docker("plugin", "disable", "--force", f"{name}:1")
        docker(
            "plugin", "upgrade", "--grant-all-permissions", "--skip-remote-check", f"{name}:1", f"{name}:2", timeout=300
        )
        docker("plugin", "enable", "--timeout=0", f"{name}:1")
        before = printed(scene.out, "upgraded")
        wait_for(lambda: printed(scene.out, "upgraded") > before + 100, "container goes on", 30)
        scene.row("plugin upgraded under a running container", container, scene.stop("upgraded"))
    finally:
        scene.engine.run("rm", "--force", "upgraded")
        scene.engine.run("plugin", "rm", "--force", f"{name}:1")
