"""Each line has one fate: what a test with lines checks at its end."""

from __future__ import annotations

from collections.abc import Iterable

from otellogdriver.delivery.feed import Feed


def fates(feed: Feed) -> dict[str, int]:
    """Lines of a feed by what became of them; `waiting` are those that were taken and have no fate yet."""
    counters = feed.counters
    found = {"delivered": counters.delivered}
    for kind, lines in (*counters.given_up.items(), *counters.excluded.items()):
        found[kind] = found.get(kind, 0) + lines
    found["waiting"] = sum(counters.passed.lines) - sum(found.values())
    return found


def _sent(feed: Feed) -> int:
    """Records that were encoded, and have their fate."""
    given_up = feed.counters.given_up.items()
    return feed.counters.delivered + sum(count for why, count in given_up if why not in ("journal_full", "fault"))


def check(feeds: Iterable[Feed], printed: int | None = None) -> None:
    """No line of these feeds has two fates; with `printed`, all the lines that a stream had, each has one."""
    for feed in feeds:
        found = fates(feed)
        assert min(found.values()) >= 0, f"{feed.stream.directory}: lines with two fates: {found}"
        if feed.delivered >= feed.stream.end:
            assert found["waiting"] == 0, f"{feed.stream.directory}: lines without a fate: {found}"
            assert feed.counters.records == _sent(feed), f"{feed.stream.directory}: records counted twice, or not"
        if printed is not None:
            assert sum(feed.counters.passed.lines) == printed, f"{feed.stream.directory}: {found}, printed {printed}"
