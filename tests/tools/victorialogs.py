"""A real VictoriaLogs: the log store of the tests and of the stack (Apache-2.0), its web page included."""

from __future__ import annotations

from pathlib import Path

from plugin.cache import cached
from tests.tools.golang import build_from_module

VERSION = "v1.52.1"
MODULE = "github.com/VictoriaMetrics/VictoriaLogs"


def victorialogs() -> Path:
    """The executable `victoria-logs`; built in a minute or two when it is not in the cache."""
    return cached(
        f"victoria-logs-{VERSION}",
        lambda path: build_from_module(path, MODULE, VERSION, f"{MODULE}/app/victoria-logs"),
    )
