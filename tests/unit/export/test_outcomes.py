"""What each answer of a collector means, over real sockets, for both protocols."""

from __future__ import annotations

import email.utils
import socket
import time
from collections.abc import AsyncIterator

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from otellogdriver.export import answer
from otellogdriver.export.answer import PROTOBUF, delivered, error_message, retry_info
from otellogdriver.export.client import client_for, prepare
from otellogdriver.export.destination import Destination
from otellogdriver.export.http import retry_after
from otellogdriver.export.outcome import Client, Delivered, Denied, Outcome, Refused, Retry, Unread
from tests.fakes import behaviour as do
from tests.fakes.behaviour import Behaviour
from tests.fakes.otlp_server import OtlpServer
from tests.unit.export.otlp_requests import request

HTTP, GRPC = "http/protobuf", "grpc"


@pytest.fixture(params=[HTTP, GRPC])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[OtlpServer]:
    async with OtlpServer(request.param) as server:
        yield server


def to(server: OtlpServer, **settings: object) -> Destination:
    return Destination((server.endpoint,), server.protocol, **{"timeout": 5.0, **settings})  # type: ignore[arg-type]


async def send(destination: Destination, body: bytes | None = None) -> Outcome:
    client: Client = client_for(destination)
    try:
        return await client.send(prepare(destination, [request("a", 3) if body is None else body]))
    finally:
        await client.close()


@pytest.mark.parametrize("compression", ["gzip", "none", "auto"])
async def test_delivers_every_byte(server: OtlpServer, compression: str) -> None:
    destination = to(server, compression=compression, headers=(("X-Tenant", "blue"),))
    body = request("a", 1000)
    assert await send(destination, body) == Delivered()
    (got,) = server.requests
    assert (got.body, got.containers, got.headers["x-tenant"]) == (body, {"a": 1000}, "blue")
    assert got.headers["user-agent"].startswith("otellogdriver/")
    assert " OTel-OTLP-Exporter-Python/" in got.headers["user-agent"]
    if server.protocol == HTTP:
        assert got.path == "POST /v1/logs"
        assert got.headers["content-type"] == "application/x-protobuf"
        assert (got.wire_size < len(body) / 3) == (compression == "gzip")


@pytest.mark.parametrize("level", [0, 1, 3, 9])
async def test_compression_level_is_taken_as_far_as_it_goes(level: int) -> None:
    async with OtlpServer(HTTP) as server:
        assert await send(to(server, compression="gzip", compression_level=level)) == Delivered()
        assert server.taken == 3


async def test_partial_success_is_delivered_with_its_count(server: OtlpServer) -> None:
    server.script += [do.partial(2, "two\nwere bad"), do.partial(0, "a warning")]
    assert await send(to(server)) == Delivered(2, "two were bad")
    assert await send(to(server)) == Delivered(0, "a warning")


HTTP_CLASSES = {
    Delivered: (200, 201, 202, 204),
    Retry: (408, 425, 429, 502, 503, 504, 520, 522, 527, 530),
    Denied: (300, 301, 302, 304, 307, 308, 401, 402, 403, 404, 405, 407, 410, 415, 431, 451, 501, 511),
    Refused: (400, 409, 413, 422, 499, 500, 507, 599),
}


@pytest.mark.parametrize(("code", "kind"), [(code, kind) for kind, codes in HTTP_CLASSES.items() for code in codes])
async def test_http_status(code: int, kind: type[Outcome]) -> None:
    async with OtlpServer(HTTP) as server:
        server.default = do.status(code, message="why so")
        outcome = await send(to(server))
        assert type(outcome) is kind
        if not isinstance(outcome, Delivered):
            assert f"{server.endpoint}: HTTP {code}" in outcome.reason
            assert code == 304 or outcome.reason.endswith("why so")
        assert len(server.requests) == 1, "one send is one request"


GRPC_CLASSES = {
    Retry: ("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"),
    Denied: ("UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED", "NOT_FOUND"),
    Refused: ("UNKNOWN", "INVALID_ARGUMENT", "ALREADY_EXISTS", "FAILED_PRECONDITION", "INTERNAL", "RESOURCE_EXHAUSTED"),
}


@pytest.mark.parametrize(("code", "kind"), [(code, kind) for kind, codes in GRPC_CLASSES.items() for code in codes])
async def test_grpc_status(code: str, kind: type[Outcome]) -> None:
    async with OtlpServer(GRPC) as server:
        server.default = do.status(code, message="why so")
        outcome = await send(to(server))
        assert type(outcome) is kind
        assert not isinstance(outcome, Delivered)
        assert f"{server.endpoint}: " in outcome.reason and code in outcome.reason
        if isinstance(outcome, Retry):
            assert outcome.kind == ("timeout" if code == "DEADLINE_EXCEEDED" else "unavailable")
        assert len(server.requests) == 1


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
async def test_grpc_retry_info(code: str) -> None:
    async with OtlpServer(GRPC) as server:
        server.default = do.status(code, retry_after="2.5")
        outcome = await send(to(server))
        assert isinstance(outcome, Retry)
        assert (outcome.kind, outcome.after) == ("throttled", 2.5)


