"""Three hosts, two gateways, one store: gateways and drivers are killed in turn. Nothing is lost, and the boards tell
the hosts apart, whose containers have one name.

The engines are simulated, so that three of them start at once; drivers, gateways, store and Prometheus are real.
tests/e2e/test_gateways.py does it with two real engines.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import missing_means_skip
from tests.engine.boards import ask, panel
from tests.engine.gateway import Gateway
from tests.engine.loopback import free_port, wait_for
from tests.engine.prometheus import Prometheus
from tests.engine.victorialogs import VictoriaLogs
from tests.fakes.engine import Container, Engine, frame
from tests.tools.collector import collector
from tests.tools.victorialogs import victorialogs

HOSTS = ("node-1", "node-2", "node-3")


class Printer(threading.Thread):
    """Numbered lines of one container, until it is stopped."""

    def __init__(self, container: Container) -> None:
        super().__init__()
        self.container, self.printed, self.ended = container, 0, threading.Event()
        self.start()

    def run(self) -> None:
        while not self.ended.wait(0.02):
            lines = range(self.printed, self.printed + 5)
            self.container.write(b"".join(frame(b"%d" % number) for number in lines))
            self.printed += 5

    def stop(self) -> None:
        self.ended.set()
        self.join()


@dataclass(frozen=True)
class Host:
    name: str
    engine: Engine
    instance: str
    printer: Printer


@dataclass(frozen=True)
class Fleet:
    hosts: list[Host]
    gateways: list[Gateway]
    store: VictoriaLogs
    prometheus: Prometheus

    def stored(self, host: Host) -> list[int]:
        query = f'{{host.name="{host.name}"}} | fields _msg'
        return [int(row["_msg"]) for row in self.store.rows(query)]

    def goes_on(self) -> None:
        """New lines of every host come to the store."""
        for host in self.hosts:
            before = len(set(self.stored(host)))
            wait_for(lambda: len(set(self.stored(host))) > before + 300, f"lines of {host.name}", 40, 0.3)  # noqa: B023


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with missing_means_skip():
        collector()
        victorialogs()
    with ExitStack() as stack:
        store = stack.enter_context(VictoriaLogs(tmp_path / "store"))
        gateways = [stack.enter_context(Gateway(tmp_path / name, store)) for name in ("gateway-a", "gateway-b")]
        hosts = []
        for name in HOSTS:
            address = f"127.0.0.1:{free_port()}"
            settings = {
                "OTEL_EXPORTER_OTLP_ENDPOINT": ",".join(gateway.http for gateway in gateways),
                "OTELLOGDRIVER_OTLP_ENDPOINT_ORDER": "spread",
                "OTELLOGDRIVER_HOST_NAME": name,
                "OTELLOGDRIVER_HOST_ID": name,
                "OTELLOGDRIVER_METRICS_ADDRESS": address,
            }
            engine = stack.enter_context(Engine(tmp_path / name, settings))
            container = engine.container("shop-1", {"service-name": "shop"})
            assert container.start() == {"Err": ""}
            printer = Printer(container)
            stack.callback(printer.stop)
            hosts.append(Host(name, engine, address, printer))
        prometheus = stack.enter_context(Prometheus(tmp_path / "prometheus", [host.instance for host in hosts]))
        yield Fleet(hosts, gateways, store, prometheus)


@pytest.mark.timeout(300)
def test_a_gateway_and_a_driver_are_killed_in_turn(fleet: Fleet) -> None:
    fleet.goes_on()
    for gateway in fleet.gateways:
        gateway.kill()
        fleet.goes_on()
        gateway.start()
    for host in fleet.hosts[:2]:
        host.engine.kill()
        host.engine.start()
        fleet.goes_on()

    def rows(title: str, place: int = 0, board: str = "driver.json", **values: str) -> list[dict[str, str]]:
        shown = panel(board, title)
        found = ask(fleet.store, fleet.prometheus, shown, shown["targets"][place], **values)
        return [sample.get("metric", sample) for sample in found]

    instances = {host.instance for host in fleet.hosts}
    wait_for(lambda: {row["instance"] for row in rows("Each container")} == instances, "each host", 20, 0.5)
    assert {row["container_name"] for row in rows("Each container")} == {"shop-1"}
    one = fleet.hosts[1]
    assert {row["instance"] for row in rows("Each container", instance=one.instance)} == {one.instance}
    assert {row["instance"] for row in rows("Drivers", 1)} == instances
    found = rows("Lines", board="container-logs.json", host=one.name)
    assert {row["host.name"] for row in found} == {one.name}
    assert set(fleet.store.values("host.name")) == set(HOSTS)

    for host in fleet.hosts:
        host.printer.stop()
    for host in fleet.hosts:
        total = host.printer.printed
        wait_for(lambda: len(set(fleet.stored(host))) >= total, f"{total} lines of {host.name}", 40, 0.3)  # noqa: B023
        counted = Counter(fleet.stored(host))
        assert set(counted) == set(range(total))
        twice = sum(counted.values()) - total
        assert twice < total / 4, "only what was in flight when something was killed comes twice"
        print(f"{host.name}: {total} lines, {twice} twice")
        assert host.engine.metric("otellogdriver_driver_dropped_lines_total") == 0
