"""A real VictoriaLogs on a free loopback port, with its data in a folder; asked by the calls that Grafana makes."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from tests.engine.loopback import free_port
from tests.engine.program import Program, answers
from tests.tools.victorialogs import victorialogs

Row = dict[str, str]
"""One record: its fields by name, all of them text."""


class VictoriaLogs(Program):
    """`endpoint` is what the driver takes, `logs_endpoint` what a collector's `otlp_http` takes.
    `flags` are further ones of the program, e.g. `-storage.minFreeDiskSpaceBytes=...`."""

    name = "victoria-logs"

    def __init__(self, folder: Path, *flags: str) -> None:
        super().__init__(folder)
        self.flags = flags
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.endpoint = f"{self.url}/insert/opentelemetry"
        self.logs_endpoint = f"{self.endpoint}/v1/logs"

    def command(self) -> list[str | Path]:
        return [
            str(victorialogs()),
            f"-storageDataPath={self.folder / 'data'}",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            "-retentionPeriod=100y",
            "-inmemoryDataFlushInterval=1s",
            "-loggerLevel=WARN",
            *self.flags,
        ]

    def ready(self) -> bool:
        return answers(f"{self.url}/health")

    def ask(self, path: str, **parameters: str) -> str:
        """The answer of `/select/logsql/PATH`; AssertionError with its complaint."""
        data = urllib.parse.urlencode(parameters).encode()
        try:
            with urllib.request.urlopen(f"{self.url}/select/logsql/{path}", data, timeout=30) as answer:
                text: str = answer.read().decode()
                return text
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def rows(self, query: str, **parameters: str) -> list[Row]:
        """Records, in no order; all times unless `start` and `end` say otherwise."""
        return [json.loads(line) for line in self.ask("query", query=query, **parameters).splitlines()]

    def count(self, query: str) -> int:
        return int(self.rows(f"{query} | stats count() as found")[0]["found"])

    def stats(self, query: str) -> list[Any]:
        """Samples now, of a query that ends in `stats`: as Prometheus gives them."""
        return list(json.loads(self.ask("stats_query", query=query, time=str(time.time())))["data"]["result"])

    def stats_range(self, query: str, step: str, hours: float = 1) -> list[Any]:
        """The same over time: one value a step, of the last hours."""
        start, end = str(time.time() - 3600 * hours), str(time.time())
        found = json.loads(self.ask("stats_query_range", query=query, start=start, end=end, step=step))
        return list(found["data"]["result"])

    def values(self, field: str, query: str = "*") -> list[str]:
        """The values of a field among the records that match."""
        start = str(time.time() - 3600)
        found = json.loads(self.ask("field_values", field=field, query=query, start=start))["values"]
        return [value["value"] for value in found]
