"""The benchmark's programs in Go, compiled when their source has changed.

In: the name of a folder beside this file. Out: a static executable in the tool cache.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from plugin.cache import cached
from tests.tools import golang

SOURCE = Path(__file__).resolve().parent


def program(name: str) -> Path:
    """`discard`, `sink` or `printer`. Raises ToolError where there is no Go."""
    files = [SOURCE / "go.mod", *sorted((SOURCE / name).glob("*.go"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]
    return cached(f"bench-{name}-{digest}", lambda output: golang.build(output, SOURCE, f"./{name}"))
