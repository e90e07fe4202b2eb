"""gzip by isal where it is installed (1 ms/MB), else by zlib (6 ms/MB and more). Both release the GIL."""

from __future__ import annotations

import logging
import zlib

try:
    from isal import isal_zlib
except ImportError:
    isal_zlib = None  # type: ignore[assignment]  # no wheel for this machine

_GZIP = 31  # zlib's code for the gzip container with the largest window
_log = logging.getLogger(__name__)
_told = False


def compress(data: bytes, level: int) -> bytes:
    """One gzip member. `level` is 0 to 3, from fast to small; beyond that it means the nearest."""
    if isal_zlib is not None:
        return isal_zlib.compress(data, min(max(level, 0), 3), _GZIP)
    global _told
    if not _told:
        _told = True
        _log.warning("isal is not installed: gzip falls back to zlib, which costs about 5 times the CPU")
    return zlib.compress(data, min(max(level, 1), 3), _GZIP)


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
