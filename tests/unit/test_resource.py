"""Resources: which attributes a plain, a compose and a swarm container have, and who wins."""

from __future__ import annotations

import json
import socket
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage
from opentelemetry.sdk.resources import Resource
from opentelemetry.semconv._incubating.attributes import container_attributes, host_attributes, service_attributes
from opentelemetry.semconv.schemas import Schemas

from otellogdriver.codec import wire
from otellogdriver.container import Container
from otellogdriver.resource import SCHEMA_URL, Host, resource_of, this_host
from otellogdriver.settings.options import resolve

CASES = json.loads((Path(__file__).parent.parent / "data" / "resources" / "cases.json").read_text())
ID = "0123456789abcdef" * 4
IMAGE = "fe" * 32
INSTANCE = str(uuid.uuid5(uuid.UUID("4d63009a-8d0f-11ee-aad7-4c796ed8e320"), ID))


def placed(value: Any) -> Any:
    """A value of the table, with its placeholders filled."""
    if isinstance(value, dict):
        return {key: placed(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return tuple(placed(entry) for entry in value)
    return {"ID": ID, "INSTANCE": INSTANCE}.get(value, value.replace("IMAGE", IMAGE))


def resource(case: dict[str, Any]) -> Resource:
    info = {
        "ContainerID": ID,
        "ContainerName": "/web",
        "ContainerImageID": f"sha256:{IMAGE}",
        "ContainerImageName": "nginx:1.25",
        **case.get("info", {}),
    }
    info["ContainerImageName"] = placed(info["ContainerImageName"])
    settings = resolve(case.get("log_opts", {}), case.get("environ", {}))
    return resource_of(
        Container.from_info(info), settings, Host("node1", case.get("host_id", "m1"), case.get("arch", ""))
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_attributes(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in case.get("environ", {}).items():
        monkeypatch.setenv(name, value)
    found = dict(resource(case).attributes)
    wanted = placed(case.get("attributes", {}))
    assert {name: found.get(name) for name in wanted} == wanted
    assert not set(case.get("without", [])) & set(found)
    if case.get("exactly"):
        assert found == wanted


def test_names_are_those_of_the_conventions() -> None:
    modules = (container_attributes, host_attributes, service_attributes)
    known = {value for module in modules for value in vars(module).values() if isinstance(value, str)}
    everything = resource(
        {"info": {"ContainerImageName": "a:1@sha256:0", "ContainerLabels": {"com.docker.compose.project": "p"}}}
    )
    assert set(everything.attributes) <= known
    assert SCHEMA_URL in {schema.value for schema in Schemas}
    assert everything.schema_url == SCHEMA_URL


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_encoded_as_the_sdk_encodes_it(case: dict[str, Any]) -> None:
    from opentelemetry._logs import LogRecord
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    made = resource(case)
    scope = InstrumentationScope("test")
    request = encode_logs([ReadableLogRecord(LogRecord(body="x"), made, scope)])
    assert ResourceMessage.FromString(wire.resource(made.attributes)) == request.resource_logs[0].resource


def test_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.uname", lambda: SimpleNamespace(machine="aarch64"))
    assert this_host({}) == Host(socket.gethostname(), "", "arm64")
    environ = {"OTELLOGDRIVER_HOST_NAME": "node7", "OTELLOGDRIVER_HOST_ID": "abc"}
    assert this_host(environ) == Host("node7", "abc", "arm64")


def test_a_broken_variable_of_a_container_is_reported_with_its_name(caplog: pytest.LogCaptureFixture) -> None:
    resource({"info": {"ContainerName": "/shop", "ContainerEnv": ["OTEL_RESOURCE_ATTRIBUTES=a=1,hunter2"]}})
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "container shop: nothing of its OTEL_RESOURCE_ATTRIBUTES is used: entry 2" in record.getMessage()
    assert "hunter2" not in caplog.text
