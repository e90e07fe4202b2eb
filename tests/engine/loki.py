"""A real Loki on a free loopback port, in one process, with its data in a folder."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Self

from tests.engine.loopback import free_port, wait_for
from tests.tools.loki import loki


class Loki:
    """A context manager; `otlp` is what a collector's `otlphttp` exporter takes as its endpoint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.grpc_port = free_port(), free_port()
        self.otlp = f"http://127.0.0.1:{self.port}/otlp"

    def settings(self) -> dict[str, Any]:
        """Loki's configuration (JSON is YAML, too)."""
        return {
            "auth_enabled": False,
            "analytics": {"reporting_enabled": False},
            "server": {
                "http_listen_address": "127.0.0.1",
                "http_listen_port": self.port,
                "grpc_listen_address": "127.0.0.1",
                "grpc_listen_port": self.grpc_port,
                "log_level": "warn",
            },
            "common": {
                "path_prefix": str(self.folder / "data"),
                "replication_factor": 1,
                "instance_addr": "127.0.0.1",
                "ring": {"kvstore": {"store": "inmemory"}},
            },
            "ingester": {"lifecycler": {"min_ready_duration": "0s"}},
            "schema_config": {
                "configs": [
                    {
                        "from": "2024-01-01",
                        "store": "tsdb",
                        "object_store": "filesystem",
                        "schema": "v13",
                        "index": {"prefix": "index_", "period": "24h"},
                    }
                ]
            },
        }

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        settings, log = self.folder / "loki.json", self.folder / "loki.log"
        settings.write_text(json.dumps(self.settings()))
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [loki(), f"-config.file={settings}"], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            wait_for(lambda: self.process.poll() is not None or self.ready(), "Loki that is ready", 60, 0.1)
            assert self.process.poll() is None, f"Loki ended:\n{log.read_text()[-4000:]}"
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=5):
                return True
        except OSError:
            return False

    def get(self, path: str, **parameters: str) -> Any:
        """The `data` of an answer of its API; AssertionError with its complaint."""
        url = f"http://127.0.0.1:{self.port}/loki/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def values(self, label: str, query: str) -> list[str]:
        """The values of a label, among the streams that match the query if there is one."""
        found: list[str] = self.get(f"label/{label}/values", **({"query": query} if query else {})) or []
        return found

    def query(self, query: str) -> list[Any]:
        """Streams with their lines of the last hour, or samples now."""
        if query.lstrip().startswith("{"):
            start = time.time_ns() - 3600 * 10**9
            found = self.get("query_range", query=query, start=str(start), limit="5000")
        else:
            found = self.get("query", query=query)
        result: list[Any] = found["result"]
        return result

    def lines(self, query: str) -> list[str]:
        """The lines of the last hour, in no order."""
        return [line for stream in self.query(query) for _, line, *_ in stream["values"]]
