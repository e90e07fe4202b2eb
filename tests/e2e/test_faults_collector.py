"""Every fault of a collector at once, on a real engine: no docker command is slower for it, and no line is lost.

For each fault and protocol there is a collector of its own that has it. Under all of them at the same time containers
are run, looked at, stopped, killed and removed, and the same is done with `json-file` in between. Then the collectors
are mended, and everything has to arrive, or is counted where the collector refused the data themselves. That the faults
are in force together shows, too, that one bad destination does nothing to the others.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial as partial_of

import pytest

from plugin.private_engine import PrivateEngine
from tests.engine.collector import Collector
from tests.engine.fault_table import FaultTable, Row
from tests.engine.loopback import wait_for
from tests.engine.numbers import Ledger, at_collector, at_server
from tests.engine.plugin import Plugin
from tests.engine.stopwatch import REFERENCE, Stopwatch
from tests.fakes.behaviour import Behaviour, answer, close, hang, ok, partial, status
from tests.fakes.server_thread import ServerThread

HTTP, GRPC = "http/protobuf", "grpc"
FIRST, MORE = 300, 20
"""Lines that a container prints at once, and those it prints when it is stopped."""
SCRIPT = f"trap 'seq {FIRST + 1} {FIRST + MORE}; exit' TERM; seq 1 {FIRST}; while :; do sleep 1000 & wait; done"


@dataclass
class Fault:
    """One collector with one fault. `behaviour` None: it does not listen. `refuses`: the data's fault, given up."""

    name: str
    protocol: str
    behaviour: Behaviour | None
    refuses: bool = False
    server: ServerThread = field(init=False)
    ledger: Ledger = field(init=False)
    container: str = ""

    def begin(self, stack: contextlib.ExitStack) -> None:
        self.server = stack.enter_context(ServerThread(self.protocol))
        self.ledger = Ledger(at_server(self.server))
        if self.behaviour is None:
            self.server.down()
        else:
            self.server.server.default = self.behaviour

    def mend(self) -> None:
        self.server.server.default = ok()
        if self.behaviour is None:
            self.server.up()


def faults() -> list[Fault]:
    soon = formatdate(time.time() + 3, usegmt=True)
    return [
        Fault("HTTP: nobody listens", HTTP, None),
        Fault("HTTP: never answers", HTTP, hang()),
        Fault("HTTP: closes the connection", HTTP, close()),
        Fault("HTTP: closes within the answer", HTTP, close(200)),
        Fault("HTTP: 429", HTTP, status(429)),
        Fault("HTTP: 429, Retry-After in seconds", HTTP, status(429, "2")),
        Fault("HTTP: 503, Retry-After as a date", HTTP, status(503, soon)),
        Fault("HTTP: 502", HTTP, status(502)),
        Fault("HTTP: 401", HTTP, status(401)),
        Fault("HTTP: 404", HTTP, status(404)),
        Fault("HTTP: 302", HTTP, answer(302, location="http://127.0.0.1:9/elsewhere")),
        Fault("HTTP: 400", HTTP, status(400), refuses=True),
        Fault("HTTP: 413", HTTP, status(413), refuses=True),
        Fault("HTTP: 3 of a request rejected", HTTP, partial(3), refuses=True),
        Fault("gRPC: nobody listens", GRPC, None),
        Fault("gRPC: never answers", GRPC, hang()),
        Fault("gRPC: UNAVAILABLE", GRPC, status("UNAVAILABLE")),
        Fault("gRPC: RESOURCE_EXHAUSTED, RetryInfo", GRPC, status("RESOURCE_EXHAUSTED", "2")),
        Fault("gRPC: UNAUTHENTICATED", GRPC, status("UNAUTHENTICATED")),
        Fault("gRPC: UNIMPLEMENTED", GRPC, status("UNIMPLEMENTED")),
        Fault("gRPC: INVALID_ARGUMENT", GRPC, status("INVALID_ARGUMENT"), refuses=True),
        Fault("gRPC: RESOURCE_EXHAUSTED", GRPC, status("RESOURCE_EXHAUSTED"), refuses=True),
    ]


@pytest.fixture
def broken() -> Iterator[list[Fault]]:
    with contextlib.ExitStack() as stack:
        made = faults()
        for fault in made:
            fault.begin(stack)
        yield made


def options(plugin: Plugin, endpoint: str, protocol: str) -> list[str]:
    log = {"otlp-endpoint": endpoint, "otlp-protocol": protocol, "otlp-timeout": "2s", "record-uid": "true"}
    return [f"--log-driver={plugin.name}", *(f"--log-opt={name}={value}" for name, value in log.items())]


