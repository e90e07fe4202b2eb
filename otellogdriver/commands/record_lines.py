"""OTLP log records as lines to read, as JSON lines, or just counted. Requests in, text out; no I/O.

    text   2026-11-24T10:42:54.123Z  WARN  shop-web-1  stderr  the body  trace_id=4bf92f3577b34da6a3ce929d0e0e4736
    json   {"time": "…", "time_unix_nano": 1, "severity": "WARN", "severity_number": 13, "body": …, "attributes": {…},
            "trace_id": "…", "span_id": "…", "resource": {…}, "scope": "…"}   (on one line, without what is not set)

A body that is not text is shown with backslash escapes in text and as {"bytes": base64} in JSON.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

_SHOWN_ELSEWHERE = frozenset({"log.iostream", "log.record.uid"})
_SEVERITIES = ("", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")


def text_lines(request: ExportLogsServiceRequest) -> Iterator[str]:
    """One line for each record. Line ends within a body stay."""
    for logs in request.resource_logs:
        resource = _attributes(logs.resource.attributes)
        names = dict.fromkeys(str(resource[key]) for key in ("service.name", "container.name") if resource.get(key))
        who = "/".join(names) or "unknown"
        for scope in logs.scope_logs:
            for record in scope.log_records:
                attributes = _attributes(record.attributes)
                parts = [_time(record)[:23] + "Z", _severity(record), who, str(attributes.get("log.iostream", ""))]
                parts.append(_text(_value(record.body)))
                if record.trace_id:
                    attributes["trace_id"] = record.trace_id.hex()
                parts += (f"{key}={_text(value)}" for key, value in attributes.items() if key not in _SHOWN_ELSEWHERE)
                yield "  ".join(part for part in parts if part) + "\n"


def json_lines(request: ExportLogsServiceRequest) -> Iterator[str]:
    """One JSON object for each record."""
    for logs in request.resource_logs:
        resource = _attributes(logs.resource.attributes)
        for scope in logs.scope_logs:
            for record in scope.log_records:
                fields = {
                    "time": _time(record),
                    "time_unix_nano": record.time_unix_nano,
                    "observed_time_unix_nano": record.observed_time_unix_nano,
                    "severity": _severity(record),
                    "severity_number": record.severity_number,
                    "body": _value(record.body),
                    "attributes": _attributes(record.attributes),
                    "event_name": record.event_name,
                    "trace_id": record.trace_id.hex(),
                    "span_id": record.span_id.hex(),
                    "resource": resource,
                    "scope": scope.scope.name,
                }
                shown = {key: value for key, value in fields.items() if value or key == "body"}
                yield json.dumps(shown, ensure_ascii=False, default=_json) + "\n"


def count_records(request: bytes) -> int:
    """Records of an encoded request, without a look into them (9 ns each; parsing is 80). Raises DecodeError."""
    return sum(
        len(scope.log_records) for logs in _Envelope.FromString(request).resource_logs for scope in logs.scope_logs
    )


def request_from_json(text: bytes) -> ExportLogsServiceRequest:
    """Read OTLP's JSON form: protobuf's own, but ids are hex. Raises ValueError (or a subclass) if it is none."""
    told: Any = json.loads(text)
    try:
        for logs in told.get("resourceLogs", ()):
            for scope in logs.get("scopeLogs", ()):
                for record in scope.get("logRecords", ()):
                    for key in ("traceId", "spanId"):
                        if key in record:
                            record[key] = base64.b64encode(binascii.unhexlify(record[key])).decode("ascii")
        return json_format.ParseDict(told, ExportLogsServiceRequest(), ignore_unknown_fields=True)
    except (AttributeError, TypeError, ValueError, json_format.ParseError) as error:
        raise ValueError(f"not an ExportLogsServiceRequest: {type(error).__name__}") from None


def _envelope() -> Any:
    """A message type that reads only as deep as the list of records and takes each as bytes."""
    file = descriptor_pb2.FileDescriptorProto(name="otellogdriver/envelope.proto", package="envelope", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, field, number, inner in (
        ("ScopeLogs", "log_records", 2, ""),
        ("ResourceLogs", "scope_logs", 2, ".envelope.ScopeLogs"),
        ("Request", "resource_logs", 1, ".envelope.ResourceLogs"),
    ):
        made = file.message_type.add(name=name).field.add(name=field, number=number, label=kinds.LABEL_REPEATED)
        made.type = kinds.TYPE_MESSAGE if inner else kinds.TYPE_BYTES
        if inner:
            made.type_name = inner
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("envelope.Request"))


_Envelope = _envelope()


def _time(record: LogRecord) -> str:
    """RFC 3339 in UTC with nanoseconds; when the record was made or, failing that, seen."""
    seconds, nanos = divmod(record.time_unix_nano or record.observed_time_unix_nano, 1_000_000_000)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"
    except (ValueError, OverflowError):  # after the year 9999
        return f"{seconds}.{nanos:09d}"


def _severity(record: LogRecord) -> str:
    if record.severity_text or not 0 < record.severity_number <= 24:
        return record.severity_text
    return _SEVERITIES[(record.severity_number + 3) // 4]


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind) if kind else None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=_json)


def _json(value: bytes) -> dict[str, str]:
    return {"bytes": base64.b64encode(value).decode("ascii")}
