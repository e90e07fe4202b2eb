"""Docker's logging-plugin protocol over the plugin's unix socket: requests in, calls to the driver out.

`POST /Plugin.Activate`, `/LogDriver.{Capabilities,StartLogging,StopLogging,ReadLogs}`; bodies are JSON without a
Content-Type, answers are JSON with `Err` ("" = well), but for ReadLogs, whose answer is a stream of frames. The engine
shows `Err` of StartLogging to the user; StopLogging never has one, for the engine would leak the FIFO and the plugin's
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

from aiohttp import web

from otellogdriver.driver.driver import Driver
from otellogdriver.engine.readlogs import LogReader, ReadConfig
from otellogdriver.errors import DriverError, ProtocolError

log = logging.getLogger(__name__)

_BODY_MOST = 32 << 20
"""Bytes of a request: Info carries a container's whole environment and labels."""

_ENGINE_TIMEOUT = 30.0
"""Seconds after which the engine cuts an answer, if the plugin was enabled without `--timeout 0`."""

Call = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


def application(driver: Driver, reader: LogReader) -> web.Application:
    """The plugin's HTTP application."""

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

    async def logs(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-docker-log-frames"})
        try:
            body = await _body(request)
            config = ReadConfig.from_request(body.get("Config"))
            info = body.get("Info")
            container = _text(info if isinstance(info, dict) else {}, "ContainerID")
        except DriverError as error:
            return _answer({"Err": str(error)}, 400)
        began = time.monotonic()
        try:
            await response.prepare(request)
            await reader.read(container, config, response.write)
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):  # the reader went away
            if config.follow and abs(time.monotonic() - began - _ENGINE_TIMEOUT) < 0.5:
                log.warning(
                    "a `docker logs -f` was cut at %.0f s, the engine's default: `docker plugin disable -f`, "
                    "then `docker plugin enable --timeout 0` mends it for containers started from then on",
                    _ENGINE_TIMEOUT,
                )
        return response

    app = web.Application(client_max_size=_BODY_MOST)
    calls: dict[str, Call] = {
        "/Plugin.Activate": activate,
        "/LogDriver.Capabilities": capabilities,
        "/LogDriver.StartLogging": start,
        "/LogDriver.StopLogging": stop,
    }
    for path, call in calls.items():
        app.router.add_post(path, _handler(path, call))
    app.router.add_post("/LogDriver.ReadLogs", logs)

    async def unknown(request: web.Request) -> web.Response:
        known = ", ".join([*calls, "/LogDriver.ReadLogs"])
        return _answer(
            {"Err": f"no such call: {request.method} {request.path[:100]!r}; known are POST to {known}"}, 404
        )

    app.router.add_route("*", "/{path:.*}", unknown)
    return app


def _handler(path: str, call: Call) -> Callable[[web.Request], Awaitable[web.Response]]:
    stopping = path.endswith("StopLogging")

    async def handle(request: web.Request) -> web.Response:
        try:
            body = await _body(request)
            # A caller that hangs up must not leave a call half done.
            return _answer(await asyncio.shield(asyncio.ensure_future(call(body))))
        except DriverError as error:
            log.warning("%s refused: %s", path, error)
            return _answer({"Err": "" if stopping else str(error)}, 200 if stopping else 400)
        except Exception as error:
            log.exception("%s failed", path)
            text = f"otellogdriver failed in {path}: {type(error).__name__}; see the plugin's log"
            return _answer({"Err": "" if stopping else text}, 200 if stopping else 500)

    return handle


async def _body(request: web.Request) -> dict[str, Any]:
    """The request's JSON object; empty for an empty body. Raises ProtocolError."""
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise ProtocolError(f"{request.path}: the body is longer than {_BODY_MOST >> 20} MiB") from error
    if not raw.strip():
        return {}
    try:
        body = json.loads(raw)
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


def _answer(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.json_response(body, status=status)
