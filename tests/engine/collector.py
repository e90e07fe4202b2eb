"""A real OpenTelemetry Collector on free loopback ports, writing what it gets to a file.

In: a folder to work in. Out: endpoints for OTLP over HTTP and gRPC, and the records received, over all restarts. What
the collector has acknowledged is in the file at once (the file exporter with rotation does not buffer), so that even a
killed one has lost nothing.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.engine.loopback import free_port, listening, wait_for
from tests.engine.program import Program
from tests.engine.records import Record, read
from tests.tools.collector import collector


class Collector(Program):
    """`receiver` is merged into each protocol's settings (`tls`, `auth`); `extensions` are added to the service."""

    name = "collector"

    def __init__(
        self,
        folder: Path,
        receiver: Mapping[str, Any] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(folder)
        self.http_port, self.grpc_port = free_port(), free_port()
        self.output = folder / "records.json"
        self.receiver = dict(receiver or {})
        self.extensions = dict(extensions or {})
        self.received: list[Record] = []
        self.read_to = 0

    def __exit__(self, *reason: object) -> None:
        self.stop()

    @property
    def http(self) -> str:
        """The endpoint for `http/protobuf`."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def grpc(self) -> str:
        """The endpoint for `grpc`."""
        return f"http://127.0.0.1:{self.grpc_port}"

    def settings(self) -> dict[str, Any]:
        """The collector's configuration (JSON is YAML, too)."""
        return {
            "receivers": {
                "otlp": {
                    "protocols": {
                        "http": {"endpoint": f"127.0.0.1:{self.http_port}", **self.receiver},
                        "grpc": {"endpoint": f"127.0.0.1:{self.grpc_port}", **self.receiver},
                    }
                }
            },
            "exporters": {"file": {"path": str(self.output), "rotation": {"max_megabytes": 100_000}}},
            "extensions": self.extensions,
            "service": {
                "extensions": list(self.extensions),
                "pipelines": {"logs": {"receivers": ["otlp"], "exporters": ["file"]}},
                "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}},
            },
        }

    def command(self) -> list[str | Path]:
        settings = self.folder / "collector.json"
        settings.write_text(json.dumps(self.settings()))
        return [collector(), f"--config={settings}"]

    def ready(self) -> bool:
        return listening(self.http_port) and listening(self.grpc_port)

    def freeze(self) -> None:
        """Let it hang: the kernel takes connections, nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def records(self, container: str | None = None) -> list[Record]:
        """All records so far, or those whose resource names the container (without the leading `/`)."""
        found, self.read_to = read(self.output, self.read_to)
        self.received += found
        return [one for one in self.received if container is None or one.resource.get("container.name") == container]

    def wait(self, count: int, container: str | None = None, limit: float = 20.0) -> list[Record]:
        """The records, as soon as there are at least `count`."""

        def enough() -> list[Record]:
            found = self.records(container)
            return found if len(found) >= count else []

        try:
            return wait_for(enough, f"{count} records", limit, 0.05)
        except TimeoutError as error:
            raise TimeoutError(f"{len(self.records(container))} records; {error}") from None
