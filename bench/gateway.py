"""How many hosts one gateway takes: simulated hosts send real OTLP in growing numbers until it does not keep up.

    python -m bench.gateway                                     an OpenTelemetry Collector on this machine
    python -m bench.gateway --own stores                        one that hands on to a VictoriaLogs on this machine
    python -m bench.gateway --own victorialogs                  VictoriaLogs itself
    python -m bench.gateway --endpoint http://gateway:4318      a gateway that runs elsewhere
    python -m bench.gateway --lines 1000 --protocol grpc        each host prints 1,000 lines a second

Each host sends what a driver would: a request for each batch delay's worth of lines, by the driver's own client, at
most as many at a time as a driver has in flight. The load is open-loop: requests have their times before anything is
sent, whatever the gateway does, and an answer counts from that time on. A closed loop would send less to a gateway that
becomes slow, and so never see it. With numbers that double, and then closing in, it finds the step between a load that
is taken and one that is not.

Where the gateway runs on this machine, both share its processors: elsewhere it takes more. When it is the sender that
has no processor left, or when others take them, the table says so, and the last line is no finding about the gateway.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.processes import TICK, cpu, resident
from bench.simulated import lines
from otellogdriver.export.client import client_for, prepare
from otellogdriver.export.destination import GRPC, HTTP, Destination
from otellogdriver.export.outcome import Client, Delivered
from tests.engine.collector import Collector
from tests.engine.gateway import Gateway
from tests.engine.victorialogs import VictoriaLogs
from tests.tools.golang import ToolError

IN_FLIGHT = 4
"""Requests of one host at a time, as `otlp-concurrency`."""
DELAY = 0.2
"""Seconds between two requests of a host, as `batch-delay`."""
KEPT_UP = 0.98
"""Share of the requests that must be answered while the load lasts."""
SLOWEST = 1.0
"""Seconds that all but one in a hundred answers may take."""
SENDER_MOST = 0.9
"""Share of one processor that the sender, a single process, may use before it is the bottleneck."""
OTHERS_MOST = 0.2
"""Processors that other programs of this machine may use."""
CLOSE = 1.15
"""Two numbers of hosts that are this near each other are told apart no further."""


@dataclass(frozen=True, slots=True)
class Load:
    """`rate` lines a second by each host, each `length` bytes long, for `seconds`."""

    rate: int
    length: int
    seconds: float

    @property
    def lines_each(self) -> int:
        """Lines in a request."""
        return max(1, round(self.rate * DELAY))


@dataclass(slots=True)
class Step:
    """What came of one number of hosts. Times in seconds, from the moment that a request was due."""

    hosts: int
    due: int
    lines_each: int
    body: int
    """Bytes of a request on the network."""
    answers: list[float] = field(default_factory=list)
    in_time: int = 0
    """Answers that came before the load ended (or just after their request was due)."""
    failed: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    sender: float = 0.0
    gateway: float = 0.0
    others: float = 0.0
    memory: float = 0.0

    @property
    def kept_up(self) -> bool:
        return self.in_time >= KEPT_UP * self.due and self.slow(99) <= SLOWEST

    @property
    def sender_bound(self) -> bool:
        return self.sender > SENDER_MOST

    def slow(self, percent: int) -> float:
        """The time within which so many percent of the answers came."""
        if len(self.answers) < 2:
            return self.answers[0] if self.answers else float("inf")
        return statistics.quantiles(self.answers, n=100, method="inclusive")[percent - 1]


class Host:
    """One host: its requests, its connections. All requests are the same bytes, made beforehand."""

    def __init__(self, number: int, destination: Destination, load: Load) -> None:
        self.body = prepare(destination, lines(f"host-{number}", load.lines_each, load.length).pieces)
        self._client: Client = client_for(destination)
        self._free = asyncio.Semaphore(IN_FLIGHT)

    async def send(self, due: float, step: Step, end: float) -> None:
        async with self._free:
            outcome = await self._client.send(self.body)
        now = asyncio.get_running_loop().time()
        if isinstance(outcome, Delivered):
            step.answers.append(now - due)
            step.in_time += now <= end
        else:
            kind = getattr(outcome, "kind", type(outcome).__name__.lower())
            step.failed[kind] = step.failed.get(kind, 0) + 1

    async def close(self) -> None:
        await self._client.close()


def busy() -> float:
    """Seconds that all processors of this machine have worked so far."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) * TICK  # but for idle and iowait


