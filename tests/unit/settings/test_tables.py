"""Rendered files: they agree with the declarations, and rendering touches nothing else in them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from otellogdriver.settings import tables
from otellogdriver.settings.option import options_of
from otellogdriver.settings.options import PluginSettings, Settings

ROOT = Path(__file__).parents[3]


def test_the_files_of_this_repository_agree() -> None:
    assert tables.drift(ROOT) == []


@pytest.fixture
def stale(tmp_path: Path) -> Path:
    (tmp_path / "plugin").mkdir()
    (tmp_path / "README.md").write_text("# T\n\n<!-- options: begin -->\nold\n<!-- options: end -->\n\nafter |\n")
    (tmp_path / "plugin" / "config.json").write_text(
        '{\n  "x": {"env": [1]},\n  "env" : [\n {"name": "OLD"} ],\n  "args": {"value":   []}\n}\n'
    )
    return tmp_path


def test_drift_is_told_with_the_command_that_mends_it(stale: Path) -> None:
    told = tables.drift(stale)
    assert [line.split()[0] for line in told] == ["README.md", "plugin/config.json"]
    assert all(line.endswith("mend it with: python -m otellogdriver.settings.tables --render") for line in told)


def test_rendering_mends_and_leaves_the_rest_as_it_is(stale: Path) -> None:
    assert tables.drift(stale, write=True) == []
    assert tables.drift(stale) == []
    readme = (stale / "README.md").read_text()
    assert readme.startswith("# T\n\n<!-- options: begin")
    assert readme.endswith("<!-- options: end -->\n\nafter |\n")
    config = (stale / "plugin" / "config.json").read_text()
    assert config.startswith('{\n  "x": {"env": [1]},\n  "env" : [\n    {"name": "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"')
    assert config.endswith('],\n  "args": {"value":   []}\n}\n')
    assert tables.drift(stale, write=True) == []
    assert (stale / "plugin" / "config.json").read_text() == config


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("README.md", "# T\n", "are missing"),
        ("plugin/config.json", "{", "cannot be rendered"),
        ("plugin/config.json", "{}", '"env" is missing'),
        ("plugin/config.json", '{"env": null}', '"env" is not a list'),
    ],
)
def test_what_cannot_be_rendered_is_told(stale: Path, name: str, text: str, told: str) -> None:
    (stale / name).write_text(text)
    found = tables.drift(stale, write=True)
    assert len(found) == 1
    assert found[0].startswith(name)
    assert told in found[0]
    assert (stale / name).read_text() == text


def test_each_option_is_in_each_rendering_where_it_belongs() -> None:
    settable = {entry["name"] for entry in json.loads(tables.plugin_env())}
    for item in options_of(Settings) + options_of(PluginSettings):
        for text in (tables.readme_table(), tables.help_text()):
            assert item.log_opt in text
            assert all(variable in text for variable in item.env)
        assert set(item.env) <= settable if item.settable else not set(item.env) & settable
    assert not {"OTELLOGDRIVER_SOCKET", "OTELLOGDRIVER_STATE_DIRECTORY", "OTELLOGDRIVER_FIFO_DIRECTORY"} & settable
    assert all(row.count("|") == 6 for row in tables.readme_table().splitlines() if row.startswith("|"))


def test_the_program() -> None:
    program = [sys.executable, "-m", "otellogdriver.settings.tables"]
    checked = subprocess.run([*program, "--check"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    listed = subprocess.run([*program, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert listed.returncode == 0
    assert "--log-opt otlp-endpoint" in listed.stdout
