"""Several endpoints: the next one when one is away, and back to the preferred one by itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from otellogdriver.export.client import client_for, prepare
from otellogdriver.export.destination import Destination
from otellogdriver.export.failover import FailoverClient, spread
from otellogdriver.export.outcome import Body, Client, Delivered, Denied, Outcome, Refused, Retry
from tests.fakes import behaviour as do
from tests.fakes.otlp_server import OtlpServer
from tests.fakes.proxy import Proxy
from tests.unit.export.otlp_requests import request

HTTP, GRPC = "http/protobuf", "grpc"
BODY = [request("a", 1)]


@contextlib.asynccontextmanager
async def over(*servers: OtlpServer, back_after: float = 30.0, timeout: float = 2.0) -> AsyncIterator[FailoverClient]:
    clients: list[Client] = []
    for server in servers:
        clients.append(
            client_for(Destination((server.endpoint,), server.protocol, compression="none", timeout=timeout))
        )
    client = FailoverClient(clients, back_after)
    try:
        yield client
    finally:
        await client.close()


def counts(*servers: OtlpServer) -> list[int]:
    return [len(server.requests) for server in servers]


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
async def test_client_for_several_endpoints(protocol: str) -> None:
    async with OtlpServer(protocol) as one, OtlpServer(protocol) as two:
        destination = Destination((one.endpoint, two.endpoint), protocol, timeout=2)
        client = client_for(destination)
        body = prepare(destination, BODY)
        assert await client.send(body) == Delivered()
        await one.down()
        assert [await client.send(body) for _ in range(3)] == [Delivered()] * 3
        assert counts(one, two) == [1, 3]
        await two.down()
        outcome = await client.send(body)
        assert isinstance(outcome, Retry) and outcome.kind == "unreachable"
        assert one.endpoint in outcome.reason and two.endpoint in outcome.reason
        await client.close()


async def test_each_endpoint_has_its_own_compression() -> None:
    """One here, one beyond (a name that only the proxy knows): the same request goes to either as it should."""
    body = request("a", 2000)
    async with OtlpServer(HTTP) as here, OtlpServer(HTTP) as far, Proxy() as proxy:
        there = f"http://collector.test:{far.port}"
        destination = Destination((here.endpoint, there), HTTP, timeout=2, http_proxy=proxy.endpoint)
        client = client_for(destination)
        prepared = prepare(destination, [body])
        assert await client.send(prepared) == Delivered()
        await here.down()
        assert [await client.send(prepared) for _ in range(2)] == [Delivered()] * 2
        await client.close()
        client = client_for(replace(destination, endpoints=destination.endpoints[::-1]))
        assert await client.send(prepared) == Delivered()
        await far.down()
        await here.up()
        assert await client.send(prepared) == Delivered()
        await client.close()
        for server, encoding in ((here, None), (far, "gzip")):
            assert {each.headers.get("content-encoding") for each in server.requests} == {encoding}
            assert [each.body for each in server.requests] == [body] * len(server.requests)
        assert counts(here, far) == [2, 3]
        assert here.requests[0].wire_size == len(body) > 3 * far.requests[0].wire_size


async def test_time_out_leads_on_but_an_answer_does_not() -> None:
    async with OtlpServer() as one, OtlpServer() as two, over(one, two, timeout=0.2) as client:
        one.script += [do.status(503), do.status(429), do.status(400), do.status(401), do.hang()]
        kinds = [type(await client.send(BODY)) for _ in range(5)]
        assert kinds == [Retry, Retry, Refused, Denied, Delivered]
        assert counts(one, two) == [5, 1]


async def test_back_to_the_preferred_one_with_one_request_as_probe() -> None:
    async with OtlpServer() as one, OtlpServer() as two, over(one, two, back_after=0.3) as client:
        one.script += [do.close()]
        assert await client.send(BODY) == Delivered()
        assert counts(one, two) == [1, 1]
        await asyncio.sleep(0.35)  # the time after which it is tried again
        one.default = do.ok(delay=0.2)
        outcomes = await asyncio.gather(*(client.send(BODY) for _ in range(5)))
        assert outcomes == [Delivered()] * 5
        assert counts(one, two) == [2, 5], "one probes, the others do not wait for it"
        assert await client.send(BODY) == Delivered()
        assert counts(one, two) == [3, 5]


@pytest.mark.parametrize("answer", [do.status(401), do.status(503), do.close()])
async def test_preferred_one_that_takes_nothing_is_not_gone_back_to(answer: do.Behaviour) -> None:
    async with OtlpServer() as one, OtlpServer() as two, over(one, two, back_after=0.0) as client:
        one.script += [do.close()]
        one.default = answer
        for _ in range(4):
            assert await client.send(BODY) == Delivered()
        assert counts(one, two) == [4, 4]


async def test_spare_that_denies_us_is_no_reason_to_give_up_data() -> None:
    async with OtlpServer() as one, OtlpServer() as two, OtlpServer() as three:
        two.default = do.status(403)
        await one.down()
        async with over(one, two) as client:
            for _ in range(2):
                outcome: Outcome = await client.send(BODY)
                assert isinstance(outcome, Retry) and "403" in outcome.reason
        async with over(one, two, three) as client:
            assert await client.send(BODY) == Delivered()


class Fixed:
    """A client that has one answer for all."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    async def send(self, body: Body, alone: bool = False) -> Outcome:
        return self.outcome

    async def close(self) -> None:
        return None


