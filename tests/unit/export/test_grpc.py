"""Codes that grpcio makes itself are not the collector's word."""

from __future__ import annotations

import time

import pytest

from otellogdriver.export.client import client_for
from otellogdriver.export.destination import GRPC, Destination
from otellogdriver.export.outcome import Denied, Outcome, Refused, Retry, Unread
from tests.fakes import http2
from tests.unit.export.otlp_requests import request

BROKE = {f"reset {code}": http2.reset(code) for code in (0, 1, 2, 7, 8, 13)} | {
    f"goaway {code}": http2.goaway(code) for code in (0, 2, 11)
}


async def outcome_of(answer: bytes, first: bytes = b"") -> Outcome:
    async with http2.answering(answer, first) as endpoint:
        client = client_for(Destination((endpoint,), GRPC, compression="none", timeout=5.0))
        try:
            return await client.send([request("a", 3)])
        finally:
            await client.close()


@pytest.mark.parametrize("name", BROKE)
async def test_a_stream_or_connection_that_ends_is_no_refusal(name: str) -> None:
    outcome = await outcome_of(BROKE[name])
    assert isinstance(outcome, Retry) and (outcome.kind, outcome.broke) == ("unreachable", True)


@pytest.mark.parametrize("last", [0, 0x7FFFFFFF])
async def test_a_server_that_goes_away_at_once_is_not_called_again_and_again_within_a_call(last: int) -> None:
    """Else the call would go on until its time is over, without a pause and in ever more memory."""
    outcome = await outcome_of(b"", http2.goaway(0, last))
    assert isinstance(outcome, Retry) and outcome.kind == "unreachable"


async def test_enhance_your_calm_asks_for_patience() -> None:
    outcome = await outcome_of(http2.reset(11))
    assert isinstance(outcome, Retry) and outcome.kind == "throttled"


async def test_an_answer_that_is_too_long_is_not_tried_again() -> None:
    outcome = await outcome_of(http2.message((4 << 20) + 1))
    assert isinstance(outcome, Unread) and "larger than max" in outcome.reason


@pytest.mark.parametrize("encoding", ["", "gzip"])
async def test_an_answer_that_cannot_be_unpacked_is_no_refusal(encoding: str) -> None:
    assert isinstance(await outcome_of(http2.packed(encoding)), Unread)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused),
        (413, Refused),
        (500, Refused),
        (401, Denied),
        (403, Denied),
        (429, Retry),
        (502, Retry),
        (503, Retry),
    ],
)
async def test_a_proxy_that_knows_no_grpc_is_read_as_over_http(status: int, kind: type[Outcome]) -> None:
    outcome = await outcome_of(http2.proxy(status))
    assert type(outcome) is kind and f"status: {status}" in outcome.reason  # type: ignore[union-attr]
    assert not isinstance(outcome, Refused) or outcome.too_large == (status == 413)
    assert not isinstance(outcome, Retry) or outcome.broke == (status == 502)


@pytest.mark.parametrize(("code", "kind"), [(3, Refused), (13, Refused), (8, Refused), (7, Denied), (14, Retry)])
async def test_what_the_collector_says_itself_counts(code: int, kind: type[Outcome]) -> None:
    outcome = await outcome_of(http2.grpc_status(code))
    assert type(outcome) is kind and "the server says so" in outcome.reason  # type: ignore[union-attr]


@pytest.mark.measures
async def test_nobody_waits_for_long_because_a_collector_cannot_take_a_request_now() -> None:
    """Whether an UNAVAILABLE is its own shows only a moment later."""
    took = []
    for _ in range(3):
        begun = time.monotonic()
        await outcome_of(http2.grpc_status(14))
        took.append(time.monotonic() - begun)
    assert min(took) < 0.04
