"""Several endpoints of one destination: one is in use, the next is tried when it cannot be reached.

The first endpoint is the preferred one. Only "unreachable" and "timeout" lead on to the next: whoever answers, even
with an error, has the say; but one that has been "unavailable" (502, 503, 504: often a load balancer with nothing
after it) for PATIENCE seconds, without taking anything meanwhile, has not. An endpoint comes into use when it has
answered; after RETURN seconds one request (not all that are in flight) tries the preferred one again. If none can be
reached the result is a Retry that names them all.
A fallback that denies us does not count as an answer while others are merely away, so that no data is given up because
the spare address has a wrong token; and the preferred endpoint comes back into use only by taking (or refusing) data.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence

from otellogdriver.export.outcome import Body, Client, Denied, Outcome, Retry

RETURN = 30.0
PATIENCE = 30.0


def spread(endpoints: Sequence[str], host: str) -> tuple[str, ...]:
    """The endpoints in this host's own order (rendezvous hashing). Of many hosts each endpoint is preferred by about as
    many; those that lose it spread over all others; one that is added or removed changes the order of no two others."""

    def rank(endpoint: str) -> bytes:
        return hashlib.blake2b(f"{host}\0{endpoint}".encode()).digest()

    return tuple(sorted(endpoints, key=rank))


class FailoverClient:
    """A client over the clients of each endpoint."""

    def __init__(self, clients: Sequence[Client], back_after: float = RETURN, patience: float = PATIENCE) -> None:
        self._clients = clients
        self._back_after = back_after
        self._patience = patience
        self._unavailable: dict[int, float] = {}
        """Endpoint -> since when it has answered nothing but "unavailable"."""
        self._used = 0
        self._back_at = 0.0

    async def send(self, body: Body, alone: bool = False) -> Outcome:
        """Send to the endpoint in use, then to the others in their order."""
        order = [self._used, *(index for index in range(len(self._clients)) if index != self._used)]
        probe = bool(self._used) and time.monotonic() >= self._back_at
        if probe:
            self._back_at = time.monotonic() + self._back_after
            order.remove(0)
            order.insert(0, 0)
        failed: list[Retry | Denied] = []
        for index in order:
            outcome = await self._clients[index].send(body, alone)
            away = self._is_away(index, outcome)
            if isinstance(outcome, Retry | Denied) and (away or probe or failed and isinstance(outcome, Denied)):
                failed.append(outcome)
            else:
                self._use(index)
                return outcome
            probe = False
        reason = "; ".join(outcome.reason for outcome in failed)
        retries = [outcome for outcome in failed if isinstance(outcome, Retry)]
        if retries:
            return Retry(retries[-1].kind, reason, retries[-1].after)
        return Denied(reason, local=any(isinstance(outcome, Denied) and outcome.local for outcome in failed))

    async def close(self) -> None:
        """Close the clients of all endpoints."""
        for client in self._clients:
            await client.close()

    def _is_away(self, index: int, outcome: Outcome) -> bool:
        if not isinstance(outcome, Retry):
            self._unavailable.pop(index, None)
            return False
        if outcome.kind == "unavailable":
            since = self._unavailable.setdefault(index, time.monotonic())
            return time.monotonic() - since >= self._patience
        return outcome.kind in ("unreachable", "timeout")

    def _use(self, index: int) -> None:
        if index and index != self._used:
            self._back_at = time.monotonic() + self._back_after
        self._used = index
