"""What the documentation shows is so: commands parse, options and metrics exist, links lead somewhere.

The commands of INSTALL.md and the stack of SCALING.md are run in tests/e2e; here is what every page must hold to.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml

from otellogdriver.cli import COMMANDS
from otellogdriver.settings.option import options_of
from otellogdriver.settings.options import PluginSettings, Settings, resolve
from otellogdriver.telemetry.metrics import METRICS
from plugin.build import ROOT
from tests.docs import PAGES, Block, blocks
from tests.engine.service import UNIT, unit
from tests.fakes.engine import MALLOC

BLOCKS = [each for page in PAGES for each in blocks(page)]
VARIABLES = {name for item in options_of(Settings) + options_of(PluginSettings) for name in item.env}
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def of(*languages: str) -> list[Any]:
    return [pytest.param(each, id=str(each)) for each in BLOCKS if each.language in languages]


def commands(text: str) -> Iterator[list[str]]:
    """The simple commands in a piece of shell, as words; what follows a pipe or && is a command of its own."""
    for line in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        for word in shlex.split(line, comments=True):
            if word in ("|", "||", "&&", ";"):
                yield words
                words = []
            else:
                words.append(word)
        if words:
            yield words


def log_opts(values: dict[str, Any]) -> None:
    """What stands for a container's options is what the driver takes."""
    assert all(isinstance(value, str) for value in values.values()), f"{values}: Docker takes texts alone"
    resolve(values, {})


