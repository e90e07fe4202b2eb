"""TLS with both protocols: whom we trust, whom they trust, and that a mended file heals without a new client."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from otellogdriver.export.client import client_for, prepare
from otellogdriver.export.destination import Destination
from otellogdriver.export.outcome import Delivered, Denied, Outcome, Retry
from otellogdriver.export.tls import context
from tests.fakes.certificates import Certificates, make_certificates
from tests.fakes.otlp_server import OtlpServer, ServerTls
from tests.scene import LONG
from tests.unit.export.otlp_requests import request

HTTP, GRPC = "http/protobuf", "grpc"
both = pytest.mark.parametrize("protocol", [HTTP, GRPC])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def tls_server(protocol: str, files: Certificates, mutual: bool = False) -> OtlpServer:
    tls = ServerTls(files.server, files.server_key, files.ca if mutual else None)
    return OtlpServer(protocol, tls=tls)


async def send(server: OtlpServer, **settings: object) -> Outcome:
    destination = Destination((server.endpoint,), server.protocol, timeout=5, **settings)  # type: ignore[arg-type]
    client = client_for(destination)
    try:
        return await client.send(prepare(destination, [request("a", 2)]))
    finally:
        await client.close()


@both
async def test_ca_as_path_as_pem_and_as_pem_on_one_line(protocol: str, files: Certificates) -> None:
    async with tls_server(protocol, files) as server:
        pem = files.ca.read_text()
        for certificate in (str(files.ca), pem, pem.replace("\n", "\\n")):
            assert await send(server, certificate=certificate, server_name=files.name) == Delivered()
        assert server.taken == 6


def test_a_ca_that_other_clients_take_is_taken(files: Certificates) -> None:
    """The test's own CA has no `key usage`, as many home-made ones: Python 3.13's strict rules would refuse it."""
    destination = Destination(("https://collector.test",), HTTP, certificate=str(files.ca))
    assert not context(destination).verify_flags & ssl.VERIFY_X509_STRICT


@both
async def test_wrong_ca_is_denied(protocol: str, files: Certificates) -> None:
    async with tls_server(protocol, files) as server:
        for certificate in (str(files.other_ca), ""):
            outcome = await send(server, certificate=certificate, server_name=files.name)
            assert isinstance(outcome, Denied)
            assert server.endpoint in outcome.reason
        assert not server.requests


@both
async def test_server_name_is_checked(protocol: str, files: Certificates) -> None:
    async with tls_server(protocol, files) as server:  # the certificate does not name 127.0.0.1
        assert isinstance(await send(server, certificate=str(files.ca)), Denied)
        assert isinstance(await send(server, certificate=str(files.ca), server_name="other.test"), Denied)


async def test_skip_verify_http(files: Certificates) -> None:
    async with tls_server(HTTP, files) as server:
        assert await send(server, skip_verify=True) == Delivered()


@both
async def test_mutual_tls(protocol: str, files: Certificates) -> None:
    async with tls_server(protocol, files, mutual=True) as server:
        trust = {"certificate": str(files.ca), "server_name": files.name}
        ours = {"client_certificate": str(files.client), "client_key": str(files.client_key)}
        inline = {"client_certificate": files.client.read_text(), "client_key": files.client_key.read_text()}
        one_file = {"client_certificate": files.client.read_text() + files.client_key.read_text()}
        for pair in (ours, inline, one_file):
            assert await send(server, **trust, **pair) == Delivered()
        outcome = await send(server, **trust)
        assert isinstance(outcome, Denied | Retry), "asyncio's server breaks off without a word"
        assert server.taken == 6


async def test_server_that_wants_our_certificate_is_told(files: Certificates) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.server, files.server_key)
    context.load_verify_locations(files.ca)
    context.verify_mode = ssl.CERT_REQUIRED

    def refuse(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            with contextlib.suppress(ssl.SSLError):
                context.wrap_socket(connection.dup(), server_side=True).close()
            connection.settimeout(5)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 16):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuse, args=(listener,))
        thread.start()
        endpoint = f"https://127.0.0.1:{listener.getsockname()[1]}"
        client = client_for(
            Destination((endpoint,), HTTP, timeout=5, certificate=str(files.ca), server_name=files.name)
        )
        outcome = await client.send([b""])
        await client.close()
        thread.join(LONG)
    assert isinstance(outcome, Denied) and "CERTIFICATE_REQUIRED" in outcome.reason


@both
async def test_unusable_files_are_denied_and_named(protocol: str, files: Certificates, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    missing = str(tmp_path / "missing.pem")
    good = {"client_certificate": str(files.client), "client_key": str(files.client_key)}
    cases: list[tuple[dict[str, str], str]] = [
        ({"certificate": missing}, "missing.pem"),
        ({"certificate": str(tmp_path)}, str(tmp_path)),
        ({"certificate": str(empty)}, "empty.pem"),
        ({"certificate": "-----BEGIN CERTIFICATE-----\nsecret\n-----END CERTIFICATE-----"}, "CA certificate (PEM)"),
        ({**good, "client_certificate": missing}, "client certificate"),
        ({**good, "client_key": missing}, "client key"),
        ({**good, "client_key": str(files.server_key)}, "client certificate"),
        ({"client_key": str(files.client_key)}, "client certificate"),
        ({"client_certificate": str(files.client)}, "client certificate"),
    ]
    async with tls_server(protocol, files) as server:
        for settings, named in cases:
            outcome = await send(server, **settings)
            assert isinstance(outcome, Denied), settings
            assert named in outcome.reason and "secret" not in outcome.reason
        assert server.connections == 0 and not server.requests


@both
async def test_encrypted_key_is_denied_without_asking(protocol: str, files: Certificates, tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    command = ("openssl", "pkcs8", "-topk8", "-in", files.client_key, "-out", locked, "-passout", "pass:word")
    subprocess.run(command, check=True, capture_output=True)
    async with tls_server(protocol, files) as server:
        outcome = await send(server, client_certificate=str(files.client), client_key=str(locked))
        assert isinstance(outcome, Denied) and "unencrypted" in outcome.reason


@both
async def test_mended_file_heals(protocol: str, files: Certificates, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    async with tls_server(protocol, files) as server:
        destination = Destination((server.endpoint,), protocol, timeout=5, certificate=str(ca), server_name=files.name)
        client = client_for(destination)
        body = prepare(destination, [request("a", 2)])
        try:
            assert isinstance(await client.send(body), Denied), "no such file"
            ca.write_bytes(files.other_ca.read_bytes())
            assert isinstance(await client.send(body), Denied), "a file that does not fit"
            ca.write_bytes(files.ca.read_bytes())
            assert await client.send(body) == Delivered()
        finally:
            await client.close()


@both
async def test_tls_against_a_plain_server_ends(protocol: str, files: Certificates) -> None:
    async with OtlpServer(protocol) as server:
        destination = Destination((server.endpoint.replace("http:", "https:"),), protocol, timeout=1)
        client = client_for(destination)
        try:
            assert isinstance(await client.send(prepare(destination, [request("a", 2)])), Retry | Denied)
        finally:
            await client.close()
