"""A real plugin registry on a free loopback port."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any, Self

from tests.engine.loopback import free_port, listening, wait_for
from tests.tools.registry import registry


class Registry:
    """A context manager; `address` is what references begin with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = self.folder / "registry.json"
        storage = {"filesystem": {"rootdirectory": str(self.folder / "data")}}
        settings.write_text(json.dumps({"version": 0.1, "storage": storage, "http": {"addr": self.address}}))
        with open(self.folder / "registry.log", "wb") as log:
            self.process = subprocess.Popen(
                [registry(), "serve", settings], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            wait_for(lambda: listening(int(self.address.rpartition(":")[2])), "registry", 20)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def get(self, path: str) -> Any:
        """An answer of its API below /v2/."""
        manifest = "application/vnd.docker.distribution.manifest.v2+json"
        request = urllib.request.Request(f"http://{self.address}/v2/{path}", headers={"Accept": manifest})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def size(self, repository: str, tag: str) -> int:
        """Bytes that a pull of the layers takes."""
        return sum(int(layer["size"]) for layer in self.get(f"{repository}/manifests/{tag}")["layers"])
