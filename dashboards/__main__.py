"""Render the dashboards, or check that the files are as rendered: `python -m dashboards --render|--check`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import container_logs, driver

BOARDS = {
    "driver.json": driver.board,
    "container-logs.json": container_logs.victorialogs,
    "container-logs-loki.json": container_logs.loki,
}
COMMAND = "python -m dashboards --render"


def rendered(name: str) -> str:
    """The text of a dashboard's file."""
    return JSONEncoder(sort_keys=True, indent=1).encode(BOARDS[name]().build()) + "\n"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m dashboards", description="The dashboards, rendered from code.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true", help="exit 1 if a file is not as rendered")
    action.add_argument("--render", action="store_true", help="write the files anew")
    chosen = parser.parse_args(arguments)
    stale = []
    for name in BOARDS:
        path, text = Path(__file__).with_name(name), rendered(name)
        if chosen.render:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
    for name in stale:
        print(f"dashboards/{name} is not as rendered; mend it with: {COMMAND}", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
