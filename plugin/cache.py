"""The folder outside the checkout where costly results are kept: built tools, base images, the build engine.

In: a name that holds everything the result depends on (version, recipe). Out: a path that is complete or absent, never
half made, also when two checkouts build at the same time or one is killed. Nothing here deletes an older result.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path


def cache_dir() -> Path:
    """`~/.cache/otellogdriver-tools` (`XDG_CACHE_HOME` is honoured), made when missing."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "otellogdriver-tools"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def locked(name: str) -> Iterator[Path]:
    """Hold the lock of `name` across processes; yields the path that it stands for. The kernel frees it on death."""
    path = cache_dir() / name
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """The path kept under `name`; when missing, `make(path)` writes a file or a folder, which is moved into place."""
    path = cache_dir() / name
    if path.exists():
        return path
    with locked(name):
        if not path.exists():
            scratch = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache_dir()))
            try:
                make(scratch / name)
                os.rename(scratch / name, path)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return path
