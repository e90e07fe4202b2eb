"""What happens to plugin and engine while containers print, on an engine of the tests' own: no line is lost."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from plugin.engine import EngineError
from tests.engine.fault_scene import Scene
from tests.engine.loopback import wait_for
from tests.engine.numbers import as_told, until_stopped, with_last_words

UNKNOWN = "http://collector.invalid:4318"
"""A host that no name server knows."""
IN_ENGINE = 500
"""Lines that an engine may hold which is killed while a container prints."""


@pytest.fixture
def scene(own_scene: Scene) -> Scene:
    return own_scene


def fifos(scene: Scene) -> set[Path]:
    """All FIFOs that there are."""
    return {path for path in scene.plugin.state.iterdir() if path.is_fifo()}


def test_a_wrong_endpoint_is_mended_under_a_running_container(scene: Scene) -> None:
    """disable, set and enable: what piled up is delivered, what was printed meanwhile as well."""
    scene.plugin.set(OTEL_EXPORTER_OTLP_ENDPOINT=UNKNOWN)
    container = scene.run("mended", until_stopped("mended"), otlp_endpoint="")
    scene.go_on("mended")
    assert scene.metric("undelivered_bytes", container) > 0
    scene.plugin.disable()
    scene.go_on("mended")
    scene.engine.docker("plugin", "set", scene.plugin.name, f"OTEL_EXPORTER_OTLP_ENDPOINT={scene.endpoint}")
    scene.plugin.enable()
    scene.go_on("mended")
    scene.row("plugin's endpoint has an unknown host; disabled, set, enabled", {container: scene.stop("mended")})


@pytest.mark.each_engine
def test_containers_wait_for_a_disabled_plugin(scene: Scene) -> None:
    """Nobody reads the FIFO: pipe and engine take some lines, then the container stands still until somebody does."""
    container = scene.run("waits", until_stopped("waits", burst=200, width=200))
    scene.go_on("waits")
    scene.plugin.disable()
    scene.stand_still("waits")
    scene.plugin.enable()
    scene.go_on("waits")
    scene.row("plugin disabled until the container stands still, enabled", {container: scene.stop("waits")})


@pytest.mark.each_engine
def test_a_container_that_ends_while_the_plugin_is_disabled(scene: Scene) -> None:
    """The engine tries StopLogging for 15 s; enabled within that time, the plugin has all lines."""
    container = scene.run("ends", with_last_words("ends", 500, 20))
    wait_for(lambda: scene.printed("ends"), "lines", 20)
    process = Path("/proc") / scene.engine.docker("inspect", "--format={{.State.Pid}}", "ends").strip()
    scene.plugin.disable()
    with ThreadPoolExecutor(1) as other:
        stopped = other.submit(scene.engine.docker, "stop", "ends")
        wait_for(lambda: not process.exists(), "end of the container's process", 20)
        scene.plugin.enable()
        stopped.result()
    wait_for(lambda: not fifos(scene), "end of the FIFO", 10)
    scene.row("container ends while the plugin is disabled, enabled within 15 s", {container: 520})


def test_a_container_removed_while_the_plugin_is_disabled(scene: Scene) -> None:
    """After 15 s the engine gives up and forgets the FIFO: what was read until the plugin was disabled arrives."""
    container = scene.run("removed", with_last_words("removed", 500))
    wait_for(lambda: scene.metric("read_bytes_total", container) > 500 * 20, "lines", 20)
    scene.plugin.disable()
    scene.engine.docker("rm", "--force", "removed")
    scene.names.clear()
    scene.plugin.enable()
    sent = {container: 500, scene.run("after", "seq 1 100"): 100}
    scene.row("container removed while the plugin is disabled", sent)


@pytest.mark.each_engine
def test_start_logging_without_an_end(scene: Scene) -> None:
    """An engine that keeps a copy of its own wants two files for it. With one it fails after StartLogging, does not say
    so, and leaves the FIFO open, at most until it ends."""
    scene.plugin.set(OTELLOGDRIVER_READ_LOGS="false")
    try:
        for number in range(5):
            with pytest.raises(EngineError, match="compression cannot be enabled when max file count is 1"):
                scene.run(f"forgotten-{number}", "true", max_file="1")
        container = scene.run("well", "seq 1 1000")
        scene.row("5 times StartLogging without StopLogging", {container: 1000})
        scene.engine.restart()
        wait_for(scene.plugin.ready, "driver", 30)
        wait_for(lambda: not fifos(scene), "end of the FIFOs", 10)
        streams = scene.plugin.state / ".state/containers"
        wait_for(lambda: {path.name for path in streams.iterdir()} <= {container}, "end of their streams", 10)
    finally:
        scene.plugin.set(OTELLOGDRIVER_READ_LOGS="true")


@pytest.fixture
def live_restore(scene: Scene) -> Iterator[None]:
    """Containers outlive their engine."""
    scene.engine.restart(live_restore=True)
    wait_for(scene.plugin.ready, "driver", 30)
    yield
    scene.clear()
    scene.names.clear()
    scene.engine.restart(live_restore=False)
    wait_for(scene.plugin.ready, "driver", 30)


@pytest.mark.each_engine
@pytest.mark.usefixtures("live_restore")
def test_an_engine_that_leaves_its_containers_running(scene: Scene) -> None:
    """Stopped or killed, the engine comes back with a new FIFO for the same container, and the old one ends. What the
    container prints in between waits in its own pipe."""
    for kill in (False, True):
        name = f"outlives-{'killed' if kill else 'stopped'}"
        scene.tell(name, 500)
        container = scene.run(name, as_told(name))
        scene.ledger.wait({container: 500})
        before = fifos(scene)
        scene.engine.halt(kill)
        scene.tell(name, 1000)
        wait_for(lambda name=name: scene.printed(name) == 1000, "lines without an engine", 20)  # type: ignore[misc]
        scene.engine.launch()
        scene.tell(name, 1500)
        what = "killed" if kill else "restarted"
        scene.row(f"engine {what}, live-restore; lines before, meanwhile, after", {container: 1500})
        wait_for(lambda before=before: not before & fifos(scene), "end of the old FIFO", 10)  # type: ignore[misc]
        assert len(fifos(scene)) == 1
        scene.clear()


@pytest.mark.usefixtures("live_restore")
def test_an_engine_killed_while_a_container_prints(scene: Scene) -> None:
    """What the engine has read from the container and not yet passed on dies with it; that is told apart."""
    container = scene.run("printing", until_stopped("printing", burst=20))
    scene.go_on("printing")
    scene.engine.halt(kill=True)
    scene.go_on("printing")
    scene.engine.launch()
    scene.go_on("printing")
    sent = scene.stop("printing")
    scene.ledger.wait({container: sent - IN_ENGINE})
    wait_for(lambda: scene.metric("undelivered_bytes", container) == 0, "delivery", 30)
    missing = sent - scene.ledger.received(container)
    gone = sorted(set(range(1, sent + 1)) - scene.ledger.lines[container, "stdout"].keys())
    assert gone == list(range(gone[0], gone[0] + missing)) if gone else not missing, "more than one gap"
    note = f"{missing} lines were in the engine's memory"
    scene.row("engine killed while a container prints, live-restore", {container: sent}, in_engine=missing, note=note)


@pytest.mark.parametrize("kill", (False, True), ids=("restarted", "killed"))
def test_an_engine_that_ends_its_containers(scene: Scene, kill: bool) -> None:
    name = f"ended-{kill}"
    container = scene.run(name, with_last_words(name, 20_000))
    wait_for(lambda: scene.printed(name), "lines", 30)
    wait_for(lambda: scene.engine.docker("logs", "--tail=1", name) == "20000\n", "last line", 20)
    scene.engine.restart(kill=kill)
    wait_for(scene.plugin.ready, "driver", 30)
    wait_for(lambda: not fifos(scene), "end of the FIFO", 10)
    sent = {container: 20_000, scene.run(f"{name}-next", "seq 1 100"): 100}
    scene.row(f"engine {'killed' if kill else 'restarted'}, its containers ended", sent)
    assert scene.engine.docker("logs", "--tail=1", name) == "20000\n"
