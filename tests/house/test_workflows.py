"""The workflows of the repository: nothing in them is taken on trust, and what they run is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from plugin.build import ROOT
from tests.conftest import missing_means_skip
from tests.docs import Block
from tests.house.test_docs import test_shell as check_shell
from tests.tools.actionlint import actionlint

FOLDER = ROOT / ".github"
WORKFLOWS = sorted((FOLDER / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_they_use_is_pinned_and_what_they_run_is_there(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {}, "each job asks for what it needs"
    for line in re.findall(r"uses: (.*)", path.read_text(encoding="utf-8")):
        if not line.startswith("./"):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), "a commit, and its version"
    for job in workflow["jobs"].values():
        assert (ROOT / job["uses"]).is_file() if "uses" in job else job["runs-on"]
        for step in job.get("steps", []):
            if "run" in step:
                check_shell(Block(path, path.name, "sh", re.sub(r"\$\{\{.*?\}\}", "x", step["run"])))


def runs(name: str) -> str:
    jobs = yaml.safe_load((FOLDER / "workflows" / name).read_text(encoding="utf-8"))["jobs"]
    return "\n".join(step.get("run", "") for job in jobs.values() for step in job.get("steps", []))


def test_they_do_what_the_project_does_by_hand() -> None:
    assert ".ci/run" in runs("check.yml")
    for command in ("make plugin-push", "make release", "make sdist", "plugin.release --notes", "cosign sign"):
        assert command in runs("release.yml")
    assert "make audit" in runs("audit.yml")


def test_a_release_needs_no_setting() -> None:
    text = (FOLDER / "workflows/release.yml").read_text(encoding="utf-8")
    assert not re.findall(r"\b(?:vars|secrets)\.", text)


def test_zizmor_finds_nothing() -> None:
    program = Path(sys.executable).with_name("zizmor")
    done = subprocess.run([program, "--offline", "--quiet", FOLDER], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_finds_nothing() -> None:
    with missing_means_skip():
        program = actionlint()
    done = subprocess.run(
        [program, "-shellcheck=", "-pyflakes=", *WORKFLOWS], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
