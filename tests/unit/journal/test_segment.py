"""What a directory holds: found without changing it, and without being fooled by names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otellogdriver.journal import layout
from otellogdriver.journal.cursor import Cursor, Position
from otellogdriver.journal.segment import Found, Segment, scan


def make(directory: Path, start: int, size: int) -> Path:
    path = directory / layout.segment_name(start)
    path.write_bytes(bytes(size))
    return path


def test_a_missing_directory_holds_nothing(tmp_path: Path) -> None:
    assert scan(tmp_path / "missing") == Found()
    (tmp_path / "file").write_text("?")
    assert scan(tmp_path / "file") == Found()


@pytest.mark.parametrize("name", ["99999999999999999999.log", "00000000001764182400.log", f"{1 << 62:020d}.log.gz"])
def test_a_file_far_away_from_the_others_is_not_the_streams(tmp_path: Path, name: str) -> None:
    make(tmp_path, 0, 100)
    make(tmp_path, 100, 50)
    (tmp_path / name).write_bytes(bytes(60))
    found = scan(tmp_path)
    assert ([segment.start for segment in found.segments], found.end) == ([0, 100], 150)
    assert found.strange == (tmp_path / name,) and not found.leftovers


def test_the_streams_files_are_those_that_a_cursor_points_to(tmp_path: Path) -> None:
    """An old stream whose last segment is small, and a foreign file that is bigger."""
    foreign = make(tmp_path, 0, 1000)
    make(tmp_path, 1 << 40, 10)
    assert scan(tmp_path).end == 1000
    cursor = Cursor(tmp_path / layout.MAIN)
    cursor.commit(Position((1 << 40) + 5))
    cursor.close()
    found = scan(tmp_path)
    assert (found.end, found.strange) == ((1 << 40) + 10, (foreign,))


def test_a_gap_of_some_lost_files_is_the_streams_own(tmp_path: Path) -> None:
    make(tmp_path, 0, 100)
    make(tmp_path, 500 << 20, 100)
    found = scan(tmp_path)
    assert len(found.segments) == 2 and not found.strange


def test_a_directory_that_changes_meanwhile_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, 0, 100)
    last = make(tmp_path, 100, 50)
    real = os.stat

    def stat(path: Path, **how: bool) -> os.stat_result:
        if path == last:
            last.unlink(missing_ok=True)
        return real(path, **how)

    monkeypatch.setattr(os, "stat", stat)
    assert scan(tmp_path).end == 100 and not last.exists()


def test_the_disk_confirms_a_packed_file_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the other one is deleted, and a power cut must not leave an empty file alone."""
    calls: list[str] = []

    def noted(name: str) -> Callable[..., None]:
        real = getattr(os, name)

        def call(*args: Any) -> None:
            calls.append(name)
            real(*args)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, noted(name))
    make(tmp_path, 0, 100)
    packed = Segment(str(tmp_path), 0).pack()
    assert calls == ["fsync", "replace"] and packed.packed and packed.stored() == 100
    assert len(list(tmp_path.iterdir())) == 2
