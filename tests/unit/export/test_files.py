"""Replaced files are used by the next request, without one that fails first; half of a replacement is waited out."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from otellogdriver.export import files
from otellogdriver.export.client import client_for, prepare
from otellogdriver.export.destination import Destination
from otellogdriver.export.files import Files
from otellogdriver.export.outcome import Delivered
from tests.fakes.certificates import Certificates, make_certificates
from tests.fakes.otlp_server import OtlpServer, ServerTls
from tests.unit.export.otlp_requests import request

PROTOCOLS = pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), name="localhost")


@pytest.fixture(autouse=True)
def at_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "EVERY", 0.0)


def by_rename(path: Path, text: str) -> None:
    """As cert-manager's and everybody's careful writers do."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def by_link(path: Path, text: str) -> None:
    """As Kubernetes does: `path` leads through a link to a folder, and the link is turned to another one."""
    data = path.parent / "..data"
    folder = path.parent / f"..{len(list(path.parent.iterdir()))}"
    folder.mkdir()
    (folder / path.name).write_text(text)
    turned = path.parent / "..data_tmp"
    turned.symlink_to(folder.name)
    turned.rename(data)
    if not path.is_symlink():
        path.unlink(missing_ok=True)
        path.symlink_to(f"..data/{path.name}")


@PROTOCOLS
@pytest.mark.parametrize("replace", [by_rename, by_link])
async def test_a_token_is_replaced(tmp_path: Path, protocol: str, replace: object) -> None:
    assert callable(replace)
    path = tmp_path / "headers"
    async with OtlpServer(protocol) as server:
        destination = Destination((server.endpoint,), protocol, headers_file=str(path), timeout=5.0)
        client = client_for(destination)
        try:
            for token in ("one", "two", "two", "three"):
                replace(path, f"x-token={token}")
                assert await client.send(prepare(destination, [request("a", 1)])) == Delivered()
            assert [each.headers["x-token"] for each in server.requests] == ["one", "two", "two", "three"]
        finally:
            await client.close()


@PROTOCOLS
async def test_a_client_certificate_is_replaced_without_a_request_that_fails(
    tmp_path: Path, protocol: str, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "others").mkdir()
    others = make_certificates(tmp_path / "others")
    both = tmp_path / "both.pem"
    both.write_text(certificates.ca.read_text() + others.ca.read_text())
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    shutil.copy(certificates.client, certificate)
    shutil.copy(certificates.client_key, key)
    async with OtlpServer(protocol, tls=ServerTls(certificates.server, certificates.server_key, both)) as server:
        destination = Destination(
            (f"https://localhost:{server.port}",),
            protocol,
            timeout=5.0,
            certificate=str(certificates.ca),
            client_certificate=str(certificate),
            client_key=str(key),
        )
        client = client_for(destination)
        body = prepare(destination, [request("a", 1)])
        try:
            assert await client.send(body) == Delivered()
            by_rename(certificate, others.client.read_text())  # its key is not there yet
            assert await client.send(body) == Delivered()
            assert await client.send(body) == Delivered()
            assert caplog.text.count("stays in use") == 1, "once for each change"
            by_rename(key, others.client_key.read_text())
            before = connections(server)
            assert await client.send(body) == Delivered()
            assert protocol == "grpc" or connections(server) == before + 1
        finally:
            await client.close()


def connections(server: OtlpServer) -> int:
    return server.connections


def test_a_look_is_taken_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "EVERY", 1000.0)
    path = tmp_path / "headers"
    path.write_text("a=b")
    seen = Files(Destination((), "grpc", headers_file=str(path)))
    seen.settle(seen.signature())
    path.write_text("a=c, d=e")
    assert not seen.changed()


def test_every_kind_of_change_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "headers"
    seen = Files(Destination((), "grpc", headers_file=str(path)))
    seen.settle(seen.signature())
    assert not seen.changed()
    path.write_text("a=b")
    assert seen.changed()
    seen.settle(seen.signature())
    assert not seen.changed()
    os.utime(path, ns=(1, 1))
    assert seen.changed()
    seen.settle(seen.signature())
    path.unlink()
    assert seen.changed()


def test_texts_are_no_files() -> None:
    assert not Files(Destination((), "grpc", certificate="-----BEGIN CERTIFICATE-----")).signature()
