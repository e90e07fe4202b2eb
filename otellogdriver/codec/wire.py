"""Protobuf's wire format, written by hand: numbers, messages in messages, and the values of opentelemetry-proto's
`common.proto` and `resource.proto`.

protobuf's own library is not asked for what is written while containers run: where it gets no memory, it ends the
process.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import pack


def fixed64(value: int) -> bytes:
    return (value % (1 << 64)).to_bytes(8, "little")


def varint(value: int) -> bytes:
    if value < 0x80:
        return b"%c" % value
    if value < 0x4000:
        return b"%c%c" % (value & 0x7F | 0x80, value >> 7)
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def nested(tag: bytes, message: bytes) -> bytes:
    return tag + varint(len(message)) + message


def any_value(value: object) -> bytes:
    """The fields of an AnyValue."""
    match value:
        case str():
            return nested(b"\x0a", value.encode())
        case bytes():
            return nested(b"\x3a", value)
        case bool():
            return b"\x10" + bytes([value])
        case int():
            return b"\x18" + varint(value % (1 << 64))
        case float():
            return b"\x21" + pack("<d", value)
        case list() | tuple():
            return nested(b"\x2a", b"".join(nested(b"\x0a", any_value(item)) for item in value))
        case dict():
            return nested(b"\x32", b"".join(nested(b"\x0a", key_value(*item)) for item in value.items()))
    return b""


def key_value(key: str, value: object) -> bytes:
    """The fields of a KeyValue."""
    return nested(b"\x0a", key.encode()) + nested(b"\x12", any_value(value))


def resource(attributes: Mapping[str, object]) -> bytes:
    """A Resource {1 attributes}."""
    return b"".join(nested(b"\x0a", key_value(key, value)) for key, value in attributes.items())
