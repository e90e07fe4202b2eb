"""The driver at one moment, as the metrics and the status page show it: the one place where they look at it.

In: the driver, the accounts of its containers. Out: an `Overview`, of which samples and report are made; what stands in
both is the same number. Sizes in bytes, times in seconds since the epoch. Reads and changes nothing; used on the event
loop.
"""

from __future__ import annotations

from dataclasses import dataclass

from otellogdriver.delivery.pump import Pump
from otellogdriver.driver.driver import Driver
from otellogdriver.driver.ended import Totals
from otellogdriver.telemetry.account import Account


@dataclass(frozen=True, slots=True)
class Overview:
    """See the module's text."""

    accounts: list[Account]
    destinations: dict[str, list[Pump]]
    """By label. Destinations that differ in headers or batching alone share one, and so their series."""
    totals: Totals
    started: float
    ready: bool
    codec: str
    codec_wanted: str
    running: int
    """FIFOs that are read."""
    blocked: int
    """Those of them whose containers wait for room (`journal-full=block`)."""
    excluded: int
    """Those of them whose lines are not sent."""
    stalled: int
    """Streams with work at which nobody has looked for a minute."""
    faults: int
    undelivered: int
    """Bytes that wait for delivery, those of streams that wait on disk alone among them."""
    journal: int
    journal_limit: int
    journal_room: int
    """Bytes that may come until the limits of the whole driver make lines be given up."""
    journal_full: bool
    disk_free: int

    @classmethod
    def of(cls, driver: Driver, accounts: list[Account]) -> Overview:
        destinations: dict[str, list[Pump]] = {}
        for pump in driver.pumps:
            destinations.setdefault(pump.destination.label, []).append(pump)
        sessions = driver.sessions.values()
        undelivered = sum(account.undelivered for account in accounts) + driver.parking.bytes
        return cls(
            accounts=accounts,
            destinations=destinations,
            totals=driver.ended.totals(account.active for account in accounts),
            started=driver.started,
            ready=driver.ready,
            codec=driver.codec.name,
            codec_wanted=driver.plugin.codec,
            running=len(sessions),
            blocked=sum(bool(session.fifo and session.fifo.blocked) for session in sessions),
            excluded=sum(session.excluded for session in sessions),
            stalled=len(driver.stalled()),
            faults=driver.supervisor.faults,
            undelivered=undelivered,
            journal=driver.store.bytes(),
            journal_limit=driver.plugin.journal_total_max_size,
            journal_room=driver.room.left(undelivered + driver.parking.overhead),
            journal_full=driver.room.full,
            disk_free=driver.room.free,
        )
