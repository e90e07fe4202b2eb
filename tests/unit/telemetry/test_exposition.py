"""The text of a scrape, compared with that of prometheus_client's own encoders."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest as prometheus
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.utils import floatToGoString

from otellogdriver.delivery.tally import LATENCY_BOUNDS
from otellogdriver.driver.driver import Driver
from otellogdriver.telemetry.account import Accounts
from otellogdriver.telemetry.exposition import exposition, number
from otellogdriver.telemetry.metrics import METRICS
from otellogdriver.telemetry.overview import Overview
from otellogdriver.telemetry.samples import Durations, Samples, samples

STRANGE = ('a"b', "c\\d", "e\nf, {g}=é")
PLAIN = ("0", "web", "100%s")


SAMPLES: dict[str, list[Samples]] = {
    "otellogdriver_lines_total": [
        ([STRANGE, PLAIN], ("stdout", "stderr"), [[7, 0], [1 << 53, 2]]),
        ([("x", "y", "z")], ("stdout",), [[1]]),
    ],
    "otellogdriver_excluded_lines_total": [([PLAIN], (), [])],
    "otellogdriver_dropped_lines_total": [([STRANGE], ('b"%d',), [[3]])],
    "otellogdriver_lag_seconds": [([PLAIN, STRANGE], ("",), [[0.1, 1e21]])],
    "otellogdriver_destination_pause_seconds": [([("a",)], ("",), [[math.inf]]), ([("b",)], ("",), [[-math.inf]])],
    "otellogdriver_build_info": [([("a",)], ("b",), [[1]])],
    "otellogdriver_requests_total": [([("a",)], ("c", "d"), [[2], [3]])],
    "otellogdriver_driver_read_bytes_total": [([()], ("",), [[1 << 40]])],
    "otellogdriver_driver_dropped_lines_total": [([()], ("fault",), [[2]])],
    "otellogdriver_start_time_seconds": [([()], ("",), [[math.nan]])],
}


def families(durations: Durations) -> Iterator[Metric]:
    """The same as prometheus_client has it."""
    for metric in METRICS:
        family = Metric(metric.name.removesuffix("_total"), metric.text, metric.kind)
        for things, last, columns in SAMPLES.get(metric.name, ()):
            for place, thing in enumerate(things):
                for end, column in zip(last, columns, strict=True):
                    values = (*thing, end) if end else thing
                    family.add_sample(metric.name, dict(zip(metric.labels, values, strict=True)), column[place])
        if metric.kind == "histogram":
            total = 0
            for bound, count in zip((*LATENCY_BOUNDS, "+Inf"), durations.counts, strict=True):
                total += count
                labels = {"destination": durations.destination, "le": str(bound)}
                family.add_sample(f"{metric.name}_bucket", labels, total)
            for suffix, value in (("count", total), ("sum", durations.seconds)):
                family.add_sample(f"{metric.name}_{suffix}", {"destination": durations.destination}, value)
        yield family


@pytest.mark.parametrize("strict", [False, True])
def test_the_text_is_that_of_prometheus_client(strict: bool) -> None:
    """But for its order of the labels, and integers, of which it makes floats."""
    durations = Durations("there", tuple(range(len(LATENCY_BOUNDS) + 1)), 1.5)
    process = list(ProcessCollector(registry=None).collect())
    text = b"".join(exposition(SAMPLES, [durations], process, strict)).decode()

    registry = CollectorRegistry()
    registry.collect = lambda: [*families(durations), *process]  # type: ignore[method-assign]
    theirs = (openmetrics if strict else prometheus)(registry).decode()
    assert [like_theirs(line) for line in text.splitlines()] == [like_theirs(line) for line in theirs.splitlines()]
    assert text.endswith("\n")


def like_theirs(line: str) -> str:
    """The line with its labels in the order of their names, and its number as a float."""
    if line.startswith("#"):
        return line
    before, _, value = line.rpartition(" ")
    name, _, labels = before.partition("{")
    pairs = sorted(re.findall(r'(\w+="(?:[^"\\]|\\.)*")[,}]', labels))
    assert before == (f"{name}{{{labels}" if pairs else name) and len(",".join(pairs)) == max(0, len(labels) - 1)
    return f"{name} {pairs} {floatToGoString(value)}"  # type: ignore[no-untyped-call]


async def test_a_driver_without_containers_has_metrics(driver: Driver) -> None:
    text = b"".join(exposition(samples(Overview.of(driver, Accounts(driver)()), 0), [], [], False))
    assert b"\notellogdriver_open_streams 0\n" in text
    assert b"{container_id" not in text


@pytest.mark.parametrize("strict", [False, True])
def test_a_value_with_a_nul_is_not_the_end_of_the_text(strict: bool) -> None:
    """To Prometheus' parsers it would be: `OTEL_RESOURCE_ATTRIBUTES=service.name=a%00b` would cost all metrics."""
    found: dict[str, list[Samples]] = {
        "otellogdriver_lag_seconds": [([PLAIN, ("1", "x", "a\0b")], ("",), [[0.5, 1.5]])]
    }
    text = b"".join(exposition(found, [Durations("c\0", (0,) * 13, 0.5)], [], strict)).decode()
    assert 'service_name="a\ufffdb"} 1.5' in text and 'destination="c\ufffd"' in text and "\0" not in text


def test_numbers() -> None:
    assert [number(value) for value in (1, 0.5, math.inf, -math.inf, math.nan)] == ["1", "0.5", "+Inf", "-Inf", "NaN"]
