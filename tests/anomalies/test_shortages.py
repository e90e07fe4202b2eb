"""The driver without files, threads, memory, room on its disk, inodes, or with a disk that hangs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.anomalies import shortages
from tests.conftest import missing_means_skip

SAMPLE = ("no file numbers", "no memory", "no threads", "disk full", "no inodes", "disk frozen")


@pytest.mark.parametrize("name", SAMPLE)
def test_all_is_as_before_after_a_shortage(tmp_path: Path, name: str) -> None:
    shortage = shortages.SHORTAGES[name]
    with missing_means_skip(), shortages.scene(tmp_path / "engine", shortage) as scene:
        outcome = shortages.run(scene, shortage, 1.0)
        assert not outcome.broken, f"{outcome}\n{scene.engine.log()[-3000:]}"
