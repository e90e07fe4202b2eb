"""A collector before the store, as a gateway: it queues nothing, so its answer means that the store has the records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.engine.collector import Collector
from tests.engine.victorialogs import VictoriaLogs


class Gateway(Collector):
    """As compose/collector.yaml has it, on ports of its own."""

    def __init__(self, folder: Path, store: VictoriaLogs) -> None:
        super().__init__(folder)
        self.store = store

    def settings(self) -> dict[str, Any]:
        settings = super().settings()
        headers = {"VL-Stream-Fields": "service.name,container.name,container.id,host.name"}
        settings["exporters"] = {
            "otlp_http": {
                "logs_endpoint": self.store.logs_endpoint,
                "headers": headers,
                "sending_queue": {"enabled": False},
            }
        }
        settings["service"]["pipelines"]["logs"]["exporters"] = ["otlp_http"]
        return settings
