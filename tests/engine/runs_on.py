"""The table *runs on* of the README, from what `make engines` ran: `python -m tests.engine.runs_on --render`.

In: `build/engines/NAME.xml`, what pytest wrote of its run on the engine NAME; beside it, what `write_about` did.
Out: a row for each between the README's marks; a run that is not there keeps its row as it was.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

from plugin.build import ROOT
from plugin.private_engine import PrivateEngine
from tests.tools.engine import ENGINES, chosen, title

README = ROOT / "README.md"
RUNS = ROOT / "build/engines"
BEGIN = "<!-- engines: begin, made by `python -m tests.engine.runs_on --render` after `make engines` -->"
END = "<!-- engines: end -->"
HEAD = "| engine | containers and images | machine | end-to-end tests | when |\n|---|---|---|---|---|\n"


def write_about(engine: PrivateEngine, part: bool) -> None:
    """Keep what the row of a run says of the engine that it runs on; `part`: not all tests are run."""
    storage, groups = engine.docker("info", "--format={{.Driver}} {{.CgroupVersion}}").split()
    told: dict[str, str | bool] = {
        "version": engine.docker("version", "--format={{.Server.Version}}").strip(),
        "storage": f"{'containerd image store' if storage == 'overlayfs' else storage}, cgroup v{groups}",
        "part": part,
        "machine": f"{os.uname().machine}, Linux {'.'.join(os.uname().release.split('.')[:2])}",
    }
    RUNS.mkdir(parents=True, exist_ok=True)
    (RUNS / f"{chosen()}.json").write_text(json.dumps(told))


def row(run: Path) -> str:
    """The row for what pytest wrote."""
    suite = ElementTree.parse(run).getroot().find(".//testsuite")
    assert suite is not None
    told = json.loads(run.with_suffix(".json").read_text())
    counts = {name: int(suite.attrib[name]) for name in ("tests", "skipped", "failures", "errors")}
    failed = counts["failures"] + counts["errors"]
    result = f"{counts['tests'] - counts['skipped'] - failed} passed"
    result += "".join(
        f", {number} {word}" for number, word in ((failed, "failed"), (counts["skipped"], "skipped")) if number
    )
    if told["part"]:
        result += " (a chosen part)"
    cells = (title(run.stem, told["version"]), told["storage"], told["machine"], result, suite.attrib["timestamp"][:10])
    return f"| {' | '.join(cells)} |\n"


def rendered(text: str, rows: dict[str, str]) -> str:
    """`text` with these rows, each by its engine, in the order of age."""
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    there = {}
    for line in old.splitlines(keepends=True):
        for name in ENGINES:
            if re.match(rf"\| {re.escape(name)}\b", line):
                there[name] = line
    there |= rows
    table = "".join(there[name] for name in sorted(there, key=lambda name: [int(part) for part in name.split(".")]))
    return f"{before}{BEGIN}\n\n{HEAD + table + chr(10) if table else ''}{END}{after}"


def main(arguments: list[str]) -> int:
    if arguments != ["--render"]:
        print("usage: python -m tests.engine.runs_on --render", file=sys.stderr)
        return 2
    rows = {run.stem: row(run) for run in RUNS.glob("*.xml")}
    README.write_text(rendered(README.read_text(encoding="utf-8"), rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
