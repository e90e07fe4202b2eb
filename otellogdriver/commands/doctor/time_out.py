"""The engine's time-out for calls to the plugin: does it cut `docker logs -f`?

An engine tells nobody which one a plugin was enabled with. It is 30 s with a bare `docker plugin enable`, none after
`docker plugin install` or a restart of the engine; and each container keeps the one that held when it was started. So
there is a guess, from what the engine remembers, and a look, which takes as long as the time-out.
"""

from __future__ import annotations

import http.client
import json
import re
import struct
import time

from otellogdriver.commands.doctor.check import ENABLE, Check, failed, note, ok, skipped
from otellogdriver.commands.engine_api import EngineApi, EngineError, container_path, tagged
from otellogdriver.commands.installation import Installation

NAME = "time-out"
EVENTS_KEPT = 256
"""Events that an engine remembers."""
_CUT = ("Client.Timeout", "request canceled", "deadline exceeded")
"""How an engine words that its time-out has passed."""
_SYSTEM_ERROR = 3
"""Stream of the engine's own complaints among those of `GET /containers/ID/logs`."""


def guess(engine: EngineApi, installed: Installation, name: str) -> Check:
    """Whether the plugin was enabled since the engine's start. Raises EngineError."""
    events = [json.loads(line) for line in _events(engine).splitlines() if line.strip()]
    enabled = [
        event
        for event in events
        if event.get("Type") == "plugin"
        and event.get("Action") == "enable"
        and event.get("Actor", {}).get("ID") == installed.id
    ]
    if not enabled and len(events) < EVENTS_KEPT:
        return ok(NAME, "none: the plugin is enabled since the engine's start")
    return note(
        NAME,
        "not known: enabled without `--timeout 0`, the engine cuts `docker logs -f` after 30 s, and does not tell",
        f"find out with `otellogdriver doctor --follow`, which takes half a minute; mend it: {_for_good(name)}",
    )


def _events(engine: EngineApi) -> str:
    """The events that the engine remembers, a JSON object a line."""
    with engine.stream("/events", since="0", until=f"{time.time():.0f}") as (response, _):
        return response.read(16 << 20).decode("utf-8", "replace")


def _for_good(name: str) -> str:
    return (
        f"`docker plugin disable -f {name}`, then `{ENABLE} {name}`; containers that run keep the time-out that they "
        "were started with until they, or the engine, are restarted"
    )


def look(engine: EngineApi, name: str, container: str, seconds: float) -> Check:
    """Follow a container's log as `docker logs -f` does, for so long, and see who ends it."""
    try:
        container = container or _running(engine, name)
        if not container:
            return skipped(NAME, f"no running container uses {name}", "start one, then --follow")
        began = time.monotonic()
        complaint = _followed(engine, container, seconds)
    except (EngineError, OSError, http.client.HTTPException) as error:
        return failed(NAME, f"following {container} failed: {error}", "`docker logs` may say more")
    lasted = time.monotonic() - began
    if any(words in complaint for words in _CUT):
        return failed(
            NAME,
            f"the engine cut `docker logs -f` of {container} after {lasted:.0f} s, the time-out that held at its start",
            _for_good(name),
        )
    if complaint:
        return failed(NAME, f"`docker logs -f` ended after {lasted:.0f} s: {complaint}", "`journalctl -u docker`")
    if lasted < seconds - 1:
        return skipped(NAME, f"{container} ended after {lasted:.0f} s", "give one that runs: --container NAME")
    return ok(NAME, f"`docker logs -f` of {container} went on for {seconds:.0f} s")


def _running(engine: EngineApi, name: str) -> str:
    """A running container that uses the plugin, or nothing."""
    for listed in engine.get("/containers/json"):
        try:
            told = engine.get(container_path(listed["Id"], "json"))
        except EngineError:  # it has just gone
            continue
        if tagged(told["HostConfig"]["LogConfig"]["Type"]) == tagged(name):
            return str(told["Name"]).lstrip("/")
    return ""


def _followed(engine: EngineApi, container: str, seconds: float) -> str:
    """What the engine complained of before the end of the stream or of the time; nothing if all was well."""
    terminal = engine.get(container_path(container, "json"))["Config"]["Tty"]
    deadline = time.monotonic() + seconds
    head, left, kind, complaint = b"", 0, 0, b""
    query = {"follow": "1", "stdout": "1", "stderr": "1", "tail": "0"}
    with engine.stream(container_path(container, "logs"), **query) as (response, taken):
        while (wait := deadline - time.monotonic()) > 0:
            taken.settimeout(wait)
            try:
                data = response.read1(65536)
            except TimeoutError:
                break
            if not data:
                break
            if terminal:  # without headers, so a complaint stands among the lines
                complaint = (complaint + data)[-4096:]
                continue
            while data:
                if not left:
                    need = 8 - len(head)
                    head, data = head + data[:need], data[need:]
                    if len(head) == 8:
                        (kind, left), head = struct.unpack(">BxxxI", head), b""
                    continue
                if kind == _SYSTEM_ERROR:
                    complaint = (complaint + data[:left])[-4096:]
                left, data = left - min(left, len(data)), data[left:]
    text = complaint.decode("utf-8", "replace")
    if terminal:
        found = re.search(r"Error grabbing logs: .*", text)
        return found[0].strip() if found else ""
    return text.strip()
