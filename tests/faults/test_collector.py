"""Whatever the collector does: nothing is lost but what it refuses for good, which is counted; delivery is back soon.

One driver serves all these tests, so each of them also shows that the destination of one container does not matter to
the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from tests.fakes.behaviour import Behaviour, answer, close, hang, ok, partial, status
from tests.fakes.certificates import make_certificates
from tests.fakes.engine import Container, Engine
from tests.fakes.otlp_server import ServerTls
from tests.fakes.received import read_records
from tests.fakes.server_thread import ServerThread
from tests.faults import accounts
from tests.scene import lines, number, until

HTTP, GRPC = "http/protobuf", "grpc"
BACK = 1.0 + 1.0
"""Delivery is to be back a second after the collector; one more for a busy machine."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(tmp_path_factory.mktemp("engine")) as running:
        yield running
    assert "Traceback" not in running.log()


@pytest.fixture(params=[HTTP, GRPC])
def server(request: pytest.FixtureRequest) -> Iterator[ServerThread]:
    with ServerThread(request.param) as running:
        yield running


@pytest.fixture
def print_to(engine: Engine) -> Iterator[Callable[..., Container]]:
    """Start a container that prints to a server."""
    made: list[Container] = []

    def start(server: ServerThread, count: int = 1000, **options: str) -> Container:
        given = {"otlp-endpoint": server.server.endpoint, "otlp-protocol": server.server.protocol}
        container = engine.container(options=given | {key.replace("_", "-"): value for key, value in options.items()})
        container.start()
        container.write(lines(0, count))
        made.append(container)
        return container

    yield start
    for container in made:
        if container.fd >= 0:
            container.stop()
    accounts.check(engine)


def arrived(server: ServerThread, container: Container) -> list[int]:
    return [number(record.body) for record in server.server.records(container.id)]


def all_arrive(server: ServerThread, container: Container, count: int = 1000) -> None:
    """All lines, in order, once, and the driver has heard that they are."""
    server.reach(records=count, within=30)
    until(lambda: container.engine.metric("otellogdriver_undelivered_bytes", container_id=container.id) == 0)
    assert arrived(server, container) == list(range(count))


def counted(engine: Engine, container: Container, reason: str) -> int:
    return int(engine.metric("otellogdriver_dropped_lines_total", container_id=container.id, reason=reason))


def delivered(engine: Engine, container: Container) -> int:
    return int(engine.metric("otellogdriver_delivered_records_total", container_id=container.id))


def tried(server: ServerThread, times: int = 1) -> None:
    server.reach(requests=times, within=30)


Print = Callable[..., Container]


# Away


def test_a_collector_that_is_away_and_comes_back(server: ServerThread, print_to: Print, engine: Engine) -> None:
    server.down()
    container = print_to(server)
    until(lambda: engine.metric("otellogdriver_undelivered_bytes", container_id=container.id) > 0)
    until(lambda: "lines are kept in the journal" in engine.log())
    server.up()
    assert until(lambda: server.server.taken) < BACK
    all_arrive(server, container)


def test_a_collector_that_never_answers(server: ServerThread, print_to: Print) -> None:
    server.server.script.extend([hang()] * 3)
    container = print_to(server, otlp_timeout="300ms")
    tried(server, 4)
    all_arrive(server, container)


def test_a_collector_that_hangs_up_before_its_answer(server: ServerThread, print_to: Print) -> None:
    server.server.script.extend([close(take=True), close()])
    container = print_to(server)
    server.reach(records=2000, within=30)
    assert arrived(server, container) == [*range(1000), *range(1000)]  # it took them and did not say so


def test_a_collector_that_hangs_up_within_its_answer(print_to: Print) -> None:
    with ServerThread(HTTP) as server:
        server.server.script.extend([close(within=200, take=True), close(within=503)])
        container = print_to(server)
        server.reach(records=2000, within=30)
        assert sorted(set(arrived(server, container))) == list(range(1000))


def test_a_host_that_is_not_known(engine: Engine, server: ServerThread) -> None:
    container = engine.container(
        options={"otlp-endpoint": "http://no-such-host.invalid:4318", "otlp-protocol": server.server.protocol}
    )
    container.start()
    container.write(lines(0, 100))
    until(lambda: "no-such-host.invalid" in engine.log())
    assert until(lambda: container.stop() == {"Err": ""}) < 2
    assert engine.metric("otellogdriver_undelivered_bytes", container_id=container.id) > 0


# Busy


@pytest.mark.parametrize(
    ("protocol", "behaviour", "wish"),
    [
        (HTTP, lambda: status(429), 0.0),
        (HTTP, lambda: status(502), 0.0),
        (HTTP, lambda: status(503), 0.0),
        (HTTP, lambda: status(504), 0.0),
        (HTTP, lambda: status(429, retry_after="1"), 1.0),
        (HTTP, lambda: status(503, retry_after=formatdate(time.time() + 3, usegmt=True)), 1.5),
        (HTTP, lambda: status(503, retry_after="soon"), 0.0),
        (GRPC, lambda: status("UNAVAILABLE"), 0.0),
        (GRPC, lambda: status("ABORTED"), 0.0),
        (GRPC, lambda: status("UNAVAILABLE", retry_after="1"), 1.0),
        (GRPC, lambda: status("RESOURCE_EXHAUSTED", retry_after="1"), 1.0),
    ],
)
def test_a_collector_that_asks_to_wait(
    print_to: Print, protocol: str, behaviour: Callable[[], Behaviour], wish: float
) -> None:
    with ServerThread(protocol) as server:
        server.server.script.append(behaviour())
        container = print_to(server)
        all_arrive(server, container)
        first, second = [request for request in server.server.requests if container.id in request.containers][:2]
        assert wish <= second.at - first.at < wish + 3
        assert first.body == second.body  # the very same bytes


