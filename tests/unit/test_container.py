"""A container from the engine's Info: what it may look like, and who is told what when it does not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otellogdriver.container import Container
from otellogdriver.errors import ProtocolError

ID = "5c5a" * 16
# As captured from an engine.
INFO: dict[str, Any] = {
    "Config": {"labels": "foo", "max-buffer-size": "2m", "mode": "non-blocking"},
    "ContainerID": ID,
    "ContainerName": "/e1x",
    "ContainerEntrypoint": "sh",
    "ContainerArgs": ["-c", "true"],
    "ContainerImageID": "sha256:" + "ab" * 32,
    "ContainerImageName": "bb:1",
    "ContainerCreated": "2026-11-24T04:40:26.580495467Z",
    "ContainerEnv": ["X=1", "Y=a=b", "Z=", "NOVALUE", "X=2"],
    "ContainerLabels": {"foo": "bar"},
    "LogPath": "",
    "DaemonName": "docker",
}


def test_from_the_engine() -> None:
    assert Container.from_info(INFO) == Container(
        id=ID,
        name="e1x",
        image_name="bb:1",
        image_id="sha256:" + "ab" * 32,
        entrypoint="sh",
        args=("-c", "true"),
        env={"X": "2", "Y": "a=b", "Z": ""},
        labels={"foo": "bar"},
        created="2026-11-24T04:40:26.580495467Z",
        daemon_name="docker",
        config={"labels": "foo", "max-buffer-size": "2m", "mode": "non-blocking"},
    )


def test_maps_and_lists_may_be_null_and_fields_may_be_missing() -> None:
    nulls = dict.fromkeys(("Config", "ContainerArgs", "ContainerEnv", "ContainerLabels", "ContainerName"))
    bare = Container(id=ID, name=ID[:12])
    assert Container.from_info({"ContainerID": ID, **nulls}) == bare
    assert Container.from_info({"ContainerID": ID}) == bare


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"ContainerID": None}, 'Info.ContainerID: "" is not allowed: the id of a container'),
        ({"ContainerID": 7}, "Info.ContainerID: a number is not allowed: a string"),
        ({"ContainerID": "../etc"}, 'Info.ContainerID: "../etc" is not allowed: the id of a container'),
        ({"ContainerID": "a\n"}, 'Info.ContainerID: "a\\n" is not allowed: the id of a container'),
        ({"ContainerName": ["x"]}, "Info.ContainerName: an array is not allowed: a string"),
        ({"ContainerArgs": "x"}, "Info.ContainerArgs: a string is not allowed: an array of strings, or null"),
        ({"ContainerEnv": ["A=hunter2", 5]}, "Info.ContainerEnv[1]: a number is not allowed: a string"),
        ({"ContainerLabels": []}, "Info.ContainerLabels: an array is not allowed: an object of strings, or null"),
        ({"Config": {"a\n": None}}, 'Info.Config["a\\n"]: null is not allowed: a string'),
    ],
)
def test_what_the_engine_never_sends(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ProtocolError) as fault:
        Container.from_info(INFO | change)
    assert str(fault.value) == told


@pytest.mark.parametrize(("info", "what"), [(None, "null"), ([], "an array"), ("x", "a string"), (True, "a boolean")])
def test_info_is_an_object(info: object, what: str) -> None:
    with pytest.raises(ProtocolError) as fault:
        Container.from_info(info)
    assert str(fault.value) == f"Info: {what} is not allowed: an object"


def test_control_characters_in_a_name_and_half_characters_are_harmless() -> None:
    info = json.loads(
        json.dumps(
            INFO
            | {
                "ContainerName": "/a\n\x1b[31mb",
                "ContainerLabels": {"k\ud800": "v\ud800"},
                "ContainerEnv": ["A=\udc80"],
            }
        )
    )
    container = Container.from_info(info)
    assert container.name == "a\ufffd\ufffd[31mb"
    for text in (container.name, *container.labels, *container.labels.values(), *container.env.values()):
        text.encode()


def test_the_repr_shows_no_environment_labels_arguments_or_options() -> None:
    secret = "hunter2"
    container = Container.from_info(
        INFO
        | {
            "ContainerEnv": [f"A={secret}"],
            "ContainerLabels": {"a": secret},
            "ContainerArgs": [secret],
            "Config": {"otlp-headers": secret},
        }
    )
    assert secret not in repr(container)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(info=st.one_of(JSON, st.dictionaries(st.sampled_from(list(INFO)), JSON | st.just(ID))))
def test_any_json_is_a_container_or_a_protocol_error(info: object) -> None:
    try:
        assert "/" not in Container.from_info(info).id
    except ProtocolError as fault:
        assert str(fault).isprintable()
