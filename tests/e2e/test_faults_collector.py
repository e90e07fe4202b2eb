"""Every fault of a collector at once, on a real engine: no docker command is slower for it, and no line is lost.

For each fault and protocol there is a collector of its own that has it. Under each of them containers are run, looked
at, stopped, killed and removed, among them a hundred that live for milliseconds; with `json-file` the same is done in
between. Then all collectors are mended, and everything has to arrive, or is counted where a collector refused the data
themselves. That the faults are in force together shows, too, that one bad destination does nothing to the others.
"""

from __future__ import annotations

import contextlib
import secrets
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial as partial_of
from pathlib import Path

import pytest

from plugin.private_engine import PrivateEngine
from tests.conftest import missing_means_skip
from tests.engine.collector import Collector
from tests.engine.fault_table import FaultTable, Row
from tests.engine.loopback import NOBODY, wait_for
from tests.engine.numbers import Ledger, at_collector, at_server, printed, until_stopped, with_last_words
from tests.engine.plugin import Plugin
from tests.engine.stopwatch import REFERENCE, Stopwatch
from tests.fakes.behaviour import Behaviour, answer, close, hang, ok, partial, status
from tests.fakes.certificates import make_certificates
from tests.fakes.server_thread import ServerThread
from tests.tools.collector import collector as executable

HTTP, GRPC = "http/protobuf", "grpc"
FIRST, MORE = 300, 20
"""Lines that a container prints at once, and those it prints when it is stopped."""
SHORT = 33
"""Containers that live for milliseconds, all faults together."""


@dataclass
class Fault:
    """One collector with one fault, until it is mended. `refuses`: the data are refused, given up and counted."""

    name: str
    protocol: str
    endpoint: str
    ledger: Ledger
    mend: Callable[[], None]
    refuses: bool = False
    rejects: bool = False
    """The collector has the records, but says that it does not keep all of them."""
    options: dict[str, str] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    """Container id -> lines it printed."""
    dropped: int = 0


def scripted(protocol: str) -> dict[str, Behaviour | None]:
    """What a scripted server does; None: it does not listen."""
    if protocol == GRPC:
        return {
            "gRPC: nobody listens": None,
            "gRPC: never answers": hang(),
            "gRPC: UNAVAILABLE": status("UNAVAILABLE"),
            "gRPC: RESOURCE_EXHAUSTED, RetryInfo": status("RESOURCE_EXHAUSTED", "2"),
            "gRPC: UNAUTHENTICATED": status("UNAUTHENTICATED"),
            "gRPC: PERMISSION_DENIED": status("PERMISSION_DENIED"),
            "gRPC: UNIMPLEMENTED": status("UNIMPLEMENTED"),
            "gRPC: INVALID_ARGUMENT": status("INVALID_ARGUMENT"),
            "gRPC: RESOURCE_EXHAUSTED": status("RESOURCE_EXHAUSTED"),
            "gRPC: partial success": partial(1),
        }
    return {
        "HTTP: nobody listens": None,
        "HTTP: never answers": hang(),
        "HTTP: closes the connection": close(),
        "HTTP: closes within the answer": close(200),
        "HTTP: 429": status(429),
        "HTTP: 429, Retry-After in seconds": status(429, "2"),
        "HTTP: 503, Retry-After as a date": status(503, formatdate(time.time() + 20, usegmt=True)),
        "HTTP: 502": status(502),
        "HTTP: 401": status(401),
        "HTTP: 403": status(403),
        "HTTP: 404": status(404),
        "HTTP: 302": answer(302, location="http://127.0.0.1:9/elsewhere"),
        "HTTP: 400": status(400),
        "HTTP: 413": status(413),
        "HTTP: partial success": partial(1),
    }


REFUSING = ("400", "413", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "partial success")


