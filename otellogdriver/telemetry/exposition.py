"""The text that Prometheus scrapes: metrics with their samples, in its own format or as OpenMetrics.

In: the samples of each metric. Out: bytes, metric by metric, with help and type. It does what prometheus_client's
encoders do, in a fraction of their time, which counts with a thousand containers: no step is taken for each sample, the
pieces of its line are joined by what Python has compiled.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, repeat
from typing import TYPE_CHECKING

from otellogdriver.delivery.tally import LATENCY_BOUNDS
from otellogdriver.telemetry.metrics import METRICS
from otellogdriver.telemetry.samples import Durations, Samples

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_LE = (*map(str, LATENCY_BOUNDS), "+Inf")
_STRANGE = re.compile(r'[\\"\n\0]').search


def exposition(
    samples: Mapping[str, Sequence[Samples]], durations: Iterable[Durations], process: Iterable[Metric], strict: bool
) -> Iterator[bytes]:
    """The answer in pieces; `strict` makes it OpenMetrics. `process` are metrics of prometheus_client's own."""
    before: Sequence[tuple[str, ...]] = ()
    begins: list[str] = []
    for metric in METRICS:
        text = [_head(metric.name, metric.kind, metric.text, strict)]
        for things, last, columns in samples.get(metric.name, ()):
            if things is not before:  # what a container's labels are is made text once
                before, begins = things, _begins(metric.labels, things)
            pieces: list[Iterable[str]] = []
            for each, column in zip(last, columns, strict=True):
                values = map(repr if column[0].__class__ is int else number, column)
                pieces += [repeat(f"\n{metric.name}"), begins, repeat(f"{_end(metric.labels, each)} "), values]
            text += chain.from_iterable(zip(*pieces, strict=False))  # thing after thing
        if metric.kind == "histogram":
            text += [_histogram(metric.name, item) for item in durations]
        text.append("\n")
        yield "".join(text).encode()
    for family in process:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        samples_of = "".join(f"\n{sample.name} {number(sample.value)}" for sample in family.samples)
        yield f"{_head(name, family.type, family.documentation, strict)}{samples_of}\n".encode()
    if strict:
        yield b"# EOF\n"


def _begins(names: Sequence[str], things: Sequence[tuple[str, ...]]) -> list[str]:
    """The labels of each thing, without their end; `names` has those of the things first."""
    form = ",".join(f'{name}="%s"' for name, _ in zip(names, things[0], strict=False))
    form = f"{{{form}" if form else ""
    return [form % (tuple(map(_escaped, each)) if _STRANGE("".join(each)) else each) for each in things]


def _histogram(name: str, item: Durations) -> str:
    (begin,) = _begins(("destination",), [(item.destination,)])
    text = [
        f'\n{name}_bucket{begin},le="{bound}"}} {total}'
        for bound, total in zip(_LE, accumulate(item.counts), strict=True)
    ]
    return "".join(text) + f"\n{name}_count{begin}}} {sum(item.counts)}\n{name}_sum{begin}}} {number(item.seconds)}"


def _head(name: str, kind: str, text: str, strict: bool) -> str:
    """Help and type; no newline after them. OpenMetrics names a counter without its suffix there."""
    if strict and kind == "counter":
        name = name.removesuffix("_total")
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    return f"# HELP {name} {escaped}\n# TYPE {name} {kind}"


def _end(names: Sequence[str], last: str) -> str:
    """What ends the labels of a sample: its last one, where that stands by itself."""
    if not last:
        return "}" if names else ""
    return f'{"," if names[1:] else "{"}{names[-1]}="{_escaped(last)}"}}'


def _escaped(value: str) -> str:
    # To Prometheus a NUL is the end of the text: it would take no metric of any container.
    value = value.replace("\0", "\ufffd")
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def number(value: float) -> str:
    """A value as both formats take it."""
    if value.__class__ is int or math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
