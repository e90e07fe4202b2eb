"""The linter of workflows, built from its published module."""

from __future__ import annotations

from pathlib import Path

from plugin.cache import cached
from tests.tools.golang import build_from_module

VERSION = "v1.7.12"
MODULE = "github.com/rhysd/actionlint"


def actionlint() -> Path:
    """The executable `actionlint`."""
    return cached(
        f"actionlint-{VERSION}", lambda path: build_from_module(path, MODULE, VERSION, f"{MODULE}/cmd/actionlint")
    )
