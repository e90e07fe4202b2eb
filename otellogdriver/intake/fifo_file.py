"""The file of a FIFO: which one may be read, whether it is one, finding those of nobody, removing.

All of it may wait for a disk, but for `check_path`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Container
from pathlib import Path

from otellogdriver.errors import ProtocolError, may_pass

_NAME = re.compile(r"[0-9a-f]{64}")
"""As the engine names them."""


def check_path(file: str, allowed: str) -> None:
    """Only what is directly in the folder `allowed` may be opened. Raises ProtocolError."""
    directory, name = os.path.split(file)
    if directory != allowed.rstrip("/") or name in ("", ".", ".."):
        raise ProtocolError(f"File {file[:200]!r} is not a FIFO in {allowed}")


def check(file: str) -> None:
    """Raises ProtocolError for what is not a FIFO; whoever opens it looks again."""
    try:
        mode = os.lstat(file).st_mode
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or "not the name of a file"
        raise ProtocolError(f"File {file[:200]!r} cannot be opened: {why}") from error
    if not stat.S_ISFIFO(mode):
        raise ProtocolError(f"File {file[:200]!r} is not a FIFO")


def may_be(file: str) -> bool:
    """Whether it is a FIFO, or cannot be looked at just now: who opens it looks again."""
    try:
        return stat.S_ISFIFO(os.lstat(file).st_mode)
    except (OSError, ValueError) as error:
        return may_pass(error)


def of_nobody(directory: str, known: Container[str]) -> list[str]:
    """FIFOs that are not among the known ones: of containers that start just now, or of those whose state was lost."""
    try:
        paths = list(Path(directory).iterdir())
    except OSError:
        return []
    files = [str(path) for path in paths if _NAME.fullmatch(path.name)]
    return [file for file in files if file not in known and may_be(file)]


def remove(file: str) -> None:
    """The engine went away without StopLogging (live-restore, crash): nobody else removes it. Raises OSError."""
    try:
        if stat.S_ISFIFO(os.lstat(file).st_mode):
            os.unlink(file)
    except FileNotFoundError:
        pass
