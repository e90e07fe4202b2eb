"""What became of one OTLP request: a closed set of values, matched in full by the caller; and the shape of a sender.

Source of the classes: OTLP specification, sections "Failures" of OTLP/gRPC and OTLP/HTTP; how each status maps to a
class is written down in `http.py` and `grpc.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Delivered:
    """The collector took the request (perhaps but for `rejected` records, which must not be sent again)."""

    rejected: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """Not delivered, and sending the same bytes again is right.

    `after` is the collector's own wish in seconds (Retry-After, RetryInfo) or None; `kind` is a short, bounded word for
    metrics (`unreachable`, `timeout`, `throttled`, `unavailable`); `reason` is one line for people.
    """

    kind: str
    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The collector will never take *this data* (400, 413, INVALID_ARGUMENT, ...)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Denied:
    """The collector takes nothing from us as the destination is set up now (401, 403, 404, UNAUTHENTICATED, wrong
    certificate, redirect, ...); it says nothing about the data."""

    reason: str


Outcome = Delivered | Retry | Refused | Denied


class Client(Protocol):
    """A way to one destination. Cheap to make; connects when it must."""

    async def send(self, body: bytes) -> Outcome:
        """Send one request as `prepare` made it. Never raises, except CancelledError."""

    async def close(self) -> None:
        """Give up all connections. Sends that are under way are best cancelled before."""
