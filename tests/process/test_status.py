"""The metrics port of a driver that runs: its metrics in both formats, their bounds, its JSON and its health."""

from __future__ import annotations

import gzip
import http.client
import json
import resource
import socket
import subprocess
import time
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from otellogdriver.telemetry.metrics import BEFORE, METRICS, OUTCOMES, REASONS, table
from plugin.debian import require
from tests.conftest import missing_means_skip
from tests.fakes.behaviour import hang, status
from tests.fakes.engine import Engine, frame
from tests.fakes.server_thread import ServerThread
from tests.process.metrics_port import get, port, report, row, started
from tests.scene import until

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
"""What Prometheus 3 sends."""
DEAD = "http://127.0.0.1:9"
"""The discard port, where nobody listens."""


def test_every_declared_metric_and_no_other_in_both_formats(engine: Engine) -> None:
    web = started(engine, "web", 3, streams="stdout")
    web.write(frame(b"left out", b"stderr"))
    lost = started(engine, "lost", 200, otlp_endpoint=DEAD, journal_max_size="4k", journal_full="drop-newest")
    until(lambda: row(engine, "lost")["undelivered"] > 4096)
    lost.write(frame(b"one too many"))
    until(lambda: row(engine, "web")["delivered"] == 3 and row(engine, "web")["excluded"] == 1)
    until(lambda: row(engine, "lost")["dropped"] == {"journal_full": 1})

    response, text = get(engine, "/metrics")
    assert response.getheader("Content-Type", "").startswith("text/plain; version=")
    plain = {family.name: family for family in prometheus(text)}
    response, text = get(engine, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert response.getheader("Content-Type", "").startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")
    strict = {family.name: family for family in openmetrics(text)}  # type: ignore[no-untyped-call]

    for name in ("virtual_memory_bytes", "resident_memory_bytes", "start_time_seconds", "cpu_seconds", "open_fds"):
        for families in (plain, strict):
            (sample,) = families.pop(f"process_{name}").samples
            assert sample.value > 0
    assert plain.pop("process_max_fds").samples == strict.pop("process_max_fds").samples

    for metric in METRICS:
        name = metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name
        for families in (plain, strict):
            family = families.pop(name)
            assert (family.type, family.documentation) == (metric.kind, metric.text)
            assert family.samples, f"{name} has no sample"
            for sample in family.samples:
                assert set(sample.labels) - {"le"} == set(metric.labels)
    assert not plain and not strict


def test_promtool_has_nothing_to_complain_of(engine: Engine) -> None:
    started(engine, "web", 3)
    until(lambda: engine.metric("otellogdriver_delivered_records_total") == 3)
    text = get(engine, "/metrics")[1]
    with missing_means_skip():
        command = [require("promtool", "prometheus"), "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_reasons_and_outcomes_are_there_before_they_happen(engine: Engine) -> None:
    started(engine, "web", 1)
    until(lambda: engine.metric("otellogdriver_requests_total", outcome="delivered") == 1)
    samples = engine.metrics()
    for reason in REASONS:
        assert samples[f'otellogdriver_driver_dropped_lines_total{{reason="{reason}"}}'] == 0
    found = {sample.split('outcome="')[1].split('"')[0] for sample in samples if "requests_total" in sample}
    assert found == set(OUTCOMES)


def test_losses_of_a_container_are_counted_from_0_on(engine: Engine) -> None:
    started(engine, "plain", 1)
    started(engine, "picky", 1, streams="stdout", rate_limit="5")
    until(lambda: engine.metric("otellogdriver_delivered_records_total") == 2)

    def reasons(name: str, container: str) -> dict[str, float]:
        found = engine.metrics().items()
        mine = [(key, value) for key, value in found if key.startswith(name) and f'"{container}"' in key]
        return {key.split('reason="')[1].split('"')[0]: value for key, value in mine}

    for container in ("plain", "picky"):
        assert reasons("otellogdriver_dropped_lines_total", container) == dict.fromkeys(REASONS, 0)
        assert reasons("otellogdriver_dropped_bytes_total", container) == dict.fromkeys(BEFORE, 0)
    assert reasons("otellogdriver_excluded_lines_total", "plain") == {}, "no option of it leaves lines out"
    assert reasons("otellogdriver_excluded_lines_total", "picky") == {"streams": 0, "rate_limit": 0}


def test_a_restarted_container_is_one_series_and_goes_on_counting(engine: Engine) -> None:
    first = started(engine, "web", 5)
    until(lambda: engine.metric("otellogdriver_delivered_records_total") == 5)
    first.stop()
    again = engine.container("web")
    again.id = again.info["ContainerID"] = first.id
    assert again.start() == {"Err": ""}
    again.write(frame(b"once more"))
    until(lambda: engine.metric("otellogdriver_delivered_records_total") == 6)
    text = get(engine, "/metrics")[1]
    series = [line.rsplit(" ", 1)[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(series) == len(set(series))
    assert row(engine, "web")["running"]


def test_lag_is_the_age_of_the_oldest_line_that_waits(engine: Engine) -> None:
    container = started(engine, "old", otlp_endpoint=DEAD)
    container.write(frame(b"an hour old", time_nano=time.time_ns() - 3600 * 10**9))
    until(lambda: 3600 <= row(engine, "old")["lag"] < 3700)
    assert 3600 <= engine.metric("otellogdriver_lag_seconds", container_name="old") < 3700
    engine.kill()
    engine.start()
    until(lambda: 3600 <= row(engine, "old")["lag"] < 3700)  # known again from the journal


def test_lag_does_not_count_the_silence_before_a_line(engine: Engine, collector: ServerThread) -> None:
    container = started(engine, "quiet")
    container.write(frame(b"long ago", time_nano=time.time_ns() - 3600 * 10**9))
    until(lambda: row(engine, "quiet")["delivered"] == 1)
    collector.server.default = hang()
    container.write(frame(b"now"))
    until(lambda: row(engine, "quiet")["undelivered"])
    assert row(engine, "quiet")["lag"] < 60


def test_the_report_says_what_is_wrong_and_shows_no_secret(tmp_path: Path, collector: ServerThread) -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.server.endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20tiger",
        "OTELLOGDRIVER_BATCH_DELAI": "1s",
    }
    with Engine(tmp_path, environ) as engine:
        started(engine, "good", 4)
        bad = started(engine, "bad", otlp_endpoint="http://user:lion@127.0.0.1:9/leopard?key=puma")
        bad.write(frame(b"panther"))
        until(lambda: row(engine, "good")["delivered"] == 4 and row(engine, "bad")["error"])
        assert not row(engine, "bad")["up"]
        assert "refused" in row(engine, "bad")["error"]
        assert row(engine, "good")["up"] and row(engine, "good")["error"] == ""
        response, text = get(engine, "/status.json")
        assert response.getheader("Cache-Control") == "no-store"
        found = json.loads(text)
        assert [problem for problem in found["problems"] if "OTELLOGDRIVER_BATCH_DELAY" in problem]
        assert found["events"] and all(not event["lost"] for event in found["events"])
        assert {place["up"] for place in found["destinations"]} == {True, False}
        for secret in ("tiger", "lion", "puma", "panther", "leopard"):
            assert secret not in text + get(engine, "/metrics")[1] + get(engine, "/")[1]


def test_refused_lines_are_named_with_their_reason(engine: Engine, collector: ServerThread) -> None:
    collector.server.default = status(400, message="no such tenant")
    started(engine, "web", 2)
    until(lambda: row(engine, "web")["dropped"] == {"refused": 2})
    until(lambda: "no such tenant" in row(engine, "web")["error"])
    assert report(engine)["totals"]["dropped"] == {"refused": 2}


def test_containers_that_wait_for_room_are_counted(engine: Engine) -> None:
    container = started(engine, "blocked", 200, otlp_endpoint=DEAD, journal_max_size="4k", journal_full="block")
    until(lambda: row(engine, "blocked")["undelivered"] > 4096)
    container.write(frame(b"one more"))
    until(lambda: engine.metric("otellogdriver_blocked_streams") == 1)
    assert row(engine, "blocked")["blocked"]
    assert not row(engine, "blocked")["dropped"]


def test_a_silent_container_has_no_series_but_is_on_the_page(engine: Engine) -> None:
    started(engine, "silent")
    assert row(engine, "silent")["running"]
    assert "silent" not in get(engine, "/metrics")[1]


def test_health_and_policy(engine: Engine) -> None:
    assert get(engine, "/healthz")[1] == "ok\n"
    response, text = get(engine, "/readyz")
    assert (response.status, text) == (200, "ready\n")
    response, text = get(engine, "/")
    policy = response.getheader("Content-Security-Policy", "")
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
    assert "http:" not in text.replace("http://www.w3.org/2000/svg", "") and "https:" not in text


def test_a_port_that_is_taken_is_had_later(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with Engine(tmp_path, {"OTELLOGDRIVER_METRICS_ADDRESS": address}) as engine:
            until(lambda: f"no metrics yet: cannot listen on {address}: " in engine.log())
            other.close()
            until(lambda: get(engine, "/healthz")[1] == "ok\n")
            assert engine.log().count("no metrics yet") == 1


def scraped(engine: Engine) -> bytes:
    """A scrape as Prometheus asks for it."""
    connection = http.client.HTTPConnection("127.0.0.1", port(engine), timeout=30)
    try:
        connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip", "Accept": PROMETHEUS})
        response = connection.getresponse()
        assert response.getheader("Content-Encoding") == "gzip"
        return response.read()
    finally:
        connection.close()


@pytest.mark.timeout(300)
def test_a_scrape_of_a_thousand_containers_is_quick(engine: Engine) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    try:
        for number in range(1000):
            started(engine, f"service-with-a-name-{number}", 1)
        until(lambda: engine.metric("otellogdriver_delivered_records_total") == 1000, 60)
        # The driver's own CPU time: what a scrape takes on a host that is not busy with other things.
        before = engine.metric("otellogdriver_cpu_seconds_total")
        for _ in range(9):
            packed = scraped(engine)
        taken = (engine.metric("otellogdriver_cpu_seconds_total") - before) / 10
        text = gzip.decompress(packed).decode()
        assert text.count("\notellogdriver_lag_seconds{") == 1000
        assert text.count("\notellogdriver_dropped_lines_total{") == 1000 * len(REASONS)
        print(f"a scrape: {taken * 1000:.0f} ms, {len(packed)} bytes, {len(text)} before compression")
        assert 0 < taken < 0.2
        assert len(packed) < 1_000_000
        assert len(report(engine)["containers"]) == 1000
    finally:
        for container in engine.containers:
            container.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_readme_has_the_table_of_the_metrics() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert table() in text, "mend README.md with: python -m otellogdriver.telemetry.metrics --render"
