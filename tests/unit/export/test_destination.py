"""How endpoints are read, and that no secret of a destination is ever shown."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from otellogdriver.errors import OptionError
from otellogdriver.export.answer import one_line, secrets_of
from otellogdriver.export.client import client_for, prepare
from otellogdriver.export.destination import Destination, Reading, parse_endpoint
from otellogdriver.export.outcome import Delivered, Denied
from tests.fakes import behaviour as do
from tests.fakes.otlp_server import OtlpServer
from tests.unit.export.otlp_requests import request

HTTP, GRPC = "http/protobuf", "grpc"


@pytest.mark.parametrize(
    ("text", "target", "label"),
    [
        ("http://collector:4318", "http://collector:4318/v1/logs", "http://collector:4318"),
        ("http://collector:4318/", "http://collector:4318/v1/logs", "http://collector:4318"),
        ("https://vendor.example", "https://vendor.example:443/v1/logs", "https://vendor.example:443"),
        ("http://vendor.example/otlp/", "http://vendor.example:80/otlp/v1/logs", "http://vendor.example:80"),
        ("http://c:1/otlp/v1/logs", "http://c:1/otlp/v1/logs", "http://c:1"),
        ("http://c:1/v1/logs/", "http://c:1/v1/logs", "http://c:1"),
        ("http://c:1/a?token=t%20x", "http://c:1/a/v1/logs?token=t%20x", "http://c:1"),
        ("http://[::1]:4318", "http://[::1]:4318/v1/logs", "http://[::1]:4318"),
        ("HTTP://u:p@Collector:4318", "http://collector:4318/v1/logs", "http://collector:4318"),
    ],
)
def test_http_endpoints(text: str, target: str, label: str) -> None:
    endpoint = parse_endpoint(text, HTTP)
    assert (endpoint.target, endpoint.label, endpoint.tls) == (target, label, label.startswith("https"))
    assert Destination((text,), HTTP).label == label


@pytest.mark.parametrize(
    ("text", "reading", "target"),
    [
        ("http://c:1", "whole", "http://c:1/"),
        ("http://c:1/", "whole", "http://c:1/"),
        ("http://c:1?a=b", "whole", "http://c:1/?a=b"),
        ("http://c:1/otlp", "whole", "http://c:1/otlp"),
        ("http://c:1/v1/logs/", "whole", "http://c:1/v1/logs/"),
        ("http://c:1", "base", "http://c:1/v1/logs"),
        ("http://c:1/otlp/", "base", "http://c:1/otlp/v1/logs"),
        ("http://c:1/v1/logs", "base", "http://c:1/v1/logs/v1/logs"),
        ("http://c:1/a%2Fb/../c?x=%2F%3F&y", "whole", "http://c:1/a%2Fb/../c?x=%2F%3F&y"),
        ("http://c:1/a%2Fb/../c?x=%2F%3F&y", "base", "http://c:1/a%2Fb/../c/v1/logs?x=%2F%3F&y"),
    ],
)
def test_readings(text: str, reading: Reading, target: str) -> None:
    assert parse_endpoint(text, HTTP, reading=reading).target == target


@pytest.mark.parametrize("text", ["http://[fe80::1%25lo]:4318/v1/logs", "http://[fe80::1%lo]:4318/v1/logs"])
def test_the_zone_of_an_address_is_for_this_machine_alone(text: str) -> None:
    endpoint = parse_endpoint(text, HTTP)
    assert (endpoint.host, endpoint.zone, endpoint.authority) == ("fe80::1", "lo", "[fe80::1]:4318")
    assert endpoint.target == "http://[fe80::1%lo]:4318/v1/logs"
    assert parse_endpoint("[fe80::1%lo]:4317", GRPC).target == "ipv6:[fe80::1%25lo]:4317"


async def test_path_and_query_are_sent_as_they_are_written() -> None:
    async with OtlpServer(HTTP) as server:
        written = "/a%2Fb/../c//d%20/v1/logs?x=%2F%3F&y=%41+"
        client = client_for(Destination((server.endpoint + written,), HTTP, reading="whole"))
        await client.send([b""])
        await client.close()
        assert server.requests[-1].path == f"POST {written}"


@pytest.mark.parametrize(
    ("text", "insecure", "target", "tls"),
    [
        ("http://collector:4317", False, "collector:4317", False),
        ("https://collector:4317/", True, "collector:4317", True),
        ("collector:4317", False, "collector:4317", True),
        ("collector:4317", True, "collector:4317", False),
        ("[::1]:4317", True, "[::1]:4317", False),
    ],
)
def test_grpc_endpoints(text: str, insecure: bool, target: str, tls: bool) -> None:
    endpoint = parse_endpoint(text, GRPC, insecure)
    assert (endpoint.target, endpoint.tls) == (target, tls)
    assert endpoint.label == f"{'https' if tls else 'http'}://{target}"


@pytest.mark.parametrize(
    ("text", "protocol"),
    [
        *((text, HTTP) for text in ("", "a b", "c:4318", "ftp://c:1", "http://", "http://c:x", "http://c:70000")),
        *((text, HTTP) for text in ("http://user:secret@:1", "http://user:secret/x@c:1", "http://c:x?token=secret")),
        *((text, GRPC) for text in ("", "http://c:1/?token=secret", "http://c:1/v1/logs", "http://user:secret@c:z")),
    ],
)
def test_endpoints_that_are_none(text: str, protocol: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_endpoint(text, protocol)
    assert "write http" in str(caught.value)
    assert "secret@" not in str(caught.value) and "token" not in str(caught.value)
    assert Destination((text,), protocol).label == "invalid-endpoint"


@pytest.mark.parametrize(
    ("host", "here"),
    [
        *((host, True) for host in ("localhost", "LocalHost", "localhost.", "127.0.0.1", "127.255.0.9", "[::1]")),
        *((host, True) for host in ("u:p@127.0.0.1", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]")),
        *((host, False) for host in ("collector", "localhost.example", "my.localhost", "host.docker.internal")),
        *((host, False) for host in ("10.0.0.1", "128.0.0.1", "0.0.0.0", "[::]", "[::2]", "[fe80::1%25lo]")),
        *((host, False) for host in ("localhost@far.example", "[::ffff:10.0.0.1]")),
    ],
)
def test_compression_auto_is_none_to_this_host_alone(host: str, here: bool) -> None:
    for protocol in (HTTP, GRPC):
        for endpoint in (f"http://{host}:4318", f"https://{host}", *((f"{host}:4317",) if protocol == GRPC else ())):
            assert Destination((endpoint,), protocol).gzipped == frozenset(() if here else (endpoint,))
            assert Destination((endpoint,), protocol, compression="gzip").gzipped == {endpoint}
            assert not Destination((endpoint,), protocol, compression="none").gzipped


def test_compression_auto_is_decided_for_each_endpoint() -> None:
    here, there, path = "http://127.0.0.1:4318", "http://gateway:4318", "http://localhost:4318/otlp?a=b"
    destination = Destination((here, there, path), HTTP)
    assert destination.gzipped == {there}
    assert replace(destination, endpoints=(there, here)).gzipped == {there}
    assert not replace(destination, endpoints=(here,)).gzipped
    assert replace(destination, compression="gzip").gzipped == {here, there, path}
    assert Destination(("no endpoint", here), HTTP).gzipped == {"no endpoint"}


def test_compression_auto_behind_a_proxy() -> None:
    """By the endpoint, not by the proxy, unless the endpoint is what the proxy calls localhost."""
    here, there, proxy = "http://localhost:4318", "http://gateway:4318", "http://127.0.0.1:3128"
    assert Destination((there,), HTTP, proxy=proxy).gzipped == {there}
    assert Destination((there,), HTTP, http_proxy=proxy).gzipped == {there}
    assert not Destination((here,), HTTP, http_proxy=proxy).gzipped, "never used for it"
    assert not Destination((here,), HTTP, proxy="none").gzipped
    assert Destination((here,), HTTP, proxy=proxy).gzipped == {here}
    assert not Destination((here,), HTTP, proxy=proxy, compression="none").gzipped


def test_equal_destinations_may_share() -> None:
    one = Destination(("http://c:1",), HTTP, headers=(("a", "b"),))
    other = Destination(("http://c:1",), HTTP, headers=(("a", "b"),))
    assert one == other and hash(one) == hash(other)
    assert one != Destination(("http://c:1",), HTTP, headers=(("a", "c"),))


def test_nothing_secret_is_shown() -> None:
    destination = Destination(
        ("https://user:pass-word@c:1/x?token=to-ken", "http://u:pa?ss-word@d:1"),
        HTTP,
        headers=(("authorization", "Bearer head-er"),),
        client_certificate="-----BEGIN CERTIFICATE-----cer-ti",
        client_key="-----BEGIN PRIVATE KEY-----ke-y",
    )
    client = client_for(destination)
    endpoint = parse_endpoint(destination.endpoints[0], HTTP)
    texts = (repr(destination), str(destination), f"{destination}", destination.label, repr(client), repr(endpoint))
    for text in texts:
        for secret in ("pass-word", "ss-word", "to-ken", "head-er", "cer-ti", "ke-y"):
            assert secret not in text
    assert "https://...@c:1" in repr(destination) and "authorization" in repr(destination)


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
async def test_userinfo_becomes_basic_authentication(protocol: str) -> None:
    async with OtlpServer(protocol) as server:
        place = server.endpoint.removeprefix("http://")
        for headers, sent in (((), "Basic dXNlcjpwQHNz"), ((("Authorization", "Bearer x"),), "Bearer x")):
            destination = Destination((f"http://user:p%40ss@{place}",), protocol, headers=headers)
            client = client_for(destination)
            assert await client.send(prepare(destination, [request("a", 1)])) == Delivered()
            await client.close()
            assert server.requests[-1].headers["authorization"] == sent


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
async def test_token_that_comes_back_in_an_error_is_hidden(protocol: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with OtlpServer(protocol) as server:
        code = 401 if protocol == HTTP else "UNAUTHENTICATED"
        server.default = do.status(code, message="token abc-123-secret is not known")
        destination = Destination((server.endpoint,), protocol, headers=(("Authorization", "Bearer abc-123-secret"),))
        client = client_for(destination)
        outcome = await client.send(prepare(destination, [request("a", 1)]))
        await client.close()
        assert isinstance(outcome, Denied)
        assert outcome.reason.endswith("token *** is not known")
    assert "abc-123-secret" not in caplog.text


def test_one_line() -> None:
    assert one_line(" a\n\tb\x07 ") == "a b?"
    assert one_line("x" * 1000) == "x" * 297 + "..."
    assert (
        one_line("say abcdef and Bearer abcdef", secrets_of([("h", "Bearer abcdef"), ("i", "on")])) == "say *** and ***"
    )