def scripted_faults(stack: contextlib.ExitStack) -> Iterator[Fault]:
    for protocol in (HTTP, GRPC):
        for name, behaviour in scripted(protocol).items():
            server = stack.enter_context(ServerThread(protocol))
            if behaviour:
                server.server.default = behaviour
            else:
                server.down()
            endpoint, ledger = server.server.endpoint, Ledger(at_server(server))
            made = Fault(name, protocol, endpoint, ledger, partial_of(mend_server, server), name.endswith(REFUSING))
            made.rejects = name.endswith("partial success")
            yield made


def mend_server(server: ServerThread) -> None:
    server.server.default = ok()
    server.up()


def real_faults(stack: contextlib.ExitStack, folder: Path) -> Iterator[Fault]:
    """A real collector that is killed, one that hangs, one with a wrong certificate, one that wants another token."""
    for name in ("right", "wrong"):
        (folder / name).mkdir()
    right, wrong = make_certificates(folder / "right"), make_certificates(folder / "wrong")
    trusting = {"otlp-certificate": right.ca.read_text(), "otlp-server-name": right.name}
    killed = stack.enter_context(Collector(folder / "killed"))
    killed.kill()
    frozen = stack.enter_context(Collector(folder / "frozen"))
    frozen.freeze()
    stack.callback(frozen.thaw)
    secured = Collector(
        folder / "secured", {"tls": {"cert_file": str(wrong.server), "key_file": str(wrong.server_key)}}
    )
    stack.enter_context(secured)
    guarded = Collector(
        folder / "guarded", {"auth": {"authenticator": "bearertokenauth"}}, {"bearertokenauth": {"token": "theirs"}}
    )
    stack.enter_context(guarded)

    def certify() -> None:
        secured.receiver["tls"] = {"cert_file": str(right.server), "key_file": str(right.server_key)}
        secured.restart()

    def admit() -> None:
        guarded.extensions["bearertokenauth"] = {"token": "ours"}
        guarded.restart()

    cases: tuple[tuple[str, Collector, Callable[[], None], dict[str, str]], ...] = (
        ("real collector killed", killed, killed.start, {}),
        ("real collector frozen", frozen, frozen.thaw, {}),
        ("real collector, wrong certificate", secured, certify, trusting),
        ("real collector, wrong token", guarded, admit, {"otlp-headers": "Authorization=Bearer%20ours"}),
    )
    for name, collector, mend, options in cases:
        ledger, scheme = Ledger(at_collector(collector)), "https:" if "certificate" in name else "http:"
        mend = once(mend)
        for protocol, endpoint in ((HTTP, collector.http), (GRPC, collector.grpc)):
            label = f"{'gRPC' if protocol == GRPC else 'HTTP'}: {name}"
            yield Fault(label, protocol, endpoint.replace("http:", scheme), ledger, mend, options=options)


def once(work: Callable[[], None]) -> Callable[[], None]:
    """Two faults share a collector, which is mended once."""
    left = [work]
    return lambda: left.pop()() if left else None


def driver(plugin: Plugin, endpoint: str, protocol: str = HTTP, **more: str) -> list[str]:
    """The words of docker run for our driver."""
    log = {"otlp-endpoint": endpoint, "otlp-protocol": protocol, "otlp-timeout": "2s", "record-uid": "true", **more}
    return [f"--log-driver={plugin.name}", *(f"--log-opt={name}={value}" for name, value in log.items())]


def lives(watch: Stopwatch, under: str, logging: list[str], out: Path, short: int) -> dict[str, int]:
    """Everything one does to containers, timed; container id -> lines it printed."""
    name = f"fault-{secrets.token_hex(4)}"
    names, sent = [name, f"{name}-killed"], {}
    where = ("--detach", f"--volume={out}:/out", *logging)
    try:
        for each in names:
            script = with_last_words(each, FIRST, MORE if each == name else 0)
            said = watch.docker(under, "run", f"--name={each}", *where, "busybox", "sh", "-c", script)
            sent[said.strip()] = FIRST + (MORE if each == name else 0)
        for each in names:
            wait_for(partial_of(printed, out, each), "lines", 30)
        watch.docker(under, "ps")
        watch.docker(under, "inspect", name)
        assert wait_for(partial_of(watch.docker, under, "logs", "--tail=1", name), "docker logs") == f"{FIRST}\n"
        watch.docker(under, "stop", name)
        watch.docker(under, "kill", names[1])
        for each in list(names):
            watch.docker(under, "rm", each)
            names.remove(each)
        for number in range(short):
            identifier = out / f"{name}-{number}.id"
            watch.docker(under, "run", "--rm", f"--cidfile={identifier}", *logging, "busybox", "echo", "1")
            sent[identifier.read_text()] = 1
    finally:
        if names:
            watch.engine.run("rm", "--force", *names)
    return sent


