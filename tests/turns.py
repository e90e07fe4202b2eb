"""Several processes run tests at once; one that measures has the machine to itself.

In: whether a test is marked `measures`. Out: its turn, held for its set-up, itself and its clean-up. The others share
the machine; no new one of them begins while one waits to be alone.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator

from plugin.build import ROOT

FOLDER = ROOT / "build"


@contextlib.contextmanager
def turn(alone: bool) -> Iterator[None]:
    """Wait for a turn and hold it."""
    FOLDER.mkdir(exist_ok=True)
    with open(FOLDER / "next-turn.lock", "w") as next_one, open(FOLDER / "turn.lock", "w") as machine:
        fcntl.flock(next_one, fcntl.LOCK_EX)
        fcntl.flock(machine, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        if not alone:
            fcntl.flock(next_one, fcntl.LOCK_UN)
        yield
