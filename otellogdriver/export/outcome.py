"""What became of one OTLP request: a closed set of values, matched in full by the caller; and the shape of a sender.

Source of the classes: OTLP specification, sections "Failures" of OTLP/gRPC and OTLP/HTTP; how each status maps to a
class is written down in `http.py` and `grpc.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol


@dataclass(frozen=True, slots=True)
class Delivered:
    """The collector took the request (perhaps but for `rejected` records, which must not be sent again)."""

    kind: ClassVar[str] = "delivered"
    rejected: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """Not delivered, and sending the same bytes again is right.

    `after` is the collector's own wish in seconds (Retry-After, RetryInfo) or None; `kind` is a short, bounded word for
    metrics (`unreachable`, `timeout`, `throttled`, `unavailable`); `reason` is one line for people. `broke`: the
    request was under way and broke off, got no answer in time, or met a gateway that got none: it may be for the sake
    of what is in it. Where nobody was reached, or the collector itself asks for patience, it is not.
    """

    kind: str
    reason: str
    after: float | None = None
    broke: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The collector will never take *this data* (400, 413, INVALID_ARGUMENT, ...). `too_large`: as long as it comes in
    so large a request; its parts may be good."""

    kind: ClassVar[str] = "refused"
    reason: str
    too_large: bool = False


@dataclass(frozen=True, slots=True)
class Denied:
    """The collector takes nothing from us as the destination is set up now (401, 403, 404, UNAUTHENTICATED, wrong
    certificate, redirect, ...); it says nothing about the data. `local`: nobody but ourselves says so (a setting, a
    file that is missing, a certificate that we do not trust), so no data may be given up for it."""

    kind: ClassVar[str] = "denied"
    reason: str
    local: bool = False


@dataclass(frozen=True, slots=True)
class Unread:
    """The collector took the request, and its answer is longer than what is read of one (by the specification an error
    that is not tried again), or cannot be read by the library that does."""

    kind: ClassVar[str] = "unread"
    reason: str


Outcome = Delivered | Retry | Refused | Denied | Unread
"""`kind` is the word that the metrics have for it."""


Body = Sequence[bytes | memoryview]
"""One request, as `prepare` has made it: what is sent, in this order."""


class Client(Protocol):
    """A way to one destination. Cheap to make; connects when it must."""

    async def send(self, body: Body, alone: bool = False) -> Outcome:
        """Send one request as `prepare` made it. Never raises, except CancelledError. `alone`: it may break its
        connection, so no other request is to be on that."""

    async def close(self) -> None:
        """Give up all connections. Sends that are under way are best cancelled before."""
