"""The command line as a program, in an environment that says nothing of this machine's engine or collector."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

COMMAND = (sys.executable, "-m", "otellogdriver.cli")


def environment(environ: Mapping[str, str] = {}) -> dict[str, str]:
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL", "DOCKER", "COLUMNS"))}
    return {**ours, "DOCKER_HOST": "unix:///nonexistent/docker.sock", **environ}


def run(*arguments: object, environ: Mapping[str, str] = {}, within: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    words = [*COMMAND, *map(str, arguments)]
    return subprocess.run(words, env=environment(environ), capture_output=True, text=True, timeout=within)


def told(*arguments: object, code: int = 0, environ: Mapping[str, str] = {}) -> Any:
    """What a command with --json says; it must end with this exit code."""
    done = run(*arguments, "--json", environ=environ)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)