# Refusing data


def test_data_that_is_refused_is_given_up_and_counted(server: ServerThread, print_to: Print, engine: Engine) -> None:
    http = server.server.protocol == HTTP
    server.server.default = status(400 if http else "INVALID_ARGUMENT", message="no")
    container = print_to(server, count=300)
    until(lambda: counted(engine, container, "refused") == 300)
    server.server.default = ok()
    container.write(lines(300, 310))
    server.reach(records=10, within=30)
    assert arrived(server, container) == list(range(300, 310))
    assert counted(engine, container, "refused") == 300
    alone = [request for request in server.server.requests if request.records == 1 and not request.behaviour.taken]
    assert len(alone) == 300, "only what was refused by itself is given up"
    assert "records given up" in engine.log()


@pytest.mark.parametrize("bad", [{0}, {5}, {15}, {3, 12}, set(range(8, 16))])
def test_poisonous_records_are_found_and_the_others_arrive(
    server: ServerThread, print_to: Print, engine: Engine, bad: set[int]
) -> None:
    no = status(413 if server.server.protocol == HTTP else "INVALID_ARGUMENT", message="too large")

    def judge(body: bytes) -> Behaviour | None:
        return no if bad & {number(record.body) for record in read_records(body)} else None

    server.server.judge = judge
    container = print_to(server, count=16)
    until(lambda: counted(engine, container, "refused") == len(bad))
    server.reach(records=16 - len(bad), within=30)
    assert arrived(server, container) == [each for each in range(16) if each not in bad]


def test_a_partial_success_is_counted_and_not_sent_again(server: ServerThread, print_to: Print, engine: Engine) -> None:
    server.server.script.append(partial(3, "three were bad"))
    container = print_to(server)
    until(lambda: counted(engine, container, "rejected") == 3)
    container.write(lines(1000, 1001))
    server.reach(records=1001, within=30)
    assert arrived(server, container) == list(range(1001))
    until(lambda: delivered(engine, container) > 997)  # the server has a record before the driver has the answer
    assert delivered(engine, container) == 998


# Refusing us


@pytest.mark.parametrize(
    ("protocol", "behaviour"),
    [
        (HTTP, status(401)),
        (HTTP, status(403)),
        (HTTP, status(404)),
        (HTTP, answer(302, location="https://login.example/")),
        (HTTP, answer(200, "<html>hello</html>", "text/html")),
        (GRPC, status("UNAUTHENTICATED")),
        (GRPC, status("PERMISSION_DENIED")),
        (GRPC, status("UNIMPLEMENTED")),
    ],
)
def test_a_destination_that_denies_us_holds_the_lines_until_it_is_mended(
    print_to: Print, engine: Engine, protocol: str, behaviour: Behaviour
) -> None:
    with ServerThread(protocol) as server:
        server.server.default = behaviour
        container = print_to(server)
        tried(server, 2)
        assert engine.metric("otellogdriver_dropped_lines_total", container_id=container.id) == 0
        assert f"level=ERROR {server.server.endpoint}" in engine.log()
        server.server.default = ok()
        all_arrive(server, container)


def test_with_otlp_refused_drop_they_are_given_up(server: ServerThread, print_to: Print, engine: Engine) -> None:
    server.server.default = status(401 if server.server.protocol == HTTP else "UNAUTHENTICATED")
    container = print_to(server, otlp_refused="drop")
    until(lambda: counted(engine, container, "denied") == 1000)


def test_a_certificate_that_is_not_trusted_holds_the_lines(engine: Engine, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(certificates.other_ca.read_bytes())
    tls = ServerTls(certificates.server, certificates.server_key)
    for protocol in (HTTP, GRPC):
        with ServerThread(protocol, tls=tls) as server:
            container = engine.container(
                options={
                    "otlp-endpoint": server.server.endpoint,
                    "otlp-protocol": protocol,
                    "otlp-certificate": str(trusted),
                    "otlp-server-name": certificates.name,
                }
            )
            container.start()
            container.write(lines(0, 100))
            until(lambda server=server: f"level=ERROR {server.server.endpoint}" in engine.log())  # type: ignore[misc]
            trusted.write_bytes(certificates.ca.read_bytes())
            all_arrive(server, container, 100)
            container.stop()
        trusted.write_bytes(certificates.other_ca.read_bytes())


# One of several


@pytest.mark.measures
def test_a_dead_destination_does_not_delay_another_containers_lines(engine: Engine, print_to: Print) -> None:
    with ServerThread(HTTP) as dead, ServerThread(HTTP) as hanging, ServerThread(HTTP) as alive:
        dead.down()
        hanging.server.default = hang()
        for server in (dead, hanging):
            for _ in range(3):
                print_to(server, count=20_000)
        container = print_to(alive, count=1)
        alive.reach(records=1, within=30)
        slowest = 0.0
        for index in range(1, 15):
            container.write(lines(index, index + 1))
            slowest = max(slowest, until(lambda index=index: alive.server.taken > index))  # type: ignore[misc]
        assert slowest < 1.0  # 0.2 s are the batch delay
        assert until(lambda: container.stop() == {"Err": ""}) < 1
        dead.up()
        dead.reach(records=60_000, within=30)
        hanging.server.default = ok()


def test_containers_that_share_a_destination_keep_their_order_after_an_outage(
    server: ServerThread, print_to: Print
) -> None:
    server.server.default = hang()
    containers = [print_to(server, otlp_timeout="1s") for _ in range(5)]
    tried(server, 2)
    server.server.default = ok()
    server.reach(records=5000, within=30)
    for container in containers:
        assert arrived(server, container) == list(range(1000))
