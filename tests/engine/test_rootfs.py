"""The plugin's folder, as Docker gets it: small, nothing to break in with, all that `serve` needs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from otellogdriver import __version__
from plugin.build import build, config
from plugin.private_engine import PrivateEngine
from tests.fakes.engine import MALLOC

MAX_SIZE = 130_000_000
"""Bytes unpacked; about a third of that is what a pull takes."""

NOT_IN_IT = ("*/bin/sh", "*/bin/bash", "*/bin/apt*", "*/bin/dpkg*", "*/bin/gcc*", "*/bin/pip*", "*-packages/pip", "*.c")


@pytest.fixture(scope="module")
def folder(engine: PrivateEngine) -> Path:  # the engine, so that this is skipped where there is none to build with
    return build()


def test_small_and_bare(folder: Path) -> None:
    files = [path for path in (folder / "rootfs").rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) < MAX_SIZE
    assert [path for path in files for pattern in NOT_IN_IT if path.match(pattern)] == []


def test_native_codec_and_no_added_authorities(folder: Path) -> None:
    rootfs = folder / "rootfs"
    assert list(rootfs.glob("usr/local/lib/python3*/dist-packages/otellogdriver/codec/native.*.so"))
    shipped = (rootfs / "etc/ssl/certs/ca-certificates.crt").read_text()
    added = list(Path("/usr/local/share/ca-certificates").glob("**/*.crt"))
    assert [path for path in added if path.read_text().strip() in shipped] == []
    assert not list((rootfs / "usr/local/share").glob("ca-certificates/*"))


def test_everything_is_compiled(folder: Path) -> None:
    """The root file system may be read-only, and a start without compiling takes a third of a second."""
    sources = (folder / "rootfs/usr").rglob("*.py")
    missing = [path for path in sources if not list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"))]
    assert missing == []


def test_a_released_plugin_names_its_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_REPOSITORY", "somebody/otellogdriver")
    assert json.loads(config([]))["documentation"] == (
        f"https://github.com/somebody/otellogdriver/tree/v{__version__}#readme"
    )


def test_config(folder: Path) -> None:
    found = json.loads((folder / "config.json").read_text())
    assert found["description"] and "README.md" in found["documentation"]
    assert all(one["description"] for one in found["env"] if one.get("settable"))
    assert found["interface"] == {"types": ["docker.logdriver/1.0"], "socket": "otellogdriver.sock"}
    # FIFOs and journal then outlive crash, disable and upgrade; `/run/docker` would break the restart after a crash.
    assert found["propagatedmount"] == "/run/docker/logging"
    entry = found["entrypoint"][0].lstrip("/")
    assert (folder / "rootfs" / entry).is_file()
    variables = {one["name"]: one for one in found["env"]}
    assert len(variables) == len(found["env"])
    assert {name: one["value"] for name, one in variables.items() if name.startswith("MALLOC_")} == MALLOC
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTELLOGDRIVER_METRICS_ADDRESS"):
        assert variables[name]["settable"] == ["value"]
