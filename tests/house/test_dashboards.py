"""Dashboards and alert rules as files: as rendered, of metrics that exist, complete; rules fire when they should."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboards.__main__ import BOARDS, COMMAND, rendered
from otellogdriver.telemetry.metrics import METRICS
from plugin.debian import require
from tests.conftest import missing_means_skip
from tests.tools.logql import mistakes

FOLDER = Path(__file__).parents[2] / "dashboards"
OPERATIONS = FOLDER.parent / "docs/OPERATIONS.md"


SCRAPED = {"job", "cluster", "instance"}
"""Labels that a scrape adds."""
SOURCES = {
    "prometheus_datasource": ("prometheus", "Prometheus data source"),
    "loki_datasource": ("loki", "Loki data source"),
    "victorialogs_datasource": ("victoriametrics-logs-datasource", "VictoriaLogs data source"),
}
UNITS = {"short", "cps", "reqps", "bytes", "binBps", "s", "percentunit"}
"""Those of Grafana's list that are in use."""


def exposed() -> dict[str, set[str]]:
    """Names of series as Prometheus stores them, with their labels."""
    found: dict[str, set[str]] = {}
    for metric in METRICS:
        if metric.kind == "histogram":
            for suffix in ("_bucket", "_count", "_sum"):
                found[metric.name + suffix] = {*metric.labels, "le"}
        else:
            found[metric.name] = set(metric.labels)
    return found


def board(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / name).read_text())
    return found


def panels(name: str) -> list[dict[str, Any]]:
    return [panel for panel in board(name)["panels"] if panel["type"] != "row"]


def texts() -> Iterator[tuple[str, str]]:
    for path in (*FOLDER.glob("*.json"), FOLDER / "alerts.yaml", FOLDER / "alerts.test.yaml", OPERATIONS):
        yield path.name, path.read_text()


@pytest.mark.parametrize("name", BOARDS)
def test_the_files_are_as_rendered(name: str) -> None:
    assert (FOLDER / name).read_text() == rendered(name), f"mend it with: {COMMAND}"


def test_only_metrics_that_exist_are_used() -> None:
    for file, text in texts():
        for used in re.findall(r"\botellogdriver_[a-z_]+", text):
            assert used in exposed(), f"{file}: there is no {used}"


def test_only_labels_that_exist_are_used() -> None:
    for name in BOARDS:
        for panel in panels(name):
            for target in panel["targets"]:
                for metric, matchers in re.findall(r"(otellogdriver_\w+)\{([^}]*)\}", target["expr"]):
                    labels = set(re.findall(r"(\w+)\s*[=!]~?", matchers))
                    assert labels <= exposed()[metric] | SCRAPED, f"{panel['title']}: {target['expr']}"


def test_every_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    used = "".join(text for name, text in texts() if name in (*BOARDS, "alerts.yaml"))
    unused = [metric.name for metric in METRICS if metric.name not in used and not metric.instead]
    assert not [metric.name for metric in METRICS if metric.name in used and metric.instead], "deprecated ones"
    assert unused == []


# What Grafana's dashboard-linter asks for.


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_is_not_editable_and_takes_any_data_source(name: str) -> None:
    made = board(name)
    assert made["editable"] is False
    sources = {item["name"]: item for item in made["templating"]["list"] if item["type"] == "datasource"}
    assert set(sources) <= set(SOURCES)
    for variable, item in sources.items():
        assert (item["query"], item["label"]) == SOURCES[variable]
    chosen = [item["datasource"]["uid"] for item in made["templating"]["list"] if item["type"] == "query"]
    chosen += [panel["datasource"]["uid"] for panel in panels(name)]
    assert {f"${{{variable}}}" for variable in sources} == set(chosen)


@pytest.mark.parametrize("name", BOARDS)
def test_drivers_are_chosen_by_job_cluster_and_instance(name: str) -> None:
    variables = {item["name"]: item for item in board(name)["templating"]["list"]}
    for variable in ("job", "cluster", "instance"):
        item = variables[variable]
        assert (item["type"], item["datasource"]["uid"]) == ("query", "${prometheus_datasource}")
        assert (item["label"], item["multi"], item["includeAll"]) == (variable.title(), True, True)
        assert item["allValue"] == (".*" if variable == "cluster" else ".+")  # a cluster is often not there at all
        assert item["refresh"] == 2, "looked up again when the time range changes"


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_says_what_it_shows(name: str) -> None:
    for panel in panels(name):
        assert panel["title"] and panel["description"].endswith("."), panel["title"]
        assert panel["type"] == "logs" or units(panel), panel["title"]
        assert units(panel) <= UNITS, panel["title"]
        assert panel["type"] != "stat" or len(panel["fieldConfig"]["defaults"]["thresholds"]["steps"]) > 1


