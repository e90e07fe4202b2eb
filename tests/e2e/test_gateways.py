"""Two hosts, two gateway collectors that are killed in turn: nothing is lost, the load is spread, hosts told apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from otellogdriver.export.failover import RETURN, spread
from plugin.build import build
from plugin.private_engine import PrivateEngine
from tests.conftest import missing_means_skip, started
from tests.engine.collector import Collector
from tests.engine.loopback import wait_for
from tests.engine.numbers import printed, until_stopped
from tests.engine.plugin import Plugin
from tests.engine.records import Record
from tests.tools.collector import collector as program


@dataclass
class Host:
    """An engine with the plugin, and a container on it that prints numbers."""

    name: str
    engine: PrivateEngine
    plugin: Plugin
    preferred: Collector
    other: Collector
    out: Path

    def at(self, gateway: Collector) -> list[Record]:
        """This host's records there."""
        return [one for one in gateway.records() if one.resource["host.id"] == self.name]

    def comes_to(self, gateway: Collector, limit: float = 20) -> None:
        """Wait until new lines arrive there, several requests of them."""
        before = len(self.at(gateway))
        wait_for(lambda: len(self.at(gateway)) > before + 1000, f"lines of {self.name} at {gateway.http}", limit, 0.05)


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[tuple[Collector, Collector]]:
    with missing_means_skip():
        program()
    with Collector(tmp_path / "a") as first, Collector(tmp_path / "b") as second:
        yield first, second


@pytest.fixture
def hosts(gateways: tuple[Collector, Collector], tmp_path: Path) -> Iterator[list[Host]]:
    """Both have the same settings but for the host's id; ids are such that they prefer different gateways."""
    endpoints = [gateway.http for gateway in gateways]
    made: list[Host] = []
    with ExitStack() as stack:
        for gateway, other in (gateways, gateways[::-1]):
            taken = [host.name for host in made]
            names = (f"host-{number}" for number in count(1))
            name = next(name for name in names if name not in taken and spread(endpoints, name)[0] == gateway.http)
            engine = stack.enter_context(started(PrivateEngine()))
            plugin = Plugin(engine, build())
            plugin.set(
                OTEL_EXPORTER_OTLP_ENDPOINT=",".join(endpoints),
                OTELLOGDRIVER_OTLP_ENDPOINT_ORDER="spread",
                OTELLOGDRIVER_HOST_NAME=f"{name}.example",
                OTELLOGDRIVER_HOST_ID=name,
            )
            plugin.enable()
            out = tmp_path / name
            out.mkdir()
            made.append(Host(name, engine, plugin, gateway, other, out))
        yield made


@pytest.mark.timeout(240)
def test_gateways_are_killed_in_turn(hosts: list[Host], gateways: tuple[Collector, Collector]) -> None:
    first, second = hosts
    for host in hosts:
        options = (f"--log-driver={host.plugin.name}", "--log-opt=record-uid=true", f"--volume={host.out}:/out")
        script = until_stopped("shop", burst=20)
        host.engine.docker("run", "--detach", "--name=shop", *options, "busybox", "sh", "-c", script)
    for host in hosts:
        host.comes_to(host.preferred)
    for host in hosts:
        assert not host.at(host.other), "the load is spread: each host has a gateway of its own"

    first.preferred.kill()
    first.comes_to(second.preferred)
    second.comes_to(second.preferred)
    first.preferred.start()
    second.preferred.kill()
    for host in hosts:
        host.comes_to(first.preferred)
    second.preferred.start()
    second.comes_to(second.preferred, RETURN + 20)
    assert all(host.plugin.metric("otellogdriver_destination_up") == 1 for host in hosts)

    for host in hosts:
        host.engine.docker("stop", "shop")
        total = printed(host.out, "shop")

        def arrived(host: Host = host) -> list[Record]:
            return [one for gateway in gateways for one in host.at(gateway)]

        wait_for(lambda: len({one.body for one in arrived()}) >= total, f"all {total} lines", 30, 0.05)  # noqa: B023
        records = arrived()
        assert {int(one.body) for one in records} == set(range(1, total + 1))
        assert {one.resource["host.name"] for one in records} == {f"{host.name}.example"}
        identifier = host.engine.docker("inspect", "--format={{.Id}}", "shop").strip()
        assert {one.resource["container.id"] for one in records} == {identifier}
        # What was in flight when a gateway was killed may have come twice, and says so.
        assert len({one.attributes["log.record.uid"] for one in records}) == total
        assert host.plugin.metric("otellogdriver_driver_dropped_lines_total") == 0
