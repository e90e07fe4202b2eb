"""Payloads of the codec as protobuf reads them."""

from __future__ import annotations

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ScopeLogs

from otellogdriver.codec.contract import Carry
from otellogdriver.codec.python import as_text


def parsed(payload: bytes) -> list[LogRecord]:
    return list(ScopeLogs.FromString(payload).log_records)


def told(payload: bytes) -> list[tuple[str, int, str | bytes]]:
    """(stream, time, body) of each record."""
    return [
        (attribute(record, "log.iostream").string_value, record.time_unix_nano, body(record))
        for record in parsed(payload)
    ]


def body(record: LogRecord) -> str | bytes:
    """As it was printed: bytes where they are no UTF-8."""
    kind = record.body.WhichOneof("value")
    assert kind in ("string_value", "bytes_value")
    if kind == "bytes_value":
        return record.body.bytes_value
    original = attribute(record, "log.record.original").bytes_value
    assert not original or record.body.string_value == as_text(original)
    return original or record.body.string_value


def attribute(record: LogRecord, key: str) -> AnyValue:
    """Its value; the empty one if it is not there."""
    return next((pair.value for pair in record.attributes if pair.key == key), AnyValue())


def groups(carry: Carry) -> list[tuple[str, int, bytes]]:
    """(stream, time, body so far) of each open group."""
    return [(group.source.decode(), group.time, group.data) for group in carry if group is not None]


def opens(carry: Carry) -> tuple[int, int]:
    """What a cursor stores of a carry."""
    out, err = (-1 if group is None else group.begin for group in carry)
    return out, err
