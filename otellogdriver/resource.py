"""The OpenTelemetry resource of a container: what its records say about where they come from.

In go the container, its settings and the host; out comes a Resource, or its protobuf bytes. Nothing of the driver's own
process gets in: neither its OTEL_SERVICE_NAME nor `telemetry.sdk.*`. Attributes follow the semantic conventions 1.44.

A later source wins over an earlier one, attribute by attribute:

1. Docker and the host: `container.*`, `host.*`, `service.instance.id`, the container's name as `service.name`, and as
   `service.version` the label `org.opencontainers.image.version`, else the image's tag, else its digest;
   `container.label.<key>` and `container.env.<name>` (no convention has a name for the latter) for what the options
   `labels`, `labels-regex`, `env` and `env-regex` select; `container.log.tag` for the option `tag`
2. OTEL_RESOURCE_ATTRIBUTES of the plugin
3. `service.name` from `com.docker.swarm.service.name`, else `com.docker.compose.service`;
   `service.namespace` from `com.docker.stack.namespace`, else `com.docker.compose.project`
4. the container's own OTEL_RESOURCE_ATTRIBUTES, then its OTEL_SERVICE_NAME, so that its logs carry the same resource as
   the traces and metrics it sends itself
5. labels `resource.opentelemetry.io/<attribute>`
6. log-opt `resource-attributes`, then log-opt `service-name`

Not known without asking the engine, which takes a permission that a logging plugin does not have:
`container.runtime.description`, and `container.runtime.version` unless OTELLOGDRIVER_ENGINE_VERSION says it.

Only `container.id` always stays what it is: the driver finds a container's records by it.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from otellogdriver.container import Container
from otellogdriver.settings.endpoints import ATTRIBUTES
from otellogdriver.settings.options import Settings, plugin_settings
from otellogdriver.settings.patterns import compiled
from otellogdriver.settings.tag import render

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

ATTRIBUTE_LABEL = "resource.opentelemetry.io/"
"""Prefix of labels that name an attribute, as in OpenTelemetry's non-normative page on Kubernetes attributes."""

VERSION_LABEL = "org.opencontainers.image.version"
"""Label of an image, inherited by its containers, for the version of what is packed in it (OCI image annotations)."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm32", "armv6l": "arm32", "i686": "x86"}
"""The convention's names of what `uname -m` says; others stay as they are."""

log = logging.getLogger(__name__)

_INSTANCE_NAMESPACE = "4d63009a-8d0f-11ee-aad7-4c796ed8e320"
"""The convention's namespace for a `service.instance.id` made from an identifier that is unique already."""

