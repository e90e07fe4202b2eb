"""Options of what is done to single lines: parsing, severity, multiline, filters, rate limit.

Not enabled yet: an option exists for users only once it does something. To enable them, make `LineSettings` the base
class of `options.Settings`, and `contradictions` a part of `options._contradictions`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from otellogdriver.option import option
from otellogdriver.patterns import PATTERN
from otellogdriver.values import BOOLEAN, Kind, choice, duration, number

PRESETS = ("java", "python", "go", "timestamp")
"""Names that stand for the pattern of a first line."""


def _multiline(text: str) -> str:
    return text if text in PRESETS else PATTERN.parse(text)


MULTILINE: Kind[str] = Kind(_multiline, PATTERN.allowed + ", or one of " + ", ".join(PRESETS), PATTERN.word)


@dataclass(frozen=True, slots=True)
class LineSettings:
    """What is done to single lines of a container."""

    parse: Literal["none", "json", "logfmt", "auto"] = option(
        choice("none", "json", "logfmt", "auto"), "none", "Take attributes out of structured lines.", section="Lines"
    )
    parse_time: bool = option(BOOLEAN, "false", "Take the time of a record from its line, not from the engine.")
    severity: Literal["none", "auto"] = option(choice("none", "auto"), "none", "Find out the severity of a line.")
    multiline_pattern: str = option(
        MULTILINE, "", "What the first line of a record looks like; lines that do not match belong to the one before."
    )
    multiline_timeout: float = option(
        duration(least=0.01, most=60), "1s", "How long to wait for the next line of a record."
    )
    include_pattern: str = option(PATTERN, "", "Send only lines that match.")
    exclude_pattern: str = option(PATTERN, "", "Send no lines that match.")
    redact_pattern: str = option(PATTERN, "", "What matches is replaced by asterisks before it is sent.")
    rate_limit: int = option(number(0, 10_000_000), "0", "Lines a second that are sent, 0 for all.")
    rate_burst: int = option(number(0, 100_000_000), "0", "Lines beyond the limit at a time, 0 for one second's worth.")


def contradictions(settings: LineSettings) -> Iterator[str]:
    """A line for each set of values that are good in themselves, but not together."""
    if settings.parse_time and settings.parse == "none":
        yield "parse-time is not allowed with parse=none: there is no time to take"
    if settings.rate_burst and not settings.rate_limit:
        yield "rate-burst is not allowed without rate-limit"
