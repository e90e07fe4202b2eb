"""Docker's logging-plugin protocol over the plugin's unix socket: requests in, calls to the driver out.

`POST /Plugin.Activate`, `/LogDriver.{Capabilities,StartLogging,StopLogging,ReadLogs}`; bodies are JSON without a
Content-Type, answers are JSON with `Err` ("" = well), but for ReadLogs, whose answer is a stream of frames. The engine
shows `Err` of StartLogging to the user; StopLogging never has one: the engine would leak the FIFO and the plugin's
reference. A StopLogging that the engine repeats after a lost connection has an empty body and is answered `{}`.
Source: moby `daemon/logger/proxy.go`, `daemon/logger/plugin.go`, `pkg/plugins/client.go`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from otellogdriver.driver.driver import Driver
from otellogdriver.engine.http import Answer, Connection, Handle, Request
from otellogdriver.engine.readlogs import LogReader, ReadConfig
from otellogdriver.errors import DriverError, ProtocolError

log = logging.getLogger(__name__)

_ENGINE_TIMEOUT = 30.0
"""Seconds after which the engine cuts an answer, if the plugin was enabled without `--timeout 0`."""

_READ_LOGS = "/LogDriver.ReadLogs"

Call = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


def application(driver: Driver, reader: LogReader) -> Handle:
    """What answers the engine's requests."""

    async def activate(_: dict[str, Any]) -> dict[str, Any]:
        return {"Implements": ["LogDriver"]}

    async def capabilities(_: dict[str, Any]) -> dict[str, Any]:
        return {"Cap": {"ReadLogs": driver.plugin.read_logs}}

    async def start(body: dict[str, Any]) -> dict[str, Any]:
        if not body:
            raise ProtocolError("StartLogging without a body: {File, Info} is needed")
        info = body.get("Info")
        if not isinstance(info, dict):
            raise ProtocolError("StartLogging without Info: an object is needed")
        await driver.start_logging(_text(body, "File"), info)
        return {"Err": ""}

    async def stop(body: dict[str, Any]) -> dict[str, Any]:
        file = body.get("File")
        if isinstance(file, str):
            await driver.stop_logging(file)
        return {} if not body else {"Err": ""}

    async def logs(request: Request, connection: Connection) -> Answer | None:
        try:
            body = _body(request)
            config = ReadConfig.from_request(body.get("Config"))
            info = body.get("Info")
            container = _text(info if isinstance(info, dict) else {}, "ContainerID")
        except DriverError as error:
            return 400, {"Err": str(error)}
        began = time.monotonic()
        try:
            connection.begin("application/x-docker-log-frames")
            await reader.read(container, config, connection.write)
        except (ConnectionError, asyncio.CancelledError):  # the reader went away
            if config.follow and abs(time.monotonic() - began - _ENGINE_TIMEOUT) < 0.5:
                log.warning(
                    "a `docker logs -f` was cut at %.0f s, the engine's default: `docker plugin disable -f`, "
                    "then `docker plugin enable --timeout 0` mends it for containers started from then on",
                    _ENGINE_TIMEOUT,
                )
        return None

    calls: dict[str, Call] = {
        "/Plugin.Activate": activate,
        "/LogDriver.Capabilities": capabilities,
        "/LogDriver.StartLogging": start,
        "/LogDriver.StopLogging": stop,
    }

    async def handle(request: Request, connection: Connection) -> Answer | None:
        path = request.path.partition("?")[0] if request.method == "POST" else ""
        if path == _READ_LOGS:
            return await logs(request, connection)
        if path in calls:
            return await _answered(path, calls[path], request)
        known = ", ".join([*calls, _READ_LOGS])
        return 404, {"Err": f"no such call: {request.method} {request.path[:100]!r}; known are POST to {known}"}

    return handle


async def _answered(path: str, call: Call, request: Request) -> Answer:
    stopping = path.endswith("StopLogging")
    try:
        body = _body(request)
        # A caller that hangs up must not leave a call half done.
        return 200, await asyncio.shield(asyncio.ensure_future(call(body)))
    except DriverError as error:
        log.warning("%s refused: %s", path, error)
        return (200, {"Err": ""}) if stopping else (400, {"Err": str(error)})
    except Exception as error:
        log.exception("%s failed", path)
        text = f"otellogdriver failed in {path}: {type(error).__name__}; see the plugin's log"
        return (200, {"Err": ""}) if stopping else (500, {"Err": text})


def _body(request: Request) -> dict[str, Any]:
    """The request's JSON object; empty for an empty body. Raises ProtocolError."""
    if not request.body.strip():
        return {}
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"{request.path}: the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ProtocolError(f"{request.path}: the body is {type(body).__name__}, an object is needed")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise ProtocolError(f"{name} is {value!r:.80}, a text is needed")
    return value
