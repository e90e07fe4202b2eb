"""What a soak happens to: an engine with the plugin, collectors of several kinds, containers that print all the time.

Each destination has one container that prints from the beginning to the end, and others come and go. One destination is
away all the time and comes back at the end: an outage as long as the run.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from time import time

from plugin.private_engine import PrivateEngine
from tests.engine.collector import Collector
from tests.engine.fault_table import FaultTable
from tests.engine.loopback import wait_for
from tests.engine.numbers import Ledger, at_collector, at_server, printed, until_stopped
from tests.engine.plugin import Plugin
from tests.engine.stopwatch import Stopwatch
from tests.fakes.behaviour import answer, close, hang, ok, status
from tests.fakes.server_thread import ServerThread

HTTP, GRPC = "http/protobuf", "grpc"


@dataclass
class Destination:
    """A collector as containers reach it. `ail` gives it a random fault and says which, `mend` takes it away."""

    name: str
    protocol: str
    endpoint: str
    ledger: Ledger
    ail: Callable[[random.Random], str]
    mend: Callable[[], None]
    sent: dict[str, int] = field(default_factory=dict)
    """Container id -> lines it printed, of containers that have ended."""

    def options(self) -> dict[str, str]:
        return {
            "otlp-endpoint": self.endpoint,
            "otlp-protocol": self.protocol,
            "otlp-timeout": "2s",
            "record-uid": "true",
        }


@dataclass
class Scenery:
    """Everything there is. Containers see `out` as /out."""

    engine: PrivateEngine
    plugin: Plugin
    out: Path
    destinations: list[Destination]
    away: Destination
    watch: Stopwatch
    table: FaultTable = field(default_factory=FaultTable)
    steady: dict[str, tuple[str, Destination]] = field(default_factory=dict)
    """Name -> (container id, destination) of those that print all the time."""

    def run(self, name: str, script: str, to: Destination | None) -> str:
        """Start a container that logs to a destination, or with json-file; its id."""
        flags = [f"--log-driver={self.plugin.name}"] if to else ["--log-driver=json-file"]
        flags += [f"--log-opt={option}={value}" for option, value in to.options().items()] if to else []
        where = ("--detach", f"--name={name}", f"--volume={self.out}:/out")
        return self.docker(to, "run", *where, *flags, "busybox", "sh", "-c", script).strip().splitlines()[-1]

    def docker(self, to: Destination | None, *args: str) -> str:
        return self.watch.docker("ours" if to else "json-file", *args)

    def start(self) -> None:
        """Start the containers that print all the time."""
        for number, destination in enumerate([*self.destinations, self.away]):
            name = f"steady-{number}"
            self.steady[name] = (self.run(name, until_stopped(name, 5, 0.04), destination), destination)
        self.progress()

    def progress(self) -> None:
        """Wait until each of them has printed something new."""
        before = {name: printed(self.out, name) for name in self.steady}
        wait_for(
            lambda: all(printed(self.out, name) > count for name, count in before.items()),
            "lines of all containers",
            90,
        )

    def quiet(self) -> None:
        """Let them print nothing for the time being, and wait until all they printed is out of the engine's hands."""
        (self.out / "quiet").touch()
        before: list[int] = []
        while before != (now := self.on_the_way()):
            before = now

    def on_the_way(self) -> list[int]:
        """What containers say they printed and the driver has read, half a second from now."""
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: False, "", 0.5)
        read = int(self.plugin.metric("otellogdriver_driver_read_bytes_total"))
        return [read, *(printed(self.out, name) for name in self.steady)]

    def loud(self) -> None:
        (self.out / "quiet").unlink()
        self.progress()

    def finish(self) -> None:
        """Stop all containers, have everything delivered and put it into the table."""
        for destination in [*self.destinations, self.away]:
            destination.mend()
        for name, (container, destination) in self.steady.items():
            self.docker(destination, "stop", name)
            destination.sent[container] = printed(self.out, name)
        for destination in [*self.destinations, self.away]:
            destination.ledger.wait(destination.sent, 300)
            for container in destination.sent:
                destination.ledger.check(container)


def collectors(stack: contextlib.ExitStack, folder: Path) -> tuple[list[Destination], Destination]:
    """(destinations that ail now and then, the one that is away all the time)."""
    made: list[Destination] = []
    real = stack.enter_context(Collector(folder / "collector"))
    stack.callback(real.kill)
    ledger = Ledger(at_collector(real), ordered=False)

    def hurt(chance: random.Random) -> str:
        how, what = chance.choice(((real.kill, "killed"), (real.freeze, "frozen"), (real.stop, "stopped")))
        if real.process:
            how()
        return f"real collector {what}"

    def heal() -> None:
        if real.process:
            real.thaw()
        else:
            real.start()

    made.append(Destination("real collector, HTTP", HTTP, real.http, ledger, hurt, heal))
    made.append(Destination("real collector, gRPC", GRPC, real.grpc, ledger, hurt, heal))
    for protocol in (HTTP, GRPC):
        server = stack.enter_context(ServerThread(protocol))
        made.append(scripted(server, "scripted server, " + ("gRPC" if protocol == GRPC else "HTTP")))
    server = stack.enter_context(ServerThread())
    away = scripted(server, "a collector that is away from the beginning to the end")
    server.down()
    return made, away


def scripted(server: ServerThread, name: str) -> Destination:
    def ail(chance: random.Random) -> str:
        soon = formatdate(time() + 2, usegmt=True)
        http = [status(429), status(503, "1"), status(503, soon), status(502), status(401), status(404), close(200)]
        http += [answer(302, location="http://127.0.0.1:9/")]
        names = ("UNAVAILABLE", "UNAUTHENTICATED", "UNIMPLEMENTED", "ABORTED")
        grpc = [*(status(name) for name in names), status("RESOURCE_EXHAUSTED", "1")]
        shapes = [None, hang(), close(), *(http if server.server.protocol == HTTP else grpc)]
        shape = chance.choice(shapes)
        if shape is None:
            server.down()
            return "connections refused"
        server.server.default = shape
        return f"{shape.do} {shape.status or ''}".strip()

    def mend() -> None:
        server.server.default = ok()
        server.up()

    settings = server.server
    return Destination(name, settings.protocol, settings.endpoint, Ledger(at_server(server), ordered=False), ail, mend)
