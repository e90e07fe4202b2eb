"""The command: ask about each thing in turn, print what was seen, give advice, and an exit code.

Where a plugin is installed its own variables count, and files are looked for where it sees them; without one, the
environment of this process. Flags are log-opts, which win over both, as a container's would.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from otellogdriver import __version__
from otellogdriver.commands import destination_flags
from otellogdriver.commands.doctor import collector, driver, engine, host, time_out
from otellogdriver.commands.doctor.check import Check, failed, note, skipped
from otellogdriver.commands.engine_api import EngineApi
from otellogdriver.commands.installation import NAME, Installation
from otellogdriver.delivery.pumps import destinations
from otellogdriver.errors import OptionError
from otellogdriver.resource import this_host
from otellogdriver.settings.doubts import doubts
from otellogdriver.settings.options import PluginSettings, Settings, plugin_settings, problems, resolve

FOLLOW = 32.0
"""Seconds of --follow: a little more than the engine's usual time-out."""
_MARKS = {"ok": "ok  ", "note": "note", "failed": "FAIL", "skipped": "skip"}
_COLOURS = {"ok": "32", "note": "33", "failed": "31;1", "skipped": "2"}
_WIDTH = 15

_HELP = """\
Find out what is wrong, and what to do about it: the engine, the plugin, its directories and disk, the driver's own
word, and the way to the collector, with one test record (service otellogdriver-doctor) at its end.

    otellogdriver doctor                                  the plugin as it is set up
    otellogdriver doctor --container web                  with the log-opts of that container
    otellogdriver doctor --otlp-endpoint https://collector.example:4318 --otlp-headers-file /certs/token
                                                          would this destination work?
    otellogdriver doctor --follow                         does the engine cut `docker logs -f`? (half a minute)
    otellogdriver doctor --json | jq '.checks[] | select(.state == "failed")'

Run it as root on the engine's machine. Exit code 0: nothing failed; 1: something did; 2: wrong usage.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options on a (sub)parser."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _HELP
    add = parser.add_argument
    add("--plugin", default=NAME, metavar="NAME", help=f"the plugin's name in the engine ({NAME})")
    add("--container", default="", metavar="NAME", help="use the log-opts of this container")
    add("--no-record", action="store_true", help="test the connection only, send no test record")
    add(
        "--follow",
        nargs="?",
        type=float,
        const=FOLLOW,
        default=0.0,
        metavar="S",
        help=f"follow a container's log for S ({FOLLOW:g}) seconds, to see whether the engine cuts it",
    )
    add("--json", action="store_true", help="one JSON object: {ok, version, checks: [{name, state, text, advice}]}")
    destination_flags.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Look, print, and return the exit code."""
    logging.getLogger("otellogdriver").addHandler(logging.NullHandler())
    flags = destination_flags.log_opts(arguments)
    try:
        resolve(flags, {})
    except OptionError as error:
        print(f"otellogdriver doctor: {error}", file=sys.stderr)
        return 2
    checks = asyncio.run(_look(arguments, flags))
    bad = sum(check.state == "failed" for check in checks)
    if arguments.json:
        told = [{key: value for key, value in asdict(check).items() if value} for check in checks]
        print(json.dumps({"ok": not bad, "version": __version__, "checks": told}, indent=2))
    else:
        print(f"\n{bad} of {len(checks)} checks failed" if bad else f"\nnothing failed ({len(checks)} checks)")
    return 1 if bad else 0


async def _look(arguments: argparse.Namespace, flags: Mapping[str, str]) -> list[Check]:
    checks: list[Check] = []
    async for check in _checks(arguments, flags):
        checks.append(check)
        if not arguments.json:
            _print(check)
    return checks


async def _checks(arguments: argparse.Namespace, flags: Mapping[str, str]) -> AsyncIterator[Check]:
    api = EngineApi()
    own_socket = plugin_settings(os.environ)[0].socket
    found = engine.look(api, arguments.plugin, arguments.container, own_socket, bool(arguments.follow))
    for check in found.checks:
        yield check
    runs = any(check.name == "plugin" and check.state == "ok" for check in found.checks)
    if arguments.follow and runs:
        yield time_out.look(api, arguments.plugin, arguments.container, arguments.follow)
    installed = found.installation
    environ = installed.environ if installed else os.environ
    answered = False
    for check in _local(api, installed, plugin_settings(environ)[0], arguments.plugin, runs):
        answered = answered or check.name == "losses"
        yield check
    if not answered:
        for problem in problems(environ):
            yield failed("options", problem, driver.OPTIONS)
    for doubt in doubts(environ):
        yield note("options", doubt, driver.OPTIONS)
    if own := {**(found.log_opts or {}), **flags}:
        for doubt in doubts(environ, own):
            yield note("options", doubt, "the container works, but make it anew with what is meant")
    wrong = {problem.partition(":")[0] for problem in problems(environ)}  # which has been said
    usable = {name: value for name, value in environ.items() if name not in wrong}
    try:
        settings = resolve({**(found.log_opts or {}), **flags}, usable)
    except OptionError as error:
        if found.log_opts:
            yield failed("options", str(error), "the container cannot start like this: make it anew")
        settings = resolve(flags, {})
    settings, checks = _on_host(settings, installed if api.local else None)
    for check in checks:
        yield check
    for _, destination in destinations(settings):
        for endpoint in destination.endpoints:
            async for check in collector.look(destination, endpoint, this_host(environ).name, not arguments.no_record):
                yield check


def _local(
    api: EngineApi, installed: Installation | None, plugin: PluginSettings, name: str, runs: bool
) -> Iterator[Check]:
    """What is looked at on the machine of the driver, and what the driver says."""
    if installed and not api.local:
        yield skipped("state directory", f"on the machine of {api.host}", "run this there")
        return
    if installed:
        fifos = installed.on_host(plugin.fifo_directory)
        yield from host.directories(plugin, fifos, installed.state_directory, name)
    elif runs or Path(plugin.state_directory).exists():
        yield from host.directories(plugin, Path(plugin.fifo_directory), Path(plugin.state_directory), name)
    yield from driver.look(plugin, name, runs)


def _on_host(settings: Settings, installed: Installation | None) -> tuple[Settings, list[Check]]:
    """The settings with the host's paths of the files that options name as the plugin sees them."""
    if installed is None:
        return settings, []
    settings, unseen = installed.settings_on_host(settings)
    sees = " and ".join(f"{source} (there {inside})" for inside, source in installed.mounts if inside == "/certs")
    return settings, [
        failed(
            "destination",
            f"{name.replace('_', '-')}: {getattr(settings, name)} is on the host, but the plugin does not see it",
            f"the plugin sees {sees or 'only its own files'}: put the file there, or give the text itself",
        )
        for name in unseen
    ]


def _print(check: Check) -> None:
    mark = _MARKS[check.state]
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        mark = f"\x1b[{_COLOURS[check.state]}m{mark}\x1b[0m"
    print(f"{mark}  {check.name:<{_WIDTH}}  {check.text}", flush=True)
    if check.advice:
        print(f"{'':<{_WIDTH + 8}}-> {check.advice}", flush=True)
