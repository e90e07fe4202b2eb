"""The plugin as an engine has it installed: where its files are on the host, and what it was set to.

In: an engine, the plugin's name. Out: its environment (which may hold secrets: never shown) and the host's path of any
file as the plugin sees it. Reads the engine's API, no file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from otellogdriver.commands.engine_api import EngineApi, EngineError
from otellogdriver.settings.options import Settings, plugin_settings

NAME = "otellogdriver"
_FILES = ("otlp_headers_file", "otlp_certificate", "otlp_client_certificate", "otlp_client_key")
"""Options that name files."""
_INTERFACE = "docker.logdriver/1.0"


@dataclass(frozen=True, slots=True)
class Installation:
    """One installed plugin. `environ` has what is set, without what is empty; `mounts` are (inside, on the host), the
    deepest first."""

    name: str
    id: str
    enabled: bool
    environ: Mapping[str, str] = field(repr=False)
    mounts: tuple[tuple[str, Path], ...]
    rootfs: Path

    def on_host(self, path: str) -> Path:
        """The host's path of what the plugin sees as `path`."""
        inside = os.path.normpath(path)
        for destination, source in self.mounts:
            if inside == destination or inside.startswith(f"{destination}/"):
                return source / inside[len(destination) :].lstrip("/")
        return self.rootfs / inside.lstrip("/")

    def settings_on_host(self, settings: Settings) -> tuple[Settings, list[str]]:
        """The settings with the host's paths of the files that they name; and the names of those options whose file is
        on the host, but not where the plugin would see it."""
        unseen: list[str] = []
        for name in _FILES:
            path = getattr(settings, name)
            if not path or "-----BEGIN" in path:
                continue
            there = self.on_host(path)
            if there.exists() or not Path(path).exists():
                changes: dict[str, Any] = {name: str(there)}
                settings = replace(settings, **changes)
            else:
                unseen.append(name)
        return settings, unseen

    @property
    def state_directory(self) -> Path:
        return self.on_host(plugin_settings(self.environ)[0].state_directory)

    @property
    def socket(self) -> Path:
        """Where the engine calls the driver."""
        return Path("/run/docker/plugins", self.id, os.path.basename(plugin_settings(self.environ)[0].socket))


def find(engine: EngineApi, name: str = NAME) -> Installation | None:
    """The plugin of that name, None if the engine does not have it. Raises EngineError."""
    try:
        told = engine.get(f"/plugins/{quote(name)}/json")
    except EngineError as error:
        if error.status == 404:
            return None
        raise
    root = Path(engine.get("/info").get("DockerRootDir") or "/var/lib/docker", "plugins", told["Id"])
    settings = told.get("Settings") or {}
    mounts = [(each["Destination"], Path(each["Source"])) for each in settings.get("Mounts") or ()]
    if propagated := (told.get("Config") or {}).get("PropagatedMount"):
        mounts.append((propagated, root / "propagated-mount"))
    variables = (variable.partition("=") for variable in settings.get("Env") or ())
    return Installation(
        name=told["Name"],
        id=told["Id"],
        enabled=bool(told["Enabled"]),
        environ={key: value for key, _, value in variables if value.strip()},
        mounts=tuple(sorted(mounts, key=lambda mount: len(mount[0]), reverse=True)),
        rootfs=root / "rootfs",
    )


def alike(engine: EngineApi) -> list[str]:
    """Names of the installed plugins that are log drivers, those of this program first. Raises EngineError."""
    found: list[tuple[bool, str]] = []
    for told in engine.get("/plugins") or ():
        config: dict[str, Any] = told.get("Config") or {}
        interface = config.get("Interface") or {}
        # An engine writes the types as texts; its API description calls them objects.
        if any(_INTERFACE in str(kind) or "logdriver" in str(kind) for kind in interface.get("Types") or ()):
            ours = any(NAME in word for word in config.get("Entrypoint") or ())
            found.append((not ours, str(told["Name"])))
    return [name for _, name in sorted(found)]


def state_directory(environ: Mapping[str, str], name: str = NAME) -> tuple[Path, Installation | None]:
    """(the driver's state directory, the plugin if it is that of one): this process's own where it exists (inside the
    plugin, or where the driver runs without an engine), else the installed plugin's. Raises EngineError if there is
    neither."""
    own = Path(plugin_settings(environ)[0].state_directory)
    if own.is_dir() or environ.get("OTELLOGDRIVER_STATE_DIRECTORY", "").strip():
        return own, None
    try:
        installed = find(EngineApi(environ), name)
    except EngineError as error:
        raise EngineError(f"{own} does not exist, and the engine cannot be asked: {error}", error.advice) from None
    if installed is None:
        raise EngineError(f"{own} does not exist, and the engine has no plugin {name!r}", "say where: --state DIR")
    return installed.state_directory, installed
