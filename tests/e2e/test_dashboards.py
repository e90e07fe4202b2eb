"""Every query of every panel and variable, against a real Prometheus and VictoriaLogs that hold what a driver sent.

They are asked by the calls that Grafana's data sources make, with what these put in the place of variables. The queries
of the board for Loki are parsed alone: tests/house/test_dashboards.py. The engine is simulated, so that there are
losses, retries and old lines to show within seconds. Records with a trace come from an application of their own that
speaks OTLP, as instrumented ones do.
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

from tests.conftest import missing_means_skip
from tests.engine.boards import ASKED, FOLDER, ask, chosen, panel, panels
from tests.engine.collector import Collector
from tests.engine.loopback import wait_for
from tests.engine.prometheus import Prometheus
from tests.engine.victorialogs import VictoriaLogs
from tests.fakes.engine import Engine, frame
from tests.process.metrics_port import port, started
from tests.tools.collector import collector as build_collector
from tests.tools.victorialogs import victorialogs as build_victorialogs

HOST = "node-1.example"
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


class Store(Collector):
    """The collector, which hands on to VictoriaLogs, too."""

    def __init__(self, folder: Path, store: VictoriaLogs) -> None:
        super().__init__(folder)
        self.store = store

    def settings(self) -> dict[str, Any]:
        settings = super().settings()
        settings["exporters"]["otlp_http"] = {"logs_endpoint": self.store.logs_endpoint}
        settings["service"]["pipelines"]["logs"]["exporters"].append("otlp_http")
        return settings


@dataclass(frozen=True)
class Stack:
    store: VictoriaLogs
    prometheus: Prometheus


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with missing_means_skip():
        build_collector()
        build_victorialogs()
    root = tmp_path_factory.mktemp("stack")
    with VictoriaLogs(root / "store") as store, Store(root / "collector", store) as collector:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.http, "OTELLOGDRIVER_HOST_NAME": HOST}
        with Engine(root / "driver", settings) as engine:
            wait_for(lambda: "metrics on http://" in engine.log(), "metrics port", 10)
            target = f"127.0.0.1:{port(engine)}"
            with Prometheus(root / "prometheus", [target], FOLDER / "alerts.yaml") as prometheus:
                made = Stack(store, prometheus)
                live(engine, collector, made)
                yield made


def live(engine: Engine, collector: Collector, stack: Stack) -> None:
    """Containers print, one of them to a collector that is not there, one whose lines an option
    leaves out; until both databases have some of it."""
    shop = started(engine, "shop-web-1", service_name="shop", parse="json")
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
        return bool(dropped) and stack.store.count("service.name:in(shop, cart)") > 50

    wait_for(more, "data in Prometheus and VictoriaLogs", 60, 0.5)
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


def asked(stack: Stack, panel: Any, target: Any, **values: str) -> list[Any]:
    return ask(stack.store, stack.prometheus, panel, target, **values)


def queries() -> list[Any]:
    return [
        pytest.param(panel, target, id=f"{name} | {panel['title']} | {target['refId']}")
        for name in ASKED
        for panel in panels(name)
        for target in panel.get("targets", [])
    ]


@pytest.mark.parametrize(("panel", "target"), queries())
def test_each_query_of_each_panel_returns_data(stack: Stack, panel: Any, target: Any) -> None:
    found = asked(stack, panel, target)
    assert found, chosen(target["expr"])
    values = [float(sample["value"][1]) for sample in found if "value" in sample]
    assert all(value == value for value in values), f"not a number: {found}"


@pytest.mark.parametrize("name", ASKED)
def test_each_variable_offers_values(stack: Stack, name: str) -> None:
    offered = {}
    for variable in json.loads((FOLDER / name).read_text())["templating"]["list"]:
        query = variable.get("query")
        if variable["type"] != "query":
            continue
        if variable["datasource"]["type"] == "prometheus":
            match = re.fullmatch(r"label_values\((.*), (\w+)\)", query)
            assert match, query
            offered[variable["name"]] = stack.prometheus.values(match[2], chosen(match[1]))
        else:
            assert query["type"] == "fieldValue"
            offered[variable["name"]] = stack.store.values(query["field"], chosen(query["query"]))
    assert {"shop", "cart"} <= set(offered["service"])
    assert {"shop-web-1", "shop-cart-1"} <= set(offered["container"])
    assert offered["cluster"] == ["east"] and offered["job"] == ["otellogdriver"]
    assert all(offered.values())


def lines_panel() -> tuple[Any, Any]:
    lines = panel("container-logs.json", "Lines")
    return lines, lines["targets"][0]


def test_a_trace_leads_to_its_lines_and_no_others(stack: Stack) -> None:
    assert sorted(row["_msg"] for row in asked(stack, *lines_panel(), trace=TRACE)) == ["step 0", "step 1", "step 2"]


def test_levels_hosts_and_words_choose(stack: Stack) -> None:
    warnings = asked(stack, *lines_panel(), level="warn")
    assert {row["_msg"] for row in warnings} == {"order 1"}
    assert {row["level"] for row in asked(stack, *lines_panel())} == {"info", "warn", "error", "debug", "none"}
    assert {row["_msg"] for row in asked(stack, *lines_panel(), search="traceBACK")} == {"Traceback: an ERROR happened"}
    assert {row["service.name"] for row in asked(stack, *lines_panel(), host=HOST)} == {"shop", "cart"}
    assert asked(stack, *lines_panel(), host="elsewhere") == []


def test_losing_lines_raises_the_alert(stack: Stack) -> None:
    """It fires after a minute of it: that is tested without waiting, in alerts.test.yaml."""

    def raised() -> bool:
        alerts = stack.prometheus.get("alerts")["alerts"]
        return any(alert["labels"]["alertname"] == "OtellogdriverLosesLines" for alert in alerts)

    wait_for(raised, "alert", 30, 0.5)
