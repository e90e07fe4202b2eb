"""Which records are sent: by stream, by pattern, by rate; the first reason against one counts it.

In: records in order. Out: those that stay, and why how many lines do not. The rate is that of the records' own times,
not of a clock, so that the same stream read again is cut in the same way; both streams share it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from otellogdriver.codec.contract import BOTH, NONE, Line
from otellogdriver.lines.joined import Record
from otellogdriver.settings.patterns import Matcher

SECOND = 10**9

_SET_BACK = 10 * SECOND
"""Lines of one container are never that late: the engine gives them their times as it reads them."""


@dataclass(frozen=True, slots=True)
class Used:
    """How far the rate is used: a bucket that leaks. `level` is in records × SECOND, as of the time `last`."""

    level: int = 0
    last: int = 0


class Selection:
    """See the module's text. `streams` is a mask; an empty pattern or a rate of 0 selects nothing out; `burst` is how
    many records may come at once."""

    def __init__(self, streams: int, include: str, exclude: str, rate: int, burst: int) -> None:
        self.streams = streams
        self._include = Matcher(include) if include else None
        self._exclude = Matcher(exclude) if exclude else None
        self._rate = rate
        self._burst = burst
        self._takes_all = streams == BOTH and not include and not exclude and not rate

    def apply(self, records: Sequence[Line | Record], used: Used) -> tuple[Sequence[int], Mapping[str, int], Used]:
        """(indexes of those that stay, reason -> lines of the others, the rate's state after them)."""
        if self._takes_all:
            return range(len(records)), NONE, used
        kept: list[int] = []
        excluded: dict[str, int] = {}
        level, last = used.level, used.last
        for index, record in enumerate(records):
            reason = self._reason(record[2], record[3])
            if not reason and self._rate:
                level = max(0, level - max(0, record[1] - last) * self._rate)
                # A time before the last one is that of another stream or thread, whose time has been reckoned already;
                # one long before it says that the clock was set back.
                last = record[1] if last - record[1] > _SET_BACK else max(last, record[1])
                if level > (self._burst - 1) * SECOND:
                    reason = "rate_limit"
                else:
                    level += SECOND
            if reason:
                excluded[reason] = excluded.get(reason, 0) + (record[4] if len(record) > 4 else 1)
            else:
                kept.append(index)
        return kept, excluded, Used(level, last)

    def _reason(self, stream: int, text: bytes) -> str:
        if not self.streams >> stream & 1:
            return "streams"
        if self._include is not None and not self._include.finds(text):
            return "include"
        if self._exclude is not None and self._exclude.finds(text):
            return "exclude"
        return ""