_Attributes = dict[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Host:
    """The machine, and the version of its engine. What is empty is not known."""

    name: str
    id: str = ""
    arch: str = ""
    engine: str = ""


def this_host(environ: Mapping[str, str] = os.environ) -> Host:
    """The machine that the containers run on.

    A managed plugin has a UTS namespace of its own, which the kernel makes as a copy of the engine's and in which
    nobody sets another name: the host's name as it was when the plugin started. (/etc/hostname is no help, it belongs
    to the plugin's image, and so does /etc/machine-id.) The host's id is not visible from inside without a mount that
    not every host has, so it is an option.
    """
    settings, _ = plugin_settings(environ)
    machine = os.uname().machine
    return Host(
        name=settings.host_name or socket.gethostname(),
        id=settings.host_id,
        arch=_ARCHITECTURES.get(machine, machine.lower()),
        engine=settings.engine_version,
    )


def resource_of(container: Container, settings: Settings, host: Host) -> Resource:
    """The resource of a container's records. Raises as `attributes_of`."""
    from opentelemetry.sdk.resources import Resource  # not before lines are sent: a start does not wait for it

    return Resource(attributes_of(container, settings, host), SCHEMA_URL)


def attributes_of(container: Container, settings: Settings, host: Host) -> dict[str, Any]:
    """What the resource of a container's records says. Raises OptionError for what makes no sense for it, as a tag."""
    labels = container.labels
    attributes = _described(container, settings, host)
    attributes |= settings.plugin_resource_attributes
    attributes |= _orchestrated(labels)
    attributes |= _own(container)
    attributes |= {
        key.removeprefix(ATTRIBUTE_LABEL): value
        for key, value in labels.items()
        if key.startswith(ATTRIBUTE_LABEL) and key != ATTRIBUTE_LABEL and value
    }
    attributes |= settings.resource_attributes
    if settings.service_name:
        attributes["service.name"] = settings.service_name
    attributes["container.id"] = container.id
    return attributes


def _described(container: Container, settings: Settings, host: Host) -> _Attributes:
    from uuid import UUID, uuid5

    attributes: _Attributes = {
        "container.id": container.id,
        "container.name": container.name,
        "container.runtime.name": "docker",
        "host.name": host.name,
        "service.name": container.name,
        "service.instance.id": str(uuid5(UUID(_INSTANCE_NAMESPACE), container.id)),
    }
    if container.image_id:
        attributes["container.image.id"] = container.image_id
    if host.id:
        attributes["host.id"] = host.id
    if host.engine:
        attributes["container.runtime.version"] = host.engine
    if host.arch:
        attributes["host.arch"] = host.arch
    image = _image(container.image_name, container.image_id)
    attributes |= image
    if version := container.labels.get(VERSION_LABEL, "").strip() or _version(image):
        attributes["service.version"] = version
    for key in _selected(container.labels, settings.labels, settings.labels_regex):
        attributes[f"container.label.{key}"] = container.labels[key]
    for name in _selected(container.env, settings.env, settings.env_regex):
        attributes[f"container.env.{name}"] = container.env[name]
    if settings.tag:
        attributes["container.log.tag"] = render(settings.tag, container, host.engine)
    return attributes


def _image(reference: str, image_id: str) -> _Attributes:
    """Name and tag or digest of an image. A container that was started from an image id has no name to give."""
    name, _, digest = reference.partition("@")
    tag = ""
    if ":" in name.rpartition("/")[2]:
        name, _, tag = name.rpartition(":")
    identifier = (tag if name == "sha256" else name) or "-"
    if not name or (
        re.fullmatch("[0-9a-f]{12,64}", identifier) and image_id.removeprefix("sha256:").startswith(identifier)
    ):
        return {}
    attributes: _Attributes = {"container.image.name": name}
    if digest:
        attributes["container.image.repo_digests"] = [f"{name}@{digest}"]
    if tag or not digest:
        attributes["container.image.tags"] = [tag or "latest"]
    return attributes


def _version(image: _Attributes) -> str:
    """The tag of an image, else its digest."""
    for name in ("container.image.tags", "container.image.repo_digests"):
        if found := image.get(name):
            return found[0].rpartition("@")[2]
    return ""


def _selected(given: Mapping[str, str], names: Sequence[str], pattern: str) -> list[str]:
    matches = compiled(pattern).search if pattern else lambda _: None
    return [name for name in given if name and (name in names or matches(name))]


def _orchestrated(labels: Mapping[str, str]) -> _Attributes:
    found: _Attributes = {}
    if service := labels.get("com.docker.swarm.service.name") or labels.get("com.docker.compose.service"):
        found["service.name"] = service
    if namespace := labels.get("com.docker.stack.namespace") or labels.get("com.docker.compose.project"):
        found["service.namespace"] = namespace
    return found


def _own(container: Container) -> _Attributes:
    try:
        found: _Attributes = dict(ATTRIBUTES.parse(container.env.get("OTEL_RESOURCE_ATTRIBUTES", "")))
    except ValueError as fault:
        # The specification: of a value that cannot be decoded nothing is used, and that is reported.
        log.warning("container %s: nothing of its OTEL_RESOURCE_ATTRIBUTES is used: %s", container.name, fault)
        found = {}
    if service := container.env.get("OTEL_SERVICE_NAME", "").strip():
        found["service.name"] = service
    return found