async def measure(hosts: Sequence[Host], load: Load, gateway: Sequence[int]) -> Step:
    """Let the hosts send for `load.seconds`, each from an instant of its own; wait a little for the last answers."""
    loop = asyncio.get_running_loop()
    per_host = round(load.seconds / DELAY)
    chance = random.Random(len(hosts))
    phases = [(chance.random() * DELAY, host) for host in hosts]
    schedule = sorted(
        ((phase + number * DELAY, host) for phase, host in phases for number in range(per_host)),
        key=lambda item: item[0],
    )
    step = Step(len(hosts), len(schedule), load.lines_each, len(hosts[0].body))
    before = cpu(os.getpid()), sum(map(cpu, gateway)), busy()
    began = loop.time()
    end = began + load.seconds + DELAY + SLOWEST
    tasks: list[asyncio.Task[None]] = []
    for offset, host in schedule:
        wait = began + offset - loop.time()
        if wait > 0 or len(tasks) % 100 == 0:
            await asyncio.sleep(max(0.0, wait))
        tasks.append(loop.create_task(host.send(began + offset, step, end)))
    await asyncio.wait(tasks, timeout=max(0.1, end - loop.time()))
    step.seconds = loop.time() - began
    step.sender = (cpu(os.getpid()) - before[0]) / step.seconds
    if gateway:
        step.gateway = (sum(map(cpu, gateway)) - before[1]) / step.seconds
        step.memory = sum(map(resident, gateway))
    step.others = (busy() - before[2]) / step.seconds - step.sender - step.gateway
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return step


async def search(
    destination: Destination, load: Load, numbers: Sequence[int], gateway: Sequence[int], limit: int
) -> list[Step]:
    """One step for each of `numbers`; without numbers, double from 10 and close in on the first that was too much."""
    hosts: list[Host] = []
    steps: list[Step] = []

    async def run(number: int) -> Step:
        while len(hosts) < number:
            hosts.append(Host(len(hosts), destination, load))
        step = await measure(hosts[:number], load, gateway)
        steps.append(step)
        print(row(step), flush=True)
        await asyncio.sleep(0)
        return step

    print(HEAD, flush=True)
    try:
        if numbers:
            for number in numbers:
                await run(number)
            return steps
        good, number = 0, 10
        while number <= limit and (await run(number)).kept_up:
            good, number = number, number * 2
        bad = number
        while good and bad <= limit and bad / good > CLOSE:
            middle = round((good * bad) ** 0.5)
            if (await run(middle)).kept_up:
                good = middle
            else:
                bad = middle
        return steps
    finally:
        for host in hosts:
            await host.close()


HEAD = (
    f"{'':53} {'processors used by':^32}\n"
    f"{'hosts':>6} {'lines/s':>9} {'answered':>9} {'MB/s sent':>10} {'p50 ms':>7} {'p99 ms':>7} "
    f"{'gateway':>8} {'MiB':>5} {'sender':>8} {'others':>8}"
)


def row(step: Step) -> str:
    load_seconds = step.due / (step.hosts / DELAY)
    offered = step.due * step.lines_each / load_seconds
    sent = step.due * step.body / load_seconds / 1e6
    share = step.in_time / step.due
    failed = ", ".join(f"{count} {kind}" for kind, count in sorted(step.failed.items()))
    note = "" if step.kept_up else "does not keep up" + (f": {failed}" if failed else "")
    note += "; the sender is at its end" if step.sender_bound else ""
    gateway = f"{step.gateway:8.2f} {step.memory:5.0f}" if step.memory else f"{'':8} {'':5}"
    slow = f"{step.slow(50) * 1e3:7.0f} {step.slow(99) * 1e3:7.0f}"
    answers = f"{step.hosts:6} {offered:9,.0f} {share:9.1%} {sent:10.2f} {slow}"
    return f"{answers} {gateway} {step.sender:8.2f} {step.others:8.2f}  {note}".rstrip()


