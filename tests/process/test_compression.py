"""How the driver compresses requests to a collector on the same host: not at all, unless somebody asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.engine import Engine, frame
from tests.fakes.server_thread import ServerThread
from tests.scene import until

LINE = b"a line of some container, as long as the others are"


@pytest.mark.parametrize(
    ("environ", "options", "encoding"),
    [
        ({}, {}, None),
        ({"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}, {}, "gzip"),
        ({"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}, {"otlp-compression": "auto"}, None),
        ({"OTEL_EXPORTER_OTLP_LOGS_COMPRESSION": "none"}, {"otlp-compression": "gzip"}, "gzip"),
    ],
)
def test_to_this_host(tmp_path: Path, environ: dict[str, str], options: dict[str, str], encoding: str | None) -> None:
    with ServerThread("http/protobuf") as collector:
        with Engine(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.server.endpoint, **environ}) as engine:
            container = engine.container("web", options)
            assert not container.start().get("Err")
            container.write(frame(LINE) * 200)
            until(lambda: collector.server.taken == 200)
        for request in collector.server.requests:
            assert request.headers.get("content-encoding") == encoding
            assert (request.wire_size == len(request.body)) == (encoding is None)
