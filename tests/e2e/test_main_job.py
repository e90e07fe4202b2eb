"""The main job on real parts: what a container prints is what a real collector has, line by line."""

from __future__ import annotations

import re
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from otellogdriver.telemetry.metrics import METRICS
from plugin.engine import EngineError
from plugin.private_engine import PrivateEngine
from tests.engine.collector import Collector
from tests.engine.loopback import NOBODY, wait_for
from tests.engine.plugin import Plugin
from tests.engine.records import Record

PROTOCOLS = ("http/protobuf", "grpc")


class Runner:
    """Runs containers through the driver into one collector."""

    def __init__(self, engine: PrivateEngine, plugin: Plugin, collector: Collector) -> None:
        self.engine, self.plugin, self.collector = engine, plugin, collector
        self.names: list[str] = []

    def options(self, protocol: str = "http/protobuf", **more: str) -> list[str]:
        endpoint = self.collector.grpc if protocol == "grpc" else self.collector.http
        options = {"otlp-endpoint": endpoint, "otlp-protocol": protocol}
        options |= {name.replace("_", "-"): value for name, value in more.items()}
        return [f"--log-driver={self.plugin.name}", *(f"--log-opt={name}={value}" for name, value in options.items())]

    def run(self, script: str, *arguments: str, **options: str) -> str:
        """Run a shell script to its end; the container's name."""
        name = f"job-{secrets.token_hex(4)}"
        self.names.append(name)
        self.engine.docker("run", f"--name={name}", *self.options(**options), *arguments, "busybox", "sh", "-c", script)
        return name

    def bodies(self, name: str, count: int, stream: str | None = None) -> list[object]:
        """The bodies of the container's records, in the order the collector has them; exactly `count`."""
        records = self.collector.wait(count, name, limit=60)
        assert len(records) == count, f"{len(records)} records instead of {count}"
        return [one.body for one in records if stream in (None, one.attributes["log.iostream"])]


@pytest.fixture
def runner(engine: PrivateEngine, plugin: Plugin, collector: Collector) -> Iterator[Runner]:
    made = Runner(engine, plugin, collector)
    yield made
    if made.names:
        engine.docker("rm", "--force", *made.names)


@pytest.mark.each_engine
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("count", (20_000, 200_000))
def test_all_lines_of_a_container_that_exits_at_once(runner: Runner, protocol: str, count: int) -> None:
    name = runner.run(f"seq 1 {count}", protocol=protocol)
    assert runner.bodies(name, count) == [str(number) for number in range(1, count + 1)]


@pytest.mark.each_engine
def test_the_last_line_needs_no_newline(runner: Runner) -> None:
    assert runner.bodies(runner.run("echo first; printf 'no newline'"), 2) == ["first", "no newline"]
    assert runner.bodies(runner.run("printf x"), 1) == ["x"]


@pytest.mark.each_engine
def test_long_lines_arrive_whole(runner: Runner) -> None:
    lengths = (16_383, 16_384, 16_385, 32_768, 49_152, 1_048_576)
    script = "; ".join(f"head -c {length} /dev/zero | tr '\\0' 'x'; echo" for length in lengths)
    bodies = runner.bodies(runner.run(script), len(lengths))
    assert bodies == ["x" * length for length in lengths]


def test_a_letter_cut_in_two_by_the_engine_is_whole_again(runner: Runner) -> None:
    name = runner.run("printf 'x'; i=0; while [ $i -lt 9000 ]; do printf '\\303\\251'; i=$((i+1)); done; echo")
    assert runner.bodies(name, 1) == ["x" + "é" * 9000]


def test_empty_lines_are_lines(runner: Runner) -> None:
    assert runner.bodies(runner.run("printf 'a\\n\\n\\nb\\n\\n'"), 5) == ["a", "", "", "b", ""]


@pytest.mark.each_engine
def test_bytes_that_are_no_utf8_are_text_and_kept_beside_it(runner: Runner) -> None:
    name = runner.run("printf 'caf\\351\\n\\377\\376\\000x\\nplain\\n'")
    assert runner.bodies(name, 3) == ["caf\ufffd", "\ufffd\ufffd\x00x", "plain"]
    kept = [one.attributes.get("log.record.original") for one in runner.collector.wait(3, name)]
    assert kept == [b"caf\xe9", b"\xff\xfe\x00x", None]


@pytest.mark.each_engine
def test_bytes_that_are_no_utf8_stay_as_they_are_on_request(runner: Runner) -> None:
    name = runner.run("printf 'caf\\351\\n\\377\\376\\000x\\nplain\\n'", invalid_utf8="bytes")
    assert runner.bodies(name, 3) == [b"caf\xe9", b"\xff\xfe\x00x", "plain"]
    assert all("log.record.original" not in one.attributes for one in runner.collector.wait(3, name))


@pytest.mark.each_engine
def test_stdout_and_stderr_apart(runner: Runner) -> None:
    name = runner.run("for i in $(seq 1 500); do echo out $i; echo err $i >&2; done")
    runner.collector.wait(1000, name)
    assert runner.bodies(name, 1000, "stdout") == [f"out {number}" for number in range(1, 501)]
    assert runner.bodies(name, 1000, "stderr") == [f"err {number}" for number in range(1, 501)]


