"""The guard against losses of speed: a loss fails it, noise and gains do not."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench import guard
from bench.__main__ import main as bench
from bench.codec import CASES, WAYS
from bench.guard import Group, Measure, called, computing, cpu_of, here


def group(**samples: Sequence[float]) -> Group:
    """Rows that take as many times the loop as is said, one for each time the group is measured."""
    given = {name: iter(times) for name, times in samples.items()}

    @contextlib.contextmanager
    def rows() -> Iterator[Mapping[str, Measure]]:
        now = {name: next(times) for name, times in given.items()}
        yield {f"fake, {name}": lambda name=name: now[name] for name in now}  # type: ignore[misc]

    return Group("fake", rows, rounds=2)


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that always takes a second."""
    monkeypatch.setattr(guard, "computing", lambda: 1.0)


@pytest.fixture
def figures(tmp_path: Path) -> Path:
    path = tmp_path / "guard.json"
    assert guard.main(True, [group(work=[2.1, 2.0, 2.3], memory_MiB=[50.0, 50.0, 51.0])], path) == 0
    return path


def test_the_least_of_all_tries_is_kept(figures: Path) -> None:
    assert json.loads(figures.read_text()) == {here(): {"fake, work": 2.0, "fake, memory_MiB": 50.0}}


def test_a_loss_fails(figures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert guard.main(False, [group(work=[2.4, 2.35, 2.5], memory_MiB=[50.0] * 3)], figures) == 1
    said = capsys.readouterr()
    assert "fake, work" in said.err and "memory" not in said.err
    assert [line.split()[2:] for line in said.out.splitlines() if "LOST" in line] == [["2", "2.35", "+18%", "LOST"]]


def test_a_group_may_have_a_wider_limit(figures: Path) -> None:
    samples = group(work=[2.9] * 6, memory_MiB=[50.0] * 6)
    assert guard.main(False, [replace(samples, limit=0.5)], figures) == 0
    assert guard.main(False, [replace(samples, limit=0.4)], figures) == 1


def test_what_seems_to_have_lost_is_measured_again(figures: Path) -> None:
    assert guard.main(False, [group(work=[2.9, 2.9, 2.1], memory_MiB=[50.0] * 3)], figures) == 0


def test_what_has_not_lost_is_measured_once(figures: Path) -> None:
    assert guard.main(False, [group(work=[2.2], memory_MiB=[40.0])], figures) == 0


def test_memory_is_compared_as_it_is(figures: Path) -> None:
    assert guard.main(False, [group(work=[2.0] * 3, memory_MiB=[60.0] * 3)], figures) == 1


def test_a_row_that_is_gone_fails_and_a_new_one_does_not(figures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert guard.main(False, [group(work=[2.0], memory_MiB=[50.0], more=[1.0])], figures) == 0
    assert guard.main(False, [group(work=[2.0])], figures) == 1
    assert "gone" in capsys.readouterr().out


def test_another_machine_is_not_compared(figures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures.write_text('{"another processor, Python 3.11": {"fake, work": 0.1}}')
    assert guard.main(False, [group(work=[2.0])], figures) == 0
    assert "has no figures for" in capsys.readouterr().out


@pytest.mark.measures
def test_work_that_takes_twice_as_long_costs_more_of_the_real_loop(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With real rows: the encoder is called twice."""
    monkeypatch.setattr(guard, "computing", computing)
    for case in list(CASES)[1:]:
        monkeypatch.delitem(CASES, case)
    path, codec = tmp_path / "guard.json", replace(guard.GROUPS[0], limit=0.5)
    assert guard.main(True, [codec], path) == 0
    assert guard.main(False, [codec], path) == 0
    once = WAYS["encode"]
    monkeypatch.setitem(WAYS, "encode", lambda codec, chunk: (once(codec, chunk), once(codec, chunk)))
    assert guard.main(False, [codec], path) == 1


def test_cpu_of_a_process_is_its_own() -> None:
    before = cpu_of(os.getpid())
    called(lambda: sum(range(1_000_000)))()
    assert 0 < cpu_of(os.getpid()) - before < 60


def test_write_goes_with_guard() -> None:
    with pytest.raises(SystemExit):
        bench(["--write"])
