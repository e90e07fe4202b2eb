"""The time in a line, in nanoseconds since the epoch: RFC 3339 with a zone, or a number since the epoch.
Of RFC 3339 other forms are taken as well: a space before the zone, UTC and GMT, a zone of hours, slashes in the date,
the zone's name after its offset (Go's and Java's), none of its marks (20260102T030405Z); and dates whose month is a
name: of access logs, of mail, of `date`, perhaps in brackets.

A local time without a zone is no time: nobody here knows the container's zone. A number is in seconds, milliseconds,
microseconds or nanoseconds, by its size, and must be after the year 2000, so that a duration is not taken for a time.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_RFC3339 = re.compile(
    "([0-9]{4})[-/]([0-9]{2})[-/]([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?"
    r" ?(?:UTC|GMT|(?:[Zz]|([+-])([0-9]{2})(?::?([0-9]{2}))?)(?: [A-Z]{2,5}|\[[A-Za-z0-9_/+-]{1,40}\])?)"
)
_DAYS, _NAMES = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)", "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_NAMED = re.compile(rf"(?:{_DAYS}, )?([0-9]{{1,2}})([-/ ]){_NAMES}\2([0-9]{{4}})[: ](.*)")
"""02/Jan/2026:03:04:05 +0000 · Fri, 2 Jan 2026 03:04:05 GMT"""
_OF_DATE = re.compile(
    rf"(?:{_DAYS} )?{_NAMES} ([ 0-9]?[0-9]) ([0-9:]{{8}}(?:[.,][0-9]+)?) (UTC|GMT|[+-][0-9]{{4}}) ([0-9]{{4}})"
)
"""Fri Jan  2 03:04:05 UTC 2026"""
_SHORT = re.compile("([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})(.*)")
"""20260102T030405Z"""
_LONGEST = 64
"""Bytes of the longest of these."""
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_NUMBER = re.compile("([0-9]{9,19})(?:[.]([0-9]+))?")
_LEAST = 946_684_800
"""2000-01-01 in seconds."""
_MOST = 100_000_000_000
"""Seconds from which on a number is taken for milliseconds; the year 5138."""
_EPOCH = datetime(1970, 1, 1)


def nanoseconds(text: str) -> int:
    """0 if it is no time."""
    number = _NUMBER.fullmatch(text)
    if number:
        return _of_number(int(number[1]), (number[2] or "")[:9].ljust(9, "0"))
    match = _RFC3339.fullmatch(_rearranged(text))
    if match is None:
        return 0
    year, month, day, hour, minute, second = (int(match[part]) for part in range(1, 7))
    zone = timedelta(hours=int(match[9] or 0), minutes=int(match[10] or 0))
    if second > 60 or zone >= timedelta(days=1) or int(match[10] or 0) > 59:
        return 0
    try:
        moment = datetime(year, month, day, hour, minute) + timedelta(seconds=second)
        since = moment - _EPOCH
    except (ValueError, OverflowError):
        return 0
    since += zone if match[8] == "-" else -zone
    return _within((since.days * 86400 + since.seconds) * 10**9 + int((match[7] or "")[:9].ljust(9, "0")))


def _rearranged(text: str) -> str:
    """A date whose month is a name, or without its marks, as RFC 3339 has it; other texts as they are."""
    if not 16 <= len(text.encode()) <= _LONGEST:
        return text
    given = text[1:-1] if text[0] == "[" and text[-1] == "]" else text
    if match := _NAMED.fullmatch(given):
        day, _, month, year, rest = match.groups()
    elif match := _OF_DATE.fullmatch(given):
        month, day, time, zone, year = match.groups()
        rest = time + zone
    elif match := _SHORT.fullmatch(given):
        return "{}-{}-{}T{}:{}:{}{}".format(*match.groups())
    else:
        return text
    return f"{year}-{_MONTHS.index(month) // 3 + 1:02}-{day.strip():>02}T{rest}"


def _of_number(number: int, fraction: str) -> int:
    """`fraction` are the nine digits after the point."""
    for digits in (9, 6, 3, 0):
        unit = 10 ** (9 - digits)
        if _LEAST * unit <= number < _MOST * unit:
            return _within(number * 10**digits + int(fraction[:digits] or 0))
    return 0


def _within(time: int) -> int:
    return time if 0 < time < 1 << 63 else 0
