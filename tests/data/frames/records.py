"""Payloads of the codec as protobuf reads them."""

from __future__ import annotations

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ScopeLogs

from otellogdriver.codec.contract import Carry


def parsed(payload: bytes) -> list[LogRecord]:
    return list(ScopeLogs.FromString(payload).log_records)


def told(payload: bytes) -> list[tuple[str, int, str | bytes]]:
    """(stream, time, body) of each record."""
    return [
        (record.attributes[0].value.string_value, record.time_unix_nano, body(record)) for record in parsed(payload)
    ]


def body(record: LogRecord) -> str | bytes:
    kind = record.body.WhichOneof("value")
    assert kind in ("string_value", "bytes_value")
    return record.body.string_value if kind == "string_value" else record.body.bytes_value


def groups(carry: Carry) -> list[tuple[str, int, bytes]]:
    """(stream, time, body so far) of each open group."""
    return [(group.source.decode(), group.time, group.data) for group in carry if group is not None]


def opens(carry: Carry) -> tuple[int, int]:
    """What a cursor stores of a carry."""
    out, err = (-1 if group is None else group.begin for group in carry)
    return out, err