async def test_grpc_retry_info_means_nothing_where_the_data_is_bad() -> None:
    async with OtlpServer(GRPC) as server:
        server.default = do.status("INVALID_ARGUMENT", retry_after="2.5")
        assert isinstance(await send(to(server)), Refused)


@pytest.mark.parametrize("code", [429, 503])
async def test_http_retry_after(code: int) -> None:
    async with OtlpServer(HTTP) as server:
        in_a_minute = email.utils.formatdate(time.time() + 60, usegmt=True)
        server.script += [do.status(code, retry_after=value) for value in ("7", in_a_minute, "soon", "")]
        destination = to(server)
        outcomes = [await send(destination) for _ in range(4)]
        waits = [outcome.after for outcome in outcomes if isinstance(outcome, Retry)]
        assert waits[0] == 7 and waits[1] == pytest.approx(60, abs=2) and waits[2:] == [None, None]


@pytest.mark.parametrize("body", [b"", b"\x0a\x00"])
def test_an_answer_that_says_nothing_is_not_given_to_a_library(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    """Protobuf's ends the process where there is no memory, and these answers come with each request."""
    assert not ExportLogsServiceResponse.FromString(body).partial_success.ByteSize()
    monkeypatch.setattr(answer, "ExportLogsServiceResponse", None)
    assert delivered(body) == Delivered()
    assert delivered(b"\x0a\x02\x08\x01").message, "what says something is read"


@pytest.mark.measures
@pytest.mark.parametrize("kind", ["application/json", PROTOBUF, "text/plain"])
@pytest.mark.parametrize(
    "piece", [b"a", b" ", b"[", b'{"message":', b'"', b"\\", b"\xff", b"7", b"\x0a\0", b"\x1a\x7f"]
)
def test_whatever_is_answered_takes_time_in_proportion(kind: str, piece: bytes) -> None:
    def seconds(size: int) -> float:
        body = (b'{"partialSuccess":' if kind == "application/json" else b"") + piece * (size // len(piece))
        begun = time.process_time()
        delivered(body, kind, ("secret", "a" * 40))
        error_message(body, kind, ("secret", "a" * 40))
        retry_info(body)
        return time.process_time() - begun

    took = [min(seconds(size) for _ in range(3)) for size in (200_000, 800_000)]
    assert took[1] < 9 * took[0] + 0.03, took


def test_retry_after_forms() -> None:
    date = "Wed, 21 Oct 2026 07:28:00 GMT"
    assert retry_after("0") == 0
    assert retry_after(" 120 ") == 120
    assert retry_after("999999999") == 86400
    assert retry_after("Wed, 21 Oct 2026 07:28:30 GMT", date) == 30, "seen from the server's clock"
    assert retry_after("Wed, 21 Oct 2026 07:27:00 GMT", date) == 0
    assert retry_after("Fri, 01 Jan 9999 00:00:00 GMT") == 86400
    for nonsense in ("", "-5", "1.5", "tomorrow", "99999999999999999999", "Wed, 99 Oct 2026 07:28:30 GMT"):
        assert retry_after(nonsense) is None


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (do.answer(200, "<html>log in</html>", "text/html; charset=utf-8"), Denied),
        (do.answer(200, "OK", "text/plain"), Delivered()),
        (do.answer(204), Delivered()),
        (do.answer(200, "\xff\xff", "application/x-protobuf"), "ExportLogsServiceResponse"),
        (do.answer(200, "{}", "application/json"), Delivered()),
        (do.answer(200, '{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"x"}}', "application/json"), 3),
        (do.answer(200, '{"partialSuccess":{"errorMessage":null}}', "application/json"), Delivered()),
        (do.answer(200, "[1]", "application/json"), "ExportLogsServiceResponse"),
        (do.answer(200, '{"a":' * 100_000, "application/json"), "ExportLogsServiceResponse"),
        (do.answer(200, '{"partialSuccess":{"rejectedLogRecords":Infinity}}', "application/json"), "ExportLogsService"),
        (do.answer(200, "x" * ((4 << 20) + 1), "application/x-protobuf"), Unread),
    ],
)
async def test_http_success_that_is_not_protobuf(answer: Behaviour, outcome: object) -> None:
    async with OtlpServer(HTTP) as server:
        server.default = answer
        got = await send(to(server))
        if outcome is Denied:
            assert isinstance(got, Denied) and "text/html" in got.reason
        elif outcome is Unread:
            assert isinstance(got, Unread) and "longer than" in got.reason
        elif isinstance(outcome, int):
            assert got == Delivered(outcome, "x")
        elif isinstance(outcome, str):
            assert isinstance(got, Delivered) and outcome in got.message
        else:
            assert got == outcome


async def test_http_redirect_is_not_followed() -> None:
    async with OtlpServer(HTTP) as elsewhere, OtlpServer(HTTP) as server:
        server.default = do.answer(307, location=elsewhere.endpoint + "/v1/logs?token=secret")
        outcome = await send(to(server, headers=(("authorization", "Bearer 12345678"),)))
        assert isinstance(outcome, Denied)
        assert elsewhere.endpoint in outcome.reason and "secret" not in outcome.reason
        assert not elsewhere.requests


