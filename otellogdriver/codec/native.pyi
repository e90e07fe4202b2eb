"""The types of `native.pyx`; see `contract.Codec` for what the functions do."""

from collections.abc import Sequence

from otellogdriver.codec.contract import Carry, Chunk, Encoded, EncodeOptions, Split

name: str

def encode(
    chunk: Chunk,
    start: int,
    carry: Carry,
    options: EncodeOptions,
    observed: int,
    limit: int,
    flush: int = 0,
    final: bool = False,
) -> Encoded: ...
def split(
    chunk: Chunk,
    start: int,
    carry: Carry,
    flush: int = 0,
    final: bool = False,
    most: int = -1,
    opens: tuple[int, int] = (0, 0),
) -> Split: ...
def rebuild(chunk: Chunk, start: int, opens: tuple[int, int]) -> Carry: ...
def count(chunk: Chunk, start: int, offset: int, final: bool = False) -> tuple[int, int, int, int]: ...
def readable(chunk: Chunk, start: int, since: int, until: int) -> tuple[bytes, int, bool]: ...
def positions(chunk: Chunk, start: int) -> Sequence[int]: ...
