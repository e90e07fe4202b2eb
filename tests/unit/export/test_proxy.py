"""Through a proxy: both protocols, with and without TLS on either side; what a proxy says never speaks of the data."""

from __future__ import annotations

import asyncio
import base64
import errno
import os
import socket
import ssl
import tempfile
from pathlib import Path
from typing import Any

import pytest

from otellogdriver.errors import OptionError
from otellogdriver.export.client import client_for, prepare
from otellogdriver.export.destination import Destination, parse_endpoint
from otellogdriver.export.outcome import Delivered, Denied, Outcome, Retry
from otellogdriver.export.proxy import proxy_for
from tests.engine.loopback import free_port
from tests.fakes import behaviour as do
from tests.fakes.certificates import Certificates, make_certificates
from tests.fakes.otlp_server import OtlpServer, ServerTls
from tests.fakes.proxy import Proxy
from tests.unit.export.otlp_requests import request

HTTP, GRPC = "http/protobuf", "grpc"
PROTOCOLS = pytest.mark.parametrize("protocol", [HTTP, GRPC])
LOGIN = "Basic " + base64.b64encode(b"joe:pass-word").decode()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


async def send(endpoint: str, protocol: str, times: int = 1, **settings: Any) -> Outcome:
    destination = Destination((endpoint,), protocol, **{"timeout": 5.0, **settings})
    client = client_for(destination)
    try:
        for _ in range(times):
            outcome = await client.send(prepare(destination, [request("a", 2)]))
        return outcome
    finally:
        await client.close()


@PROTOCOLS
async def test_requests_share_one_tunnel(protocol: str) -> None:
    async with OtlpServer(protocol) as server, Proxy() as proxy:
        assert await send(server.endpoint, protocol, 3, proxy=proxy.endpoint) == Delivered()
        assert proxy.targets == [f"127.0.0.1:{server.port}"]
        assert len(server.requests) == 3
        assert server.requests[0].headers.get("host", proxy.targets[0]) == proxy.targets[0]
        assert "proxy-authorization" not in server.requests[0].headers


@PROTOCOLS
@pytest.mark.parametrize(
    ("host", "compression", "gzipped"),
    [
        ("collector.test", "auto", True),
        ("collector.test", "none", False),
        ("127.0.0.1", "auto", True),
        ("127.0.0.1", "none", False),
    ],
)
async def test_compression_on_the_way(protocol: str, host: str, compression: str, gzipped: bool) -> None:
    async with OtlpServer(protocol) as server, Proxy() as proxy:
        destination = Destination(
            (f"http://{host}:{server.port}",), protocol, timeout=5.0, proxy=proxy.endpoint, compression=compression
        )
        client = client_for(destination)
        body = request("a", 2000)
        assert await client.send(prepare(destination, [body])) == Delivered()
        await client.close()
        assert server.requests[0].body == body
        assert (proxy.passed < len(body) / 3) == gzipped


@PROTOCOLS
@pytest.mark.parametrize("encrypted_proxy", [False, True])
async def test_tls_to_the_collector_and_to_the_proxy(
    protocol: str, encrypted_proxy: bool, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.server, certificates.server_key)
    _resolve_here(monkeypatch)
    async with (
        OtlpServer(protocol, tls=ServerTls(certificates.server, certificates.server_key)) as server,
        Proxy(tls=context if encrypted_proxy else None, authorization=LOGIN) as proxy,
    ):
        scheme = "https" if encrypted_proxy else "http"
        outcome = await send(
            f"https://{certificates.name}:{server.port}",
            protocol,
            proxy=f"{scheme}://joe:pass-word@{certificates.name}:{proxy.port}",
            certificate=str(certificates.ca),
        )
        assert outcome == Delivered()
        assert proxy.targets == [f"{certificates.name}:{server.port}"]


@PROTOCOLS
async def test_a_collector_beyond_the_proxy_that_is_not_trusted(protocol: str, certificates: Certificates) -> None:
    async with (
        OtlpServer(protocol, tls=ServerTls(certificates.server, certificates.server_key)) as server,
        Proxy() as proxy,
    ):
        endpoint = f"https://{certificates.name}:{server.port}"
        outcome = await send(endpoint, protocol, proxy=proxy.endpoint, certificate=str(certificates.other_ca))
        assert isinstance(outcome, Denied)
        assert "proxy http" not in outcome.reason and "certificate" in outcome.reason.lower().replace("_", " ")


@PROTOCOLS
async def test_a_name_that_only_the_proxy_knows(protocol: str) -> None:
    async with OtlpServer(protocol) as server, Proxy() as proxy:
        endpoint = f"http://collector.only-behind.invalid:{server.port}"
        assert await send(endpoint, protocol, proxy=proxy.endpoint) == Delivered()


