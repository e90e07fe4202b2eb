"""Envelopes of requests, checked against the real messages; and the body on its way to the wire and back."""

from __future__ import annotations

import gzip
import logging
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from otellogdriver.codec.wire import varint
from otellogdriver.export import gzip as ours
from otellogdriver.export.client import prepare
from otellogdriver.export.destination import Destination
from otellogdriver.export.request import AROUND, SCOPE, record_ends, resource_logs
from otellogdriver.resource import SCHEMA_URL
from tests.unit.export.otlp_requests import request

HTTP, GRPC = "http/protobuf", "grpc"


def bodies(encoded: bytes) -> list[tuple[str, str]]:
    """(container, body) of each record."""
    return [
        (logs.resource.attributes[-1].value.string_value, record.body.string_value)
        for logs in ExportLogsServiceRequest.FromString(encoded).resource_logs
        for scope in logs.scope_logs
        for record in scope.log_records
    ]


@pytest.mark.parametrize("sizes", [[], [1], [0, 3], [1, 200, 1], [5000]])
def test_resource_logs(sizes: list[int]) -> None:
    resource = Resource()
    resource.attributes.add(key="container.id").value.string_value = "c" * 64
    payloads = []
    for size in sizes:
        scope = ScopeLogs()
        for number in range(size):
            scope.log_records.add().body.string_value = f"line {number}"
        payloads.append(scope.SerializeToString())
    scope_bytes = InstrumentationScope(name="otellogdriver", version="1").SerializeToString()
    pieces = resource_logs(resource.SerializeToString(), payloads, scope_bytes)
    for payload in payloads:
        assert any(piece is payload for piece in pieces), "the payload is not copied"
    (logs,) = ExportLogsServiceRequest.FromString(b"".join(pieces)).resource_logs
    (scope_logs,) = logs.scope_logs
    assert logs.resource == resource
    assert scope_logs.scope.name == "otellogdriver"
    assert logs.schema_url == scope_logs.schema_url == SCHEMA_URL
    assert [record.body.string_value for record in scope_logs.log_records] == [
        f"line {number}" for size in sizes for number in range(size)
    ]


def test_requests_can_be_joined() -> None:
    assert bodies(request("a", 2) + request("b", 1)) == [("a", "a line 0"), ("a", "a line 1"), ("b", "b line 0")]


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_record_ends_cut_a_payload_into_its_records(records: list[bytes]) -> None:
    whole = [b"\x12" + varint(len(record)) + record for record in records]
    payload = b"".join(whole)
    ends = record_ends(payload)
    assert [payload[begin:end] for begin, end in pairwise([0, *ends])] == whole


def test_record_ends_of_what_is_no_payload() -> None:
    for bad in (b"\x0a\x00", b"\x12", b"\x12\x05abc", b"\x12\x80", b"\x12" + b"\x80" * 12):
        with pytest.raises(ValueError):
            record_ends(bad)


def test_what_is_around_records_is_no_longer_than_said() -> None:
    for size in (0, 1, 200, 100_000):
        payload = b"x" * size
        assert len(b"".join(resource_logs(b"r" * 500, [payload], SCOPE))) <= size + 500 + AROUND


@pytest.mark.parametrize(
    ("protocol", "compression", "gzipped"),
    [(HTTP, "gzip", True), (HTTP, "none", False), (HTTP, "auto", True), (GRPC, "gzip", False), (GRPC, "none", False)],
)
def test_prepare(protocol: str, compression: str, gzipped: bool) -> None:
    destination = Destination(("http://c:1",), protocol, compression=compression)
    whole = request("a", 500)
    (body,) = prepare(destination, [whole[:100], memoryview(whole)[100:]])
    assert type(body) is bytes
    assert (gzip.decompress(body) if gzipped else body) == whole
    long: list[bytes | memoryview] = [b"head", *[memoryview(whole * 10)] * 5, b"tail"]
    sent = prepare(destination, long)
    assert (sent is long) == (protocol == HTTP and not gzipped), "not copied"
    joined = b"".join(sent)
    assert (gzip.decompress(joined) if gzipped else joined) == b"".join(long)
    assert len(prepare(destination, [*long, *[b"short"] * 200])) == 1, "many short ones are joined"


@pytest.mark.parametrize("isal", [True, False])
@given(st.lists(st.sampled_from([0, 1, 300, 40_000, 65_535, 65_536, 300_000]), max_size=8), st.integers(-1, 4))
def test_long_and_short_pieces_make_one_member(isal: bool, sizes: list[int], level: int) -> None:
    pieces = [bytes([65 + index]) * size for index, size in enumerate(sizes)]
    with pytest.MonkeyPatch.context() as patch:
        if not isal:
            patch.setattr(ours, "isal_zlib", None)
            patch.setattr(ours, "_told", True)
        packed = ours.compress(pieces, level)
    member = zlib.decompressobj(31)
    assert member.decompress(packed) == b"".join(pieces)
    assert member.eof and not member.unused_data


@pytest.mark.parametrize("isal", [True, False])
def test_decompress(isal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not isal:
        monkeypatch.setattr(ours, "isal_zlib", None)
    two = gzip.compress(b"one ") + gzip.compress(b"two" * 1000)
    assert ours.decompress(two, 3004) == b"one " + b"two" * 1000
    assert ours.decompress(b"", 10) == b""
    for bad in (two[:-1], two[:10], b"plain text", two + b"x"):
        with pytest.raises(ValueError):
            ours.decompress(bad, 5000)
    with pytest.raises(ValueError, match="more than 3003 bytes"):
        ours.decompress(two, 3003)


def test_without_isal_zlib_does_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ours, "isal_zlib", None)
    monkeypatch.setattr(ours, "_told", False)
    destination = Destination(("http://c:1",), HTTP, compression_level=0)
    whole = request("a", 500)
    for _ in range(3):
        assert gzip.decompress(b"".join(prepare(destination, [whole]))) == whole
    assert [(each.levelno, "isal" in each.message) for each in caplog.records] == [(logging.WARNING, True)]
