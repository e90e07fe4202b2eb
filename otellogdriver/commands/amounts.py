"""Sizes and times as people read and write them on a terminal."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from otellogdriver.values import duration

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
MOMENT = "a time such as 2026-11-24T10:42:54Z, or how long ago: 90s, 10m, 2h, 3d"


def size(value: float) -> str:
    """Bytes, with three digits at most."""
    unit = 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if not unit or value >= 10 else f"{value:.1f} {_UNITS[unit]}"


def counted(number: int, what: str) -> str:
    """A number of things: `1 stream`, `2,000 streams`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def moment(nanoseconds: int) -> str:
    """A time since the epoch in RFC 3339, to the millisecond; empty for 0."""
    if not nanoseconds:
        return ""
    try:
        return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):  # after the year 9999
        return str(nanoseconds)


def parse_moment(text: str) -> int:
    """Nanoseconds since the epoch of what is described in MOMENT; without a zone it is local time. Raises
    ValueError."""
    if re.fullmatch(r"[0-9.]+[a-z]+.*", text, re.IGNORECASE):
        return time.time_ns() - int(duration().parse(text) * 1e9)
    at = datetime.fromisoformat(text)
    whole, fraction = at.replace(microsecond=0), re.search(r"[.,](\d+)", text)
    return int(whole.timestamp()) * 10**9 + int((fraction[1] if fraction else "0")[:9].ljust(9, "0"))
