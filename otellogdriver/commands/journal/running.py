"""Is a driver at work on a state directory? Asked before something that only a driver at rest may stand.

Looks at the processes of this machine that can be seen from here: one that serves, and for which its state directory is
the very folder asked about, also if it sees it under another path. A driver in another PID namespace that is not below
ours is not seen.
"""

from __future__ import annotations

import os
from pathlib import Path

from otellogdriver.settings.options import plugin_settings


def pid_at(state: Path) -> int | None:
    """The process id of a driver that serves this state directory. Raises OSError if the folder is not there."""
    wanted = state.stat()
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"serve" not in words or not any(b"otellogdriver" in word for word in words):
                continue
            variables = (each.partition("=") for each in (process / "environ").read_text(errors="replace").split("\0"))
            path = plugin_settings({name: value for name, _, value in variables})[0].state_directory
            seen = os.stat(f"{process}/root{path}")
        except PermissionError:
            return int(process.name)  # somebody else's driver: it may be this one
        except OSError:
            continue
        if (seen.st_dev, seen.st_ino) == (wanted.st_dev, wanted.st_ino):
            return int(process.name)
    return None
