"""A plugin registry on loopback, for `docker plugin push`, `install` and `upgrade`."""

from __future__ import annotations

from pathlib import Path

from plugin.cache import cached
from tests.tools.golang import build_from_module

VERSION = "v3.1.2"
MODULE = "github.com/distribution/distribution/v3"


def registry() -> Path:
    """The executable `registry` of CNCF Distribution."""
    return cached(
        f"registry-{VERSION}", lambda path: build_from_module(path, MODULE, VERSION, f"{MODULE}/cmd/registry")
    )
