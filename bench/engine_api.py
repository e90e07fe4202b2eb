"""The Engine API over its socket: containers created, started and removed without a `docker` process for each.

One connection per call, so that calls may come from several threads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from otellogdriver.commands.engine_api import UnixConnection
from plugin.engine import EngineError

VERSION = "/v1.41"
"""The API of engine 20.10, which all later ones speak."""


class EngineApi:
    """`host` is a DOCKER_HOST that begins with `unix://`."""

    def __init__(self, host: str) -> None:
        self.path = host.removeprefix("unix://")

    def call(self, method: str, path: str, body: Any = None, timeout: float = 120.0) -> Any:
        """The decoded answer. Raises EngineError with the engine's complaint."""
        connection = UnixConnection(self.path, timeout)
        try:
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, VERSION + path, data, {"Content-Type": "application/json"} if data else {})
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status >= 400:
            raise EngineError(f"{method} {path}: {response.status} {answer.decode(errors='replace').strip()}")
        return json.loads(answer) if answer else None

    def create(self, name: str, image: str, driver: str, options: Mapping[str, str], **extra: Any) -> str:
        """The id of a new container without network. `extra` is put into HostConfig, but `Env` and `Cmd`."""
        container = {key: extra.pop(key) for key in ("Env", "Cmd") if key in extra}
        log = {"Type": driver, "Config": dict(options)}
        host = {"NetworkMode": "none", "LogConfig": log, **extra}
        answer = self.call(
            "POST", f"/containers/create?name={quote(name)}", {"Image": image, "HostConfig": host} | container
        )
        return str(answer["Id"])

    def start(self, container: str) -> None:
        self.call("POST", f"/containers/{container}/start")

    def wait(self, container: str) -> int:
        return int(self.call("POST", f"/containers/{container}/wait")["StatusCode"])

    def remove(self, container: str) -> None:
        self.call("DELETE", f"/containers/{container}?force=1")

    def lines(self, container: str) -> int:
        """How many lines `docker logs` has of it; read as fast as they come, and thrown away."""
        connection = UnixConnection(self.path, 120.0)
        try:
            connection.request("GET", f"{VERSION}/containers/{container}/logs?stdout=1&stderr=1")
            response = connection.getresponse()
            count, buffer = 0, bytearray(1 << 20)
            while size := response.readinto(buffer):
                count += buffer.count(b"\n", 0, size)
        finally:
            connection.close()
        return count
