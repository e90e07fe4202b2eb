"""What the driver must reach, checked against what was measured.

Speeds are ratios to baselines of the same run; absolute figures are for the class of machine that the project is
measured on (2 cores).
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.result import Goal, Results

ONE = "one container, 150 B"
OURS = "otellogdriver, none (same host)"
"""With default settings: the sink is on this host, so nothing is compressed."""
GZIP = "otellogdriver, gzip"
FILES = "json-file and collector"
FIELDS = "one container, 150 B of JSON"
FIELD_OPTIONS = {"parse": "json", "severity": "auto"}
FAST, STEADY = "one container at full speed, whole host", "10 containers, 1,000 lines/s, whole host"


def goals(results: Results) -> list[Goal]:
    return [goal for goal in _goals(results) if goal]


def _goals(results: Results) -> Iterator[Goal | None]:
    printed, acknowledged, driver, dockerd = "printed_per_second", "acknowledged_ratio", "driver_us", "dockerd_us"
    discard = "discard plugin"
    yield _ratio(results, "lines/s printed, to the discard plugin", (ONE, OURS, printed), (ONE, discard, printed), 1.0)
    yield _ratio(results, "lines/s printed, to json-file", (ONE, OURS, printed), (ONE, "json-file", printed), 1.2)
    yield _value(results, "time to acknowledged, to printed", (ONE, OURS, acknowledged), 1.15, "×")
    yield _value(results, "driver CPU per 150-byte line", (ONE, OURS, driver), 0.3, "µs")
    yield _value(results, "the same with gzip", (ONE, GZIP, driver), 0.42, "µs")
    yield _ratio(results, "driver CPU, to dockerd's", (ONE, OURS, driver), (ONE, OURS, dockerd), 0.2, most=True)
    yield _value(results, "peak RSS at full speed", (ONE, OURS, "peak_rss_mib"), 72.0, "MiB")
    for option in (f"{name}={value}" for name, value in FIELD_OPTIONS.items()):
        what = f"lines/s acknowledged with {option}, to plain"
        speed = "acknowledged_per_second"
        yield _ratio(results, what, (FIELDS, option, speed), (FIELDS, OURS, speed), 0.8)
    yield _value(results, "driver CPU per line of 1 KiB, gzip", ("one container, 1 KiB", GZIP, driver), 1.6, "µs")
    long, many = "one container, 16 KiB", "100 containers, 150 B"
    yield _value(results, "driver CPU per line of 16 KiB", (long, OURS, driver), 24.0, "µs")
    for workload, limit in ((long, 1.0), (many, 1.2)):
        what = f"{workload}: printed, to the discard plugin"
        yield _ratio(results, what, (workload, OURS, printed), (workload, discard, printed), limit)
    yield _value(results, f"{many}: time to acknowledged, to printed", (many, OURS, acknowledged), 1.15, "×")
    yield _value(results, "native codec, 100-byte record", ("codec", "native", "encode_us"), 0.08, "µs")
    yield _ratio(
        results, "Python codec, to native", ("codec", "python", "encode_us"), ("codec", "native", "encode_us"), 12.0
    )
    yield _value(
        results, "catch-up after an outage", ("catch-up", OURS, "delivered_per_second"), 1e6, "lines/s", most=False
    )
    for name in ("waiting", "peak"):
        what = "RSS with a backlog, over idle" if name == "waiting" else "the same, while it is delivered"
        yield _difference(results, what, ("catch-up", OURS), f"{name}_rss_mib", "idle_rss_mib", 32.0, "MiB")
    idle = ("idle, simulated engine", OURS)
    yield _value(results, "500 idle containers, CPU", (*idle, "cpu_percent"), 0.1, "% of a core")
    yield _value(results, "500 idle containers, RSS", (*idle, "rss_mib"), 45.0, "MiB")
    yield _value(results, "printed to acknowledged, p50", ("latency", OURS, "p50_ms"), 60.0, "ms")
    yield _value(results, "printed to acknowledged, p99", ("latency", OURS, "p99_ms"), 600.0, "ms")
    yield _value(results, "the same with batch-delay=10ms, p99", ("latency", "batch-delay=10ms", "p99_ms"), 60.0, "ms")
    read = "docker logs of a million lines, to json-file's time"
    yield _ratio(results, read, ("docker logs", OURS, "ms"), ("docker logs", "json-file", "ms"), 0.35, most=True)
    yield _value(results, "StartLogging under load, p99", ("StartLogging under load", OURS, "p99_ms"), 12.0, "ms")
    spread = [row for row in results.rows if row.workload.startswith("spread over ")]
    if spread:
        first, last = spread[0].workload, spread[-1].workload
        what = f"driver CPU per line, {last.split()[2]} containers to 1"
        yield _ratio(results, what, (last, OURS, driver), (first, OURS, driver), 1.5, most=True)
    yield _value(results, "ready after a crash, 100 streams", ("ready after a crash", OURS, "ms"), 300.0, "ms")
    what = "CPU per line of the whole host, to json-file and collector"
    yield _ratio(results, what, (FAST, GZIP, "host_us"), (FAST, FILES, "host_us"), 0.35, most=True)
    steady = "the same, 10 containers that print 1,000 lines/s"
    yield _ratio(results, steady, (STEADY, GZIP, "host_us"), (STEADY, FILES, "host_us"), 1.0, most=True)


Place = tuple[str, str, str]
"""(workload, variant, name of the value)."""


def _value(results: Results, what: str, place: Place, limit: float, unit: str, most: bool = True) -> Goal | None:
    value = results.value(*place)
    return None if value is None else Goal(what, value, limit, unit, most, results.noisy([place]))


def _ratio(results: Results, what: str, place: Place, to: Place, limit: float, most: bool = False) -> Goal | None:
    value, base = results.value(*place), results.value(*to)
    return Goal(what, value / base, limit, "×", most, results.noisy([place, to])) if value and base else None


def _difference(
    results: Results, what: str, row: tuple[str, str], name: str, less: str, limit: float, unit: str
) -> Goal | None:
    value, base = results.value(*row, name), results.value(*row, less)
    if value is None or base is None:
        return None
    return Goal(what, value - base, limit, unit, True, results.noisy([(*row, name)]))
