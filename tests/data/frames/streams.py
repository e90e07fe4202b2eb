"""Streams for property tests: frames as the engine writes them, frames as protobuf allows them, and damage."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.data.frames.log_entry import frame, framed

NOW = 1_763_980_000_000_000_000
HEADS = (b"\n\x06stdout", b"\n\x06stderr")

times = st.one_of(
    st.integers(NOW, NOW + 10**12),
    st.sampled_from([0, 1, -1, -(1 << 63), (1 << 63) - 1]),
    st.integers(-(1 << 63), 1 << 62),
)
texts = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=20).map(str.encode),
    st.builds(
        lambda run, before, bad, behind: b"a" * run + before.encode() + bad + behind.encode(),
        st.integers(0, 70),
        st.text(max_size=4),
        st.sampled_from(
            [b"", b"\x80", b"\xc0\x80", b"\xe2\x82", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf0\x9f\x98", b"\xff"]
        ),
        st.text(max_size=4),
    ),
    st.integers(120, 135).map(lambda size: b"x" * size),
    st.sampled_from([b"", b"\0\0\0\x0c\n\x06stdout\x1a\x02ok", b"\0\0\0\x08\n\x06stderr" * 3]),
)
"""Lines: also around where a varint gets longer, of broken UTF-8, and with frames in them."""

ids = st.sampled_from([None, None, "x", "y", ""])
written = st.builds(
    frame,
    texts,
    times,
    st.sampled_from(["stdout", "stderr"]),
    ids,
    st.booleans(),
    st.sampled_from([None, None, True, False]),
)
"""Frames as the engine writes them."""


def varint(value: int, padding: int = 0) -> bytes:
    """A varint, with `padding` bytes more than it needs."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    for _ in range(min(padding, 10 - len(out))):
        out[-1] |= 0x80
        out.append(0)
    return bytes(out)


def field(number: int, wire: int, value: int, data: bytes, padding: int) -> bytes:
    tag = varint(number << 3 | wire)
    if wire == 0:
        return tag + varint(value, padding)
    if wire == 2:
        return tag + varint(len(data), padding) + data
    return tag + value.to_bytes(8, "little")[: 8 if wire == 1 else 4]


def fields(numbers: st.SearchStrategy[tuple[int, int]], data: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    one = st.builds(
        lambda kind, value, data, padding: field(kind[0], kind[1], value, data, padding),
        numbers,
        st.one_of(st.integers(0, 3), st.integers(0, (1 << 64) - 1)),
        data,
        st.integers(0, 3),
    )
    return st.lists(one, max_size=5).map(b"".join)


unknown = st.tuples(st.one_of(st.integers(6, 20), st.integers(6, (1 << 29) - 1)), st.sampled_from([0, 1, 2, 5]))
metadata = fields(
    st.one_of(st.sampled_from([(1, 0), (2, 2), (3, 0)]), unknown), st.sampled_from([b"x", b"y", b"", b"long" * 10])
)
allowed = st.builds(
    lambda head, parts: framed(head + b"".join(parts)),
    st.sampled_from(HEADS),
    st.lists(
        st.one_of(
            fields(st.one_of(st.sampled_from([(2, 0), (3, 2), (4, 0)]), unknown), texts),
            metadata.map(lambda data: field(5, 2, 0, data, 0)),
            st.sampled_from(HEADS),
        ),
        max_size=4,
    ),
)
"""Frames that protobuf allows: any order, fields more than once, unknown fields, varints longer than need be."""


def changed(data: bytes, at: int, byte: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([byte]) + data[at + 1 :]


damaged = st.one_of(
    st.binary(max_size=30),
    st.builds(lambda data, at: data[at % len(data) :], written, st.integers(0, 1 << 16)),
    st.builds(lambda data, at: data[: at % len(data)], written, st.integers(0, 1 << 16)),
    st.builds(changed, st.one_of(written, allowed), st.integers(0, 1 << 16), st.integers(0, 255)),
    st.builds(
        lambda length, head, rest: length.to_bytes(4, "big") + head + rest,
        st.one_of(st.integers(0, 40), st.sampled_from([(1 << 21) - 1, 1 << 21, (1 << 21) + 1, 1 << 31, (1 << 32) - 1])),
        st.sampled_from([*HEADS, b"\n\x06std", b"\n\x05weird"]),
        st.one_of(st.binary(max_size=20), fields(unknown, texts)),
    ),
    fields(st.tuples(st.integers(0, 7), st.sampled_from([0, 1, 2, 5])), st.binary(max_size=5)).map(
        lambda rest: framed(HEADS[0] + rest)
    ),
)

streams = st.lists(st.one_of(written, written, allowed, damaged), max_size=12).map(b"".join)
garbage = st.one_of(damaged, st.binary(max_size=60)).filter(lambda data: HEADS[0][:5] not in data)
"""Bytes in which no frame can begin, and neither across their end."""
cuts = st.lists(st.integers(0, 1 << 16), max_size=10)


def chunks(data: bytes, places: list[int]) -> list[int]:
    """Where the stream ends each time that it is looked at: at `places`, then at its end."""
    return [*sorted(place % (len(data) + 1) for place in places), len(data)]
