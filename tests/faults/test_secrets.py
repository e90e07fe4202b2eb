"""Header values, keys and what stands in an endpoint as password appear nowhere but in the requests."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

import pytest

from tests.fakes.behaviour import answer, ok, status
from tests.fakes.certificates import make_certificates
from tests.fakes.engine import Engine
from tests.fakes.server_thread import ServerThread
from tests.faults.conftest import MakeEngine
from tests.scene import lines, until

SECRETS = (
    "s3cret-token",
    "p4ssw0rd",
    "qu3ry-key",
    "pl4gin-wide",
    "pr0xy-p4ss",
    "BEGIN PRIVATE KEY",
    "BEGIN EC PRIVATE KEY",
    "l1ne-content",
)


def pages(engine: Engine) -> str:
    """Everything that the metrics port shows."""
    port = engine.metrics_port()
    found = []
    for path in ("/", "/metrics", "/healthz", "/readyz", "/status", "/status.json", "/nothing"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path)
        found.append(connection.getresponse().read().decode("utf-8", "replace"))
        connection.close()
    return "".join(found)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_secrets_are_shown_nowhere(make_engine: MakeEngine, tmp_path: Path, protocol: str) -> None:
    key = make_certificates(tmp_path).client_key.read_text()
    environ = {
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer pl4gin-wide",
        "HTTPS_PROXY": "http://user:pr0xy-p4ss@proxy.invalid:3128",
        "OTELLOGDRIVER_LOG_LEVEL": "debug",
        "OTELLOGDRIVER_NO_SUCH_OPTION": "s3cret-token",
    }
    with ServerThread(protocol) as server:
        engine = make_engine(environ, server)
        echo = "s3cret-token p4ssw0rd"  # a proxy that repeats what it did not like
        server.server.script.extend(
            [status(401, message=echo), answer(400, echo, "text/plain"), status(503, message=echo)]
            if protocol == "http/protobuf"
            else [status("UNAUTHENTICATED", message=echo), status("UNAVAILABLE", message=echo)]
        )
        place = server.server.endpoint.removeprefix("http://")
        query = "/?key=qu3ry-key" if protocol == "http/protobuf" else ""
        good = {
            "otlp-protocol": protocol,
            "otlp-endpoint": f"http://user:p4ssw0rd@{place}{query}",
            "otlp-headers": "x-token=s3cret-token",
        }
        bad = (
            {"otlp-headers": "x-token s3cret-token"},
            {"otlp-headers": "x token=s3cret-token"},
            {"otlp-headers": "x=s3cret-token\x01"},
            {"otlp-endpoint": "ftp://user:p4ssw0rd@host/?key=qu3ry-key"},
            {"otlp-endpoint": "http://user:p4ssw0rd@host:port"},
            {"otlp-client-key": key},
            {"otlp-client-key": key[:100], "otlp-client-certificate": "/nowhere"},
            {"otlp-proxy": "ftp://user:pr0xy-p4ss@proxy.invalid:3128"},
            {"otlp-proxy": "http://user:pr0xy-p4ss@127.0.0.1:9"},
            {"otlp-header": "x=s3cret-token"},
            {"s3cret": "s3cret-token"},
        )
        told = []
        for options in bad:
            container = engine.container(options=options | {"otlp-protocol": protocol})
            told.append(json.dumps(container.start()))
            container.write(b"")
            if container.start()["Err"] == "":
                container.stop()
        container = engine.container(options=good, ContainerEnv=["TOKEN=s3cret-token"], ContainerArgs=["s3cret-token"])
        told.append(json.dumps(container.start()))
        container.write(lines(0, 10) + b"l1ne-content is no frame")
        until(lambda: server.server.requests)
        server.server.default = ok()
        until(lambda: not server.server.script and server.server.taken >= 0)
        told.append(pages(engine))
        engine.kill()
        engine.start()
        container.write(lines(10, 20))
        until(lambda: server.server.taken >= 10)
        container.stop()
        told.append(pages(engine))
        if protocol == "http/protobuf":
            assert server.server.requests[0].headers["x-token"] == "s3cret-token"
        told.append(engine.log())
    for secret in SECRETS:
        for text in told:
            assert secret not in text, f"{secret} in {text[max(0, text.find(secret) - 200) :][:400]}"
