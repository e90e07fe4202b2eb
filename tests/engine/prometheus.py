"""A real Prometheus on a free loopback port, which scrapes one driver."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from plugin.debian import require
from tests.engine.loopback import free_port, wait_for


class Prometheus:
    """A context manager; scrapes `targets` (host:port) every second as the job `otellogdriver` of the
    cluster `east`."""

    def __init__(self, folder: Path, targets: Sequence[str], rules: Path | None = None) -> None:
        self.folder = folder
        self.targets = targets
        self.rules = rules
        self.port = free_port()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        settings, log = self.folder / "prometheus.json", self.folder / "prometheus.log"
        static = [{"targets": list(self.targets), "labels": {"cluster": "east"}}]
        settings.write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                    "rule_files": [str(self.rules)] if self.rules else [],
                    "scrape_configs": [{"job_name": "otellogdriver", "static_configs": static}],
                }
            )
        )
        command = [
            require("prometheus", "prometheus"),
            f"--config.file={settings}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        ]
        with log.open("ab") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            wait_for(lambda: self.process.poll() is not None or self.ready(), "Prometheus that is ready", 60, 0.1)
            assert self.process.poll() is None, f"Prometheus ended:\n{log.read_text()[-4000:]}"
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5):
                return True
        except OSError:
            return False

    def get(self, path: str, **parameters: str) -> Any:
        """The `data` of an answer of its API; AssertionError with its complaint."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def query(self, query: str) -> list[Any]:
        """Samples now."""
        result: list[Any] = self.get("query", query=query)["result"]
        return result

    def values(self, label: str, query: str) -> list[str]:
        """The values of a label among the series that match."""
        found: list[str] = self.get(f"label/{label}/values", **{"match[]": query})
        return found
