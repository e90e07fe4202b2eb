"""Headers from a file: sent, read anew after the collector has denied us, never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from otellogdriver.export.client import client_for, prepare
from otellogdriver.export.destination import Destination
from otellogdriver.export.outcome import Delivered, Denied
from tests.fakes import behaviour as do
from tests.fakes.otlp_server import OtlpServer
from tests.unit.export.otlp_requests import request

DENIED = {"http/protobuf": do.status(401), "grpc": do.status("UNAUTHENTICATED")}


@pytest.mark.parametrize("protocol", ("http/protobuf", "grpc"))
async def test_a_rotated_token_is_found_in_the_file(tmp_path: Path, protocol: str) -> None:
    file = tmp_path / "headers"
    file.write_text("Authorization=Bearer%20old\nx-tenant=blue")
    async with OtlpServer(protocol) as server:
        made = (("authorization", "Bearer older"), ("x-more", "1"))
        destination = Destination((server.endpoint,), protocol, made, str(file))
        client = client_for(destination)
        body = prepare(destination, [request("a", 1)])
        try:
            assert await client.send(body) == Delivered()
            server.default = DENIED[protocol]
            assert isinstance(await client.send(body), Denied)
            file.write_text("authorization=Bearer new")
            server.default = do.ok()
            assert await client.send(body) == Delivered()
        finally:
            await client.close()
        first, _, last = (each.headers for each in server.requests)
        assert (first["authorization"], first["x-tenant"], first["x-more"]) == ("Bearer old", "blue", "1")
        assert (last["authorization"], last.get("x-tenant"), last["x-more"]) == ("Bearer new", None, "1")


@pytest.mark.parametrize("content", (None, "no equals sign, hunter2", "name=%zz"))
async def test_what_is_wrong_with_the_file_is_told_without_its_content(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "headers"
    if content is not None:
        file.write_text(content)
    client = client_for(Destination(("http://127.0.0.1:9",), "http/protobuf", (), str(file)))
    try:
        outcome = await client.send([b""])
    finally:
        await client.close()
    assert isinstance(outcome, Denied)
    assert str(file) in outcome.reason
    assert "hunter2" not in outcome.reason


async def test_a_header_that_grpc_keeps_for_itself_is_not_sent(tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text("x-token-bin=hunter2")
    client = client_for(Destination(("http://127.0.0.1:9",), "grpc", (), str(file)))
    outcome = await client.send([b""])
    await client.close()
    assert isinstance(outcome, Denied)
    assert "x-token-bin" in outcome.reason and "hunter2" not in outcome.reason
