"""A real Kafka broker on a free loopback port: one node, its own controller (KRaft), with its data in a folder."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Self

from tests.engine.loopback import free_port, listening
from tests.engine.program import Program
from tests.tools.kafka import java, kafka


class Kafka(Program):
    """A context manager, which makes the broker's data when it is entered."""

    name = "kafka"
    within = 90.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port, self.controller = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.settings = folder / "server.properties"

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        values = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller}",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{self.controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self.folder / "data",
            "num.partitions": 3,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 1,
            "message.max.bytes": 4_000_000,
            "group.initial.rebalance.delay.ms": 0,
        }
        self.settings.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        identifier = subprocess.run(
            self._command("kafka.tools.StorageTool", "random-uuid"), check=True, capture_output=True, text=True
        )
        subprocess.run(
            self._command(
                "kafka.tools.StorageTool", "format", "-t", identifier.stdout.split()[-1], "-c", self.settings
            ),
            check=True,
            capture_output=True,
        )
        return super().__enter__()

    def command(self) -> list[str | Path]:
        return self._command("kafka.Kafka", self.settings)

    def ready(self) -> bool:
        return listening(self.port)

    def _command(self, program: str, *arguments: object) -> list[str | Path]:
        options = ["-Xmx256m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        return [java(), *options, "-cp", f"{kafka()}/*", program, *map(str, arguments)]
