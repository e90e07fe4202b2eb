"""From records as they were printed to LogRecords: redaction, parsing, severity, wire format.

Two implementations with one contract: this one is the specification, the oracle of the tests and what `native.pyx`
leaves rare lines to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from otellogdriver.codec.contract import EncodeOptions, Line
from otellogdriver.codec.python import ORIGINAL, as_text, tails, with_uid
from otellogdriver.codec.wire import fixed64
from otellogdriver.lines import escapes, json_line, logfmt, severity, wire
from otellogdriver.lines.joined import Record
from otellogdriver.lines.mapping import Fields, mapped
from otellogdriver.lines.redaction import Redaction
from otellogdriver.settings.patterns import without_returns

LOGFMT_LEAST = 2
"""Pairs that make a line logfmt where it may be anything: `x=1` alone is more often plain text."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a container's settings mean for its lines. `severity`: look for it in plain text, too."""

    parse: Literal["none", "json", "logfmt", "auto"] = "none"
    parse_time: bool = False
    severity: bool = False
    redaction: Redaction | None = None
    keep_bytes: bool = False
    strip_ansi: bool = False


Written = tuple[bytes, int, Sequence[int]]
"""Payload, how many records are in it, severities: as of `codec.contract.Encoded`."""


class Writer(Protocol):
    """See the module's text."""

    def write(self, records: Sequence[Line | Record], options: EncodeOptions, observed: int, limit: int) -> Written:
        """As many records as `limit` allows, but one at least. `options.streams` has been seen to."""


class PythonWriter:
    """See the module's text."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def write(self, records: Sequence[Line | Record], options: EncodeOptions, observed: int, limit: int) -> Written:
        """See `Writer`."""
        both = tails(options)
        payload: list[bytes] = []
        size = 0
        severities = [0] * severity.RANGES
        for begin, time, stream, line, *_ in records:
            tail = both[stream] if options.uid is None else with_uid(both[stream], begin)
            one, number = self.record(line, time, tail + fixed64(time if time > 0 else observed))
            if payload and size + len(one) > limit:
                break
            payload.append(one)
            size += len(one)
            if number:
                severities[severity.range_of(number)] += 1
        return b"".join(payload), len(payload), tuple(severities)

    def record(self, line: bytes, time: int, tail: bytes) -> tuple[bytes, int]:
        """One LogRecord, and its SeverityNumber; `tail` is what the codec puts after the body."""
        fields = self.fields(line)
        return wire.record(fields, time, tail), fields.severity_number

    def fields(self, line: bytes) -> Fields:
        """What the line says."""
        rules = self._rules
        values = False
        if rules.redaction is not None:
            values = rules.redaction.looks_at_values(line)
            line = rules.redaction.line(line)
        else:
            line = without_returns(line)
        if rules.strip_ansi and b"\x1b" in line:
            line = escapes.stripped(line)
            if rules.redaction is not None:  # they may have hidden a match
                line = rules.redaction.line(line)
        members = self._parsed(line)
        if members is None and rules.redaction is not None and rules.parse in ("json", "auto"):
            members = json_line.parsed(rules.redaction.quoted(line))
        if members is None:
            found = self._as_text(line)
        else:
            redaction = rules.redaction if values else None
            written = line.decode()
            hidden = redaction is not None and "\\" in written  # also in a member that a later one replaces
            if redaction is not None and (redacted := redaction.members(members)) != members:
                members, hidden = redacted, True
            if rules.strip_ansi:
                members = escapes.of_members(members)
                if redaction is not None:
                    members = redaction.members(members)
            if hidden:
                written = logfmt.text(members) if rules.parse == "logfmt" else json_line.text(members)
            found = mapped(members, written, rules.parse_time)
        if rules.severity and not found.severity_number:
            text = found.body.encode() if isinstance(found.body, str) else found.body
            found.severity_number, found.severity_text = severity.in_text(text)
        return found

    def _as_text(self, line: bytes) -> Fields:
        """As the codec does it."""
        try:
            return Fields(line.decode())
        except UnicodeDecodeError:
            if self._rules.keep_bytes:
                return Fields(line)
            return Fields(as_text(line), attributes={ORIGINAL.decode(): line})

    def _parsed(self, line: bytes) -> dict[str, json_line.Value] | None:
        parse = self._rules.parse
        if parse == "json":
            return json_line.parsed(line)
        if parse == "logfmt":
            return logfmt.parsed(line)
        if parse == "auto":
            members = json_line.parsed(line)
            return logfmt.parsed(line, LOGFMT_LEAST) if members is None else members
        return None
