"""`doctor` on its way to a collector: each step that can fail does, with real sockets, and gets its own advice."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otellogdriver.commands.doctor import advice, collector
from otellogdriver.commands.doctor.check import Check
from otellogdriver.commands.doctor.port import speech
from otellogdriver.commands.doctor.record import BODY, SERVICE
from otellogdriver.export.destination import GRPC, HTTP, Destination
from tests.fakes.behaviour import answer, hang, partial, status
from tests.fakes.certificates import Certificates, make_certificates
from tests.fakes.otlp_server import OtlpServer, ServerTls

both = pytest.mark.parametrize("protocol", (HTTP, GRPC))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


async def look(endpoint: str, protocol: str = HTTP, send: bool = True, **settings: object) -> list[Check]:
    destination = Destination((endpoint,), protocol, timeout=2.0, **settings)  # type: ignore[arg-type]
    return [check async for check in collector.look(destination, endpoint, "host-1", send)]


def states(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.state for check in checks}


def secure(protocol: str, files: Certificates, mutual: bool = False) -> OtlpServer:
    return OtlpServer(protocol, tls=ServerTls(files.server, files.server_key, files.ca if mutual else None))


@both
async def test_all_well(protocol: str) -> None:
    async with OtlpServer(protocol) as server:
        checks = await look(server.endpoint, protocol)
        assert states(checks) == {"connection": "ok", "record": "ok"}
        (record,) = server.records()
        assert record.body == BODY
        assert SERVICE.encode() in server.requests[0].body and b"host-1" in server.requests[0].body
        assert states(await look(server.endpoint, protocol, send=False)) == {"connection": "ok"}
        assert len(server.requests) == 1


@both
async def test_all_well_with_tls_and_a_name(protocol: str, files: Certificates) -> None:
    async with secure(protocol, files) as server:
        endpoint = f"https://localhost:{server.port}"
        checks = await look(endpoint, protocol, certificate=str(files.ca), server_name=files.name)
        assert states(checks) == {"name": "ok", "connection": "ok", "TLS": "note", "record": "ok"}
        assert "ends in 2 days" in checks[2].text, "the certificate of the tests"


async def test_a_name_that_nobody_knows() -> None:
    checks = await look("http://collector.invalid:4318")
    assert states(checks) == {"name": "failed"}
    assert "collector.invalid: " in checks[0].text and "getent hosts collector.invalid" in checks[0].advice
    assert "compose network" not in checks[0].advice
    (check,) = await look("http://no-such-service:4318")
    assert "publish the collector's port and write localhost" in check.advice


async def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as idle, socket.socket() as usual:
        idle.bind(("127.0.0.1", 0))  # bound, so nobody else takes it, but it does not listen
        usual.bind(("127.0.0.1", 0))
        port = usual.getsockname()[1]
        monkeypatch.setattr(advice, "USUAL_PORT", {HTTP: 1, GRPC: port})
        endpoint = f"http://127.0.0.1:{idle.getsockname()[1]}"
        (check,) = await look(endpoint)
        assert check.state == "failed" and "Connection refused" in check.text
        assert "is the collector running" in check.advice
        usual.listen()
        (check,) = await look(endpoint)
        assert f"otlp-endpoint=http://127.0.0.1:{port} and otlp-protocol=grpc" in check.advice


async def test_the_wrong_protocol() -> None:
    async with OtlpServer(HTTP) as http, OtlpServer(GRPC) as grpc:
        record = (await look(http.endpoint, GRPC))[-1]
        assert record.state == "failed" and "speaks HTTP/1.1, not gRPC: otlp-protocol=http/protobuf" in record.advice
        record = (await look(grpc.endpoint, HTTP))[-1]
        assert record.state == "failed" and "speaks HTTP/2, as gRPC does: otlp-protocol=grpc" in record.advice


@both
async def test_tls_where_there_is_none(protocol: str) -> None:
    async with OtlpServer(protocol) as server:
        check = (await look(server.endpoint.replace("http:", "https:"), protocol))[-1]
        assert (check.name, check.state) == ("TLS", "failed")
        assert f"does not speak TLS: otlp-endpoint={server.endpoint}" in check.advice


@both
async def test_no_tls_where_there_is_some(protocol: str, files: Certificates) -> None:
    async with secure(protocol, files) as server:
        check = (await look(server.endpoint.replace("https:", "http:"), protocol))[-1]
        assert (check.name, check.state) == ("record", "failed")
        assert f"this port speaks TLS: otlp-endpoint={server.endpoint}" == check.advice


@both
async def test_certificates_that_are_not_trusted(protocol: str, files: Certificates) -> None:
    async with secure(protocol, files) as server:
        check = (await look(server.endpoint, protocol, server_name=files.name))[-1]
        assert (check.name, check.state) == ("TLS", "failed")
        assert "give it as otlp-certificate" in check.advice
        check = (await look(server.endpoint, protocol, certificate=str(files.other_ca), server_name=files.name))[-1]
        assert f"otlp-certificate ({files.other_ca}) does not hold the CA" in check.advice
        check = (await look(server.endpoint, protocol, certificate=files.other_ca.read_text(), server_name="x"))[-1]
        assert "otlp-certificate (the PEM text) does not" in check.advice
        check = (await look(server.endpoint, protocol, certificate=str(files.ca)))[-1]
        assert "otlp-server-name=NAME" in check.advice
        assert not server.requests


@both
async def test_a_client_certificate_is_asked_for(protocol: str, files: Certificates) -> None:
    async with secure(protocol, files, mutual=True) as server:
        check = (await look(server.endpoint, protocol, certificate=str(files.ca), server_name=files.name))[-1]
        assert (check.name, check.state) == ("TLS", "failed")
        assert "asks for a certificate of ours: otlp-client-certificate" in check.advice
        trust: dict[str, Any] = {"certificate": str(files.ca), "server_name": files.name}
        ours: dict[str, Any] = {"client_certificate": str(files.client), "client_key": str(files.client_key)}
        assert (await look(server.endpoint, protocol, **trust, **ours))[-1].state == "ok"


async def test_files_that_cannot_be_used(files: Certificates, tmp_path: Path) -> None:
    (check,) = await look("https://127.0.0.1:9", certificate=str(tmp_path / "none.pem"))
    assert (check.name, check.state) == ("destination", "failed") and "none.pem" in check.text
    (check,) = await look("http://127.0.0.1:9", headers_file=str(tmp_path / "token"))
    assert "otlp-headers-file" in check.text


@pytest.mark.parametrize(
    ("code", "message", "said"),
    (
        (401, "token expired", "the token is wrong or has expired (headers sent: authorization, x-tenant)"),
        (403, "", "check the token's rights (headers sent: authorization, x-tenant)"),
        (404, "", "is the path right (collectors: /v1/logs"),
        (308, "", "write the final address"),
        (400, "", "no OTLP receiver for http/protobuf"),
        (413, "", "lower batch-size"),
        (429, "", "limits how much it takes"),
        (503, "", "cannot take records now"),
        (
            "UNAUTHENTICATED",
            "token expired",
            "the token is wrong or has expired (headers sent: authorization, x-tenant)",
        ),
        ("PERMISSION_DENIED", "", "check the token's rights"),
        ("UNIMPLEMENTED", "unknown service", "has the receiver a pipeline for logs?"),
        ("UNAVAILABLE", "busy", "cannot take records now"),
        ("RESOURCE_EXHAUSTED", "", "cannot take records now"),
    ),
)
async def test_answers(code: int | str, message: str, said: str) -> None:
    protocol = HTTP if isinstance(code, int) else GRPC
    async with OtlpServer(protocol) as server:
        server.default = status(code, message=message)
        headers = (("authorization", "Bearer hunter2"), ("x-tenant", "secret-tenant"))
        check = (await look(server.endpoint, protocol, headers=headers))[-1]
        assert (check.name, check.state) == ("record", "failed")
        assert message in check.text and str(code) in check.text
        assert said in check.advice
        assert "hunter2" not in f"{check}" and "secret-tenant" not in f"{check}"


async def test_no_token_at_all() -> None:
    async with OtlpServer() as server:
        server.default = status(401)
        check = (await look(server.endpoint))[-1]
        assert "no token is sent" in check.advice
        check = (await look(server.endpoint.replace("//", "//me:hunter2@")))[-1]
        assert "headers sent: authorization" in check.advice and "hunter2" not in f"{check}"


async def test_other_answers() -> None:
    async with OtlpServer() as server:
        server.default = answer(200, "<html>", "text/html")
        assert "this is a web server" in (await look(server.endpoint))[-1].advice
        server.default = partial(1, "no such tenant")
        check = (await look(server.endpoint))[-1]
        assert check.state == "failed" and "rejected the record: no such tenant" in check.text
        server.default = partial(0, "soon to be retired")
        check = (await look(server.endpoint))[-1]
        assert check.state == "ok" and "soon to be retired" in check.text
        server.default = hang()
        check = (await look(server.endpoint))[-1]
        assert check.state == "failed" and "takes connections, but does not answer" in check.advice


@pytest.fixture
def mute() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def test_what_a_port_speaks(files: Certificates, mute: int) -> None:
    async with OtlpServer(HTTP) as http, OtlpServer(GRPC) as grpc, secure(HTTP, files) as https:
        assert await speech("127.0.0.1", http.port, tls=False) == "http/1.1"
        assert await speech("127.0.0.1", grpc.port, tls=False) == "http/2"
        assert await speech("127.0.0.1", https.port, tls=False) == "tls"
        assert await speech("127.0.0.1", https.port, tls=True) == "http/1.1"
    assert await speech("127.0.0.1", mute, tls=False) == "silence"
    assert await speech("127.0.0.1", 9, tls=False) == "closed"


async def test_a_banner_is_neither(files: Certificates) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await speech("127.0.0.1", port, tls=False) == "other"
        check = (await look(f"https://127.0.0.1:{port}"))[-1]
        assert "neither TLS nor HTTP" in check.advice
