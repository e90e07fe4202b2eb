"""Records as lines to read, as JSON, or counted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otellogdriver.commands.record_lines import count_records, json_lines, request_from_json, text_lines

TIME = 1_795_000_000_123_456_789
TRACE = bytes(range(16))


def pair(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def request(*records: LogRecord, **resource: str) -> ExportLogsServiceRequest:
    made = ExportLogsServiceRequest()
    logs = made.resource_logs.add()
    logs.resource.attributes.extend(pair(key.replace("_", "."), value) for key, value in resource.items())
    logs.scope_logs.add(log_records=records).scope.name = "scope"
    return made


def record(body: AnyValue | None = None, **fields: object) -> LogRecord:
    return LogRecord(body=body or AnyValue(string_value="a line"), time_unix_nano=TIME, **fields)  # type: ignore[arg-type]


def test_a_record_is_one_line_with_what_is_set() -> None:
    attributes = [pair("log.iostream", "stderr"), pair("log.record.uid", "1"), pair("user", "ann")]
    made = request(
        record(severity_number=13, attributes=attributes, trace_id=TRACE), service_name="shop", container_name="shop-1"
    )
    assert list(text_lines(made)) == [
        f"2026-11-18T11:06:40.123Z  WARN  shop/shop-1  stderr  a line  user=ann  trace_id={TRACE.hex()}\n"
    ]


@pytest.mark.measures
@pytest.mark.parametrize("written", [text_lines, json_lines])
@pytest.mark.parametrize("piece", ["a", "\x1b[", "\n", " ", "\\", '"', "\ud7ff", "\x00"])
def test_whatever_a_record_says_takes_time_in_proportion(written: Callable[..., Iterator[str]], piece: str) -> None:
    def seconds(size: int) -> float:
        text = AnyValue(string_value=piece * size)
        nested = AnyValue()
        inner = nested
        for _ in range(16):
            inner = inner.array_value.values.add()
        inner.bytes_value = piece.encode() * size
        pairs = [pair(f"{piece}{number}", piece * 40) for number in range(size // 40)]
        pairs.append(KeyValue(key="nested", value=nested))
        made = request(record(text, attributes=pairs), *[record() for _ in range(size // 100)])
        begun = time.process_time()
        "".join(written(made))
        return time.process_time() - begun

    took = [min(seconds(size) for _ in range(3)) for size in (20_000, 80_000)]
    assert took[1] < 9 * took[0] + 0.03, took


def test_a_record_with_nothing_set_is_a_line_too() -> None:
    assert list(text_lines(request(LogRecord()))) == ["1970-01-01T00:00:00.000Z  unknown\n"]


@pytest.mark.parametrize(
    ("number", "text", "shown"), [(1, "", "TRACE"), (9, "", "INFO"), (24, "", "FATAL"), (9, "notice", "notice")]
)
def test_the_level_is_the_text_or_what_the_number_means(number: int, text: str, shown: str) -> None:
    (line,) = text_lines(request(record(severity_number=number, severity_text=text)))
    assert line.split("  ")[1] == shown


def test_json_has_everything_in_its_kind() -> None:
    body = AnyValue()
    for key, value in (("n", AnyValue(int_value=1)), ("b", AnyValue(bool_value=True))):
        body.kvlist_value.values.add(key=key).value.CopyFrom(value)
    (line,) = json_lines(request(record(body, trace_id=TRACE, event_name="login"), service_name="shop"))
    assert json.loads(line) == {
        "time": "2026-11-18T11:06:40.123456789Z",
        "time_unix_nano": TIME,
        "body": {"n": 1, "b": True},
        "event_name": "login",
        "trace_id": TRACE.hex(),
        "resource": {"service.name": "shop"},
        "scope": "scope",
    }


def test_bytes_are_shown_though_they_are_no_text() -> None:
    made = request(record(AnyValue(bytes_value=b"a\xff")))
    assert "a\\xff" in next(text_lines(made))
    assert json.loads(next(json_lines(made)))["body"] == {"bytes": "Yf8="}


def test_records_are_counted_without_a_look_into_them() -> None:
    made = request(record(), record(), record())
    made.resource_logs.append(request(record()).resource_logs[0])
    assert count_records(made.SerializeToString()) == 4 and count_records(b"") == 0
    with pytest.raises(DecodeError):
        count_records(b"\xff\xff")


def test_otlp_s_json_has_ids_in_hex() -> None:
    text = json.dumps(
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"traceId": TRACE.hex(), "timeUnixNano": "5"}]}]}]}
    )
    (made,) = request_from_json(text.encode()).resource_logs[0].scope_logs[0].log_records
    assert (made.trace_id, made.time_unix_nano) == (TRACE, 5)


@pytest.mark.parametrize("text", [b"", b"[]", b"3", b'{"resourceLogs": 3}', b'{"resourceLogs": [{"scopeLogs": [3]}]}'])
def test_what_is_no_request_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        request_from_json(text)
