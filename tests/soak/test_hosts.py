"""Three real engines, two gateways, one store: gateways, an engine and a driver are killed in turn. Nothing is lost,
and the boards tell the hosts apart.

tests/faults/test_hosts.py does it within seconds with engines that are simulated. Part of `make soak`, because three
engines with a plugin each take a minute to start and to end.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from plugin.build import build
from plugin.private_engine import PrivateEngine
from tests.conftest import missing_means_skip, started
from tests.engine.boards import ask, panel
from tests.engine.gateway import Gateway
from tests.engine.loopback import wait_for
from tests.engine.numbers import printed, until_stopped
from tests.engine.plugin import Plugin
from tests.engine.prometheus import Prometheus
from tests.engine.victorialogs import VictoriaLogs
from tests.tools.collector import collector
from tests.tools.victorialogs import victorialogs

HOSTS = ("node-1", "node-2", "node-3")


@dataclass(frozen=True)
class Host:
    """An engine with the plugin, and the container `shop` on it, which prints numbers."""

    name: str
    engine: PrivateEngine
    plugin: Plugin
    out: Path
    store: VictoriaLogs

    def stored(self) -> list[int]:
        return [int(row["_msg"]) for row in self.store.rows(f'{{host.name="{self.name}"}} | fields _msg')]

    def missing(self) -> list[int]:
        """The lines that the container says it printed, and the store does not have."""
        said = range(1, printed(self.out, "shop") + 1)
        return sorted(set(said) - set(self.stored()))

    def engine_killed(self) -> None:
        """While the container is silent: what is in the pipes of an engine that is killed, no driver ever sees."""
        (self.out / "quiet").touch()
        for _ in range(2):  # what it says for the second time from now on, it says in a turn that printed nothing
            before = (self.out / "shop").stat().st_mtime_ns
            wait_for(lambda: (self.out / "shop").stat().st_mtime_ns > before, f"silence of {self.name}", 60)  # noqa: B023
        wait_for(lambda: not self.missing(), f"all lines of {self.name} so far", 60, 0.5)
        self.engine.restart(kill=True)
        wait_for(self.plugin.ready, f"driver of {self.name}", 60)
        (self.out / "quiet").unlink()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[VictoriaLogs]:
    with missing_means_skip():
        collector()
        victorialogs()
    with VictoriaLogs(tmp_path / "store") as made:
        yield made


@pytest.fixture
def gateways(tmp_path: Path, store: VictoriaLogs) -> Iterator[list[Gateway]]:
    with Gateway(tmp_path / "a", store) as first, Gateway(tmp_path / "b", store) as second:
        yield [first, second]


@pytest.fixture
def hosts(tmp_path: Path, store: VictoriaLogs, gateways: list[Gateway]) -> Iterator[list[Host]]:
    with ExitStack() as stack:
        made = []
        for name in HOSTS:
            engine = stack.enter_context(started(PrivateEngine(live_restore=True)))
            plugin = Plugin(engine, build())
            plugin.set(
                OTEL_EXPORTER_OTLP_ENDPOINT=",".join(gateway.http for gateway in gateways),
                OTELLOGDRIVER_OTLP_ENDPOINT_ORDER="spread",
                OTELLOGDRIVER_HOST_NAME=name,
                OTELLOGDRIVER_HOST_ID=name,
            )
            plugin.enable()
            host = Host(name, engine, plugin, tmp_path / name, store)
            host.out.mkdir()
            options = (f"--log-driver={plugin.name}", f"--volume={host.out}:/out", "--log-opt=service-name=shop")
            script = until_stopped("shop", burst=20)
            engine.docker("run", "--detach", "--name=shop", *options, "busybox", "sh", "-c", script)
            made.append(host)
        yield made


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_gateways_an_engine_and_a_driver_are_killed_in_turn(
    hosts: list[Host], gateways: list[Gateway], store: VictoriaLogs, tmp_path: Path
) -> None:
    def all_go_on() -> None:
        for host in hosts:
            before = len(set(host.stored()))
            wait_for(lambda: len(set(host.stored())) > before + 300, f"lines of {host.name}", 90, 0.5)  # noqa: B023

    all_go_on()
    for gateway in gateways:
        gateway.kill()
        all_go_on()
        gateway.start()
    hosts[0].engine_killed()
    all_go_on()
    hosts[1].plugin.kill()
    all_go_on()

    instances = {f"127.0.0.1:{host.plugin.metrics_port}" for host in hosts}
    with Prometheus(tmp_path / "prometheus", sorted(instances)) as prometheus:

        def seen(title: str, place: int = 0) -> set[str]:
            shown = panel("driver.json", title)
            return {row["metric"]["instance"] for row in ask(store, prometheus, shown, shown["targets"][place])}

        wait_for(lambda: seen("Each container") == instances, "each host in the table", 60, 0.5)
        assert seen("Drivers", 1) == instances
    assert set(store.values("host.name")) == set(HOSTS)

    for host in hosts:
        host.engine.docker("stop", "shop")
    for host in hosts:
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: not host.missing(), "", 60, 0.5)  # noqa: B023
        assert host.missing() == []
        total = printed(host.out, "shop")
        counted = Counter(host.stored())
        assert set(counted) == set(range(1, total + 1))
        print(f"{host.name}: {total} lines, {sum(counted.values()) - total} twice")
        assert host.plugin.metric("otellogdriver_driver_dropped_lines_total") == 0