@pytest.mark.parametrize("first", [Denied("no such file", local=True), Denied("401")])
async def test_what_we_say_ourselves_stays_our_own_word_though_several_were_tried(first: Denied) -> None:
    """A file of ours goes while a spare is in use: with `otlp-refused=drop` that must cost no line."""
    one, two = Fixed(Retry("unreachable", "away")), Fixed(Delivered())
    client = FailoverClient([one, two], back_after=0.0)
    assert await client.send(BODY) == Delivered()
    one.outcome, two.outcome = first, Denied("no such file", local=True)
    assert await client.send(BODY) == Denied(f"{first.reason}; no such file", local=True)
    one.outcome = two.outcome = Denied("403")
    assert await client.send(BODY) == Denied("403; 403")


def test_hosts_spread_over_the_endpoints() -> None:
    gateways = [f"http://gateway-{letter}:4318" for letter in "abcd"]
    orders = {host: spread(gateways, host) for host in (f"host-{number}" for number in range(400))}
    assert all(sorted(order) == gateways for order in orders.values())
    assert orders["host-7"] == spread(gateways[::-1], "host-7"), "however they are listed"
    first = Counter(order[0] for order in orders.values())
    assert all(70 <= first[gateway] <= 130 for gateway in gateways), first
    second = Counter(order[1] for order in orders.values() if order[0] == gateways[0])
    assert len(second) == 3 and min(second.values()) >= 15, f"those that lose gateway-a: {second}"
    moved = [host for host, order in orders.items() if spread(gateways[:3], host)[0] != order[0]]
    assert len(moved) == first[gateways[3]], "only those of the one that is gone"


async def test_one_that_is_unavailable_for_long_is_left_and_taken_again_when_it_is_well() -> None:
    async with OtlpServer(HTTP) as first, OtlpServer(HTTP) as second:
        first.default = do.status(503)
        clients = [
            client_for(Destination((server.endpoint,), HTTP, compression="none", timeout=2.0))
            for server in (first, second)
        ]
        client = FailoverClient(clients, back_after=0.0, patience=0.2)
        try:
            assert isinstance(await client.send(BODY), Retry), "it may be a moment only"
            assert not second.requests
            await asyncio.sleep(0.25)
            assert await client.send(BODY) == Delivered()
            assert second.taken == 1
            first.default = do.ok()
            assert await client.send(BODY) == Delivered()
            assert first.taken == 1
            first.default = do.status(502)
            assert isinstance(await client.send(BODY), Retry), "counted anew"
        finally:
            await client.close()