@pytest.mark.measures
@pytest.mark.timeout(400)
def test_every_fault_of_a_collector(
    engine: PrivateEngine, plugin: Plugin, fault_table: FaultTable, tmp_path: Path, out: Path
) -> None:
    with missing_means_skip():
        executable()
    watch = Stopwatch(engine)
    with contextlib.ExitStack() as stack:
        faults = [*scripted_faults(stack), *real_faults(stack, tmp_path)]
        try:
            for number, fault in enumerate(faults):
                short = SHORT * (number + 1) // len(faults) - SHORT * number // len(faults)
                flags = driver(plugin, fault.endpoint, fault.protocol, **fault.options)
                fault.sent = lives(watch, fault.name, flags, out, short)
                if number % 4 == 0:
                    lives(watch, REFERENCE, ["--log-driver=json-file"], out, short)
            for fault in faults:
                if fault.refuses:
                    wait_for(partial_of(nothing_waits, plugin, fault), f"end of {fault.name}", 60)
                    fault.dropped = counted(plugin, "otellogdriver_dropped_lines_total", fault)
                    assert fault.dropped, f"{fault.name}: nothing counted"
                else:
                    received = sum(fault.ledger.received(container) for container in fault.sent)
                    assert received == 0, f"{fault.name}: the fault was not in force"
            for fault in faults:
                fault.mend()
            for fault in faults:
                settle(plugin, fault)
        finally:
            for fault in faults:
                fault.mend()
    for fault in faults:
        sent = sum(fault.sent.values())
        received = sum(fault.ledger.received(container) for container in fault.sent)
        twice = sum(fault.ledger.duplicated[container] for container in fault.sent)
        if fault.rejects:
            received -= fault.dropped
        note = "refused, counted" if fault.refuses else ""
        fault_table.add(Row(fault.name, sent, received, twice, fault.dropped, watch.slowest(fault.name), note))
    for command, (ours, theirs) in watch.medians().items():
        fault_table.notes.append(f"docker {command}: median {ours:.3f} s, with json-file {theirs:.3f} s")
    watch.check()


def settle(plugin: Plugin, fault: Fault) -> None:
    """Wait until everything has arrived that was not given up."""
    if fault.rejects or not fault.refuses:
        try:
            fault.ledger.wait(fault.sent, 60)
        except TimeoutError as error:
            said = [line for line in plugin.log() if fault.endpoint in line]
            raise TimeoutError(f"{fault.name}: {error}; the driver said {said[-5:]}") from None
        for container in fault.sent:
            fault.ledger.check(container)
    assert counted(plugin, "otellogdriver_dropped_lines_total", fault) == fault.dropped, fault.name


def counted(plugin: Plugin, metric: str, fault: Fault) -> int:
    """A metric of all containers of a fault."""
    lines = [line for line in plugin.metrics().splitlines() if line.startswith(f"{metric}{{")]
    found = [line for line in lines if any(f'container_id="{container}"' in line for container in fault.sent)]
    return int(sum(float(line.rsplit(" ", 1)[1]) for line in found))


def nothing_waits(plugin: Plugin, fault: Fault) -> bool:
    return counted(plugin, "otellogdriver_undelivered_bytes", fault) == 0


