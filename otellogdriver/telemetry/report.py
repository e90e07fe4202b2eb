"""What the status page shows, as one JSON object: `/status.json`.

In: an `Overview` of the driver, the latest events, the problems of the plugin's environment. Out: plain values; sizes
in bytes, times in seconds since the epoch, counts since the driver's start. No header values, keys or line contents.
"""

from __future__ import annotations

import time
from typing import Any

from otellogdriver import __version__
from otellogdriver.delivery.pump import Pump
from otellogdriver.delivery.tally import LATENCY_BOUNDS
from otellogdriver.telemetry.account import Account
from otellogdriver.telemetry.events import Event, Events
from otellogdriver.telemetry.metrics import OUTCOMES
from otellogdriver.telemetry.overview import Overview
from otellogdriver.telemetry.samples import outcomes, resident

_RECENT = 900.0
"""Seconds that an event counts as a container's last error."""


def report(overview: Overview, events: Events, problems: list[str]) -> dict[str, Any]:
    """The object of `/status.json`."""
    users: dict[Pump, int] = {}
    for account in overview.accounts:
        for pump in account.pumps:
            users[pump] = users.get(pump, 0) + 1
    return {
        "version": __version__,
        "codec": overview.codec,
        "codec_wanted": overview.codec_wanted,
        "started": overview.started,
        "now": time.time(),
        "ready": overview.ready,
        "problems": problems,
        "totals": {
            "running": overview.running,
            "delivered": overview.totals.delivered,
            "dropped": overview.totals.dropped,
            "undelivered": overview.undelivered,
            "lag": max((account.lag for account in overview.accounts), default=0.0),
            "journal": overview.journal,
            "limit": overview.journal_limit,
            "room": overview.journal_room,
            "full": overview.journal_full,
            "cpu": time.process_time(),
            "memory": resident(),
        },
        "destinations": [
            _destination(label, pumps, sum(users.get(pump, 0) for pump in pumps))
            for label, pumps in overview.destinations.items()
        ],
        "containers": [_container(account, events) for account in overview.accounts],
        "events": [_event(event) for event in events.latest()[:10]],
    }


def _destination(label: str, pumps: list[Pump], containers: int) -> dict[str, Any]:
    requests = outcomes(pumps)
    durations = [sum(values) for values in zip(*(pump.tally.durations for pump in pumps), strict=True)]
    return {
        "label": label,
        "protocol": pumps[0].destination.protocol,
        "up": all(pump.gate.is_open for pump in pumps),
        "error": next((pump.gate.last_failure for pump in pumps if not pump.gate.is_open), "").removeprefix(
            f"{label}: "
        ),
        "pause": max(pump.gate.pause_left for pump in pumps),
        "in_flight": sum(pump.tally.in_flight for pump in pumps),
        "requests": requests,
        "retries": sum(requests.get(outcome, 0) for outcome in OUTCOMES[4:]),
        "duration": _median(durations),
        "sent": sum(pump.tally.sent_bytes for pump in pumps),
        "containers": containers,
    }


def _median(durations: list[int]) -> float | None:
    """Upper bound in seconds of the half of the requests that took least; None without requests or beyond bounds."""
    seen, half = 0, sum(durations) / 2
    for bound, count in zip(LATENCY_BOUNDS, durations, strict=False):
        seen += count
        if count and seen >= half:
            return bound
    return None


def _container(account: Account, events: Events) -> dict[str, Any]:
    counts = account.counts
    return {
        "id": account.container.id,
        "name": account.container.name,
        "service": account.service_name,
        "image": account.container.image_name,
        "running": account.running,
        "blocked": account.blocked,
        "stalled": account.stalled,
        "kept": account.kept,
        "lines": account.lines_printed,
        "read": counts.read,
        "delivered": counts.delivered,
        "excluded": sum(counts.excluded.values()),
        "dropped": {reason: lines for reason, (lines, _) in counts.dropped.items()},
        "undelivered": account.undelivered,
        "limit": account.limit,
        "lag": account.lag,
        "destinations": [pump.destination.label for pump in account.pumps],
        "up": all(pump.gate.is_open for pump in account.pumps),
        "error": _error(account, events),
    }


def _error(account: Account, events: Events) -> str:
    """What went wrong last: why the destination is away now, else what was lately logged about the container."""
    for pump in account.pumps:
        if not pump.gate.is_open:
            return pump.gate.last_failure
    event = events.about(account.container.id[:12])
    if event is None and account.counts.dropped:
        event = events.about(*(pump.destination.label for pump in account.pumps))
    return event.text if event and time.time() - event.time < _RECENT else ""


def _event(event: Event) -> dict[str, Any]:
    return {"time": event.time, "lost": event.lost, "text": event.text}
