"""How many bytes a line takes: in the journal, in a request, on the network.

    python -m bench.sizes [--length 150] [--rate 1000]

Exact for the simulated lines, which are JSON as services print it; run your own lines through `docker logs … | gzip -1`
to see how they differ. The table is what docs/SCALING.md has.
"""

from __future__ import annotations

import argparse

from bench.simulated import lines
from otellogdriver.export.client import prepare
from otellogdriver.export.destination import HTTP, Destination

BATCHES = (20, 200, 2_000)
"""Lines in a request: of a host that prints 100, 1,000 and 10,000 lines a second, with the usual batch delay."""


def table(length: int, rate: int) -> str:
    rows = [
        f"lines of {length} bytes, {rate:,} a second",
        f"{'':34} {'bytes a line':>13} {'MB an hour':>11}",
    ]

    def row(what: str, size: float) -> None:
        rows.append(f"{what:34} {size:13.1f} {size * rate * 3600 / 1e6:11,.0f}")

    made = lines("host", max(BATCHES), length)
    row("in the journal", len(made.frames) / made.records)
    row("in a request, before compression", sum(map(len, made.pieces)) / made.records)
    for count in BATCHES:
        made = lines("host", count, length)
        body = prepare(Destination(("http://localhost:4318",), HTTP, compression="gzip"), made.pieces)
        row(f"on the network, {count} in a request", len(body) / made.records)
    return "\n".join(rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sizes", description="How many bytes a line takes.")
    parser.add_argument("--length", type=int, default=150, help="bytes of a line (150)")
    parser.add_argument("--rate", type=int, default=1_000, help="lines a second (1,000)")
    chosen = parser.parse_args()
    print(table(chosen.length, chosen.rate), end="")


if __name__ == "__main__":
    main()
