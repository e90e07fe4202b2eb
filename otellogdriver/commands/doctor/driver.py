"""The driver's own word on how it fares: its metrics port, codec, options, destinations and losses.

In: the address of its metrics. Out: checks, from `/readyz` and `/status.json`. The port is on loopback or wherever
OTELLOGDRIVER_METRICS_ADDRESS says; what answers there may be somebody else.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from otellogdriver import __version__
from otellogdriver.commands.amounts import size
from otellogdriver.commands.doctor.check import Check, failed, note, ok, setting, skipped
from otellogdriver.settings.options import PluginSettings

_TIMEOUT = 5.0
_OTHER_ADDRESS = "OTELLOGDRIVER_METRICS_ADDRESS=127.0.0.1:9465"
OPTIONS = "`otellogdriver options` lists names and values; `docker plugin set` sets them"
_CUT = "was cut at"
"""What the driver says when the engine's time-out ended a `docker logs -f` (protocol.py)."""


def look(settings: PluginSettings, plugin: str, runs: bool) -> Iterator[Check]:
    """Ask the driver. `runs`: it answers the engine's calls, so that its port should answer, too."""
    if settings.metrics_address is None:
        yield note("metrics", "off: no metrics, no status page", setting(plugin, "OTELLOGDRIVER_METRICS_ADDRESS="))
        yield local_codec()
        return
    host, port = settings.metrics_address
    shown = f"{host}:{port}"
    if not port:
        yield skipped("metrics", "on a free port, which the driver's log names: not looked at", "")
        return
    try:
        ready, status = _get(host, port)
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        if isinstance(error, http.client.HTTPException):
            yield failed("metrics", f"what answers at {shown} is not HTTP ({why})", _free(plugin))
        elif runs:
            yield failed(
                "metrics",
                f"{shown}: {why}, although the driver runs; its log (`journalctl -u docker`) says why it cannot listen",
                f"is that an address of this host? {_free(plugin)}",
            )
        else:
            yield skipped("metrics", f"{shown}: {why}: the driver does not run")
        yield local_codec()
        return
    if "codec" not in status:
        yield failed(
            "metrics", f"something else answers at {shown} (`ss -ltnp sport = {port}` says what)", _free(plugin)
        )
        yield local_codec()
        return
    text = f"{shown}, version {status['version']}"
    if not ready:
        yield note("metrics", f"{text}; not ready yet: streams of an earlier run are being picked up", "wait")
    elif status["version"] != __version__:
        yield note("metrics", f"{text}; this is version {__version__}")
    else:
        yield ok("metrics", text)
    yield _codec(status["codec"], status["codec_wanted"], plugin)
    yield from _fares(status)


def _free(plugin: str) -> str:
    return f"free the port, or take another one: {setting(plugin, _OTHER_ADDRESS)}"


def _get(host: str, port: int) -> tuple[bool, dict[str, Any]]:
    """(is it ready, its status; empty if it is not the driver's)."""
    reachable = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    connection = http.client.HTTPConnection(reachable, port, timeout=_TIMEOUT)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        response.read(1 << 20)
        ready = response.status == 200
        connection.request("GET", "/status.json")
        body = connection.getresponse().read(256 << 20)
    finally:
        connection.close()
    try:
        status = json.loads(body)
    except ValueError:
        return ready, {}
    return ready, status if isinstance(status, dict) else {}


def _codec(name: str, wanted: str, plugin: str) -> Check:
    if name == "native":
        return ok("codec", name)
    if wanted == "python":
        return note(
            "codec", "python, as asked for: far more CPU for each line", setting(plugin, "OTELLOGDRIVER_CODEC=")
        )
    return failed(
        "codec",
        "the native codec is missing and Python stands in for it: nothing is lost, but each line costs far more CPU",
        "this build is not complete: make it anew with a C compiler (`make plugin` has one); with "
        "OTELLOGDRIVER_CODEC=require such a driver does not start at all",
    )


def local_codec() -> Check:
    """The codec of this very installation, where no driver can be asked."""
    try:
        import_module("otellogdriver.codec.native")
    except ImportError as error:
        return note("codec", f"here, the native codec cannot be imported ({error})", "build it: `make plugin` does")
    return ok("codec", "native, in this installation")


def _fares(status: dict[str, Any]) -> Iterator[Check]:
    for problem in status["problems"]:
        yield failed(
            "options", problem, "`otellogdriver options` lists names and values; set it with `docker plugin set`"
        )
    for place in status["destinations"]:
        if not place["up"]:
            waits = size(status["totals"]["undelivered"])
            text = f"away for the running driver: {place['label']}: {place['error']}; {waits} wait in the journal"
            yield failed("destination", text, "see below, if it is the same address; containers may have their own")
    totals = status["totals"]
    if totals["full"]:
        yield failed("journal", "full: lines are given up, or containers wait", "see destination and disk")
    lost = ", ".join(f"{lines:,} lines {reason}" for reason, lines in totals["dropped"].items() if lines)
    if lost:
        yield note("losses", f"since the driver's start: {lost}", "docs/OPERATIONS.md, OtellogdriverLosesLines")
    else:
        running, delivered = totals["running"], totals["delivered"]
        yield ok("losses", f"none; {running} containers read, {delivered:,} records delivered")
    for event in status["events"]:
        if _CUT in event["text"]:
            ago = (time.time() - event["time"]) / 60
            text, _, advice = event["text"].partition(": ")
            yield failed("time-out", f"{ago:.0f} min ago {text}", advice)
            return
