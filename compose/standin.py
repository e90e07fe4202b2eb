"""Images for hosts that reach no image registry: the real programs, under the names that compose.yaml has.

In: an engine, an image's name. Out: the engine has it, made of a program built or installed here, with the entry point
and the data folder of the original. They differ in what else is in the image, and Prometheus in its version. Grafana
cannot be had this way.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plugin import images
from plugin.debian import require
from plugin.engine import Engine


@dataclass(frozen=True)
class Program:
    """Where it comes from, where it stands in the image, and the folder for its data."""

    find: Callable[[], Path]
    path: str
    data: str = "tmp"


def _collector() -> Path:
    from tests.tools.collector import collector

    return collector()


def _victorialogs() -> Path:
    from tests.tools.victorialogs import victorialogs

    return victorialogs()


def _prometheus() -> Path:
    return Path(require("prometheus", "prometheus"))


PROGRAMS = {
    "otel/opentelemetry-collector-contrib": Program(_collector, "otelcol-contrib"),
    "victoriametrics/victoria-logs": Program(_victorialogs, "victoria-logs-prod", "vlogs"),
    "prom/prometheus": Program(_prometheus, "bin/prometheus", "prometheus"),
}


def ensure(engine: Engine, image: str) -> bool:
    """Make a stand-in for `image`; False if none can be made."""
    name, _, _ = image.rpartition(":")
    if name == "busybox":
        images.ensure(engine, "busybox:latest")
        engine.docker("tag", "busybox:latest", image)
        return True
    program = PROGRAMS.get(name)
    if program is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "image.tar"
        _pack(program, archive)
        entry = f"ENTRYPOINT {json.dumps([f'/{program.path}'])}"
        engine.docker("import", "--change", entry, archive, image, timeout=300)
    return True


def _pack(program: Program, archive: Path) -> None:
    """A root file system with the program, the libraries it is linked to, and little else."""
    found = program.find()
    linked = subprocess.run(["ldd", found], capture_output=True, text=True)  # fails for a static one
    libraries = re.findall(r"(?:=> |^\s+)(/\S+) \(0x", linked.stdout, re.MULTILINE)
    with tarfile.open(archive, "w") as tar:
        for folder in {"tmp", "etc", program.data}:
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        text = b"root:x:0:0:root:/:/bin/sh\n"
        entry = tarfile.TarInfo("etc/passwd")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
        tar.add(found.resolve(), program.path, filter=images.owned_by_root)
        for library in libraries:
            tar.add(Path(library).resolve(), library.lstrip("/"), filter=images.owned_by_root)
