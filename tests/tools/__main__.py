"""Build the test tools: `python -m tests.tools [NAME ...]`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.tools.actionlint import actionlint
from tests.tools.collector import collector
from tests.tools.compose import compose
from tests.tools.engine import engine
from tests.tools.golang import ToolError
from tests.tools.logql import grammar
from tests.tools.registry import registry
from tests.tools.victorialogs import victorialogs

TOOLS: dict[str, Callable[[], Path]] = {
    "actionlint": actionlint,
    "collector": collector,
    "registry": registry,
    "compose": compose,
    "victorialogs": victorialogs,
    "logql": grammar,
}
TOOLS |= {f"engine-{name}": partial(engine, name) for name in ("20.10", "28")}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in TOOLS]
    if unknown:
        print(f"no test tool {unknown[0]!r}; known: {', '.join(TOOLS)}", file=sys.stderr)
        return 2
    try:
        for name in names or TOOLS:
            print(TOOLS[name]())
    except ToolError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
