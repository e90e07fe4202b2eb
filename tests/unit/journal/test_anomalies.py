"""Each call to the operating system, and each allocation, fails once; after each the journal is whole and goes on.

A plain story (streams that are made, written, rotated, packed, cut, delivered, ended, found again, deleted) is run over
and over. In run n the n-th call of one kind fails. Whoever met the fault repeats what it did, as the driver does, and
then everything that was acknowledged is there, in memory and for a next start, and nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otellogdriver.errors import JournalError
from otellogdriver.journal import layout
from otellogdriver.journal.cursor import Cursor, Position
from otellogdriver.journal.entry import Entry
from otellogdriver.journal.store import Store
from otellogdriver.journal.stream import Stream
from tests.scene import content

_testcapi = pytest.importorskip("_testcapi")

ONE, TWO = "1" * 64, "2" * 64
SEGMENT, KEEP = 64, 1 << 20

CHANGES = "open write pwrite splice unlink replace rename truncate mkdir rmdir utime fsync fdatasync".split()
LOOKS = "scandir stat lstat fstat io.open".split() + ["listdir"] * (sys.version_info < (3, 13))  # as `iterdir` looks


class Faults:
    """While it is entered, counts the calls of one kind; the `at`-th raises the error. 0: none does."""

    def __init__(self, kind: str, at: int, number: int) -> None:
        module, _, name = kind.rpartition(".")
        self.module: Any = io if module else os
        self.name, self.at, self.number = name, at, number
        self.calls = 0
        self.real = getattr(self.module, name)

    def __enter__(self) -> None:
        setattr(self.module, self.name, self._call)

    def __exit__(self, *_: object) -> None:
        setattr(self.module, self.name, self.real)

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.calls == self.at:
            raise OSError(self.number, os.strerror(self.number))
        return self.real(*args, **kwargs)

    @property
    def has_come(self) -> bool:
        return self.calls >= self.at


class Allocations:
    """The same for allocations: a few fail, from the `at`-th on, because one alone is often done without. The garbage
    collector is off meanwhile: what it calls is not ours."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.left = False
        self.has_come = False

    def __enter__(self) -> None:
        gc.disable()
        if not self.has_come:
            _testcapi.set_nomemory(self.at, self.at + 3)

    def __exit__(self, kind: object, *_: object) -> None:
        _testcapi.remove_mem_hooks()
        gc.enable()
        self.has_come = self.has_come or kind in (MemoryError, SystemError)