REFUSALS = [
    (b"HTTP/1.1 403 Forbidden\r\n\r\nno", Denied, "HTTP 403 Forbidden"),
    (b"HTTP/1.0 400 Bad Request\r\n\r\n", Denied, "HTTP 400 Bad Request"),
    (b"HTTP/1.1 413 Too Large\r\n\r\n", Denied, "HTTP 413"),
    (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", Retry, "HTTP 502 Bad Gateway"),
    (b"HTTP/1.1 500 Oops\r\n\r\n", Retry, "HTTP 500 Oops"),
    (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Retry, "no HTTP proxy"),
    (b"x" * 20_000, Retry, "no HTTP proxy"),
    (b"HTTP/1.1", Retry, "closed before it answered"),
]


@PROTOCOLS
@pytest.mark.parametrize(("answer", "kind", "text"), REFUSALS)
async def test_what_a_proxy_says_never_speaks_of_the_data(
    protocol: str, answer: bytes, kind: type[Outcome], text: str
) -> None:
    async with Proxy(answer=answer) as proxy:
        outcome = await send("http://collector.test:4318", protocol, proxy=proxy.endpoint)
        assert isinstance(outcome, kind) and not isinstance(outcome, Delivered)
        assert f"proxy {proxy.endpoint}" in outcome.reason and text in outcome.reason


@PROTOCOLS
async def test_many_requests_at_once(protocol: str) -> None:
    async with OtlpServer(protocol) as server, Proxy() as proxy:
        destination = Destination((server.endpoint,), protocol, timeout=10.0, proxy=proxy.endpoint)
        client = client_for(destination)
        body = prepare(destination, [request("a", 2000)])
        try:
            assert await asyncio.gather(*(client.send(body) for _ in range(16))) == [Delivered()] * 16
        finally:
            await client.close()
        assert server.taken == 16 * 2000


@PROTOCOLS
async def test_a_wrong_password_is_denied_and_not_shown(protocol: str) -> None:
    async with Proxy(authorization=LOGIN) as proxy:
        given = f"http://joe:other-word@127.0.0.1:{proxy.port}"
        outcome = await send("http://collector.test:4318", protocol, proxy=given)
        assert isinstance(outcome, Denied) and "HTTP 407" in outcome.reason
        assert "other-word" not in outcome.reason and "other-word" not in repr(Destination((), HTTP, proxy=given))


@PROTOCOLS
async def test_nobody_at_the_proxys_address(protocol: str) -> None:
    outcome = await send("http://collector.test:4318", protocol, proxy=f"http://127.0.0.1:{free_port()}")
    assert isinstance(outcome, Retry) and outcome.kind == "unreachable"
    assert "proxy" in outcome.reason and "refused" in outcome.reason


@PROTOCOLS
async def test_delivery_goes_on_when_the_proxy_is_back(protocol: str) -> None:
    async with OtlpServer(protocol) as server, Proxy(answer=b"HTTP/1.1 503 Busy\r\n\r\n") as proxy:
        destination = Destination((server.endpoint,), protocol, timeout=5.0, proxy=proxy.endpoint)
        client = client_for(destination)
        body = prepare(destination, [request("a", 2)])
        try:
            assert isinstance(await client.send(body), Retry)
            proxy.answer = b""
            assert await client.send(body) == Delivered()
            server.default = do.status(401 if protocol == HTTP else "UNAUTHENTICATED")
            outcome = await client.send(body)
            assert isinstance(outcome, Denied) and "proxy" not in outcome.reason
        finally:
            await client.close()


async def test_a_socket_that_cannot_be_made_now_is_made_with_the_next_request(monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = tempfile.mkdtemp, list[str]()

    def mkdtemp(**given: Any) -> str:
        made.append(real(**given))
        return made[-1]

    async def no_socket(*_: object) -> asyncio.Server:
        raise OSError(errno.ENFILE, "Too many open files in system")

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    async with OtlpServer(GRPC) as server, Proxy() as proxy:
        destination = Destination((server.endpoint,), GRPC, timeout=5.0, proxy=proxy.endpoint)
        client = client_for(destination)
        body = prepare(destination, [request("a", 2)])
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "start_unix_server", no_socket)
            outcome = await client.send(body)
        assert isinstance(outcome, Denied) and outcome.local and "Too many open files" in outcome.reason
        assert await client.send(body) == Delivered()
        await client.close()
    assert len(made) == 2 and not any(map(os.path.exists, made))


def test_a_certificate_for_the_proxy_that_cannot_be_read(tmp_path: Path) -> None:
    destination = Destination(("http://c:1",), HTTP, proxy="https://p:1", certificate=str(tmp_path / "none"))
    with pytest.raises(OptionError):
        proxy_for(destination, parse_endpoint("http://c:1", HTTP))


@pytest.mark.parametrize(
    ("endpoint", "settings", "used"),
    [
        ("http://c:1", {}, ""),
        ("http://c:1", {"http_proxy": "http://p:3128"}, "http://p:3128"),
        ("http://c:1", {"https_proxy": "http://p:3128"}, ""),
        ("https://c:1", {"https_proxy": "http://p"}, "http://p:80"),
        ("https://c:1", {"https_proxy": "https://p"}, "https://p:443"),
        ("https://c:1", {"https_proxy": "http://p", "no_proxy": ("c",)}, ""),
        ("https://localhost:1", {"https_proxy": "http://p"}, ""),
        ("https://localhost:1", {"proxy": "http://p"}, "http://p:80"),
        ("https://c:1", {"proxy": "http://q:1", "https_proxy": "http://p", "no_proxy": ("c",)}, "http://q:1"),
        ("https://c:1", {"proxy": "none", "https_proxy": "http://p"}, ""),
    ],
)
def test_which_proxy_is_used(endpoint: str, settings: dict[str, Any], used: str) -> None:
    found = proxy_for(Destination((endpoint,), HTTP, **settings), parse_endpoint(endpoint, HTTP))
    assert (found.place.label if found else "") == used


def _resolve_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the test certificates leads to loopback."""
    real = socket.getaddrinfo

    def looked_up(host: str, *more: Any) -> Any:
        return real("127.0.0.1" if host == "collector.test" else host, *more)

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
