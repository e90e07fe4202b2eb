"""What has no place in the journal: dropped as whole lines, counted; what may yet have one waits in memory."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from otellogdriver.codec import python
from otellogdriver.intake.drop import Drop, reason_of
from otellogdriver.journal.reader import Reader
from otellogdriver.journal.stream import Stream
from tests.scene import content, lines


class Scene:
    """A pipe in place of the FIFO, a stream, and what drops between them."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.stream = Stream(directory)
        self.drop = Drop(self.stream, python.count)
        self.out, self.into = os.pipe()
        os.set_blocking(self.out, False)

    def read(self, data: bytes, may_write: bool = False, waits: bool = False) -> int:
        os.write(self.into, data)
        return self.drop.read(self.out, "journal_full", lambda: may_write, lambda reason: waits)

    @property
    def dropped(self) -> dict[str, tuple[list[int], int]]:
        return {reason: (dropped.lines, dropped.bytes) for reason, dropped in self.drop.dropped.items()}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "stream")
    yield made
    os.close(made.out)
    os.close(made.into)
    made.stream.close()


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "no space")


def test_whole_lines_are_dropped_and_the_torn_one_waits_for_its_rest(scene: Scene) -> None:
    data, last = lines(0, 10) + lines(10, 12, b"stderr"), lines(12, 13)
    assert scene.read(data + last[:9]) == len(data) + 9
    assert scene.dropped == {"journal_full": ([10, 2], len(data))}
    assert scene.drop.held == 9 and scene.stream.end == 0
    assert scene.read(last[9:], may_write=True) == len(last) - 9
    assert scene.drop.held == 0 and content(scene.stream) == last
    assert scene.dropped == {"journal_full": ([10, 2], len(data))}


def test_the_begin_of_a_dropped_line_leaves_the_stream(scene: Scene) -> None:
    whole, torn = lines(0, 2), lines(2, 3)
    scene.stream.append(whole + torn[:9])
    scene.read(torn[9:] + lines(3, 4))
    assert content(scene.stream) == whole
    assert scene.dropped == {"journal_full": ([2, 0], len(lines(2, 4)))}


def test_what_waits_for_the_disk_is_neither_lost_nor_dropped(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    data = lines(0, 3)
    with monkeypatch.context() as patch:
        patch.setattr(Stream, "append", full)
        assert scene.read(data, may_write=True, waits=True) == len(data)
        assert scene.drop.read(scene.out, "disk_full", lambda: True, lambda reason: reason == "disk_full") == -1
    assert scene.read(lines(3, 4), may_write=True, waits=True) > 0
    assert content(scene.stream) == lines(0, 4) and scene.dropped == {} and scene.drop.held == 0


def test_at_the_end_even_a_torn_line_is_written_or_counted(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    torn = lines(0, 1)[:9]
    scene.read(torn)
    scene.drop.abandon()
    assert content(scene.stream) == torn and scene.drop.held == 0 and scene.dropped == {}

    scene.read(lines(1, 2)[:7])
    held = scene.drop.held
    monkeypatch.setattr(Stream, "append", full)
    scene.drop.abandon()
    assert held > 0 and scene.drop.held == 0
    assert scene.dropped["disk_full"][1] == held


@pytest.mark.parametrize("source", ["stdout", "stderr"])
@pytest.mark.parametrize("at", [5, 20])
@pytest.mark.parametrize("readable", ["never", "at first"])
def test_what_follows_a_frame_whose_begin_cannot_be_read_is_not_taken_for_its_rest(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, at: int, readable: str, source: str
) -> None:
    whole, torn, after = lines(0, 2), lines(2, 3, source.encode()), lines(3, 5)
    scene.stream.append(whole + torn[:at])
    looks = 0

    def refuse(*_: object) -> tuple[int, int]:
        nonlocal looks
        looks += 1
        if readable == "at first" and looks == 1:
            return read(*_)  # type: ignore[arg-type]
        raise OSError(errno.EMFILE, "too many open files")

    read = Reader.read
    with monkeypatch.context() as patch:
        patch.setattr(Reader, "read", refuse)
        scene.read(torn[at:] + after)
        assert not scene.drop.may_pass_by
        scene.read(lines(5, 6), may_write=True)
    scene.read(lines(6, 8), may_write=True)
    assert scene.drop.may_pass_by and content(scene.stream) == whole + lines(6, 8)
    assert {reason: lines for reason, (lines, _) in scene.dropped.items()} == {
        "journal_full": [3 if at < 20 or source == "stdout" else 2, int(at >= 20 and source == "stderr")],
        "disk_error": [1, 0],
    }


def test_what_continues_a_frame_whose_begin_cannot_be_read_is_written_behind_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = lines(0, 4)
    scene.stream.append(whole[:20])

    def refuse(*_: object) -> tuple[int, int]:
        raise OSError(errno.EMFILE, "too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Reader, "read", refuse)
        scene.read(whole[20:90], may_write=True)
    scene.read(whole[90:], may_write=True)
    assert content(scene.stream) == whole and scene.dropped == {} and scene.drop.may_pass_by


def test_one_line_is_told_from_two(scene: Scene) -> None:
    scene.stream.append(lines(0, 2))
    assert not scene.drop.holds_one_line(0)
    assert scene.drop.holds_one_line(len(lines(0, 1)))


@pytest.mark.parametrize(
    ("number", "reason"),
    [(errno.ENOSPC, "disk_full"), (errno.EDQUOT, "disk_full"), (errno.EIO, "disk_error"), (errno.EROFS, "disk_error")],
)
def test_the_reason_of_a_fault(number: int, reason: str) -> None:
    assert reason_of(OSError(number, "")) == reason


def test_a_limit_that_only_a_torn_frame_reaches_drops_nothing(scene: Scene) -> None:
    """Else lines would be dropped and later ones kept: with the torn begin taken out there is room again."""
    whole = lines(0, 3)
    cut = len(lines(0, 2)) + 10
    scene.stream.append(whole[:cut])
    os.write(scene.into, whole[cut:])
    got = scene.drop.read(scene.out, "journal_full", lambda: scene.stream.end < cut, lambda reason: False)
    assert got == len(whole) - cut
    assert content(scene.stream) == whole and scene.dropped == {} and scene.drop.held == 0