def verdict(steps: Sequence[Step], load: Load) -> str:
    """The finding, in a sentence."""
    good = max((step for step in steps if step.kept_up), key=lambda step: step.hosts, default=None)
    bad = min((step for step in steps if not step.kept_up), key=lambda step: step.hosts, default=None)
    each = f"at {load.rate:,} lines/s each"
    if bad is None:
        return f"no saturation: the gateway keeps up with {good.hosts if good else 0} hosts {each}"
    if bad.sender_bound:
        return f"no finding: at {bad.hosts} hosts {each} it is the sender that has no processor left"
    if bad.others > OTHERS_MOST and not bad.failed:
        return f"no finding: at {bad.hosts} hosts {each} other programs used {bad.others:.1f} processors"
    if good is None:
        return f"saturated already with {bad.hosts} hosts {each}"
    rate = good.hosts * load.rate
    return f"saturates between {good.hosts} and {bad.hosts} hosts {each}: it takes {rate:,} lines/s"


class Discarding(Collector):
    """Takes OTLP, and that is all."""

    def settings(self) -> dict[str, Any]:
        found = super().settings()
        found["exporters"] = {"nop": None}
        found["service"]["pipelines"]["logs"]["exporters"] = ["nop"]
        return found


OWN = ("discards", "stores", "victorialogs")


@contextlib.contextmanager
def own_gateway(kind: str, protocol: str) -> Iterator[tuple[str, list[int]]]:
    """What takes OTLP on this machine: (endpoint, its processes)."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if kind == "discards":
            collector: Collector = stack.enter_context(Discarding(folder))
            processes = []
        else:
            store = stack.enter_context(VictoriaLogs(folder / "store"))
            processes = [store.pid]
            if kind == "victorialogs":
                yield store.endpoint, processes
                return
            collector = stack.enter_context(Gateway(folder / "gateway", store))
        yield (collector.grpc if protocol == GRPC else collector.http), [collector.pid, *processes]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description="How many hosts one gateway takes.")
    parser.add_argument("--endpoint", default="", help="a gateway that runs (default: a collector started here)")
    parser.add_argument("--own", choices=OWN, default="discards", help="what the one started here does (discards)")
    parser.add_argument("--protocol", choices=(HTTP, GRPC), default=HTTP)
    parser.add_argument("--lines", type=int, default=100, help="lines a second that each host prints (100)")
    parser.add_argument("--length", type=int, default=150, help="bytes of a line (150)")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each step lasts (5)")
    parser.add_argument("--hosts", default="", help="the steps, as 10,20,40 (default: search)")
    parser.add_argument("--most", type=int, default=5_000, help="hosts beyond which the search ends (5,000)")
    chosen = parser.parse_args(arguments)
    if chosen.own == "victorialogs" and chosen.protocol == GRPC:
        parser.error("--own victorialogs: it takes OTLP over HTTP alone")
    load = Load(chosen.lines, chosen.length, chosen.seconds)
    numbers = [int(number) for number in chosen.hosts.split(",") if number]
    with contextlib.ExitStack() as stack:
        try:
            endpoint: str = chosen.endpoint
            gateway: list[int] = []
            if not endpoint:
                endpoint, gateway = stack.enter_context(own_gateway(chosen.own, chosen.protocol))
        except ToolError as error:
            print(error, file=sys.stderr)
            return 1
        print(
            f"{load.rate:,} lines/s of {load.length} bytes by each host, {chosen.protocol} to {endpoint}, "
            f"{load.lines_each} lines in a request, {load.seconds:g} s each, {os.cpu_count()} processors"
        )
        began = time.monotonic()
        destination = Destination((endpoint,), chosen.protocol, compression="gzip")  # as if it were on another host
        steps = asyncio.run(search(destination, load, numbers, gateway, chosen.most))
        print(f"{verdict(steps, load)} ({time.monotonic() - began:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
