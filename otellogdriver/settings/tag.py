"""The `tag` option: Docker's template for a container's name in the logs.

Takes the fields that Docker documents for its own drivers, with their meaning there, e.g. `{{.ImageName}}/{{.Name}}`.
Template functions and pipelines are refused when the container starts, not rendered as text.
Source: moby `daemon/logger/loginfo.go`; docs "Customize log driver output".
"""

from __future__ import annotations

import re
from collections.abc import Callable

from otellogdriver.container import Container
from otellogdriver.values import Kind, shown

FIELDS: dict[str, Callable[[Container], str]] = {
    "ID": lambda container: container.id[:12],
    "FullID": lambda container: container.id,
    "Name": lambda container: container.name,
    # Docker cuts the identifier as it is, so that "sha256:" counts among the twelve.
    "ImageID": lambda container: container.image_id[:12],
    "ImageFullID": lambda container: container.image_id,
    "ImageName": lambda container: container.image_name,
    "DaemonName": lambda container: container.daemon_name,
}

# A dash beside a brace, with a space behind it, trims the text on that side, as in Go's templates.
_ACTION = re.compile(r"(\s*\{\{-\s|\{\{)\s*(.*?)\s*(\s-\}\}\s*|\}\})", re.DOTALL)


def render(template: str, container: Container) -> str:
    """The tag of `container`. The template must have been checked by `TAG`."""
    return _ACTION.sub(lambda action: FIELDS[action[2].removeprefix(".")](container), template)


def _tag(text: str) -> str:
    if not text.isprintable():
        raise ValueError("control characters or invalid UTF-8 in it")
    for action in _ACTION.finditer(text):
        if not action[2].startswith(".") or action[2][1:] not in FIELDS:
            raise ValueError(f"{shown('{{' + action[2] + '}}')} is not one of the fields")
    if "{{" in _ACTION.sub("", text):
        raise ValueError("a {{ without its }}")
    return text


TAG: Kind[str] = Kind(_tag, "text with the fields " + ", ".join("{{." + name + "}}" for name in FIELDS), "template")