@pytest.mark.parametrize("each", of("sh", "bash", "shell"))
def test_shell(each: Block) -> None:
    done = subprocess.run(["bash", "-n"], input=each.text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for words in commands(each.text):
        if words[0] == "make":
            targets = {word for word in words[1:] if "=" not in word}
            assert targets <= TARGETS
        if words[0].endswith("otellogdriver") and words[1:] and words[1] in COMMANDS and words[1] != "serve":
            parser = argparse.ArgumentParser()
            import_module(COMMANDS[words[1]][0]).add_arguments(parser)
            parser.parse_args(words[2:])
        if "--log-opt" in words and "NAME=VALUE" not in words:
            given = [words[place + 1] for place, word in enumerate(words) if word == "--log-opt"]
            log_opts(dict(option.split("=", 1) for option in given))
        if words[:3] == ["docker", "plugin", "set"] and len(words) > 4:
            names = {word.partition("=")[0] for word in words[4:] if "=" in word} - {"certificates.source"}
            assert names <= VARIABLES
        if words[:2] == ["python", "-m"]:
            assert find_spec(words[2])


@pytest.mark.parametrize("each", of("json"))
def test_json(each: Block) -> None:
    try:
        found = [json.loads(each.text)]
    except json.JSONDecodeError:
        found = [json.loads(line) for line in each.text.splitlines()]
    for one in found:
        if "log-opts" in one:
            log_opts(one["log-opts"])


@pytest.mark.parametrize("each", of("yaml"))
def test_yaml(each: Block) -> None:
    found = yaml.safe_load(each.text)
    assert found
    if isinstance(found, list):
        for task in (task for play in found for task in play.get("tasks", [])):
            modules = set(task) - {"name", "notify", "when", "become"}
            assert len(modules) == 1 and all(re.fullmatch(r"\w+\.\w+\.\w+", module) for module in modules)
            (module,) = modules
            assert set(task[module].get("plugin_options", {})) <= VARIABLES
            handlers = {handler["name"] for play in found for handler in play.get("handlers", [])}
            assert task.get("notify") in handlers | {None}
        return
    for service in found.get("services", {}).values():
        if "logging" in service:
            log_opts(service["logging"].get("options", {}))
    if "service" in found:  # an OpenTelemetry Collector
        for pipeline in found["service"]["pipelines"].values():
            for kind, names in pipeline.items():
                assert set(names) <= set(found[kind])


@pytest.mark.parametrize("each", of("hcl", "terraform"))
def test_terraform(each: Block) -> None:
    # Some versions of the parser keep the quotes of texts.
    found = json.loads(json.dumps(hcl2.loads(each.text)).replace('\\"', ""))
    for resource in found["resource"]:
        for kind, named in resource.items():
            for settings in named.values():
                if kind == "docker_plugin":
                    assert {variable.partition("=")[0] for variable in settings["env"]} <= VARIABLES
                if kind == "docker_container":
                    log_opts({name: value for name, value in settings["log_opts"].items() if name[0] != "_"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_and_links(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    metrics = {metric.name for metric in METRICS}
    for name in re.findall(r"\b(?:OTELLOGDRIVER|OTEL_EXPORTER)_[A-Z_]*[A-Z]\b(?!_?\*)", text):
        assert name in VARIABLES | {"OTELLOGDRIVER_NATIVE", "OTELLOGDRIVER_DEBIAN_MIRROR"}, name
    for name in re.findall(r"`(otellogdriver_[a-z_]+)[`{]", text):
        assert name in metrics or any(metric.startswith(name) for metric in metrics if name.endswith("_")), name
    for target in re.findall(r"`make ([a-z0-9-]+)", text):
        assert target in TARGETS
    for link in re.findall(r"\]\(([^)#]*#?[^)]*)\)", text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        there = (page.parent / path) if path else page
        assert there.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}, link


def test_the_unit() -> None:
    assert (unit("Type"), unit("Restart")) == (["notify"], ["always"])
    assert unit("Before") == ["docker.service"]
    assert unit("EnvironmentFile") == ["-/etc/otellogdriver.env"]
    given = dict(setting.split("=", 1) for setting in unit("Environment"))
    assert given.keys() <= VARIABLES | MALLOC.keys() and len(MALLOC) == 3
    assert {name: value for name, value in given.items() if name in MALLOC} == MALLOC, "as in the plugin"
    state = unit("StateDirectory")[0]
    assert f"OTELLOGDRIVER_STATE_DIRECTORY=/var/lib/{state}" in unit("Environment")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    program = unit("ExecStart")[0].partition(" ")[0]
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text(encoding="utf-8").replace(program, "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, timeout=60)
    assert (done.returncode, [line for line in done.stderr.splitlines() if UNIT.name in line]) == (0, [])


def test_wheels_are_built_for_what_is_promised() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    settings = project["tool"]["cibuildwheel"]
    assert settings["build"] == "cp3{11,12,13}-manylinux_{x86_64,aarch64}"
    assert settings["environment"] == {"OTELLOGDRIVER_NATIVE": "require"}
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for command in settings["test-command"]:
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, cwd=ROOT)
        assert done.returncode == 0, done.stderr


ARCHITECTURE = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
PACKAGE = ROOT / "otellogdriver"


def files_of(text: str) -> list[Path]:
    """The Python files that a piece of ARCHITECTURE.md names; a name without a folder is that of some module."""
    found: list[Path] = []
    for name in re.findall(r"`([\w/]+\.py)`", text):
        places = [PACKAGE / name, ROOT / name] if "/" in name else list(PACKAGE.rglob(name))
        there = [place for place in places if place.exists()]
        assert there, f"ARCHITECTURE.md names {name}, which is not there"
        found += there
    return found


def test_the_files_that_the_architecture_names_are_there() -> None:
    assert len(files_of(ARCHITECTURE)) > 40


def test_where_something_is_decided_is_where_the_architecture_says() -> None:
    table = ARCHITECTURE.partition("## Where is it decided?")[2].partition("##")[0]
    answers = [row.split("|")[2] for row in table.splitlines() if row.startswith("| ") and row.count("|") == 3]
    assert len(answers) > 10
    for answer in answers[1:]:
        texts = [file.read_text() for file in files_of(answer)]
        assert texts, answer
        for name in re.findall(r"`([A-Za-z_][\w.]*)`", answer):
            if not name.endswith(".py"):
                assert any(re.search(rf"\b{name.split('.')[-1]}\b", text) for text in texts), f"no {name}: {answer}"
