"""The `docker compose` command, built from its published module, for hosts whose Docker came without it."""

from __future__ import annotations

from pathlib import Path

from plugin.cache import cached
from tests.tools.golang import build_from_module

VERSION = "v2.40.3"
MODULE = "github.com/docker/compose/v2"


def compose() -> Path:
    """The executable `docker-compose`, a plugin of the docker command that also runs alone."""
    return cached(f"docker-compose-{VERSION}", lambda path: build_from_module(path, MODULE, VERSION, f"{MODULE}/cmd"))
