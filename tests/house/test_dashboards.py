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

FOLDER = Path(__file__).parents[2] / "dashboards"
OPERATIONS = FOLDER.parent / "docs/OPERATIONS.md"


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


def panels(name: str) -> list[dict[str, Any]]:
    board = json.loads((FOLDER / name).read_text())
    return [panel for panel in board["panels"] if panel["type"] != "row"]


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
                    assert labels <= exposed()[metric] | {"instance", "job"}, f"{panel['title']}: {target['expr']}"


def test_every_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    used = "".join(text for name, text in texts() if name in (*BOARDS, "alerts.yaml"))
    unused = [metric.name for metric in METRICS if metric.name not in used]
    assert unused == []


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_explains_itself_and_takes_the_chosen_data_source(name: str) -> None:
    for panel in panels(name):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["datasource"]["uid"] in ("${prometheus}", "${loki}"), panel["title"]
        assert panel["type"] in ("logs", "table") or panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["type"] != "stat" or len(panel["fieldConfig"]["defaults"]["thresholds"]["steps"]) > 1


@pytest.mark.parametrize("name", BOARDS)
def test_links_lead_to_boards_that_exist(name: str) -> None:
    uids = {json.loads((FOLDER / board).read_text())["uid"] for board in BOARDS}
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
