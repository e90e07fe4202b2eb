"""A fixed sample of the anomalies: `make anomalies` makes all of them.

Each test takes one driver through a phase of a container's life again and again, with another system call failing each
time. What must hold afterwards is in trial.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from plugin.debian import require
from tests.anomalies import plan
from tests.anomalies.phases import PHASES
from tests.anomalies.restarts import Restarts
from tests.anomalies.scene import Scene
from tests.anomalies.trial import run
from tests.conftest import missing_means_skip


@pytest.fixture(scope="module", autouse=True)
def strace() -> None:
    with missing_means_skip():
        require("strace", "strace")


@pytest.mark.parametrize("name", plan.SAMPLE)
def test_a_call_fails(tmp_path: Path, name: str) -> None:
    injections = list(plan.sample(name))
    with Scene(tmp_path) as scene:
        outcomes = [run(scene, PHASES[name], injection) for injection in injections]
        log = scene.engine.log()
    broken = [str(outcome) for outcome in outcomes if outcome.broken]
    assert not broken, "\n".join([*broken, log[-3000:]])
    assert sum(bool(outcome.struck) for outcome in outcomes) >= 0.8 * len(injections)


@pytest.mark.parametrize("name", plan.SAMPLE_OF_RESTARTS)
def test_a_call_fails_at_a_restart(tmp_path: Path, name: str) -> None:
    injections = list(plan.sample(name))
    with Restarts(tmp_path) as scene:
        outcomes = [scene.run(name, injection)[0] for injection in injections]
        log = scene.log()
    broken = [str(outcome) for outcome in outcomes if outcome.broken]
    assert not broken, "\n".join([*broken, log[-3000:]])
    assert sum(bool(outcome.struck) for outcome in outcomes) >= 0.8 * len(injections)


def test_the_sample_is_large_enough() -> None:
    assert sum(len(list(plan.sample(name))) for name in plan.SAMPLE) >= 100
