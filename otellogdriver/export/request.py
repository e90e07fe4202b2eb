"""The envelope of an ExportLogsServiceRequest: put around encoded records, and taken apart again.

Source: opentelemetry-proto 1.11, `logs_service.proto`, `logs.proto`. The bytes are walked by hand, because what must be
taken apart here is often what the collector could not parse, and because records keep their bytes exactly.

    request      = 1 ResourceLogs, repeated           (so requests joined end to end are a request)
    ResourceLogs = 1 Resource · 2 ScopeLogs, repeated · 3 schema_url
    ScopeLogs    = 1 InstrumentationScope · 2 LogRecord, repeated · 3 schema_url
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from otellogdriver import __version__
from otellogdriver.codec.python import nested, varint
from otellogdriver.resource import SCHEMA_URL

MAX_REQUEST = 64 << 20
"""Longest request in bytes, before compression, that OTLP allows a sender."""

SCOPE = nested(b"\x0a", b"otellogdriver") + nested(b"\x12", __version__.encode())
"""InstrumentationScope{1 name, 2 version}."""

_SCHEMA = nested(b"\x1a", SCHEMA_URL.encode())
_CONTAINER_ID = b"container.id"


def resource_logs(resource: bytes, payload_pieces: Sequence[bytes], scope: bytes) -> list[bytes]:
    """The pieces of one ResourceLogs, as field 1 of a request, ready to be joined with others.

    `resource` and `scope` are encoded messages; each payload piece holds LogRecords as field 2 of ScopeLogs. The
    payload is not copied.
    """
    scope_field = b"\x0a" + varint(len(scope)) + scope
    scope_logs = len(scope_field) + sum(map(len, payload_pieces)) + len(_SCHEMA)
    head = b"".join((b"\x0a", varint(len(resource)), resource, b"\x12", varint(scope_logs), scope_field))
    size = len(head) + scope_logs - len(scope_field) + len(_SCHEMA)
    return [b"\x0a" + varint(size) + head, *payload_pieces, _SCHEMA + _SCHEMA]


def halves(request: bytes) -> tuple[bytes, bytes] | None:
    """Two requests that hold the first and the second half of the records, in order; None with fewer than two records.

    Raises ValueError if the bytes are not a request.
    """
    total = sum(_records(request, begin, end) for begin, end in _messages(request, 1, 0, len(request)))
    if total < 2:
        return None
    first: list[bytes] = []
    second: list[bytes] = []
    left = total // 2
    for begin, end in _messages(request, 1, 0, len(request)):
        left = _divide(request, begin, end, left, first, second)
    return b"".join(first), b"".join(second)


def records_by_container(request: bytes) -> dict[str, int]:
    """How many records stand under each `container.id` ("" where the resource has none)."""
    counts: dict[str, int] = {}
    for begin, end in _messages(request, 1, 0, len(request)):
        container = ""
        for resource in _messages(request, 1, begin, end):
            container = _container(request, *resource) or container
        counts[container] = counts.get(container, 0) + _records(request, begin, end)
    return counts


def _divide(data: bytes, begin: int, end: int, left: int, first: list[bytes], second: list[bytes]) -> int:
    """Share one ResourceLogs between two requests; `left` records still go to the first. Returns what is left then."""
    shared: list[bytes] = []  # Resource and schema_url belong to both
    sides: tuple[list[bytes], list[bytes]] = ([], [])
    for field, start, inner, stop in _fields(data, begin, end):
        if field != 2:
            shared.append(data[start:stop])
            continue
        around: list[bytes] = []
        spans = []
        for field_inside, start_inside, _, stop_inside in _fields(data, inner, stop):
            if field_inside == 2:
                spans.append((start_inside, stop_inside))
            else:
                around.append(data[start_inside:stop_inside])
        for side, some in zip(sides, (spans[:left], spans[left:]), strict=True):
            if some:
                body = b"".join((*around, *(data[a:b] for a, b in some)))
                side.append(b"\x12" + varint(len(body)) + body)
        left = max(0, left - len(spans))
    for request, scopes in zip((first, second), sides, strict=True):
        if scopes:
            body = b"".join((*shared, *scopes))
            request.append(b"\x0a" + varint(len(body)) + body)
    return left


def _records(data: bytes, begin: int, end: int) -> int:
    return sum(1 for inner, stop in _messages(data, 2, begin, end) for _ in _messages(data, 2, inner, stop))


def _container(data: bytes, begin: int, end: int) -> str | None:
    """The `container.id` of the Resource at data[begin:end] (1 KeyValue {1 key, 2 AnyValue {1 string}})."""
    for pair in _messages(data, 1, begin, end):
        if any(data[a:b] == _CONTAINER_ID for a, b in _messages(data, 1, *pair)):
            for value in _messages(data, 2, *pair):
                for a, b in _messages(data, 1, *value):
                    return data[a:b].decode("utf-8", "replace")
    return None


def _messages(data: bytes, wanted: int, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Content of each length-delimited field `wanted` between begin and end."""
    for field, _, inner, stop in _fields(data, begin, end):
        if field == wanted:
            yield inner, stop


def _fields(data: bytes, position: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Each field as (number, start of its tag, start of its content, end); the number is 0 if it is not
    length-delimited, for nothing looked for here is."""
    while position < end:
        start = position
        tag, position = _varint(data, position, end)
        kind = tag & 7
        if kind == 2:
            size, position = _varint(data, position, end)
            stop = position + size
        elif kind == 0:
            stop = _varint(data, position, end)[1]
        elif kind in (1, 5):
            stop = position + (8 if kind == 1 else 4)
        else:
            raise ValueError(f"not a request: wire type {kind} at byte {start}")
        if stop > end:
            raise ValueError(f"not a request: the field at byte {start} is longer than what holds it")
        yield tag >> 3 if kind == 2 else 0, start, position, stop
        position = stop


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift < 64:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError(f"not a request: a number breaks off at byte {position}")
