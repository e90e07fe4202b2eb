"""Lines and options become the records of the corpus, with either codec, wherever the stream is cut."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import TraceFlags

from otellogdriver.codec.contract import BOTH, NOTHING, Codec, Encoded, EncodeOptions, Encoder
from otellogdriver.codec.python import as_text
from otellogdriver.lines import line_encoder
from otellogdriver.settings.options import Settings, resolve
from tests.data.frames.codecs import NAMES, codec
from tests.data.frames.log_entry import frame
from tests.data.lines.corpus import CASES, Case, records, shown

NOW = 1_763_990_000_000_000_000
HUGE = 1 << 40


@pytest.fixture(params=NAMES, name="codec")
def _codec(request: pytest.FixtureRequest) -> Codec:
    return codec(request.param)


def made(case_options: dict[str, str], codec: Codec) -> tuple[Encoder, EncodeOptions, Settings]:
    settings = resolve(case_options, {})
    options = EncodeOptions(streams={"stdout": 1, "stderr": 2}.get(settings.streams, BOTH))
    return line_encoder(settings, codec, options), options, settings


class Run:
    """A stream that grows line by line, and a caller that behaves as a feed does."""

    def __init__(self, case: Case, codec: Codec, limit: int = HUGE) -> None:
        self.encoder, self.options, self.settings = made(case.options, codec)
        self.limit = limit
        self.data = b""
        self.end, self.carry = 0, NOTHING
        self.calls: list[Encoded] = []

    def call(self, flush: int = 0, final: bool = False) -> None:
        while True:
            chunk = self.data[self.end :]
            made = self.encoder.encode(chunk, self.end, self.carry, self.options, NOW, self.limit, flush, final)
            assert (made.end, made.carry) != (self.end, self.carry) or not made.payload
            progress = (made.end, made.carry) != (self.end, self.carry)
            self.calls.append(made)
            self.end, self.carry = made.end, made.carry
            if not progress:
                return

    def old(self, seconds: dict[int, float]) -> int:
        return sum(1 << i for i, group in enumerate(self.carry) if group and seconds[i] >= group.patience)

    def go(self, case: Case) -> None:
        quiet = {0: 0.0, 1: 0.0}
        for line in case.lines:
            quiet = {stream: since + line.wait for stream, since in quiet.items()}
            if flush := self.old(quiet):
                self.call(flush)
            self.data += frame(line.line, line.time, line.stream)
            quiet[0 if line.stream == "stdout" else 1] = 0.0
            self.call()
        self.call(final=True)

    def found(self, case: Case) -> list[dict[str, Any]]:
        times = {line.time for line in case.lines}
        return [shown(record, times) for call in self.calls for record in records(call.payload)]

    def excluded(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for call in self.calls:
            for reason, lines in call.excluded.items():
                total[reason] = total.get(reason, 0) + lines
        return total


def by_stream(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Streams are in order in themselves, not between them."""
    return sorted(found, key=lambda record: record.get("stream", "stdout"))


