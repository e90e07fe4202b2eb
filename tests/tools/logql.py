"""The grammar of Loki's query language (Apache-2.0, from npm), to find mistakes in queries without a Loki."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from plugin.cache import cached
from plugin.debian import require
from tests.tools.golang import ToolError

PACKAGES = ("@grafana/lezer-logql@0.4.2", "@lezer/lr@1.4.10", "@lezer/common@1.5.5")

PROGRAM = """
const { parser } = require("@grafana/lezer-logql");
const queries = JSON.parse(require("fs").readFileSync(0, "utf8"));
const mistakes = queries.map((query) => {
  let at = -1;
  parser.parse(query).iterate({ enter: (node) => { if (node.type.isError && at < 0) at = node.from; } });
  return at;
});
console.log(JSON.stringify(mistakes));
"""


def grammar() -> Path:
    """The folder with the installed packages."""
    return cached("-".join(PACKAGES[0].rpartition("/")[2:]).replace("@", "-"), make)


def make(path: Path) -> None:
    path.mkdir()
    command = [require("npm", "npm"), "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save"]
    done = subprocess.run([*command, *PACKAGES], cwd=path, capture_output=True, text=True)
    if done.returncode:
        raise ToolError(f"npm install failed ({done.returncode}): {done.stderr[-2000:]}")


def mistakes(queries: Sequence[str]) -> list[int]:
    """For each query the place of its first mistake, -1 if there is none."""
    done = subprocess.run(
        [require("node", "nodejs"), "-e", PROGRAM],
        cwd=grammar(),
        input=json.dumps(queries),
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        raise ToolError(f"the parser of LogQL failed ({done.returncode}): {done.stderr[-2000:]}")
    found: list[int] = json.loads(done.stdout)
    return found
