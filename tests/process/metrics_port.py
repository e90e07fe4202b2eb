"""The metrics port of a driver under test: where it is, what it answers, and containers that have printed."""

from __future__ import annotations

import http.client
import json
from typing import Any

from tests.fakes.engine import Container, Engine, frame


def port(engine: Engine) -> int:
    """The port, once the driver has opened it."""
    return engine.metrics_port()


def get(engine: Engine, path: str, **headers: str) -> tuple[http.client.HTTPResponse, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port(engine), timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response, response.read().decode()
    finally:
        connection.close()


def report(engine: Engine) -> dict[str, Any]:
    """`/status.json`."""
    found: dict[str, Any] = json.loads(get(engine, "/status.json")[1])
    return found


def row(engine: Engine, name: str) -> dict[str, Any]:
    """What `/status.json` says of one container."""
    found = [container for container in report(engine)["containers"] if container["name"] == name]
    assert len(found) == 1, found
    row: dict[str, Any] = found[0]
    return row


def started(engine: Engine, name: str, lines: int = 0, info: dict[str, Any] | None = None, **options: str) -> Container:
    """A container that has printed some lines; options with underscores."""
    log_opts = {key.replace("_", "-"): value for key, value in options.items()}
    container = engine.container(name, log_opts, **(info or {}))
    assert container.start() == {"Err": ""}
    container.write(b"".join(frame(b"line %d" % number) for number in range(lines)))
    return container
