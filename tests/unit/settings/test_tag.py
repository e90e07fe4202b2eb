"""The tag template: what Docker's engine (28.5.2) makes of the same templates for the same container, and refuses.

`is` in the table is the engine's own result; `refused` says who refuses: Docker, and so we, or we alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otellogdriver.container import Container
from otellogdriver.errors import OptionError
from otellogdriver.settings.tag import FUNCTIONS, TAG, render, version

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "data" / "tags" / "cases.json").read_text())


def container(tag: str) -> Container:
    return Container.from_info(
        {
            "ContainerID": "0123456789abcdef" * 4,
            "ContainerName": "/shop-web-1",
            "ContainerEntrypoint": "/bin/sh",
            "ContainerArgs": ["-c", "echo <hi> & sleep"],
            "ContainerImageID": "sha256:" + "fe" * 32,
            "ContainerImageName": "reg:5000/shop/web:1.2",
            "ContainerEnv": ["MODE=fast", "APP_A=1", "PATH=/bin", "APP_B=ünï €"],
            "ContainerLabels": {"team": "blue", "com.example.x": 'Ä"q"', "empty": "", "num": "007"},
            "DaemonName": "docker",
            "Config": {"tag": tag, "labels": "team,com.example.x", "env": "MODE", "env-regex": "^APP_"},
        }
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["tag"])
def test_as_docker_has_it(case: dict[str, Any]) -> None:
    tag = case["tag"]
    if "is" in case:
        assert render(TAG.parse(tag), container(tag)) == case["is"]
        return
    with pytest.raises((ValueError, OptionError)) as fault:
        render(TAG.parse(tag), container(tag))
    assert str(fault.value).isprintable()


def test_each_function_is_in_the_table() -> None:
    assert all(any(name in case["tag"] for case in CASES if "is" in case) for name in FUNCTIONS)


@pytest.mark.parametrize(
    ("engine", "wanted"),
    [
        *((engine, "sha256:fefef") for engine in ("", "20.10.24+dfsg1", "28.5.2", "29.3.9")),
        *((engine, "fefefefefefe") for engine in ("29.4.0", "29.10", "30.0.0-rc.1")),
    ],
)
def test_the_id_of_an_image_is_as_the_engine_has_it(engine: str, wanted: str) -> None:
    for tag in ("{{.ImageID}}", "{{upper .ImageID | lower}}"):
        assert render(tag, container(tag), engine) == wanted


def test_version() -> None:
    assert [version(text) for text in ("", "29.4.1-rc1", "v29", "dev")] == [(), (29, 4, 1), (), ()]


@pytest.mark.parametrize(
    "tag",
    [
        "{{range .ContainerEnv}}" * 12 + "x" + "{{end}}" * 12,
        '{{printf "%5000d" 1}}',
        '{{pad "x" 5000 0}}',
        '{{$x := "0123456789"}}' + "{{$x = print $x $x}}" * 30,
        *("{{" + "(" * depth + ".Name" + ")" * depth + "}}" for depth in (250, 5000)),
        "{{if .Name}}" * 5000 + "{{end}}" * 5000,
    ],
    ids=lambda tag: tag[:20],
)
def test_a_template_that_grows_out_of_bounds_ends_with_an_error(tag: str) -> None:
    with pytest.raises((OptionError, ValueError)):
        render(TAG.parse(tag), container(tag))


PIECES = (
    *"{}|.$() -\"\\`'x1=:",
    *("{{", "}}", "-}}", "{{if .}}", "{{else}}", "{{end}}", "{{range .ContainerLabels}}", "/*", "*/", ":="),
    *(".Name", "upper", "printf", '"%d"', "index", "nil"),
)


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_any_text_is_a_tag_or_an_error(text: str) -> None:
    try:
        assert isinstance(render(TAG.parse(text), container(text)), str)
    except (ValueError, OptionError):
        pass
