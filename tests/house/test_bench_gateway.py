"""The simulation of many hosts: a gateway that keeps up, one that does not, and what is said of each."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from bench import gateway
from bench.gateway import Load, Step, main, verdict
from bench.sizes import table
from otellogdriver.export.destination import GRPC, HTTP
from tests.fakes.behaviour import hang, status
from tests.fakes.server_thread import ServerThread

LOAD = Load(rate=100, length=150, seconds=1.0)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[ServerThread]:
    with ServerThread(getattr(request, "param", HTTP)) as running:
        yield running


@pytest.mark.parametrize("server", (HTTP, GRPC), indirect=True)
def test_a_gateway_that_keeps_up(server: ServerThread, capsys: pytest.CaptureFixture[str]) -> None:
    protocol = server.server.protocol
    to = (f"--endpoint={server.server.endpoint}", f"--protocol={protocol}")
    assert main([*to, "--hosts=1,3", "--seconds=0.6", "--lines=50"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^ +3 +150 +100\.0%", said, re.MULTILINE)
    assert "no saturation: the gateway keeps up with 3 hosts at 50 lines/s each" in said
    records = list(server.server.records())
    assert len(server.server.requests) == (1 + 3) * 3
    assert len(records) == (1 + 3) * 3 * 10, "requests of 200 ms, each with its lines"
    assert len({record.container for record in records}) == 3, "hosts are told apart"


def test_a_gateway_that_refuses(server: ServerThread, capsys: pytest.CaptureFixture[str]) -> None:
    server.server.default = status(503)
    main([f"--endpoint={server.server.endpoint}", "--seconds=0.4"])
    said = capsys.readouterr().out
    assert "does not keep up: 20 unavailable" in said
    assert "saturated already with 10 hosts" in said


def test_a_gateway_that_hangs_is_not_waited_for(server: ServerThread, capsys: pytest.CaptureFixture[str]) -> None:
    """Open loop: what was due and not answered counts, though it was never sent because no connection was free."""
    server.server.default = hang()
    main([f"--endpoint={server.server.endpoint}", "--seconds=1.2", "--hosts=2"])
    said = capsys.readouterr().out
    assert re.search(r"^ +2 +200 +0\.0%", said, re.MULTILINE)


def test_the_verdict_names_the_step() -> None:
    def step(hosts: int, in_time: int, sender: float = 0.2, others: float = 0.0) -> Step:
        return Step(hosts, 100, 20, 1000, [0.01] * in_time, in_time, sender=sender, others=others)

    steps = [step(10, 100), step(20, 100), step(40, 60), step(28, 99)]
    assert verdict(steps, LOAD) == "saturates between 28 and 40 hosts at 100 lines/s each: it takes 2,800 lines/s"
    assert "no finding: at 40 hosts" in verdict([step(20, 100), step(40, 60, sender=0.95)], LOAD)
    assert "other programs used 1.5 processors" in verdict([step(20, 100), step(40, 60, others=1.5)], LOAD)


def test_slow_answers_are_no_keeping_up() -> None:
    quick = Step(1, 200, 20, 1000, [0.01] * 200, 200)
    slow = Step(1, 200, 20, 1000, [0.01] * 190 + [1.5] * 10, 200)
    assert (quick.kept_up, slow.kept_up) == (True, False)
    assert gateway.SLOWEST == 1.0


def test_sizes_of_a_line() -> None:
    said = table(150, 1_000)
    assert re.search(r"^in the journal +175\.0 +630$", said, re.MULTILINE)
    network = [float(number) for number in re.findall(r"^on the network.* (\d+\.\d) ", said, re.MULTILINE)]
    assert len(network) == 3 and sorted(network, reverse=True) == network and network[0] < 100
