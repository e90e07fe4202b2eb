"""What the codec costs: nanoseconds of one core for each record, both implementations and their ratio in one run.

    python -m bench.codec [--seconds 0.3]

Chunks of 256 KiB, as the pump reads them. The fastest of many calls counts: what slows one down (another process, a
page that the kernel has to find) is not the codec.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable

from otellogdriver.codec import load
from otellogdriver.codec.contract import NOTHING, Codec, EncodeOptions

CHUNK = 256 << 10
NOW = 1_763_980_000_000_000_000
HUGE = 1 << 40
PLAIN = EncodeOptions()
WITH_UID = EncodeOptions(uid=b"bench-id")


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def frame(line: bytes, time_nano: int, metadata: bytes = b"") -> bytes:
    entry = b"\n\x06stdout\x10" + varint(time_nano) + b"\x1a" + varint(len(line)) + line + metadata
    return len(entry).to_bytes(4, "big") + entry


def filled(make: Callable[[int], bytes]) -> tuple[bytes, int]:
    """A chunk, and the number of things in it."""
    things: list[bytes] = []
    size = 0
    while size < CHUNK:
        things.append(make(len(things)))
        size += len(things[-1])
    return b"".join(things), len(things)


def text(size: int) -> Callable[[int], bytes]:
    chance = random.Random(size)
    return lambda index: frame(bytes(chance.choices(range(32, 127), k=size)), NOW + index * 12_345)


def request(index: int) -> bytes:
    entry = {"ts": NOW + index, "level": "info", "msg": "request served", "path": f"/v1/items/{index}", "status": 200}
    line = json.dumps(entry | {"trace_id": f"{index:032x}", "agent": "é" * 20}, ensure_ascii=False).encode()
    return frame(line + b" " * (330 - len(line)), NOW + index * 12_345)


def long_line(index: int) -> bytes:
    """48 KiB in pieces of 16 KiB."""
    id = b"\x12\x40" + f"{index:064x}".encode()
    pieces = []
    for ordinal in (1, 2, 3):
        metadata = (b"\x08\x01" if ordinal == 3 else b"") + id + b"\x18" + varint(ordinal)
        pieces.append(frame(b"x" * 16384, NOW + index, b"\x20\x01\x2a" + varint(len(metadata)) + metadata))
    return b"".join(pieces)


CASES = {
    "100-byte lines": filled(text(100)),
    "150-byte lines": filled(text(150)),
    "330-byte JSON": filled(request),
    "1 KiB lines": filled(text(1024)),
    "3 pieces of 16 KiB": filled(long_line),
}
WAYS: dict[str, Callable[[Codec, bytes], object]] = {
    "encode": lambda codec, chunk: codec.encode(chunk, 0, NOTHING, PLAIN, NOW, HUGE),
    "encode, uid": lambda codec, chunk: codec.encode(chunk, 0, NOTHING, WITH_UID, NOW, HUGE),
    "count": lambda codec, chunk: codec.count(chunk, 0, HUGE),
    "readable": lambda codec, chunk: codec.readable(chunk, 0, 0, 0),
    "positions": lambda codec, chunk: codec.positions(chunk, 0),
}


def fastest(call: Callable[[], object], seconds: float) -> float:
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - began)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description="What the codec costs, in nanoseconds for each record.")
    parser.add_argument("--seconds", type=float, default=0.2, help="how long each measurement takes")
    seconds = parser.parse_args().seconds
    native, python = load("require"), load("python")
    print(f"{'':20} {'':12} {'native':>10} {'python':>10} {'ratio':>7}")
    for case, (chunk, records) in CASES.items():
        for way, call in WAYS.items():
            ours, theirs = (
                fastest(lambda codec=codec, call=call, chunk=chunk: call(codec, chunk), seconds) / records * 1e9  # type: ignore[misc]
                for codec in (native, python)
            )
            print(f"{case:20} {way:12} {ours:10.1f} {theirs:10.1f} {theirs / ours:6.1f}x")


if __name__ == "__main__":
    main()
