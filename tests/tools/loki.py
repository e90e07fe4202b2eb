"""A real Loki, built from its published module.

A module's own replace lines count only where it is the main one, so they are repeated in the throw-away module that
requires it; all but the one that points into Loki's source tree, for which the published module is taken.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from plugin.cache import cached
from tests.tools.golang import ToolError, build, go, run

VERSION = "v3.7.8"
MODULE = "github.com/grafana/loki/v3"


def loki() -> Path:
    """The executable `loki`; built in five to six minutes on two cores when it is not in the cache."""
    return cached(f"loki-{VERSION}", make)


def make(path: Path) -> None:
    work = path.parent / "module"
    work.mkdir()
    run([str(go()), "mod", "init", "tool"], work)
    own = _own(work)
    edits = [f"-require={MODULE}@{VERSION}"]
    for line in own["Replace"] or []:
        old, new = line["Old"], line["New"]
        if not new["Path"].startswith("."):
            edits.append(f"-replace={old['Path']}={new['Path']}@{new['Version']}")
            continue
        (required,) = (item["Version"] for item in own["Require"] if item["Path"] == old["Path"])
        edits.append(f"-require={old['Path']}@{required}")
    run([str(go()), "mod", "edit", *edits], work)
    build(path, work, f"{MODULE}/cmd/loki")


def _own(work: Path) -> Any:
    """Loki's go.mod, as `go mod edit -json` prints it."""
    found = _json([str(go()), "mod", "download", "-json", f"{MODULE}@{VERSION}"], work)
    return _json([str(go()), "mod", "edit", "-json", found["GoMod"]], work)


def _json(command: list[str], work: Path) -> Any:
    done = subprocess.run(command, cwd=work, capture_output=True, text=True)
    if done.returncode:
        raise ToolError(f"{' '.join(command)} failed ({done.returncode}): {done.stderr[-2000:]}")
    return json.loads(done.stdout)
