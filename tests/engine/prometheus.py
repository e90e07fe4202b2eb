"""A real Prometheus on a free loopback port, which scrapes one driver."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plugin.debian import require
from tests.engine.loopback import free_port
from tests.engine.program import Program, answers


class Prometheus(Program):
    """A context manager; scrapes `targets` (host:port) every second as the job `otellogdriver` of the
    cluster `east`."""

    name = "prometheus"

    def __init__(self, folder: Path, targets: Sequence[str], rules: Path | None = None) -> None:
        super().__init__(folder)
        self.targets = targets
        self.rules = rules
        self.port = free_port()

    def command(self) -> list[str | Path]:
        settings = self.folder / "prometheus.json"
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
        return [
            require("prometheus", "prometheus"),
            f"--config.file={settings}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        ]

    def ready(self) -> bool:
        return answers(f"http://127.0.0.1:{self.port}/-/ready")

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
