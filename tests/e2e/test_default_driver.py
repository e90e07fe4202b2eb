"""The driver as the default of a whole host, as INSTALL.md sets it up, with all that happens on a host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compose import standin
from plugin.build import build
from plugin.engine import EngineError
from plugin.private_engine import PrivateEngine
from tests.conftest import missing_means_skip, started
from tests.docs import block, run
from tests.engine.collector import Collector
from tests.engine.loopback import free_port, listening, wait_for
from tests.engine.numbers import printed, until_stopped
from tests.engine.plugin import Plugin
from tests.engine.service import Service
from tests.tools.collector import collector as collector_program

COLLECTOR = "otel/opentelemetry-collector-contrib:0.160.0"


class DefaultingEngine(PrivateEngine):
    """An engine with more in its daemon.json."""

    def __init__(self) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {}

    def write_settings(self) -> Path:
        path = super().write_settings()
        path.write_text(json.dumps(json.loads(path.read_text()) | self.settings))
        return path

    def default(self, driver: str, endpoint: str) -> None:
        """Restart it with the block of INSTALL.md as its settings."""
        text = block("INSTALL.md", "Default driver of the whole host", "json").filled(
            {"otellogdriver": driver, "http://localhost:4318": endpoint}
        )
        self.settings = json.loads(text)
        self.restart()


@pytest.fixture(scope="module")
def engine() -> Iterator[DefaultingEngine]:
    with started(DefaultingEngine()) as private:
        yield private


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector that is no container."""
    with missing_means_skip():
        collector_program()
    with Collector(tmp_path_factory.mktemp("collector")) as running:
        yield running


@pytest.fixture(scope="module")
def plugin(engine: DefaultingEngine, receiver: Collector) -> Plugin:
    """The plugin, as the host's default."""
    made = Plugin(engine, build())
    made.enable()
    engine.default("otellogdriver", receiver.http)
    return made


def test_containers_that_name_no_driver_use_it(engine: DefaultingEngine, plugin: Plugin, receiver: Collector) -> None:
    assert engine.docker("info", "--format", "{{.LoggingDriver}}").strip() == "otellogdriver"
    engine.docker("run", "--name=plain", "busybox", "echo", "by default")
    engine.docker("run", "--name=other", "--log-driver=json-file", "busybox", "echo", "with another driver")
    assert [one.body for one in receiver.wait(1, "plain")] == ["by default"]
    assert engine.docker("logs", "plain") == "by default\n"
    options = json.loads(engine.docker("inspect", "--format={{json .HostConfig.LogConfig.Config}}", "plain"))
    assert options == {"otlp-endpoint": receiver.http, "max-size": "10m"}
    assert receiver.records("other") == []


def test_the_engine_restarts(engine: DefaultingEngine, plugin: Plugin, receiver: Collector, out: Path) -> None:
    """Containers come back with the engine, and so does their driver, before them."""
    where = ("--detach", "--name=always", "--restart=always", f"--volume={out}:/out")
    engine.docker("run", *where, "busybox", "sh", "-c", f"echo starts; {until_stopped('always')}")
    for live_restore in (False, True):
        wait_for(lambda: printed(out, "always") >= 100, "lines", 30)
        (out / "always").write_text("0")
        engine.restart(live_restore=live_restore)
    wait_for(lambda: printed(out, "always") >= 100, "lines after the restart", 30)
    engine.docker("stop", "always")

    def runs() -> list[list[int]]:
        """The numbers of each run, in the order they came; a run begins with `starts`."""
        found: list[list[int]] = []
        for record in receiver.records("always"):
            if record.body == "starts":
                found.append([])
            else:
                found[-1].append(int(record.body))
        return found

    # Without live-restore it was started again, with live-restore it never ended.
    wait_for(lambda: len(runs()) == 2 and runs()[-1][-1] >= printed(out, "always"), "all lines", 30)
    for numbers in runs():
        assert sorted(set(numbers)) == list(range(1, max(numbers) + 1))
    engine.docker("rm", "always")
    engine.restart(live_restore=False)