async def test_http_error_texts() -> None:
    async with OtlpServer(HTTP) as server:
        server.script += [
            do.answer(400, '{"code":3,"message":"bad\\nbody"}', "application/json"),
            do.answer(400, "plain words", "text/plain"),
            do.answer(413, "<html>long page</html>", "text/html"),
            do.answer(400, "y" * 100_000, "text/plain"),
            do.answer(400, "\x00\x1b[31mred", "text/plain"),
        ]
        destination = to(server)
        texts = [outcome.reason for _ in range(5) if isinstance(outcome := await send(destination), Refused)]
        assert texts[0].endswith(": bad body")
        assert texts[1].endswith(": plain words")
        assert "html" not in texts[2]
        assert len(texts[3]) < 400
        assert texts[4].endswith(": ??[31mred")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("Client sent an HTTP request to an HTTPS server.\n", ""),  # Go
        ("<html>The plain HTTP request was sent to HTTPS port</html>", "text/html"),  # nginx
    ],
)
async def test_plain_http_to_a_tls_port_is_no_reason_to_give_up_data(body: str, content_type: str) -> None:
    async with OtlpServer(HTTP) as server:
        server.default = do.answer(400, body, content_type)
        assert isinstance(await send(to(server)), Denied)


async def test_timeout(server: OtlpServer) -> None:
    server.default = do.hang()
    began = time.monotonic()
    outcome = await send(to(server, timeout=0.3))
    assert isinstance(outcome, Retry) and outcome.kind == "timeout" and "0.3 s" in outcome.reason
    assert 0.25 < time.monotonic() - began < 3


async def test_timeout_zero_is_none(server: OtlpServer) -> None:
    server.default = do.ok(delay=0.3)
    assert await send(to(server, timeout=0.0)) == Delivered()


async def test_connection_closed_before_the_answer(server: OtlpServer) -> None:
    server.script += [do.close()]
    outcome = await send(to(server))
    assert isinstance(outcome, Retry) and outcome.kind == "unreachable"
    assert server.endpoint in outcome.reason
    await server.settle()
    assert await send(to(server)) == Delivered()


async def test_http_connection_closed_within_the_answer() -> None:
    async with OtlpServer(HTTP) as server:
        server.script += [do.close(within=200), do.close(within=400)]
        outcome = await send(to(server))
        assert isinstance(outcome, Retry) and outcome.kind == "unreachable"
        assert isinstance(await send(to(server)), Refused), "the status is known, and it decides"


@pytest.mark.parametrize("code", [401, 413])
async def test_http_answer_without_reading_the_body(code: int) -> None:
    """As a proxy with a body limit does: the answer counts, though the rest of the request meets a closed socket."""
    async with OtlpServer(HTTP) as server:
        server.default = Behaviour("early", status=code)
        destination = to(server, compression="none")
        outcomes = [await send(destination, request("a", 30_000)) for _ in range(10)]
        kinds = {type(outcome) for outcome in outcomes}
        assert kinds == {Denied if code == 401 else Refused}, outcomes


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
async def test_nobody_listens(protocol: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        outcome = await send(Destination((f"http://127.0.0.1:{taken.getsockname()[1]}",), protocol, timeout=5))
    assert isinstance(outcome, Retry) and outcome.kind == "unreachable" and outcome.after is None
    assert "refused" in outcome.reason


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
async def test_name_that_does_not_exist(protocol: str) -> None:
    outcome = await send(Destination(("http://no-such-host.invalid:4318",), protocol, timeout=5))
    assert isinstance(outcome, Retry) and outcome.kind == "unreachable"
    assert "no-such-host.invalid" in outcome.reason


async def test_wrong_protocol_is_told() -> None:
    async with OtlpServer(HTTP) as http, OtlpServer(GRPC) as grpc:
        outcome = await send(Destination((http.endpoint,), GRPC, timeout=3))
        assert isinstance(outcome, Retry | Denied | Refused)
        outcome = await send(Destination((grpc.endpoint,), HTTP, timeout=3))
        assert isinstance(outcome, Retry | Denied | Refused)


async def test_grpc_request_larger_than_the_collector_takes() -> None:
    async with OtlpServer(GRPC) as server:
        server.default = do.status("RESOURCE_EXHAUSTED", message="Received message larger than max")
        assert isinstance(await send(to(server, compression="none")), Refused)


@pytest.mark.parametrize(
    ("destination", "names"),
    [
        (Destination(("collector:4318",), HTTP), "collector:4318"),
        (Destination(("http://collector:4318/x",), GRPC), "no path"),
        (Destination(("http://c:1",), "carrier-pigeon"), "carrier-pigeon"),
        (Destination(("https://c:1",), GRPC, skip_verify=True), "skip"),
    ],
)
async def test_settings_that_cannot_work_are_denied(destination: Destination, names: str) -> None:
    outcome = await send(destination)
    assert isinstance(outcome, Denied)
    assert names in outcome.reason and "secret" not in outcome.reason
