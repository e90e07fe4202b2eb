"""Every query of every panel and variable, against a real Prometheus and a real Loki that hold what a real driver sent.

The engine is simulated, so that there are losses, retries and old lines to show within seconds. Records with a trace
come from an application of their own that speaks OTLP, as instrumented ones do.
"""

from __future__ import annotations

import json
import re
import secrets
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from dashboards.__main__ import BOARDS
from tests.conftest import missing_means_skip
from tests.engine.collector import Collector
from tests.engine.loki import Loki
from tests.engine.loopback import wait_for
from tests.engine.prometheus import Prometheus
from tests.fakes.engine import Engine, frame
from tests.process.metrics_port import port, started
from tests.tools.collector import collector as build_collector
from tests.tools.loki import loki as build_loki

FOLDER = Path(__file__).parents[2] / "dashboards"
TRACE = secrets.token_hex(16)
LINES = [
    *(
        b'{"level":"%s","msg":"order %d"}' % (level, n)
        for n, level in enumerate([b"info", b"warn", b"error", b"debug"])
    ),
    b"level=info msg=started",
    b"Traceback: an ERROR happened",
    b"",
    "größer als 3 €".encode(),
]

CHOSEN = {
    "$instance": ".*", "$container": ".+", "$service": ".+", "$level": ".*", "$search": "", "$trace": "",
    "$__rate_interval": "20s", "$__range": "10m", "$__auto": "1m",
}  # fmt: skip
"""What Grafana puts in the place of variables."""


class ToLoki(Collector):
    """The collector, which hands on to Loki, too."""

    def __init__(self, folder: Path, loki: Loki) -> None:
        super().__init__(folder)
        self.loki = loki

    def settings(self) -> dict[str, Any]:
        settings = super().settings()
        settings["exporters"]["otlphttp"] = {"endpoint": self.loki.otlp}
        settings["service"]["pipelines"]["logs"]["exporters"].append("otlphttp")
        return settings


@dataclass(frozen=True)
class Stack:
    loki: Loki
    prometheus: Prometheus


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with missing_means_skip():
        build_collector()
        build_loki()
    root = tmp_path_factory.mktemp("stack")
    with Loki(root / "loki") as loki, ToLoki(root / "collector", loki) as collector:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.http}
        with Engine(root / "driver", settings) as engine:
            wait_for(lambda: "metrics on http://" in engine.log(), "metrics port", 10)
            target = f"127.0.0.1:{port(engine)}"
            with Prometheus(root / "prometheus", target, FOLDER / "alerts.yaml") as prometheus:
                made = Stack(loki, prometheus)
                live(engine, collector, made)
                yield made


def live(engine: Engine, collector: Collector, stack: Stack) -> None:
    """Containers print, one of them to a collector that is not there, one whose lines an option
    leaves out; until both databases have some of it."""
    shop = started(engine, "shop-web-1", service_name="shop")
    cart = started(engine, "shop-cart-1", service_name="cart")
    lost = started(
        engine, "lost", 300, otlp_endpoint="http://127.0.0.1:9", journal_max_size="4k", journal_full="drop-newest"
    )
    picky = started(engine, "picky", exclude_pattern="too much")
    traced(collector)

    def more() -> bool:
        shop.write(b"".join(frame(line) for line in LINES))
        cart.write(frame(b"late", b"stderr"))
        lost.write(frame(b"one too many"))
        picky.write(frame(b"this is too much"))
        dropped = stack.prometheus.query("otellogdriver_dropped_bytes_total > 0")
        return bool(dropped) and len(stack.loki.lines('{service_name=~"shop|cart"}')) > 50

    wait_for(more, "data in Prometheus and Loki", 60, 0.5)
    # `rate` needs some scrapes; a dozen make the values steady.
    wait_for(lambda: len(stack.prometheus.query("otellogdriver_build_info[30s]")[0]["values"]) > 12, "scrapes", 30, 0.5)


def traced(collector: Collector) -> None:
    """Three records of one trace."""
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    for key, value in (("service.name", "traced"), ("container.name", "traced-1")):
        attribute = resource.resource.attributes.add()
        attribute.key, attribute.value.string_value = key, value
    records = resource.scope_logs.add().log_records
    for number in range(3):
        record = records.add()
        record.time_unix_nano = time.time_ns()
        record.body.string_value = f"step {number}"
        record.trace_id, record.span_id = bytes.fromhex(TRACE), secrets.token_bytes(8)
    headers = {"Content-Type": "application/x-protobuf"}
    post = urllib.request.Request(f"{collector.http}/v1/logs", request.SerializeToString(), headers)
    with urllib.request.urlopen(post, timeout=10) as answer:
        assert answer.status == 200


def chosen(query: str) -> str:
    for variable, value in CHOSEN.items():
        query = query.replace(variable, value)
    assert "$" not in query, query
    return query


def queries() -> list[Any]:
    found = []
    for name in BOARDS:
        for panel in json.loads((FOLDER / name).read_text())["panels"]:
            for target in panel.get("targets", []):
                case = f"{name} | {panel['title']} | {target['refId']}"
                found.append(pytest.param(panel["datasource"]["type"], target["expr"], id=case))
    return found


@pytest.mark.parametrize(("source", "query"), queries())
def test_each_query_of_each_panel_returns_data(stack: Stack, source: str, query: str) -> None:
    database = stack.loki if source == "loki" else stack.prometheus
    found = database.query(chosen(query))
    assert found, chosen(query)
    values = [float(sample["value"][1]) for sample in found if "value" in sample]
    assert all(value == value for value in values), f"not a number: {found}"


@pytest.mark.parametrize("name", BOARDS)
def test_each_variable_offers_values(stack: Stack, name: str) -> None:
    offered = {}
    for variable in json.loads((FOLDER / name).read_text())["templating"]["list"]:
        query = variable.get("query")
        if variable["type"] == "query" and variable["datasource"]["type"] == "loki":
            offered[variable["name"]] = stack.loki.values(query["label"], chosen(query["stream"]))
        elif variable["type"] == "query":
            match = re.fullmatch(r"label_values\((.*), (\w+)\)", query)
            assert match, query
            offered[variable["name"]] = stack.prometheus.values(match[2], chosen(match[1]))
    assert {"shop", "cart"} <= set(offered["service"])
    assert {"shop-web-1", "shop-cart-1"} <= set(offered["container"])
    assert all(offered.values())


def test_a_trace_leads_to_its_lines_and_no_others(stack: Stack) -> None:
    board = json.loads((FOLDER / "container-logs.json").read_text())
    (lines,) = [panel for panel in board["panels"] if panel["type"] == "logs"]
    query = chosen(lines["targets"][0]["expr"].replace("$trace", TRACE))
    assert sorted(stack.loki.lines(query)) == ["step 0", "step 1", "step 2"]


def test_levels_choose(stack: Stack) -> None:
    board = json.loads((FOLDER / "container-logs.json").read_text())
    (lines,) = [panel for panel in board["panels"] if panel["type"] == "logs"]
    query = chosen(lines["targets"][0]["expr"].replace("$level", "warn"))
    assert set(stack.loki.lines(query)) == {'{"level":"warn","msg":"order 1"}'}


def test_losing_lines_fires_the_alert(stack: Stack) -> None:
    def firing() -> bool:
        alerts = stack.prometheus.get("alerts")["alerts"]
        return any(alert["labels"]["alertname"] == "OtellogdriverLosesLines" for alert in alerts)

    wait_for(firing, "alert", 30, 0.5)