def typed(value: Any) -> Any:
    """1, 1.0 and True are equal in Python, not here; the order of keys counts for nothing."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return type(value).__name__, value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
class TestCorpus:
    def test_line_by_line(self, codec: Codec, case: Case) -> None:
        run = Run(case, codec)
        run.go(case)
        assert typed(by_stream(run.found(case))) == typed(by_stream(case.records))
        assert run.excluded() == case.excluded
        assert (run.end, run.carry) == (len(run.data), NOTHING)
        assert sum(sum(call.lines) for call in run.calls) == len(case.lines)
        assert sum(sum(call.bytes) for call in run.calls) == sum(len(line.line) for line in case.lines)

    def test_all_at_once_and_with_limits(self, codec: Codec, case: Case) -> None:
        if any(line.wait for line in case.lines):
            return
        for limit in (HUGE, 1, 150):
            run = Run(case, codec, limit)
            run.data = b"".join(frame(line.line, line.time, line.stream) for line in case.lines)
            run.call(final=True)
            assert typed(by_stream(run.found(case))) == typed(by_stream(case.records))
            assert run.excluded() == case.excluded
            assert all(len(call.payload) <= limit or call.records == 1 for call in run.calls)
            assert sum(call.records for call in run.calls) == len(case.records)
            assert sum(sum(call.lines) for call in run.calls) == len(case.lines)

    def test_a_crash_after_any_line_changes_nothing(self, codec: Codec, case: Case) -> None:
        if "rate-limit" in case.options or any(line.wait for line in case.lines):
            return  # who begins anew has the whole burst, and time stands still here
        run = Run(case, codec)
        for line in case.lines:
            run.data += frame(line.line, line.time, line.stream)
            run.call()
            begins = tuple(-1 if group is None else group.begin for group in run.carry)
            run.encoder = made(case.options, codec)[0]
            if run.carry != NOTHING:
                least = min(begin for begin in begins if begin >= 0)
                again = run.encoder.rebuild(run.data[least : run.end], least, begins)  # type: ignore[arg-type]
                assert again == run.carry
                run.carry = again
        run.call(final=True)
        assert typed(by_stream(run.found(case))) == typed(by_stream(case.records))

    def test_the_wire_form_is_the_sdks(self, codec: Codec, case: Case) -> None:
        run = Run(case, codec)
        run.go(case)
        read = {line.time for line in case.lines}
        for record in (record for call in run.calls for record in records(call.payload)):
            assert record.observed_time_unix_nano in read
            assert record.time_unix_nano not in read or record.time_unix_nano == record.observed_time_unix_nano
            (resource,) = encode_logs([sdk_record(shown(record, set()))]).resource_logs
            (expected,) = resource.scope_logs[0].log_records
            # Of null the SDK makes no value at all; OpenTelemetry's data model has the empty value.
            for pair in [*expected.attributes, *record.attributes]:
                pair.value.SetInParent()
            expected.observed_time_unix_nano = record.observed_time_unix_nano
            left, right = ([*each.attributes] for each in (record, expected))
            assert sorted(left, key=lambda pair: pair.key) == sorted(right, key=lambda pair: pair.key)
            del record.attributes[:], expected.attributes[:]
            assert record == expected


@pytest.mark.parametrize(
    "options", ({"parse": "json", "parse-time": "true"}, {"parse": "json", "redact-pattern": "x+"})
)
@pytest.mark.parametrize("uid", (None, b"12345678"))
def test_observed_when_the_engine_read_it(codec: Codec, options: dict[str, str], uid: bytes | None) -> None:
    """Whatever the line says of its time, and whichever writer makes the record."""
    encoder, made_options, _ = made({**options, "multiline-pattern": "^{"}, codec)
    lines = [b'{"time": "2001-02-03T04:05:06Z", "msg": "xx"}', b" more", b'{"msg": "\\ud800 xx"}', b"{", b"end"]
    data = b"".join(frame(line, time) for line, time in zip(lines, (50, 60, 70, 0, 90), strict=True))
    own = EncodeOptions(uid=uid, streams=made_options.streams)
    encoded = encoder.encode(data, 0, NOTHING, own, NOW, HUGE, final=True)
    found = records(encoded.payload)
    assert [record.observed_time_unix_nano for record in found] == [50, 70, NOW]
    assert [record.attributes[-1].key for record in found] == [("log.record.uid" if uid else "log.iostream")] * 3


def sdk_record(record: dict[str, Any]) -> ReadableLogRecord:
    """The same record, as a program that logs with the SDK makes it."""
    body, attributes = record["body"], record.get("attributes", {})
    if isinstance(body, bytes):
        body, attributes = as_text(body), {**attributes, "log.record.original": body}
    trace_id, span_id = (int(record.get(name, "0"), 16) for name in ("trace_id", "span_id"))
    made = LogRecord(
        timestamp=record["time"],
        body=body,
        severity_text=record.get("severity_text"),
        severity_number=SeverityNumber(record.get("severity_number", 0)),
        event_name=record.get("event_name"),
        attributes={"log.iostream": record.get("stream", "stdout"), **attributes},
    )
    made.trace_id, made.span_id, made.trace_flags = trace_id, span_id, TraceFlags(record.get("flags", 0))
    return ReadableLogRecord(made, Resource.get_empty())
