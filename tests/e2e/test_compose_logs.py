"""Another way to read logs: `docker compose logs`. (`docker service logs` is in test_swarm.py.)"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from plugin.private_engine import PrivateEngine
from tests.engine.collector import Collector
from tests.engine.plugin import Plugin
from tests.tools.compose import compose

LINES = "".join(f"{number}\n" for number in range(1, 101))


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
