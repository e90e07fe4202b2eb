"""The other ways to read logs: `docker compose logs`, and `docker service logs` in a swarm of one node."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugin import bridge, images
from plugin.build import build
from plugin.private_engine import PrivateEngine
from tests.conftest import missing_means_skip
from tests.engine.collector import Collector
from tests.engine.loopback import free_port, wait_for
from tests.engine.plugin import Plugin
from tests.tools.compose import compose

LINES = "".join(f"{number}\n" for number in range(1, 101))
GATEWAY = "docker_gwbridge"
"""A link that all swarm engines of a host share."""


def test_compose_logs(engine: PrivateEngine, plugin: Plugin, collector: Collector, tmp_path: Path) -> None:
    log = {"driver": plugin.name, "options": {"otlp-endpoint": collector.http}}
    service = {
        "image": "busybox",
        "command": "sh -c 'seq 1 100; echo last >&2'",
        "logging": log,
        "network_mode": "none",
    }
    project = tmp_path / "compose.json"
    project.write_text(json.dumps({"name": "logs", "services": {"web": service}}))

    def run(*arguments: str) -> str:
        command = [str(compose()), f"--file={project}", *arguments]
        done = subprocess.run(
            command, env=engine.environment(), capture_output=True, text=True, timeout=120, check=True
        )
        return done.stdout

    run("up", "--detach")
    try:
        records = collector.wait(101)
        assert {record.resource["service.name"] for record in records} == {"web"}
        assert {record.resource["service.namespace"] for record in records} == {"logs"}
        assert sorted(run("logs", "--no-log-prefix", "--no-color").splitlines()) == sorted([*LINES.split(), "last"])
        assert run("logs", "--no-log-prefix", "--no-color", "--tail=1").strip() in ("100", "last")
    finally:
        run("down")


@pytest.fixture
def swarm() -> Iterator[PrivateEngine]:
    """An engine of the test's own that is a swarm of one node."""
    there = GATEWAY in bridge.ip("-brief", "link")
    private = PrivateEngine()
    with missing_means_skip():
        private.start()
    try:
        images.ensure(private, "busybox:latest")
        port = free_port()
        private.docker("swarm", "init", f"--advertise-addr=127.0.0.1:{port}", f"--listen-addr=127.0.0.1:{port}")
        yield private
    finally:
        private.run("swarm", "leave", "--force", timeout=60)
        private.stop()
        if not there and GATEWAY in bridge.ip("-brief", "link"):
            bridge.ip("link", "delete", GATEWAY)


def test_service_logs(swarm: PrivateEngine, collector: Collector) -> None:
    plugin = Plugin(swarm, build())
    plugin.enable()
    log = (f"--log-driver={plugin.name}", f"--log-opt=otlp-endpoint={collector.http}")
    script = "seq 1 100; while :; do sleep 1000; done"
    swarm.docker("service", "create", "--detach", "--name=shop", *log, "busybox", "sh", "-c", script)
    try:
        records = collector.wait(100, limit=60)
        assert {record.resource["service.name"] for record in records} == {"shop"}
        assert [record.body for record in records] == LINES.split()
        wait_for(lambda: swarm.docker("service", "logs", "--raw", "shop") == LINES, "all lines in service logs", 20)
        assert swarm.docker("service", "logs", "--raw", "--tail=3", "shop") == "98\n99\n100\n"
        task = swarm.docker("service", "ps", "--quiet", "shop").split()[0]
        assert swarm.docker("service", "logs", "--raw", task) == LINES
    finally:
        swarm.docker("service", "rm", "shop")
        wait_for(lambda: not swarm.docker("ps", "--quiet"), "end of the task", 30)
