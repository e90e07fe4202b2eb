"""The real parts work: an engine that leaves nothing, the plugin in it, records in a collector."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from plugin import bridge, remains
from plugin.debian import HostError
from plugin.engine import EngineError
from plugin.private_engine import PrivateEngine, sweep
from tests.engine.collector import Collector
from tests.engine.plugin import Plugin

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a private engine needs root")


def left_behind(home: Path) -> list[object]:
    name = f"otl{home.name[-8:]}"
    bridges = [line for line in bridge.ip("-brief", "link").splitlines() if line.startswith(name)]
    return [*remains.processes(home), *remains.mounts(home), *bridges, *([home] if home.exists() else [])]


def test_a_line_becomes_a_record(engine: PrivateEngine, plugin: Plugin, collector: Collector) -> None:
    for protocol, endpoint in (("http/protobuf", collector.http), ("grpc", collector.grpc)):
        name = f"line-{protocol.partition('/')[0]}"
        options = {"otlp-endpoint": endpoint, "otlp-protocol": protocol}
        engine.docker(
            "run",
            f"--name={name}",
            f"--log-driver={plugin.name}",
            *(f"--log-opt={key}={value}" for key, value in options.items()),
            *("busybox", "sh", "-c", "echo to stdout; echo to stderr >&2"),
        )
        records = collector.wait(2, name)
        assert {one.body: one.attributes["log.iostream"] for one in records} == {
            "to stdout": "stdout",
            "to stderr": "stderr",
        }
        assert engine.docker("logs", name) == "to stdout\n"
        engine.docker("rm", name)
    assert "otellogdriver_lines_total" in plugin.metrics()
    assert any("ready, codec native" in line for line in plugin.log())


def test_a_killed_driver_is_started_again(plugin: Plugin) -> None:
    before = plugin.pid
    plugin.kill()
    assert plugin.pid != before


@needs_root
def test_containers_outlive_a_daemon_with_live_restore(engine: PrivateEngine) -> None:
    engine.docker("run", "--detach", "--name=outlives", "busybox", "sleep", "600")
    try:
        for kill in (False, True):
            engine.restart(live_restore=True, kill=kill)
            assert engine.docker("ps", "--quiet", "--filter", "name=outlives") != ""
    finally:
        engine.docker("rm", "--force", "outlives")
        engine.restart(live_restore=False)


@needs_root
def test_an_engine_leaves_nothing_behind(engine: PrivateEngine) -> None:
    with PrivateEngine() as second:
        home = second.home
        assert home and second.pid != engine.pid
        second.docker("info")
    assert left_behind(home) == []


@needs_root
def test_an_engine_that_fails_to_start_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "dockerd"
    program.write_text("#!/bin/sh\necho no luck >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(PrivateEngine, "programs", tmp_path)
    homes = set(Path("/var/tmp").glob("otellogdriver-engine-*"))
    with pytest.raises(EngineError, match="no luck"):
        PrivateEngine().start()
    assert set(Path("/var/tmp").glob("otellogdriver-engine-*")) == homes


@needs_root
def test_the_engine_of_a_killed_program_is_swept() -> None:
    program = (
        "import time; from plugin.private_engine import *; e = PrivateEngine(); e.start(); print(e.home, flush=True)"
    )
    owner = subprocess.Popen(["python3", "-c", f"{program}; time.sleep(600)"], stdout=subprocess.PIPE, text=True)
    with owner:
        assert owner.stdout
        home = Path(owner.stdout.readline().strip())
        assert remains.processes(home)
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
        sweep()
    assert left_behind(home) == []


def test_without_root_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostError, match="needs root"):
        PrivateEngine().start()