@pytest.mark.measures
@pytest.mark.parametrize("protocol", (HTTP, GRPC))
def test_delivery_is_back_a_second_after_the_collector(
    engine: PrivateEngine, plugin: Plugin, collector: Collector, fault_table: FaultTable, protocol: str, out: Path
) -> None:
    """Killed and frozen in turn under a container that prints all the while."""
    ledger, name = Ledger(at_collector(collector)), f"outages-{protocol[:4]}"
    endpoint = collector.grpc if protocol == GRPC else collector.http
    flags = driver(plugin, endpoint, protocol)
    run = ("run", "--detach", f"--name={name}", f"--volume={out}:/out", *flags, "busybox", "sh", "-c")
    container = engine.docker(*run, until_stopped(name)).strip()
    pauses = []
    try:
        wait_for(lambda: ledger.received(container), "first lines", 20)
        for interrupt, resume in (
            (collector.kill, collector.start),
            (collector.freeze, collector.thaw),
            (collector.stop, collector.start),
        ):
            interrupt()
            printed_before = printed(out, name)
            wait_for(partial_of(more_than, partial_of(printed, out, name), printed_before + 2000), "lines", 60)
            resume()
            began, before = time.monotonic(), ledger.received(container)
            wait_for(partial_of(more_than, partial_of(ledger.received, container), before), "delivery", 20, 0.02)
            pauses.append(time.monotonic() - began)
        engine.docker("stop", name)
        ledger.wait({container: printed(out, name)})
    finally:
        engine.docker("rm", "--force", name)
    row = Row(
        f"{'gRPC' if protocol == GRPC else 'HTTP'}: real collector killed, frozen, restarted under load",
        printed(out, name),
        ledger.received(container),
        ledger.duplicated[container],
        note="delivery back after " + ", ".join(f"{pause:.2f} s" for pause in pauses),
    )
    fault_table.add(row)
    # A request to a frozen collector is answered by the thawed one, or given up after its two seconds.
    assert max(pauses) < 1.0 + 1.0, pauses


def more_than(look: Callable[[], int], count: int) -> bool:
    return look() > count


@pytest.mark.measures
def test_dead_destinations_do_not_delay_another(
    engine: PrivateEngine, plugin: Plugin, fault_table: FaultTable, out: Path
) -> None:
    """How late a container's lines are, alone and next to containers at full speed whose collectors are dead."""
    with ServerThread() as alive, ServerThread() as hanging:
        hanging.server.default = hang()
        ledger = Ledger(at_server(alive))
        places = [NOBODY, hanging.server.endpoint]
        flags = [driver(plugin, endpoint) for endpoint in (alive.server.endpoint, *places)]
        names = ["healthy", "to-nowhere", "to-hanging"]
        run = ("run", "--detach", f"--volume={out}:/out")
        try:
            script = until_stopped("healthy", burst=1, pause=0.05)
            container = engine.docker(*run, "--name=healthy", *flags[0], "busybox", "sh", "-c", script).strip()
            alive.reach(records=60, within=60)
            before = len(alive.server.requests)
            for name, away in zip(names[1:], flags[1:], strict=True):
                engine.docker(*run, f"--name={name}", *away, "busybox", "sh", "-c", "seq 1 500000; exec sleep 1000")
            alive.reach(records=180, within=60)
            engine.docker("stop", "healthy")
            ledger.wait({container: printed(out, "healthy")})
        finally:
            engine.run("rm", "--force", *names)
            hanging.server.default = ok()
        hanging.reach(records=500_000, within=60)  # or it would go to whoever has this port next
        alone, beside = lateness(alive, 0, before), lateness(alive, before)
    note = f"median lateness {beside:.2f} s, alone {alone:.2f} s"
    sent = printed(out, "healthy")
    twice = ledger.duplicated[container]
    fault_table.add(Row("two of three destinations are dead", sent, ledger.received(container), twice, note=note))
    assert beside <= 1.5 * alone + 0.2


def lateness(server: ServerThread, begin: int, end: int | None = None) -> float:
    """Median of the seconds from a line's time to its arrival, over requests of a server."""
    since_epoch = time.time() - time.monotonic()
    requests = server.server.requests
    chosen = range(begin, len(requests) if end is None else end)
    return statistics.median(
        since_epoch + requests[record.request].at - record.time / 1e9
        for record in server.server.records()
        if record.request in chosen
    )
