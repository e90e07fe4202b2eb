"""A LogRecord in protobuf's wire format (opentelemetry-proto, `logs.proto` and `common.proto`), written by hand.

As the codec writes it, field 2 of ScopeLogs: 1 time_unix_nano · 2 severity_number · 3 severity_text · 5 body ·
6 attributes of the line · 8 flags · 9 trace_id · 10 span_id · 12 event_name · the codec's tail (6 attributes of the
driver, 11 observed time). A number that is 0 and a text that is empty are left out, null is an empty AnyValue.
"""

from __future__ import annotations

from otellogdriver.codec.wire import any_value, key_value, nested, varint
from otellogdriver.lines.mapping import Fields


def record(fields: Fields, time: int, tail: bytes) -> bytes:
    """`time`: when the line was printed, in nanoseconds; the line's own time counts if it has one. `tail` ends with the
    observed time."""
    time = fields.time or time
    parts = [b"\x09" + time.to_bytes(8, "little")] if time > 0 else []
    if fields.severity_number:
        parts.append(b"\x10" + varint(fields.severity_number))
    if fields.severity_text:
        parts.append(nested(b"\x1a", fields.severity_text.encode()))
    parts.append(nested(b"\x2a", any_value(fields.body)))
    parts += (nested(b"\x32", key_value(key, value)) for key, value in fields.attributes.items())
    if fields.flags:
        parts.append(b"\x45" + fields.flags.to_bytes(4, "little"))
    if fields.trace_id:
        parts.append(nested(b"\x4a", fields.trace_id))
    if fields.span_id:
        parts.append(nested(b"\x52", fields.span_id))
    if fields.event_name:
        parts.append(nested(b"\x62", fields.event_name.encode()))
    parts.append(tail)
    return nested(b"\x12", b"".join(parts))