def test_builds_are_not_concerned(
    engine: DefaultingEngine, plugin: Plugin, receiver: Collector, tmp_path: Path
) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM busybox\nRUN echo in a build && echo done > /done\n")
    assert "in a build" in engine.docker("build", "--network=none", "--no-cache", "--tag=built", context)
    assert engine.docker("run", "--rm", "--name=after", "built", "cat", "/done") == "done\n"
    assert [one.body for one in receiver.wait(1, "after")] == ["done"]
    assert not [one for one in receiver.records() if one.body == "in a build"]


def test_the_collectors_own_container(engine: DefaultingEngine, plugin: Plugin, tmp_path: Path) -> None:
    """It prints about each request that it gets; without the label that would never end."""
    with missing_means_skip():
        assert standin.ensure(engine, COLLECTOR)
    port = free_port()
    settings = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"0.0.0.0:{port}"}}}},
        "exporters": {"debug": {"verbosity": "detailed"}},
        "service": {
            "pipelines": {"logs": {"receivers": ["otlp"], "exporters": ["debug"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
    }
    (tmp_path / "collector.yaml").write_text(json.dumps(settings))
    script = block("INSTALL.md", "Default driver of the whole host").filled(
        {
            "--publish 127.0.0.1:4318:4318 ": f"--network host --volume {tmp_path}:/etc/otel"
            f" --log-opt otlp-endpoint=http://127.0.0.1:{port} ",
            "otel/opentelemetry-collector:0.160.0": f"{COLLECTOR} --config=/etc/otel/collector.yaml",
        }
    )
    run(script, engine.environment())
    wait_for(lambda: listening(port), "collector", 20)
    to_it = f"--log-opt=otlp-endpoint=http://127.0.0.1:{port}"
    engine.docker("run", "--name=shop", to_it, "busybox", "echo", "one line")
    wait_for(lambda: "one line" in engine.run("logs", "collector").stderr, "the line in what the collector prints", 20)
    assert plugin.metric("otellogdriver_excluded_streams") == 1
    assert plugin.metric("otellogdriver_read_bytes_total", container_name="collector") > 0
    wait_for(lambda: plugin.metric("otellogdriver_driver_undelivered_bytes") == 0, "end of the sending", 20)
    records = plugin.metric("otellogdriver_driver_delivered_records_total")
    requests = plugin.metric("otellogdriver_requests_total", outcome="delivered")
    for number in range(6):  # a loop would show: a batch takes a fifth of a second, a container longer
        engine.docker("run", "--rm", to_it, "busybox", "echo", str(number))
    wait_for(lambda: plugin.metric("otellogdriver_driver_undelivered_bytes") == 0, "end of the sending", 20)
    assert plugin.metric("otellogdriver_requests_total", outcome="delivered") <= requests + 6
    assert plugin.metric("otellogdriver_driver_delivered_records_total") == records + 6
    engine.docker("rm", "--force", "collector", "shop")


def test_without_its_default_driver_the_engine_does_not_start(
    engine: DefaultingEngine, plugin: Plugin, receiver: Collector
) -> None:
    plugin.disable()
    engine.halt()
    with pytest.raises(EngineError, match="logging plugin"):
        engine.launch()
    engine.daemon = None
    options = engine.settings.pop("log-opts")
    engine.launch()
    plugin.enable()
    engine.settings["log-opts"] = options
    engine.restart()
    assert engine.docker("run", "--rm", "--name=mended", "busybox", "echo", "mended") == "mended\n"
    assert [one.body for one in receiver.wait(1, "mended")] == ["mended"]


def test_a_service_of_the_host_as_default(engine: DefaultingEngine, receiver: Collector, tmp_path: Path) -> None:
    with Service(engine, tmp_path / "service") as service:
        engine.default(service.name, receiver.http)
        try:
            engine.docker(
                "run",
                "--name=served",
                "--restart=always",
                "--detach",
                "busybox",
                "sh",
                "-c",
                "trap exit TERM; echo a; sleep 1000 & wait",
            )
            receiver.wait(1, "served")
            engine.restart()
            assert [one.body for one in receiver.wait(2, "served")] == ["a", "a"]
        finally:
            engine.run("rm", "--force", "served")
            engine.settings = {}
            engine.restart()
