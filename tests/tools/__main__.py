"""Build the test tools: `python -m tests.tools [NAME ...]`."""

from __future__ import annotations

import sys

from tests.tools.actionlint import actionlint
from tests.tools.collector import collector
from tests.tools.compose import compose
from tests.tools.golang import ToolError
from tests.tools.logql import grammar
from tests.tools.registry import registry
from tests.tools.victorialogs import victorialogs

TOOLS = {
    "actionlint": actionlint,
    "collector": collector,
    "registry": registry,
    "compose": compose,
    "victorialogs": victorialogs,
    "logql": grammar,
}


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
