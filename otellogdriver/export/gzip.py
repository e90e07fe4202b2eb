"""gzip by isal where it is installed (1 ms/MB), else by zlib (6 ms/MB and more). Both release the GIL."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable, Iterator

try:
    from isal import isal_zlib
except ImportError:
    isal_zlib = None  # type: ignore[assignment]  # no wheel for this machine

_GZIP = 31  # zlib's code for the gzip container with the largest window
_MEMORY = 9  # the largest buffers: 5 % less CPU
_SMALL = 64 << 10
"""Bytes below which pieces are joined first: a call costs as much as a kilobyte does, copying a long piece more."""
_log = logging.getLogger(__name__)
_told = False


def compress(pieces: Iterable[bytes | memoryview], level: int) -> bytes:
    """One gzip member of all pieces. `level` is 0 to 3, from fast to small; beyond that it means the nearest."""
    if isal_zlib is not None:
        member = isal_zlib.compressobj(min(max(level, 0), 3), isal_zlib.DEFLATED, _GZIP, _MEMORY)
    else:
        _tell()
        member = zlib.compressobj(min(max(level, 1), 3), zlib.DEFLATED, _GZIP, _MEMORY)
    out = [member.compress(piece) for piece in _joined(pieces)]
    out.append(member.flush())
    return b"".join(out)


def _joined(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    small: list[bytes | memoryview] = []
    size = 0
    for piece in pieces:
        if len(piece) < _SMALL:
            small.append(piece)
            size += len(piece)
        if small and (len(piece) >= _SMALL or size >= _SMALL):
            yield b"".join(small)
            small, size = [], 0
        if len(piece) >= _SMALL:
            yield piece
    yield b"".join(small)


def _tell() -> None:
    global _told
    if not _told:
        _told = True
        _log.warning("isal is not installed: gzip falls back to zlib, which costs about 5 times the CPU")


def decompress(data: bytes, limit: int) -> bytes:
    """The content of one or more members. Raises ValueError if that is damaged, cut off or longer than `limit`."""
    out: list[bytes] = []
    left = limit
    while data:
        member = (isal_zlib or zlib).decompressobj(_GZIP)
        try:
            out.append(member.decompress(data, left + 1))
        except Exception as error:  # isal and zlib each have an error of their own, both just an Exception
            raise ValueError(f"not gzip: {error}") from None
        left -= len(out[-1])
        if left < 0:
            raise ValueError(f"more than {limit} bytes after decompression")
        if not member.eof:
            raise ValueError("gzip that is cut off")
        data = member.unused_data
    return b"".join(out)
