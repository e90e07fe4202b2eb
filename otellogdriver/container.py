"""A container as the engine describes it: the `Info` object of StartLogging and ReadLogs.

In goes decoded JSON, out comes a `Container` whose texts are valid Unicode and whose id and name are safe in file
names, log lines and metric labels, or a ProtocolError that names the field. Maps and lists may be null, as Go writes
empty ones. Source: moby `daemon/logger/loginfo.go`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from otellogdriver.errors import ProtocolError
from otellogdriver.values import BOOLEAN, shown

# The engine sends 64 hex digits. What matters here is that the id names a folder.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", re.ASCII)


EXCLUDE = "otellogdriver.exclude"
"""A label: `true` keeps a container's lines here, for `docker logs` alone. For the collector's own container, whose
lines about requests would become requests."""


@dataclass(frozen=True, slots=True)
class Container:
    """What is known of a container. `name` has no leading slash. What may hold secrets is left out of the repr."""

    id: str
    name: str
    image_name: str = ""
    image_id: str = ""
    entrypoint: str = ""
    args: tuple[str, ...] = field(default=(), repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    labels: Mapping[str, str] = field(default_factory=dict, repr=False)
    created: str = ""
    daemon_name: str = ""
    config: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_info(cls, info: object) -> Container:
        """From decoded JSON. Raises ProtocolError."""
        if not isinstance(info, dict):
            raise ProtocolError(f"Info: {_type(info)} is not allowed: an object")
        identifier = _string(info, "ContainerID")
        if not _ID.fullmatch(identifier):
            raise ProtocolError(f"Info.ContainerID: {shown(identifier)} is not allowed: the id of a container")
        name = "".join(c if c.isprintable() else "\ufffd" for c in _string(info, "ContainerName"))
        return cls(
            id=identifier,
            name=name.removeprefix("/") or identifier[:12],
            image_name=_string(info, "ContainerImageName"),
            image_id=_string(info, "ContainerImageID"),
            entrypoint=_string(info, "ContainerEntrypoint"),
            args=tuple(_strings(info, "ContainerArgs")),
            # As in the engine, an entry without "=" is no variable, and of two with one name the last one counts.
            env=dict(entry.split("=", 1) for entry in _strings(info, "ContainerEnv") if "=" in entry),
            labels=_map(info, "ContainerLabels"),
            created=_string(info, "ContainerCreated"),
            daemon_name=_string(info, "DaemonName"),
            config=_map(info, "Config"),
        )

    @property
    def excluded(self) -> bool:
        """Whether its lines are to stay here. Raises ProtocolError for a label that says neither yes nor no."""
        label = self.labels.get(EXCLUDE, "false")
        try:
            return BOOLEAN.parse(label)
        except ValueError:
            raise ProtocolError(f"label {EXCLUDE}: {shown(label)} is not allowed: {BOOLEAN.allowed}") from None


def _valid(text: str) -> str:
    # JSON can spell half a surrogate pair, which no UTF-8 and so no protobuf string can hold.
    valid = text.encode("utf-8", "replace").decode()
    return text if valid == text else valid  # most often the engine's own: there is one of each in memory


# The errors below name a type, never a value: environment, labels and log-opts may hold secrets.
def _string(info: dict[str, object], name: str) -> str:
    value = info.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ProtocolError(f"Info.{name}: {_type(value)} is not allowed: a string")
    return _valid(value)


def _strings(info: dict[str, object], name: str) -> list[str]:
    value = info.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ProtocolError(f"Info.{name}: {_type(value)} is not allowed: an array of strings, or null")
    for place, entry in enumerate(value):
        if not isinstance(entry, str):
            raise ProtocolError(f"Info.{name}[{place}]: {_type(entry)} is not allowed: a string")
    return [_valid(entry) for entry in value]


def _map(info: dict[str, object], name: str) -> dict[str, str]:
    value = info.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ProtocolError(f"Info.{name}: {_type(value)} is not allowed: an object of strings, or null")
    for key, entry in value.items():
        if not isinstance(entry, str):
            raise ProtocolError(f"Info.{name}[{shown(key)}]: {_type(entry)} is not allowed: a string")
    return {_valid(key): _valid(entry) for key, entry in value.items()}


_TYPES = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}


def _type(value: object) -> str:
    return _TYPES.get(type(value), "null")
