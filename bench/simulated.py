"""A host that is simulated: lines as services print them, the engine's frames of them, the driver's requests.

In: how many lines, how long. Out: the very bytes that a journal would hold and that the driver would send, made by the
driver's own codec; no engine, no container, no clock.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

from bench.codec import frame
from otellogdriver.codec import load, wire
from otellogdriver.codec.contract import NOTHING, EncodeOptions
from otellogdriver.container import Container
from otellogdriver.export.request import SCOPE, resource_logs
from otellogdriver.resource import Host, resource_of
from otellogdriver.settings.options import resolve

_NOW = 1_795_500_000_000_000_000
_EVERYTHING = 1 << 40


@dataclass(frozen=True, slots=True)
class Lines:
    """Of one container: its frames, and the parts of one request that carries all of them."""

    frames: bytes
    pieces: list[bytes | memoryview]
    records: int


def service_line(chance: random.Random, length: int) -> bytes:
    """A line of JSON with values that differ from line to line, so that gzip has its usual work."""
    path = chance.choice(("items", "orders", "users", "baskets")) + f"/{chance.randrange(10**6)}"
    entry = {
        "level": chance.choice(("info", "info", "info", "debug", "warn")),
        "trace": f"{chance.getrandbits(32):08x}",
        "msg": chance.choice(("request served", "cache miss", "rows read", "retry", "payment accepted")),
        "path": f"/v1/{path}",
        "status": chance.choice((200, 200, 201, 404)),
        "ms": chance.randrange(2000),
    }
    while len(text := json.dumps(entry)) < length:
        entry[f"remote{len(entry)}"] = f"10.{chance.randrange(4)}.{chance.randrange(256)}.{chance.randrange(256)}"
    return text[:length].encode()


def lines(host: str, count: int, length: int, seed: int = 0) -> Lines:
    """`count` lines of `length` bytes, printed by one container on `host`."""
    chance = random.Random(f"{host} {seed}")
    frames = b"".join(frame(service_line(chance, length), _NOW + number * 1_000_000) for number in range(count))
    encoded = load("require").encode(frames, 0, NOTHING, EncodeOptions(), _NOW, _EVERYTHING)
    identifier = f"{chance.getrandbits(256):064x}"
    container = Container(identifier, "shop-web-1", "example/shop:1", f"sha256:{identifier}")
    resource = wire.resource(resource_of(container, resolve({}, {}), Host(host, host)).attributes)
    return Lines(frames, resource_logs(resource, [encoded.payload], SCOPE), encoded.records)