class Story:
    """See the module's text. `done` is what was acknowledged of each stream."""

    def __init__(self, root: Path, faults: contextlib.AbstractContextManager[None] | Any) -> None:
        self.root, self.faults = root / "state", faults
        self.store = Store(self.root)
        self.entry: Entry
        self.cursor: Cursor
        self.data, self.position = b"", Position()

    def does(self, what: Callable[[], object]) -> Any:
        """Do it, and once more if that raises, as who calls the journal does after a pause."""
        try:
            with self.faults:
                return what()
        except (
            OSError,
            MemoryError,
            SystemError,
            JournalError,
        ):  # SystemError: Python itself forgets a MemoryError at times
            self.is_whole()
        return what()

    def is_whole(self) -> None:
        """In memory, and for who looks at the disk now."""
        if not hasattr(self, "entry"):
            return
        stream = self.entry.stream
        start = stream.start
        assert (stream.end, content(stream)) == (len(self.data), self.data[start:])
        assert stream.start <= stream.delivered <= stream.end
        if stream.directory.exists():
            kept = Stream(stream.directory)
            assert content(kept)[: len(self.data) - start] == self.data[start:] and kept.start == start
            assert Cursor(stream.directory / layout.MAIN).position in (self.position, self.cursor.position)

    def run(self) -> None:
        self.does(self.store.open)
        while self.store.unread:
            self.store.open()
        self.begin(ONE)
        self.append(b"a" * 150)
        self.splice(b"b" * 100)
        self.append(b"c" * 300)
        self.commit(300)
        self.entry.keep = 200
        self.until_done(lambda: self.store.trim(ONE))
        assert 192 <= self.entry.stream.start <= 300, "segments are longer where the next one could not be made"
        self.entry.compress, self.entry.keep = True, KEEP
        self.commit(500)
        self.until_done(self.pack)
        packed = [segment.packed for segment in self.entry.stream.segments]
        assert packed == sorted(packed, reverse=True) and packed.count(True) in (2, 3) and not packed[-1]
        self.cut(520)
        self.append(b"d" * 70)
        self.end()
        self.restart()
        self.commit(len(self.data))
        self.cursor.close()
        self.store.settle(self.entry)
        self.begin(TWO)
        self.append(b"e" * 10)
        self.commit(10)
        self.cut(10)
        self.end()
        self.restart()
        for entry in self.store.entries():
            entry.stream.advance(delivered=entry.stream.end)
            self.store.settle(entry)
        with self.faults:
            self.store.expire(1e9, 0)
        self.store.expire(1e9, 0)
        assert list(self.store.entries()) == []
        assert [path for path in self.root.rglob("*") if not path.is_dir()] == []

    # What the driver does.

    def begin(self, container: str) -> None:
        self.data, self.position = b"", Position()
        self.entry = self.store.create(container, f"/run/{'f' * 64}", {"Config": {}}, KEEP, SEGMENT)
        self.does(lambda: self.store.describe(self.entry))
        self.entry.stream.sync = True
        self.cursor = Cursor(self.entry.stream.directory / layout.MAIN)

    def append(self, data: bytes) -> None:
        self.does(lambda: self.entry.stream.append(data))
        self.data += data
        self.is_whole()

    def splice(self, data: bytes) -> None:
        stream, before = self.entry.stream, self.data
        source, sink = os.pipe()
        os.set_blocking(source, False)
        os.write(sink, data)

        def all_there_is() -> None:
            with contextlib.suppress(BlockingIOError):
                while True:
                    moved = stream.end
                    stream.splice(source, 1 << 20)
                    self.data = before + data[: stream.end - len(before)]
                    assert stream.end > moved

        try:
            self.does(all_there_is)
        finally:
            os.close(source)
            os.close(sink)
        assert self.data == before + data
        self.is_whole()

    def commit(self, offset: int) -> None:
        position = Position(offset, (offset - 5, -1))
        self.cursor.move(position)
        self.entry.stream.advance(delivered=offset)
        self.does(lambda: self.cursor.write(sync=True))
        self.position = position
        self.is_whole()

    def pack(self) -> None:
        self.store.trim(self.entry.container_id)
        while self.store.pack_next():
            pass

    def cut(self, offset: int) -> None:
        with self.faults:
            self.entry.stream.truncate(offset)
        self.data = self.data[:offset]
        self.is_whole()

    def until_done(self, what: Callable[[], object]) -> None:
        """What contains its faults, and what the driver calls every minute."""
        with self.faults:
            what()
        self.is_whole()
        self.store.expire(1e9, 1 << 40)
        what()

    def end(self) -> None:
        self.entry.stream.finish(1e9)
        self.does(self.entry.stream.mark_ended)
        self.does(self.entry.stream.close)
        self.cursor.close()
        self.store.trim(self.entry.container_id)
        self.is_whole()
        assert self.entry.stream.ended_at == Stream(self.entry.stream.directory).ended_at == 1e9

    def restart(self) -> None:
        self.store = Store(self.root)
        container = self.entry.container_id
        self.does(self.store.open)
        while self.store.unread:
            self.store.open()
        (self.entry,) = self.store.of_container(container)
        self.entry.keep = KEEP
        self.entry.stream.advance(delivered=self.position.offset)
        self.cursor = Cursor(self.entry.stream.directory / layout.MAIN)
        assert self.cursor.position == self.position
        assert self.entry.info == {"Config": {}} and self.entry.file == f"/run/{'f' * 64}"
        self.is_whole()


@pytest.fixture(autouse=True)
def no_file_stays_open() -> Iterator[None]:
    before = open_files()
    yield
    assert open_files() == before


def open_files() -> list[str]:
    """But sockets and pipes: what an earlier test has left may close them meanwhile."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return sorted(path for path in found if path.startswith("/") and not path.startswith("/proc/"))


@pytest.mark.parametrize("kind", CHANGES + LOOKS)
def test_each_call_fails_once(kind: str, tmp_path: Path) -> None:
    number = errno.EMFILE if kind in LOOKS or kind == "open" else errno.EIO
    for at in range(1, 1000):
        faults = Faults(kind, at, number)
        (tmp_path / str(at)).mkdir()
        try:
            Story(tmp_path / str(at), faults).run()
        except BaseException as error:
            error.add_note(f"the fault was in call {at} of {kind}")
            raise
        if not faults.has_come:
            break
    assert at > 1, f"the story has no call of {kind}"


@pytest.mark.parametrize("first", range(5))
def test_allocations_fail(first: int, tmp_path: Path) -> None:
    """In each step of the story, until one of them raises.

    In a process with few open files: one whose number is above 256 Python itself loses, where there is no memory for
    the number (`os.open` makes an object of it only after the file is open)."""
    story = (
        f"import pathlib, tests.unit.journal.{Path(__file__).stem} as t; t.allocations_fail({first}, pathlib.Path())"
    )
    root = Path(__file__).parents[3]
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", story], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-10_000:]


def allocations_fail(first: int, root: Path) -> None:
    root, before = root.resolve(), open_files()
    for at in range(first, 400, 5 * 4):
        (root / str(at)).mkdir()
        try:
            Story(root / str(at), Allocations(at)).run()
            assert open_files() == before
        except BaseException as error:
            error.add_note(f"the fault was in allocation {at} of each step")
            raise
