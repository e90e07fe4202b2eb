"""Options of what is done to single lines: parsing, severity, multiline, filters, rate limit.

They are a part of `options.Settings`. What they do is in `lines/`, which is loaded for a container that has one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from otellogdriver.settings.option import option
from otellogdriver.settings.patterns import PATTERN
from otellogdriver.values import BOOLEAN, Kind, choice, duration, number

PRESETS = ("auto", "java", "python", "go", "node", "dotnet", "ruby", "php", "rust", "timestamp")
"""Names that stand for the pattern of a first line."""


def _multiline(text: str) -> str:
    return text if text in PRESETS else PATTERN.parse(text)


MULTILINE: Kind[str] = Kind(
    _multiline, PATTERN.allowed + ", or one of " + ", ".join(PRESETS), PATTERN.word + ", or " + ", ".join(PRESETS)
)


@dataclass(frozen=True, slots=True)
class LineSettings:
    """What is done to single lines of a container."""

    parse: Literal["none", "json", "logfmt", "auto"] = option(
        choice("none", "json", "logfmt", "auto"),
        "none",
        "Take severity, trace and attributes out of structured lines.",
        section="Lines",
    )
    parse_time: bool = option(BOOLEAN, "false", "Take the time of a record from its line where it has one.")
    severity: Literal["none", "auto"] = option(
        choice("none", "auto"), "none", "Find the severity of plain text as well."
    )
    multiline_pattern: str = option(
        MULTILINE, "", "What the first line of a record looks like; lines that do not match belong to the one before."
    )
    multiline_timeout: float = option(
        duration(least=0.01, most=30), "1s", "How long to wait for the next line of a record."
    )
    include_pattern: str = option(PATTERN, "", "Send only lines that match.")
    exclude_pattern: str = option(PATTERN, "", "Send no lines that match.")
    redact_pattern: str = option(
        PATTERN, "", "What matches, or its group `secret`, is replaced by asterisks before it is sent."
    )
    invalid_utf8: Literal["replace", "bytes"] = option(
        choice("replace", "bytes"),
        "replace",
        "How to send a line that is not UTF-8: text with U+FFFD, and its bytes in `log.record.original`; or as bytes.",
    )
    strip_ansi: bool = option(BOOLEAN, "false", "Take colours and other escapes of terminals out of what is sent.")
    rate_limit: int = option(number(0, 10_000_000), "0", "Records that are sent per second; 0 means all.")
    rate_burst: int = option(
        number(0, 100_000_000),
        "0",
        "Records that may come at once; 0 means as many as `rate-limit` sends in one second.",
    )

    @property
    def lines_as_printed(self) -> bool:
        """Whether nothing here asks for more than the codec does."""
        return (
            self.parse == "none"
            and self.severity == "none"
            and not self.multiline_pattern
            and not self.include_pattern
            and not self.exclude_pattern
            and not self.redact_pattern
            and not self.rate_limit
            and not self.strip_ansi
        )


def contradictions(settings: LineSettings, sources: Mapping[str, str]) -> Iterator[str]:
    """A line for each set of values that are good in themselves, but not together. `sources`: where they are given. A
    container that takes back what holds for the whole plugin need not take back what depends on it."""
    if settings.parse_time and settings.parse == "none" and not _taken_back("parse", "parse_time", sources):
        yield f"{sources['parse_time']} is not allowed with parse=none: there is no time to take"
    if settings.rate_burst and not settings.rate_limit and not _taken_back("rate_limit", "rate_burst", sources):
        yield f"{sources['rate_burst']} is not allowed without rate-limit"


def _taken_back(name: str, dependent: str, sources: Mapping[str, str]) -> bool:
    return sources.get(name, "").startswith("log-opt") and not sources[dependent].startswith("log-opt")
