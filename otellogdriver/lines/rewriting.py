"""The shorter way, for options that look at each line by itself (`parse`, `severity`): the codec's records, rewritten.

In: frames, as of `codec.contract.Codec`. Out: what `encoder.LineEncoder` makes of them, but without an object for each
line: the codec makes plain records, and the writer makes others of these, with what their bodies say.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from otellogdriver.codec.contract import Chunk, Codec, Encoded, EncodeOptions
from otellogdriver.lines.writer import Writer


class RewritingEncoder:
    """See `codec.contract.Encoder`. Nothing is kept between calls."""

    def __init__(self, codec: Codec, writer: Writer) -> None:
        self._codec = codec
        self._writer = writer

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
        made = self._codec.encode(chunk, start, carry, options, observed, limit, flush, final)
        if not made.records:
            return made
        payload, used, severities = self._writer.rewrite(made.payload, made.records, limit)
        if used < len(made.payload):  # as many again as have found room
            made = self._codec.encode(chunk, start, carry, options, observed, used, flush, final)
        return replace(made, payload=payload, severities=severities)

    def rebuild(self, chunk: Chunk, start: int, opens: tuple[int, int]) -> Any:
        """See `codec.contract.Codec`."""
        return self._codec.rebuild(chunk, start, opens)
