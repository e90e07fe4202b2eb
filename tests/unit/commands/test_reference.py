"""`options` and `metrics`: everything that is declared, as text and as JSON."""

from __future__ import annotations

import argparse
import json

import pytest

from otellogdriver.commands import reference
from otellogdriver.settings.tables import options
from otellogdriver.telemetry.metrics import METRICS


def printed(capsys: pytest.CaptureFixture[str], command: str, as_json: bool) -> str:
    assert reference.run(argparse.Namespace(command=command, json=as_json)) == 0
    return capsys.readouterr().out


def test_each_option_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(capsys, "options", True))
    assert [(item["log_opt"], item["help"]) for item in found] == [
        (item.log_opt or None, item.help) for item in options()
    ]
    assert {item["log_opt"] for item in found if item["secret"]} >= {"otlp-headers"}
    text = printed(capsys, "options", False)
    assert all(item.log_opt in text for item in options() if item.log_opt)
    assert all(variable in text for item in options() for variable in item.env)


def test_each_metric_is_listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = json.loads(printed(capsys, "metrics", True))
    assert [(item["name"], item["type"]) for item in found] == [(metric.name, metric.kind) for metric in METRICS]
    monkeypatch.setenv("COLUMNS", "70")
    lines = printed(capsys, "metrics", False).splitlines()
    assert [line.split("{")[0].split(" ")[0] for line in lines if not line.startswith(" ")] == [
        metric.name for metric in METRICS
    ]
    assert max(len(line) for line in lines if line.startswith(" ")) <= 70


@pytest.mark.parametrize("command", ["options", "metrics"])
def test_the_help_names_the_command(command: str) -> None:
    parser = argparse.ArgumentParser(f"otellogdriver {command}")
    reference.add_arguments(parser)
    assert f"otellogdriver {command} --json" in parser.format_help()
    assert parser.parse_args(["--json"]).json is True
