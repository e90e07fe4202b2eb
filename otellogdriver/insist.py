"""What must be done, however short memory is for a moment: whoever waits for it would wait for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

NO_MEMORY = 0.01
"""Seconds until what met a lack of memory is tried again."""


def insist(step: Callable[..., T], *arguments: Any, **more: Any) -> T:
    """What `step` gives; made again until there is memory for it. It may be made twice."""
    while True:
        try:
            made = step(*arguments, **more)
        except MemoryError:
            time.sleep(NO_MEMORY)
            continue
        del step, arguments, more  # an error that was met there has this frame, and would have these for as long
        return made
