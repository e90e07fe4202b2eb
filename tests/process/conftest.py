"""The scene of most files here: a receiver, and a driver in a process of its own that sends to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.engine import Engine
from tests.fakes.server_thread import ServerThread


@pytest.fixture
def collector() -> Iterator[ServerThread]:
    with ServerThread() as thread:
        yield thread


@pytest.fixture
def environ() -> dict[str, str]:
    """What the driver's environment has besides; for a file to say."""
    return {}


@pytest.fixture
def engine(tmp_path: Path, collector: ServerThread, environ: dict[str, str]) -> Iterator[Engine]:
    with Engine(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.server.endpoint, **environ}) as engine:
        yield engine
