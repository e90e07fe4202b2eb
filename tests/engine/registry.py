"""A real plugin registry on a free loopback port."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

from tests.engine.loopback import free_port, listening
from tests.engine.program import Program
from tests.tools.registry import registry


class Registry(Program):
    """`address` is what references begin with."""

    name = "registry"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.address = f"127.0.0.1:{free_port()}"

    def command(self) -> list[str | Path]:
        settings = self.folder / "registry.json"
        storage = {"filesystem": {"rootdirectory": str(self.folder / "data")}}
        settings.write_text(json.dumps({"version": 0.1, "storage": storage, "http": {"addr": self.address}}))
        return [registry(), "serve", settings]

    def ready(self) -> bool:
        return listening(int(self.address.rpartition(":")[2]))

    def get(self, path: str) -> Any:
        """An answer of its API below /v2/."""
        manifest = "application/vnd.docker.distribution.manifest.v2+json"
        request = urllib.request.Request(f"http://{self.address}/v2/{path}", headers={"Accept": manifest})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def size(self, repository: str, tag: str) -> int:
        """Bytes that a pull of the layers takes."""
        return sum(int(layer["size"]) for layer in self.get(f"{repository}/manifests/{tag}")["layers"])
