"""Files that a destination names, seen when they are replaced: certificates, keys, headers.

In: a destination. Out: whether one of its files is another than at the last `settle`. Links are followed, because
Kubernetes replaces by turning a link, and cert-manager by renaming. A look is one `stat` a file, at most once a second.
"""

from __future__ import annotations

import logging
import os
import time

from otellogdriver.export.destination import Destination

log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two looks: certificates are replaced days before they end."""

Signature = tuple[tuple[int, ...], ...]


class Files:
    """See the module's text."""

    def __init__(self, destination: Destination) -> None:
        named = (
            destination.certificate,
            destination.client_certificate,
            destination.client_key,
            destination.headers_file,
        )
        self._paths = [path for path in named if path.startswith("/")]
        self._settled: Signature = ()
        self._next = 0.0
        self._told: Signature | None = None

    def signature(self) -> Signature:
        """What tells the files' present state from any other; taken before they are read."""
        return tuple(map(_state, self._paths))

    def settle(self, signature: Signature) -> None:
        """What was read is as of this signature."""
        self._settled = signature
        self._next = time.monotonic() + EVERY

    def complain(self, error: Exception) -> None:
        """Say that what is there now cannot be used: once, until it is another."""
        signature = self.signature()
        if signature != self._told:
            self._told = signature
            log.warning("%s; what was read before stays in use", str(error))

    def changed(self) -> bool:
        """Whether it is time to read them again."""
        if not self._paths or time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + EVERY
        return self.signature() != self._settled


def _state(path: str) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
