"""From records as they were printed to LogRecords: redaction, parsing, severity, wire format.

Two implementations with one contract: this one is the specification, the oracle of the tests and what `native.pyx`
leaves rare lines to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from otellogdriver.codec.contract import EncodeOptions, Line
from otellogdriver.codec.frames import SHORT, read_varint
from otellogdriver.codec.python import ORIGINAL, as_text, tails, with_uid
from otellogdriver.codec.wire import fixed64, nested
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


def is_original(tail: bytes) -> bool:
    """Whether the bytes of a line that is no text stand first of what the codec puts after a body: then the body has
    signs in their place, and is not to be parsed."""
    if tail[:1] != b"\x32":
        return False
    _, key = read_varint(tail, 1, len(tail), SHORT)
    return tail.startswith(nested(b"\x0a", ORIGINAL), key)


Written = tuple[bytes, int, Sequence[int]]
"""Payload, how many records are in it, severities: as of `codec.contract.Encoded`."""


class Writer(Protocol):
    """See the module's text."""

    def write(self, records: Sequence[Line | Record], options: EncodeOptions, observed: int, limit: int) -> Written:
        """As many records as `limit` allows, but one at least. `options.streams` has been seen to."""

    def rewrite(self, payload: bytes, records: int, limit: int) -> Written:
        """The same for so many records of the codec: the second item is how many bytes of `payload` have been used. Not
        where there is a pattern."""


class PythonWriter:
    """See the module's text."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

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

    def rewrite(self, payload: bytes, records: int, limit: int) -> Written:
        """See `Writer`."""
        written: list[bytes] = []
        size = at = 0
        severities = [0] * severity.RANGES
        for _ in range(records):
            length, begin = read_varint(payload, at + 1, len(payload), SHORT)
            end = begin + length
            has_time = payload[begin] == 0x09
            time = int.from_bytes(payload[begin + 1 : begin + 9], "little", signed=True) if has_time else 0
            _, body = read_varint(payload, begin + (9 if has_time else 0) + 1, end, SHORT)
            length, text = read_varint(payload, body + 1, end, SHORT)
            line, tail = payload[text : text + length], payload[text + length : end]
            if is_original(tail):
                fields = self._levelled(Fields(line.decode()))
                one, number = wire.record(fields, time, tail), fields.severity_number
            else:
                one, number = self.record(line, time, tail)
            if written and size + len(one) > limit:
                break
            written.append(one)
            size += len(one)
            at = end
            if number:
                severities[severity.range_of(number)] += 1
        return b"".join(written), at, tuple(severities)

    def record(self, line: bytes, time: int, tail: bytes) -> tuple[bytes, int]:
        """One LogRecord, and its SeverityNumber; `tail` is what the codec puts after the body."""
        fields = self.fields(line)
        return wire.record(fields, time, tail), fields.severity_number

    def fields(self, line: bytes) -> Fields:
        """What the line says."""
        rules = self.rules
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
        return self._levelled(found)

    def _levelled(self, found: Fields) -> Fields:
        """With the level that the body names, if no field does."""
        if self.rules.severity and not found.severity_number:
            text = found.body.encode() if isinstance(found.body, str) else found.body
            found.severity_number, found.severity_text = severity.in_text(text)
        return found

    def _as_text(self, line: bytes) -> Fields:
        """As the codec does it."""
        try:
            return Fields(line.decode())
        except UnicodeDecodeError:
            if self.rules.keep_bytes:
                return Fields(line)
            return Fields(as_text(line), attributes={ORIGINAL.decode(): line})

    def _parsed(self, line: bytes) -> dict[str, json_line.Value] | None:
        parse = self.rules.parse
        if parse == "json":
            return json_line.parsed(line)
        if parse == "logfmt":
            return logfmt.parsed(line)
        if parse == "auto":
            members = json_line.parsed(line)
            return logfmt.parsed(line, LOGFMT_LEAST) if members is None else members
        return None
