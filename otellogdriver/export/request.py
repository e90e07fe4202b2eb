"""The envelope of an ExportLogsServiceRequest, put around encoded records; and where records end.

Source: opentelemetry-proto 1.11, `logs_service.proto`, `logs.proto`.

    request      = 1 ResourceLogs, repeated           (so requests joined end to end are a request)
    ResourceLogs = 1 Resource · 2 ScopeLogs, repeated · 3 schema_url
    ScopeLogs    = 1 InstrumentationScope · 2 LogRecord, repeated · 3 schema_url
"""

from __future__ import annotations

from collections.abc import Sequence

from otellogdriver import __version__
from otellogdriver.codec.wire import nested, varint
from otellogdriver.resource import SCHEMA_URL

MAX_REQUEST = 64 << 20
"""Longest request in bytes, before compression, that OTLP allows a sender."""

SCOPE = nested(b"\x0a", b"otellogdriver") + nested(b"\x12", __version__.encode())
"""InstrumentationScope{1 name, 2 version}."""

_SCHEMA = nested(b"\x1a", SCHEMA_URL.encode())
AROUND = len(SCOPE) + 2 * len(_SCHEMA) + 32
"""Most bytes that one ResourceLogs takes beside its resource and its records."""


def resource_logs(
    resource: bytes, payload_pieces: Sequence[bytes | memoryview], scope: bytes
) -> list[bytes | memoryview]:
    """The pieces of one ResourceLogs, as field 1 of a request, ready to be joined with others.

    `resource` and `scope` are encoded messages; each payload piece holds LogRecords as field 2 of ScopeLogs. The
    payload is not copied.
    """
    scope_field = nested(b"\x0a", scope)
    size = sum(map(len, payload_pieces)) + len(_SCHEMA)
    head = b"%b\x12%b%b" % (nested(b"\x0a", resource), varint(len(scope_field) + size), scope_field)
    return [b"\x0a%b%b" % (varint(len(head) + size + len(_SCHEMA)), head), *payload_pieces, _SCHEMA + _SCHEMA]


def record_ends(payload: bytes) -> list[int]:
    """Where each LogRecord of a payload ends: `payload[a:b]` between two of these offsets is a payload, too. What is in
    a record is not looked at, since it may be just what the collector could not parse.

    Raises ValueError if the bytes are not LogRecords as field 2 of ScopeLogs, one after another.
    """
    ends: list[int] = []
    at, end = 0, len(payload)
    while at < end:
        if payload[at] != 0x12:
            raise ValueError(f"no LogRecord begins at byte {at}")
        size = shift = 0
        byte = 0x80
        while byte >= 0x80:
            at += 1
            if at >= end or shift > 63:
                raise ValueError(f"the length before byte {at} breaks off")
            byte = payload[at]
            size |= (byte & 0x7F) << shift
            shift += 7
        at += 1 + size
        ends.append(at)
    if at > end:
        raise ValueError(f"the last LogRecord is {at - end} bytes longer than the payload")
    return ends
