"""Tests with the driver as a process, called by a simulated engine, sending to a scripted collector.

What holds in every one of them is checked here: each line has one fate, no process is left, and the driver's own log
has no traceback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.conftest import children
from tests.fakes.engine import Engine
from tests.fakes.server_thread import ServerThread
from tests.faults import accounts

MakeEngine = Callable[..., Engine]


@pytest.fixture
def collector() -> Iterator[ServerThread]:
    """A scripted collector over HTTP."""
    with ServerThread() as running:
        yield running


@pytest.fixture
def make_engine(tmp_path: Path) -> Iterator[MakeEngine]:
    """Make (and start, unless told not to) simulated engines; all are ended and looked at afterwards."""
    before = children()
    made: list[Engine] = []

    def make(
        environ: Mapping[str, str] | None = None,
        collector: ServerThread | None = None,
        root: Path | None = None,
        start: bool = True,
    ) -> Engine:
        found = dict(environ or {})
        if collector is not None:
            found.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", collector.server.endpoint)
        engine = Engine(root or tmp_path / f"engine{len(made)}", found)
        made.append(engine)
        if start:
            engine.start()
        return engine

    yield make
    unbalanced = []
    for engine in made:
        try:
            accounts.check(engine)
        except AssertionError as error:
            unbalanced.append(str(error))
        if engine.process and engine.process.poll() is None:
            engine.terminate()
        for container in engine.containers:
            container.close()
    for engine in made:
        assert "Traceback" not in engine.log(), engine.log()
    assert children() <= before
    assert not unbalanced


@pytest.fixture
def engine(make_engine: MakeEngine, collector: ServerThread) -> Engine:
    """A simulated engine whose driver sends to `collector`."""
    return make_engine(collector=collector)
