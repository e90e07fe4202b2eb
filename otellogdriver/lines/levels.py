"""`severity=auto` on its own: the codec's records as they are, with the level of each put into it.

In: frames, as of `codec.contract.Codec`. Out: what `encoder.LineEncoder` makes of them, at half its cost, without an
object for each line: the payload is read once, record by record, and written anew with two fields more where a body
names a level. `native.pyx` does that in C.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from otellogdriver.codec.contract import Chunk, Codec, Encoded, EncodeOptions
from otellogdriver.codec.frames import SHORT, read_varint
from otellogdriver.codec.wire import nested, varint
from otellogdriver.lines import severity

Levelled = tuple[bytes, tuple[int, ...]]
"""Payload, and severities as of `codec.contract.Encoded`."""


class LevelEncoder:
    """See `codec.contract.Encoder`. Nothing is kept between calls."""

    def __init__(self, codec: Codec, levelled: Callable[[bytes], Levelled]) -> None:
        self._codec = codec
        self._levelled = levelled

    def encode(
        self,
        chunk: Chunk,
        start: int,
        carry: Any,
        options: EncodeOptions,
        observed: int,
        limit: int,
        flush: int = 0,
        final: bool = False,
    ) -> Encoded:
        """See `codec.contract.Codec`."""
        room = limit
        while True:
            made = self._codec.encode(chunk, start, carry, options, observed, room, flush, final)
            if not made.records:
                return made
            payload, severities = self._levelled(made.payload)
            if len(payload) <= limit or made.records == 1:
                return replace(made, payload=payload, severities=severities)
            # Again with fewer records, so that there is room for their levels.
            room = max(0, len(made.payload) - (len(payload) - limit))

    def rebuild(self, chunk: Chunk, start: int, opens: tuple[int, int]) -> Any:
        """See `codec.contract.Codec`."""
        return self._codec.rebuild(chunk, start, opens)


def levelled(payload: bytes) -> Levelled:
    """The records of a codec, with their levels."""
    severities = [0] * severity.RANGES
    pieces: list[bytes] = []
    at, end = 0, len(payload)
    while at < end:
        size, begin = read_varint(payload, at + 1, end, SHORT)
        at = begin + size
        head = begin + 9 if payload[begin] == 0x09 else begin  # after the time
        _, text = read_varint(payload, head + 1, end, SHORT)
        size, text = read_varint(payload, text + 1, end, SHORT)
        number, name = severity.in_text(payload[text : text + size])
        level = b""
        if number:
            severities[severity.range_of(number)] += 1
            level = b"\x10" + varint(number) + nested(b"\x1a", name.encode())
        pieces.append(nested(b"\x12", payload[begin:head] + level + payload[head:at]))
    return b"".join(pieces), tuple(severities)