def units(panel: dict[str, Any]) -> set[str]:
    config = panel.get("fieldConfig", {})
    found = {config.get("defaults", {}).get("unit")} - {None}
    for override in config.get("overrides", []):
        found |= {item["value"] for item in override["properties"] if item["id"] == "unit"}
    return found


@pytest.mark.parametrize("name", BOARDS)
def test_every_query_of_prometheus_follows_the_conventions(name: str) -> None:
    counters = {metric.name for metric in METRICS if metric.kind == "counter"}
    for panel in panels(name):
        if panel["datasource"]["type"] != "prometheus":
            continue
        for target in panel["targets"]:
            expr = target["expr"]
            for metric, matchers in re.findall(r"(\w+)\{([^}]*)\}", expr):
                for label in ("job", "cluster", "instance"):
                    assert f'{label}=~"${label}"' in matchers, f"{panel['title']}: {expr}"
                if metric in counters or metric.endswith(("_bucket", "_count", "_sum", "_total")):
                    raw = re.sub(rf"(rate|increase)\({metric}\{{", "", expr)
                    assert f"{metric}{{" not in raw, f"{panel['title']}: a counter as it is"
            for interval in re.findall(r"\brate\([^\[]*\[([^\]]*)\]", expr):
                assert interval == "$__rate_interval", panel["title"]


@pytest.mark.parametrize("name", BOARDS)
def test_queries_are_told_apart_and_lines_of_a_graph_have_names(name: str) -> None:
    for panel in panels(name):
        references = [target["refId"] for target in panel["targets"]]
        assert references and len(references) == len(set(references)), panel["title"]
        if panel["type"] == "timeseries":
            assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]


def test_the_boards_of_both_stores_look_the_same() -> None:
    def look(name: str) -> list[Any]:
        return [(panel["type"], panel["title"], panel["description"], panel["gridPos"]) for panel in panels(name)]

    assert look("container-logs.json") == look("container-logs-loki.json")


def test_queries_of_loki_are_well_formed() -> None:
    queries = [
        target["expr"].replace("$__auto", "1m").replace("$__range", "10m")
        for panel in panels("container-logs-loki.json")
        if panel["datasource"]["type"] == "loki"
        for target in panel["targets"]
    ]
    assert len(queries) == 5
    broken = [query.replace("{service_name", "{service_name(", 1) for query in queries]
    with missing_means_skip():
        found = mistakes([*queries, *broken])
    assert found[:5] == [-1] * 5, queries
    assert all(place >= 0 for place in found[5:])


@pytest.mark.parametrize("name", BOARDS)
def test_links_lead_to_boards_that_exist(name: str) -> None:
    uids = {board(other)["uid"] for other in BOARDS}
    assert set(re.findall(r"/d/([\w-]+)", (FOLDER / name).read_text())) <= uids


def test_each_alert_has_its_chapter_and_its_tests() -> None:
    rules, tests, chapters = ((FOLDER / name).read_text() for name in ("alerts.yaml", "alerts.test.yaml", OPERATIONS))
    names = re.findall(r"alert: (\w+)", rules)
    assert names
    for name in names:
        assert f"\n### {name}\n" in chapters
        assert f"docs/OPERATIONS.md#{name.lower()}\n" in rules
        quiet = re.findall(rf"\{{eval_time: \w+, alertname: {name}\}}", tests)
        fires = re.findall(rf"alertname: {name}\n\s+exp_alerts:", tests)
        assert quiet and fires, name


def test_the_alerts_fire_when_they_should_and_only_then() -> None:
    with missing_means_skip():
        promtool = require("promtool", "prometheus")
    for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts.test.yaml"]):
        done = subprocess.run([promtool, *command], cwd=FOLDER, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