@pytest.mark.each_engine
def test_the_carriage_returns_of_a_terminal_are_in_docker_logs_alone(runner: Runner) -> None:
    name = runner.run("echo one; printf 'a\\rb\\n' >&2", "--tty")
    assert runner.bodies(name, 2, "stdout") == ["one", "a\rb"]
    done = subprocess.run(
        runner.engine.command("logs", name), env=runner.engine.environment(), capture_output=True, check=True
    )
    assert done.stdout == b"one\r\na\rb\r\n"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_twenty_containers_at_once(runner: Runner, protocol: str) -> None:
    names: list[str] = []
    threads = [
        threading.Thread(target=lambda: names.append(runner.run("seq 1 5000", protocol=protocol))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = [str(number) for number in range(1, 5001)]
    assert len(names) == 20
    for name in names:
        assert runner.bodies(name, 5000) == expected


@pytest.mark.each_engine
def test_the_record_says_where_it_comes_from(runner: Runner) -> None:
    before = time.time_ns()
    name = runner.run("echo hello", "--env=OTEL_RESOURCE_ATTRIBUTES=team=blue", service_name="shop")
    record: Record = runner.collector.wait(1, name)[0]
    identifier = runner.engine.docker("inspect", "--format", "{{.Id}}", name).strip()
    assert record.resource["container.id"] == identifier
    assert record.resource["container.name"] == name
    assert record.resource["service.name"] == "shop"
    assert record.resource["container.image.name"] == "busybox"
    assert record.resource["container.runtime.name"] == "docker"
    assert record.resource["team"] == "blue"
    assert record.resource["host.name"]
    assert record.resource["service.instance.id"]
    assert record.attributes == {"log.iostream": "stdout"}
    assert record.scope == "otellogdriver"
    assert before < record.time == record.observed < time.time_ns()


@pytest.mark.each_engine
def test_a_mistyped_option_is_refused_with_the_right_one(runner: Runner) -> None:
    def fifos() -> set[Path]:
        return {path for path in runner.plugin.state.iterdir() if path.is_fifo()}

    before = fifos()
    with pytest.raises(EngineError, match=r'unknown log-opt "otlp-endpont".*did you mean "otlp-endpoint"'):
        runner.engine.docker("run", "--rm", f"--log-driver={runner.plugin.name}", "--log-opt=otlp-endpont=x", "busybox")
    assert runner.bodies(runner.run("echo still well"), 1) == ["still well"]
    wait_for(lambda: fifos() <= before, "end of the FIFO that the engine leaves", 10)


@pytest.mark.each_engine
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_with_the_collector_down_containers_run_as_always(runner: Runner, protocol: str) -> None:
    runner.collector.kill()
    began = time.monotonic()
    name = runner.run("seq 1 1000", protocol=protocol)
    assert time.monotonic() - began < 10
    assert runner.engine.docker("inspect", "--format", "{{.State.ExitCode}}", name).strip() == "0"
    runner.collector.start()
    assert runner.bodies(name, 1000) == [str(number) for number in range(1, 1001)]


def test_an_endpoint_that_never_was_there(runner: Runner) -> None:
    name = f"nowhere-{secrets.token_hex(4)}"
    runner.names.append(name)
    driver = [f"--log-driver={runner.plugin.name}", f"--log-opt=otlp-endpoint={NOBODY}"]
    runner.engine.docker("run", f"--name={name}", *driver, "busybox", "echo", "kept")
    assert runner.engine.docker("logs", name) == "kept\n"


def test_metrics_count_what_happened(runner: Runner) -> None:
    name = runner.run("seq 1 100; echo warning >&2")
    runner.collector.wait(101, name)

    def sample(metric: str, *labels: str) -> float:
        for line in runner.plugin.metrics().splitlines():
            if line.startswith(metric + "{") and all(label in line for label in (f'"{name}"', *labels)):
                return float(line.rsplit(" ", 1)[1])
        return -1

    deadline = time.monotonic() + 10
    while sample("otellogdriver_delivered_records_total") != 101 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sample("otellogdriver_delivered_records_total") == 101
    assert sample("otellogdriver_lines_total", 'stream="stdout"') == 100
    assert sample("otellogdriver_lines_total", 'stream="stderr"') == 1
    assert sample("otellogdriver_line_bytes_total", 'stream="stderr"') == len("warning")
    assert sample("otellogdriver_undelivered_bytes") == 0
    text = runner.plugin.metrics()
    assert all(f"# TYPE {metric.name.removesuffix('_total')}" in text for metric in METRICS)


def test_a_million_lines_within_the_memory_promised(runner: Runner) -> None:
    runner.plugin.kill()  # a new process: what other tests needed does not count
    name = runner.run(f"yes {'x' * 150} | head -n 1000000")
    deadline = time.monotonic() + 120
    delivered = f'otellogdriver_delivered_records_total{{[^\n]*"{name}"[^\n]*}} (1e\\+06|1000000)(\\.0)?\n'
    while not re.search(delivered, text := runner.plugin.metrics()):
        assert time.monotonic() < deadline, text
        time.sleep(0.1)
    status = Path(f"/proc/{runner.plugin.pid}/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    assert peak < 96 * 1024, f"{peak} KiB"
