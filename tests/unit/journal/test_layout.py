"""Names and `meta.json`: what is written is read again, and nothing else is taken for it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from otellogdriver.journal import layout


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("start", [0, 7, 10**19])
def test_a_segments_name_says_where_it_begins(start: int, packed: bool) -> None:
    assert layout.parse_segment_name(layout.segment_name(start, packed)) == (start, packed)


@pytest.mark.parametrize("name", ["", "0.log", f"{0:020d}", f"{0:020d}.log.new", f"{0:020d}.LOG", f"{0:019d}٣.log"])
def test_other_names_are_no_segments(name: str) -> None:
    assert layout.parse_segment_name(name) is None


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("00000012-abc", (12, "abc")),
        ("00000012-a-b", (12, "a-b")),
        ("00000007-", None),
        ("doomed-00000012-abc", None),
        ("notes.txt", None),
        ("", None),
    ],
)
def test_a_streams_directory_says_which_fifo_it_is_of(name: str, parsed: tuple[int, str] | None) -> None:
    assert layout.parse_stream_name(name) == parsed


def test_leftovers_are_what_was_being_written() -> None:
    written = [layout.META, layout.segment_name(0), layout.segment_name(0, True)]
    assert all(layout.is_leftover(layout.new_name(name)) for name in written)
    assert not any(map(layout.is_leftover, [*written, "notes.new", layout.MAIN, layout.ENDED, ".new"]))


def test_what_cannot_be_written_as_json_costs_the_description_and_no_line(tmp_path: Path) -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"x": deep}
    layout.write_meta(tmp_path / "a" / "b", layout.Meta("/fifo", deep), sync=True)
    assert layout.read_meta(tmp_path / "a" / "b") == layout.Meta("/fifo", {})
    while deep:  # not by recursion
        deep = deep.pop("x")


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        ("text", {}),
        (5, {}),
        (["a"], {}),
        (None, {}),
        ({"redact-pattern": "secret", "severity": ["auto"], "streams": {}, "tag": None}, {"redact-pattern": "secret"}),
    ],
)
def test_of_damaged_log_opts_the_readable_ones_are_kept(tmp_path: Path, found: Any, kept: dict[str, str]) -> None:
    layout.write_meta(tmp_path, layout.Meta("/fifo", {"ContainerName": "/web", "Config": found}), sync=False)
    assert layout.read_meta(tmp_path).info == {"ContainerName": "/web", "Config": kept}


def test_a_higher_version_is_not_taken_for_this_one(tmp_path: Path) -> None:
    (tmp_path / layout.META).write_text('{"version": 2, "file": "/fifo", "info": {}}')
    with pytest.raises(layout.NewerVersion, match="format 2, known here: 1"):
        layout.read_meta(tmp_path)


def test_two_threads_may_write_what_is_known_of_a_stream_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meta, directory, move = layout.Meta("/fifo", {"a": "b"}), tmp_path / "c" / "0", os.replace

    def moved_by_another(source: Path, target: Path) -> None:
        move(source, target)
        move(source, target)

    monkeypatch.setattr(os, "replace", moved_by_another)
    layout.write_meta(directory, meta, False)
    assert layout.read_meta(directory) == meta

    def moved_after_a_removal(source: Path, target: Path) -> None:
        shutil.rmtree(directory)
        move(source, target)

    monkeypatch.setattr(os, "replace", moved_after_a_removal)
    with pytest.raises(FileNotFoundError):
        layout.write_meta(directory, meta, False)
