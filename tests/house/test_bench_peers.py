"""What a line costs the whole host, beside a collector that reads files: what counts as lost, and the verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from bench import peers
from bench.goals import FAST, FILES, GZIP, goals
from bench.peers import FileCollector, at_last
from bench.result import Results
from bench.rig import Rig
from bench.sink import Sink


class Counting:
    """A sink, and the rig around it, that has as many records as it is told, one number for each time it is asked."""

    def __init__(self, *records: int) -> None:
        self.sink = self
        self.records: Iterator[int] = iter(records)
        self.last = 0

    def ask(self, method: str, path: str) -> dict[str, Any]:
        self.last = next(self.records, self.last)
        return {"records": self.last}


def last_of(*records: int) -> int:
    return at_last(cast(Rig, Counting(*records)), 10)


def test_lines_that_come_late_are_not_lost() -> None:
    assert last_of(4, 4, 9, 10) == 10


def test_lines_that_do_not_come_are_lost_and_those_that_come_twice_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "LATE", 0.3)
    assert last_of(4, 9) == 9
    assert last_of(4, 12) == 12


def test_the_goal_is_a_ratio_of_the_whole_host() -> None:
    results = Results("quick")
    results.row(FAST, GZIP).add({"host_us": 4.0, "sender_us": 1.0})
    results.row(FAST, FILES).add({"host_us": 10.0, "sender_us": 1.0})
    (goal,) = goals(results)
    assert (goal.value, goal.met) == (0.4, False)


@pytest.mark.soak
def test_the_collector_reads_the_files_of_docker_rotated_ones_too(tmp_path: Path) -> None:
    folder = tmp_path / "containers" / "abc"
    folder.mkdir(parents=True)
    for number in range(2):
        lines = [
            {"log": f"{number} {line}\n", "stream": "stdout", "time": "2026-01-02T03:04:05.678Z"} for line in range(100)
        ]
        name = folder / ("abc-json.log" + (".1" if number else ""))
        name.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with Sink() as sink, FileCollector(tmp_path, folder.parent, sink.http):
        sink.await_quiet()
        assert sink.received(200).records == 200
