"""TCP ports on loopback, and bounded waiting for what happens in other processes."""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

NOBODY = "http://127.0.0.1:9"
"""An endpoint where nobody listens, and nobody will: a free port may be another test's server by the time that a driver
tries it again."""


PORTS = range(20_000, 32_000)
"""Below those that the kernel hands out to others, now or while a server is down."""


def free_port() -> int:
    """A port that nothing listens on, and that another test is not likely to take."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(look: Callable[[], T], what: str, limit: float = 10.0, pause: float = 0.02) -> T:
    """The first truthy value that `look()` gives. A look that raises ConnectionError, because whoever is asked does not
    answer yet, gives none. Raises TimeoutError naming `what` after `limit` seconds."""
    began = time.monotonic()
    while True:
        seen: T | ConnectionError
        try:
            if seen := look():
                return seen
        except ConnectionError as error:
            seen = error
        waited = time.monotonic() - began
        if waited > limit:
            raise TimeoutError(f"not within {limit:g} s: {what}; last seen: {seen!r}")
        time.sleep(pause / 10 if waited < 1 else pause)  # who is asked over HTTP has to answer, too
