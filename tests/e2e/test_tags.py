"""`tag`, side by side: the running engine's json-file and this driver make the same text of the same template."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest

from plugin.engine import EngineError
from tests.e2e.test_main_job import Runner, runner
from tests.scene import until
from tests.tools.engine import chosen

__all__ = ["runner"]

SEPARATOR = " ;; "
TEMPLATES = (
    "{{.ID}}",
    "{{.FullID}}",
    "{{.Name}}",
    "{{.ImageName}}",
    "{{.ImageFullID}}",
    "{{.DaemonName}}",
    "{{.Command}}",
    "{{.ContainerArgs}}",
    "{{.ContainerLabels.team}} {{.ContainerLabels.missing}}",
    '{{index .ContainerLabels "com.example.x"}}',
    "{{(.ExtraAttributes nil).MODE}} {{json (.ExtraAttributes nil)}}",
    '{{index (split .ImageName "/") 0 | upper}}',
    '{{join .ContainerArgs "+" | printf "%q"}}',
    "{{with .ContainerLabels.team}}{{title .}}{{else}}none{{end}}",
    '{{range $k, $v := .ContainerLabels}}{{if eq $v "blue"}}{{$k}}{{end}}{{end}}',
    '{{pad (lower "AB") 2 1}}|{{printf "%-6s|%04d" "x" 7}}',
    "{{len .FullID}} {{slice .FullID 0 4 | len}}",
)
ALIKE = SEPARATOR.join(TEMPLATES)
FAILS = ("{{.Nam}}", "{{frob .Name}}", "{{.Name", "{{upper .ContainerLabels.missing}}", "{{index .ContainerArgs 99}}")
GIVEN = ("--label=team=blue", '--label=com.example.x=Ä"q"', "--env=MODE=fast", "--log-opt=labels=team")


def start(runner: Runner, driver: list[str], tag: str, name: str) -> str:
    """Run a container that prints a line; its id."""
    runner.engine.docker(
        "run", f"--name={name}", *driver, *GIVEN, "--log-opt=env=MODE", f"--log-opt=tag={tag}", "busybox", "echo", "x<y"
    )
    return runner.engine.docker("inspect", "--format", "{{.Id}}", name).strip()


def without_id(text: str, identifier: str) -> str:
    return text.replace(identifier, "FULL").replace(identifier[:12], "SHORT")


def both(runner: Runner, tag: str) -> tuple[str, str]:
    """(json-file's tag, ours), for containers that differ in their ids alone."""
    name = f"tagged-{secrets.token_hex(4)}"
    identifier = start(runner, ["--log-driver=json-file"], tag, name)
    file = Path(runner.engine.docker("inspect", "--format", "{{.LogPath}}", name).strip())
    until(lambda: file.read_text().endswith("\n"))  # the engine may write the line when the container has gone
    theirs = without_id(json.loads(file.read_text())["attrs"]["tag"], identifier)
    runner.engine.docker("rm", name)
    runner.names.append(name)
    identifier = start(runner, runner.options(), tag, name)
    (record,) = runner.collector.wait(1, name)
    return theirs, without_id(record.resource["container.log.tag"], identifier)


def test_the_same_text_as_json_file(runner: Runner) -> None:
    theirs, ours = both(runner, ALIKE)
    assert dict(zip(TEMPLATES, ours.split(SEPARATOR), strict=True)) == dict(
        zip(TEMPLATES, theirs.split(SEPARATOR), strict=True)
    )


def test_the_id_of_an_image_with_the_version_of_the_engine(runner: Runner) -> None:
    version = runner.engine.docker("version", "--format", "{{.Server.Version}}").strip()
    if not version.startswith(chosen()):  # built from its module, it does not know its own: the newest of its kind
        version = f"{chosen()}.99"
    runner.plugin.set(OTELLOGDRIVER_ENGINE_VERSION=version)
    try:
        theirs, ours = both(runner, "{{.ImageID}}")
    finally:
        runner.plugin.set(OTELLOGDRIVER_ENGINE_VERSION="")
    assert ours == theirs


@pytest.mark.parametrize("tag", FAILS)
def test_what_json_file_refuses_is_refused(runner: Runner, tag: str) -> None:
    for driver in (["--log-driver=json-file"], runner.options()):
        name = f"refused-{secrets.token_hex(4)}"
        with pytest.raises(EngineError) as fault:
            start(runner, driver, tag, name)
        runner.engine.docker("rm", "--force", name)
    assert "tag" in str(fault.value)


def test_what_is_not_supported_is_refused_with_a_reason(runner: Runner) -> None:
    name = f"refused-{secrets.token_hex(4)}"
    with pytest.raises(EngineError) as fault:
        start(runner, runner.options(), '{{define "x"}}{{end}}', name)
    runner.engine.docker("rm", "--force", name)
    assert "{{define}} is not supported" in str(fault.value)
