"""The codec alone, as a row of the results (all of its cases: `python -m bench.codec`)."""

from __future__ import annotations

from bench.codec import CASES, WAYS, fastest
from bench.result import Results
from otellogdriver.codec import load

CASE = "100-byte lines"
SECONDS = 0.5


def codec_cost(results: Results) -> None:
    chunk, records = CASES[CASE]
    for name in ("native", "python"):
        codec = load("require" if name == "native" else name)
        seconds = fastest(lambda codec=codec: WAYS["encode"](codec, chunk), SECONDS)  # type: ignore[misc]
        results.row("codec", name).add({"encode_us": seconds / records * 1e6})
