"""The text of a scrape, read by prometheus_client's own parsers."""

from __future__ import annotations

import math

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus
from prometheus_client.process_collector import ProcessCollector

from otellogdriver.delivery.tally import LATENCY_BOUNDS
from otellogdriver.telemetry.exposition import exposition, number
from otellogdriver.telemetry.samples import Durations, Sample

STRANGE = ('a"b', "c\\d", "e\nf, {g}=é")


@pytest.mark.parametrize("strict", [False, True])
def test_each_sample_comes_back_as_it_was(strict: bool) -> None:
    samples: list[Sample] = [
        ("otellogdriver_lines_total", STRANGE, "stdout", 7),
        ("otellogdriver_lines_total", STRANGE, "stderr", 1 << 53),
        ("otellogdriver_dropped_lines_total", STRANGE, "stdout", 3),
        ("otellogdriver_lag_seconds", STRANGE, "", 0.1),
        ("otellogdriver_destination_pause_seconds", ("a",), "", math.inf),
        ("otellogdriver_build_info", ("a",), "b", 1),
        ("otellogdriver_requests_total", ("a",), 'b"', 2),
        ("otellogdriver_driver_read_bytes_total", (), "", 1e21),
    ]
    counts = tuple(range(len(LATENCY_BOUNDS) + 1))
    text = exposition(samples, [Durations("there", counts, 1.5)], ProcessCollector(registry=None).collect(), strict)
    parse = openmetrics if strict else prometheus
    families = list(parse(text.decode()))
    found = {(one.name, tuple(one.labels.values())): one.value for family in families for one in family.samples}
    for name, values, last, value in samples:
        assert found[name, (*values, last) if last else values] == value
    histogram = "otellogdriver_request_duration_seconds"
    assert found[f"{histogram}_bucket", ("there", "+Inf")] == found[f"{histogram}_count", ("there",)] == sum(counts)
    assert found[f"{histogram}_sum", ("there",)] == 1.5
    assert found["process_open_fds", ()] > 0
    assert text.endswith(b"# EOF\n") == strict


def test_numbers() -> None:
    assert [number(value) for value in (1, 0.5, math.inf, -math.inf, math.nan)] == ["1", "0.5", "+Inf", "-Inf", "NaN"]
