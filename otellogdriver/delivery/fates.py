"""What becomes of records once a request has its end: delivered, or given up for a reason; counted, and logged.

Every record has one fate, which its feed counts (`Counters`). Lines are named by their container and their place in the
stream, never shown. Event loop, but for `say`, which any thread may call.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from otellogdriver.delivery.feed import Part
from otellogdriver.export.outcome import Delivered, Denied, Unread

log = logging.getLogger(__name__)


class Fates:
    """Those of one destination, which `label` names."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._said: dict[str, float] = {}

    def account(self, sent: Sequence[tuple[Part, int]], end: Delivered | Unread | Denied) -> None:
        """Count `sent`, (part, number of its records) for each part of a request. After a partial success the collector
        does not say which records it dropped: those of the first parts are taken for them."""
        if isinstance(end, Unread | Denied):
            why = "denied" if isinstance(end, Denied) else "unread"
            for part, records in sent:
                self.give_up(part, records, why, end.reason)
            return
        total = sum(records for _, records in sent)
        rejected = min(max(0, end.rejected), total)
        if rejected:
            self.say(logging.ERROR, "rejected", f"{rejected} of {total} records rejected: {end.message}")
        elif end.message:
            self.say(logging.WARNING, "warning", f"collector says: {end.message}")
        for part, records in sent:
            share = min(rejected, records)
            rejected -= share
            part.feed.counters.delivered += records - share
            if share:
                part.feed.counters.give_up("rejected", share)

    def give_up(self, part: Part, records: int, why: str, reason: str, place: int | None = None) -> None:
        """So many records of the part are given up; `place`: it is the one at this place of it."""
        part.feed.counters.give_up(why, records)
        where = f"stream offset {part.begin}" if place is None else f"record {place} from stream offset {part.begin}"
        self.say(logging.ERROR, why, f"{records} records given up ({why}), {_name(part)}, {where}: {reason}")

    def suspect(self, part: Part, place: int, reason: str) -> None:
        """This record of the part is kept, and may be given up."""
        where = f"record {place} from stream offset {part.begin}"
        text = "%s: %s of %s fails by itself, while the destination is well: %s"
        log.warning(text, self._label, where, _name(part), reason)

    def say(self, level: int, kind: str, text: str) -> None:
        """Log a kind of trouble once a minute; the metrics have the count."""
        now = time.monotonic()
        if now - self._said.get(kind, -60.0) >= 60.0:
            self._said[kind] = now
            log.log(level, "%s", text if text.startswith(self._label) else f"{self._label}: {text}")


def _name(part: Part) -> str:
    entry = part.feed.entry
    return f"container {entry.info.get('ContainerName', '')} {entry.container_id[:12]}"