def test_faults_of_collectors(
    engine: PrivateEngine, plugin: Plugin, fault_table: FaultTable, broken: list[Fault]
) -> None:
    watch = Stopwatch(engine)
    names: list[str] = []

    def life(under: str, name: str, driver: list[str]) -> str:
        """Start a container that goes on, and everything one does to another; the id of the first."""
        names.append(name)
        identifier = watch.docker(under, "run", "--detach", f"--name={name}", *driver, "busybox", "sh", "-c", SCRIPT)
        watch.docker(under, "ps")
        watch.docker(under, "inspect", name)
        other = f"{name}-other"
        names.append(other)
        watch.docker(under, "create", f"--name={other}", *driver, "busybox", "sh", "-c", "seq 1 3; sleep 1000")
        watch.docker(under, "start", other)
        watch.docker(under, "kill", other)
        watch.docker(under, "rm", other)
        names.remove(other)
        return identifier.strip()

    try:
        for number, fault in enumerate(broken):
            fault.container = life(
                fault.name, f"fault-{number}", options(plugin, fault.server.server.endpoint, fault.protocol)
            )
            if number % 4 == 0:
                life(REFERENCE, f"plain-{number}", ["--log-driver=json-file"])
        for number, fault in enumerate(broken):
            wait_for(partial_of(has_printed, engine, f"fault-{number}"), "lines", 20)
            watch.docker(fault.name, "stop", f"fault-{number}")
            if number % 4 == 0:
                watch.docker(REFERENCE, "stop", f"plain-{number}")
        refusing = [fault for fault in broken if fault.refuses]
        for fault in refusing:
            wait_for(partial_of(settled, plugin, fault), f"end of {fault.name}", 60)
        for fault in broken:
            fault.mend()
        for fault in broken:
            sent = FIRST + MORE
            dropped = int(plugin.metric("otellogdriver_dropped_lines_total", container_id=fault.container))
            fault.ledger.wait({fault.container: sent - dropped})
            fault.ledger.check(fault.container)
            note = "refused, counted" if fault.refuses else ""
            received = fault.ledger.received(fault.container)
            if fault.behaviour and fault.behaviour.do == "partial":
                received -= dropped  # the collector has them, but says that it does not keep them
            twice = fault.ledger.duplicated[fault.container]
            fault_table.add(Row(fault.name, sent, received, twice, dropped, watch.slowest(fault.name), note))
            assert bool(dropped) == fault.refuses, fault.name
    finally:
        for fault in broken:
            fault.mend()
        if names:
            engine.docker("rm", "--force", *names)
    watch.check()


def has_printed(engine: PrivateEngine, name: str) -> bool:
    return engine.docker("logs", "--tail=1", name) == f"{FIRST}\n"


def more(ledger: Ledger, container: str, before: int) -> bool:
    return ledger.received(container) > before


def settled(plugin: Plugin, fault: Fault) -> bool:
    return plugin.metric("otellogdriver_undelivered_bytes", container_id=fault.container) == 0


def test_a_real_collector_that_is_frozen_killed_and_started_again(
    engine: PrivateEngine, plugin: Plugin, collector: Collector, fault_table: FaultTable
) -> None:
    """Lines that come all the while; each time the collector is back, delivery goes on within a second."""
    ledger = Ledger(at_collector(collector))
    driver = options(plugin, collector.http, HTTP)
    script = (
        "trap 'exit' TERM; i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; sleep 0.005; done; sleep 1000 & wait"
    )
    identifier = engine.docker("run", "--detach", "--name=outages", *driver, "busybox", "sh", "-c", script).strip()
    pauses = []
    try:
        wait_for(lambda: ledger.received(identifier), "first lines", 20)
        for interrupt, resume in ((collector.kill, collector.start), (collector.freeze, collector.thaw)) * 2:
            interrupt()
            time.sleep(2.5)
            before = ledger.received(identifier)
            resume()
            began = time.monotonic()
            wait_for(partial_of(more, ledger, identifier, before), "delivery after the return", 20)
            pauses.append(time.monotonic() - began)
        ledger.wait({identifier: 3000})
    finally:
        engine.docker("rm", "--force", "outages")
    note = f"delivery after the return within {max(pauses):.2f} s"
    received = ledger.received(identifier)
    fault_table.add(Row("real collector killed, frozen", 3000, received, ledger.duplicated[identifier], note=note))
    assert max(pauses) < 2.0, pauses


def test_a_dead_destination_does_not_delay_another(
    engine: PrivateEngine, plugin: Plugin, collector: Collector, fault_table: FaultTable
) -> None:
    ledger = Ledger(at_collector(collector))
    dead = options(plugin, "http://127.0.0.1:9", HTTP)
    engine.docker(
        "run", "--detach", "--name=to-nowhere", *dead, "busybox", "sh", "-c", "yes 1 | head -n 2000000; sleep 99"
    )
    try:
        began = time.monotonic()
        well = options(plugin, collector.http, HTTP)
        identifier = engine.docker(
            "run", "--detach", "--name=to-collector", *well, "busybox", "seq", "1", "1000"
        ).strip()
        ledger.wait({identifier: 1000}, 20)
        seconds = time.monotonic() - began
    finally:
        engine.docker("rm", "--force", "to-nowhere", "to-collector")
    note = f"all there {seconds:.1f} s after docker run"
    fault_table.add(Row("another destination is dead", 1000, ledger.received(identifier), note=note))
    assert seconds < 10
