"""What is written by hand is what protobuf's own library writes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._internal import _encode_key_value
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from otellogdriver.codec import wire

SCALARS = st.text(max_size=300) | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1), inner, max_size=3)
)


@given(st.dictionaries(st.text(min_size=1, max_size=20), VALUES, max_size=4))
def test_a_resource_is_written_as_the_sdk_writes_it(attributes: dict[str, Any]) -> None:
    sdk = Resource(attributes=[_encode_key_value(key, value) for key, value in attributes.items()])
    assert wire.resource(attributes) == sdk.SerializeToString(deterministic=True)


@pytest.mark.parametrize("value", [("a", "b"), ["a", "b"]])
def test_a_tuple_is_a_list(value: object) -> None:
    assert [each.string_value for each in AnyValue.FromString(wire.any_value(value)).array_value.values] == ["a", "b"]


def test_null_is_an_empty_value() -> None:
    assert wire.any_value(None) == b""


@given(st.integers(0, 2**64 - 1))
def test_a_number_is_written_in_as_few_bytes_as_it_takes(value: int) -> None:
    written = wire.varint(value)
    assert len(written) == max(1, -(-value.bit_length() // 7))
    assert sum((byte & 0x7F) << 7 * place for place, byte in enumerate(written)) == value
