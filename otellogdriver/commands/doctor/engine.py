"""The engine and the plugin in it: is it there, enabled, alive, and does a container use it."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from otellogdriver.commands.doctor import time_out
from otellogdriver.commands.doctor.check import ENABLE, Check, failed, ok, skipped
from otellogdriver.commands.engine_api import EngineApi, EngineError, container_path, tagged
from otellogdriver.commands.installation import Installation, alike, find

_PATIENCE = 5.0
"""Seconds in which the driver must answer."""


@dataclass(slots=True)
class Found:
    """What the engine told. `log_opts` are those of the container that was asked about."""

    checks: list[Check] = field(default_factory=list)
    installation: Installation | None = None
    log_opts: Mapping[str, str] | None = None


def look(engine: EngineApi, name: str, container: str, own_socket: str, follows: bool) -> Found:
    """Ask the engine. `own_socket` is where a driver outside the plugin machinery is called; with `follows` somebody
    else finds out about the time-out."""
    found = Found()
    try:
        version = engine.get("/version").get("Version", "?")
    except EngineError as error:
        if Path(own_socket).exists() and error.status == 0 and "does not exist" in str(error):
            found.checks.append(skipped("engine", f"{error}: this seems to be the inside of the plugin"))
            found.checks += _alive(own_socket, "the driver", "")
        else:
            found.checks.append(failed("engine", str(error), error.advice or "`journalctl -u docker` may say more"))
        return found
    found.checks.append(ok("engine", f"{version} at {engine.host}"))
    try:
        found.installation = find(engine, name)
        found.checks += _plugin(engine, name, found.installation, own_socket)
        if found.installation and found.checks[-1].state == "ok" and not follows:
            found.checks.append(time_out.guess(engine, found.installation, name))
        if container:
            found.checks += _container(engine, container, name, found)
    except EngineError as error:
        found.checks.append(failed("plugin", f"the engine answers: {error}", "`journalctl -u docker` may say more"))
    return found


def _plugin(engine: EngineApi, name: str, installed: Installation | None, own_socket: str) -> Iterator[Check]:
    if installed is None:
        if Path(own_socket).exists():
            yield from _alive(own_socket, "the driver, without the plugin machinery,", "start its service again")
            return
        others = alike(engine)
        advice = f"install it (README.md, `make plugin`), then `{ENABLE} {name}`"
        if others:
            advice = f"installed log drivers: {', '.join(others)}; if it is one of them: --plugin NAME; or {advice}"
        yield failed("plugin", f"{name} is not installed", advice)
        return
    if not installed.enabled:
        yield failed(
            "plugin",
            f"{installed.name} is installed, but disabled: containers that use it cannot start",
            f"`{ENABLE} {name}`; if that fails, `journalctl -u docker` says why",
        )
        return
    who = f"{installed.name} is enabled and"
    yield from _alive(str(installed.socket) if engine.local else "", who, _again(name))


def _again(name: str) -> str:
    return f"`docker plugin disable -f {name}`, then `{ENABLE} {name}`; containers stay"


def _alive(path: str, who: str, advice: str) -> Iterator[Check]:
    """Whether the driver answers a call of the plugin protocol."""
    if not path:
        yield ok("plugin", f"{who} on another machine")
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            caller.settimeout(_PATIENCE)
            caller.connect(path)
            caller.sendall(b"POST /LogDriver.Capabilities HTTP/1.0\r\nHost: doctor\r\nContent-Length: 0\r\n\r\n")
            response = http.client.HTTPResponse(caller, method="POST")
            response.begin()
            reads = json.loads(response.read())["Cap"]["ReadLogs"]
    except PermissionError:
        yield skipped("plugin", f"{who} running, as far as can be seen without being root", "run this as root")
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        why = f"no answer within {_PATIENCE:g} s" if isinstance(error, TimeoutError) else why
        yield failed("plugin", f"{who} does not answer at {path}: {why}", advice or "`journalctl -u docker` says why")
    else:
        yield ok("plugin", f"{who} answers; docker logs come from {'its journal' if reads else 'the engine'}")


def _container(engine: EngineApi, container: str, name: str, found: Found) -> Iterator[Check]:
    try:
        told = engine.get(container_path(container, "json"))
    except EngineError as error:
        yield failed("container", f"{container}: {error}", "`docker ps -a` lists the names")
        return
    configured = told["HostConfig"]["LogConfig"]
    found.log_opts = configured.get("Config") or {}
    if tagged(configured["Type"]) != tagged(name):
        found.log_opts = None
        yield failed(
            "container",
            f"{container} logs with {configured['Type']}, not with {name}",
            f"make it anew with `--log-driver {name}`: the driver of a container cannot be changed",
        )
        return
    opts = ", ".join(sorted(found.log_opts)) or "none"
    yield ok("container", f"{container} logs with {configured['Type']}; log-opts: {opts}")
