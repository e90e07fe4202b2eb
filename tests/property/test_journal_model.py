"""The journal against a plain model: a byte string, how much of its start is gone, and a position.

Random appends, splices, reads, commits, rotations, deletions, disks that are full at any call, and crashes before or
after any system call that changes a file. The promise: what is read back is exactly what was appended. A crash may keep
the first part of what was just being written, and a position is the last one written or the one before.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from otellogdriver.codec import python
from otellogdriver.codec.contract import EncodeOptions
from otellogdriver.delivery.feed import BUFFER, Feed
from otellogdriver.journal.cursor import Cursor, Position
from otellogdriver.journal.entry import Entry
from otellogdriver.journal.reader import Reader
from otellogdriver.journal.store import Store
from tests.scene import bodies, lines, number

CONTAINER, FIFO = "c" * 64, "f" * 64
SEGMENT = 64
KEEP = 1 << 30

DATA = st.binary(min_size=1, max_size=3 * SEGMENT)
WHERE = st.integers(0, 12)


class Crash(BaseException):
    """The process is gone. No handler of the product sees it."""


class Calls:
    """While active, the n-th call that changes a file ends in `ending`: before it, after it or (a write) half way."""

    NAMES = ("open", "pwrite", "splice", "replace", "rename", "truncate", "unlink", "mkdir", "rmdir", "write")

    def __init__(self, at: int, ending: Callable[[], BaseException], when: str) -> None:
        self.left = at
        self.ending = ending
        self.when = when
        self.real: dict[str, Any] = {name: getattr(os, name) for name in self.NAMES}

    def __enter__(self) -> Calls:
        for name in self.NAMES:
            setattr(os, name, self._wrapped(name))
        return self

    def __exit__(self, *_: object) -> None:
        for name, real in self.real.items():
            setattr(os, name, real)

    def _wrapped(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left != -1:
                return self.real[name](*args, **kwargs)
            if self.when == "after":
                self.real[name](*args, **kwargs)
            if self.when == "half" and name == "pwrite" and len(args[1]) > 1:
                self.real[name](args[0], args[1][: len(args[1]) // 2], args[2])
            raise self.ending()

        return call


def no_space() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Journal(RuleBasedStateMachine):
    """One stream of one container."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.data = b""
        self.start = 0
        self.used = 0  # what is read by somebody is never cut
        self.position = Position()
        self.store = Store(self.root / "state")
        self.entry = self.store.create(CONTAINER, f"/run/{FIFO}", {"Config": None}, KEEP, SEGMENT)
        self.store.describe(self.entry)
        self._adopt(self.entry)

    def _adopt(self, entry: Entry) -> None:
        self.store.describe(entry)
        self.entry, self.stream = entry, entry.stream
        entry.keep = KEEP
        self.stream.segment_size = SEGMENT
        self.reader = Reader(self.stream)
        self.cursor = Cursor(self.stream.directory / "cursor")

    def _let_go(self) -> None:
        """What the kernel does for a process that ends."""
        self.reader.close()
        self.cursor.close()
        self.stream.sync = False
        self.stream.close()

    def _restart(self) -> None:
        self._let_go()
        self.store = Store(self.root / "state")
        entries = self.store.open()
        if not entries:
            assert not self.data
            entries = [self.store.create(CONTAINER, f"/run/{FIFO}", {"Config": None}, KEEP, SEGMENT)]
            self.store.describe(entries[0])
        assert len(entries) == 1
        self._adopt(entries[0])

    def teardown(self) -> None:
        if hasattr(self, "root"):
            self._let_go()
            shutil.rmtree(self.root)

    # Writing

    @rule(data=DATA)
    def append(self, data: bytes) -> None:
        self.stream.append(data)
        self.data += data

    @rule(data=DATA)
    def splice(self, data: bytes) -> None:
        with pipe_with(data) as source:
            while True:
                try:
                    self.stream.splice(source, 1 << 20)
                except BlockingIOError:
                    break
        self.data += data

    @rule(back=st.integers(0, SEGMENT * 2))
    def truncate(self, back: int) -> None:
        offset = max(len(self.data) - back, self.start, self.used)
        self.stream.truncate(offset)
        self.data = self.data[:offset]

    @rule()
    def seal(self) -> None:
        self.stream.seal()

    @rule(offset=st.integers(0, 1 << 12))
    def commit(self, offset: int) -> None:
        self.position = Position(min(offset, len(self.data)), (offset % 7 - 1, -1))
        self.used = max(self.used, self.position.offset)
        self.cursor.commit(self.position)

    # Deleting

    @rule(before=st.integers(0, 1 << 12))
    def drop(self, before: int) -> None:
        before = min(before, self._droppable())
        self.store.drop_segments(self.entry, before)
        assert self.start <= self.stream.start <= max(before, self.start)
        self.start = self.stream.start

    @rule(before=st.integers(0, 1 << 12))
    def pack(self, before: int) -> None:
        self.used = max(self.used, min(before, len(self.data)))
        self._pack(min(before, len(self.data)))

    def _droppable(self) -> int:
        """All but the last byte of a stream that goes on: it says where the stream is."""
        return max(0, len(self.data) - 1)

    def _pack(self, before: int) -> None:
        self.stream.advance(delivered=before)
        self.entry.compress = True
        self.store.trim(CONTAINER)
        while self.store.pack_next():
            pass

    # The disk

    @rule(data=DATA, at=WHERE, when=st.sampled_from(["before", "half"]))
    def append_to_a_full_disk(self, data: bytes, at: int, when: str) -> None:
        with Calls(at, no_space, when):
            try:
                self.stream.append(data)
            except OSError:
                return
        self.data += data

    @rule(data=DATA, at=WHERE)
    def splice_to_a_full_disk(self, data: bytes, at: int) -> None:
        with pipe_with(data) as source:
            with Calls(at, no_space, "before"):
                while True:
                    before = self.stream.end
                    try:
                        self.stream.splice(source, 1 << 20)
                    except BlockingIOError:
                        break
                    except OSError:
                        assert self.stream.end == before
            self.data += data

    @rule(before=st.integers(0, 1 << 12), at=WHERE, packing=st.booleans())
    def delete_on_a_disk_that_refuses(self, before: int, at: int, packing: bool) -> None:
        before = min(before, self._droppable())
        self.used = max(self.used, before)
        with Calls(at, no_space, "before"):
            if packing:
                self._pack(before)
            else:
                self.store.drop_segments(self.entry, before)
        assert self.start <= self.stream.start <= max(before, self.start)
        self.start = self.stream.start

    @rule(at=WHERE)
    def delete_remains(self, at: int) -> None:
        with Calls(at, no_space, "before"):
            self.store.delete_remains()

    # Crashes

    def _crash(self, at: int, when: str, action: Callable[[], None]) -> bool:
        try:
            with Calls(at, Crash, when):
                action()
        except Crash:
            return True
        return False

    @rule(data=DATA, at=WHERE, when=st.sampled_from(["before", "after", "half"]), by_splice=st.booleans())
    def crash_while_writing(self, data: bytes, at: int, when: str, by_splice: bool) -> None:
        def write() -> None:
            if by_splice:
                with contextlib.suppress(BlockingIOError):
                    while True:
                        self.stream.splice(source, 1 << 20)
            else:
                self.stream.append(data)

        with pipe_with(data) as source:
            self._crash(at, when, write)
            self._restart()
            written = self.stream.end - len(self.data)
            assert 0 <= written <= len(data)
            self.data += data[:written]
            if by_splice:  # nothing is lost: what is not in the journal is still in the pipe
                rest = b""
                with contextlib.suppress(BlockingIOError):
                    while piece := os.read(source, 1 << 20):
                        rest += piece
                assert data[:written] + rest == data

    @rule(offset=st.integers(0, 1 << 12), at=st.integers(0, 2), when=st.sampled_from(["before", "after", "half"]))
    def crash_while_committing(self, offset: int, at: int, when: str) -> None:
        position = Position(min(offset, len(self.data)))
        self._crash(at, when, lambda: self.cursor.commit(position))
        self._restart()
        assert self.cursor.position in (self.position, position)
        self.position = self.cursor.position

    @rule(before=st.integers(0, 1 << 12), at=WHERE, when=st.sampled_from(["before", "after"]), packing=st.booleans())
    def crash_while_deleting(self, before: int, at: int, when: str, packing: bool) -> None:
        before = min(before, self._droppable())
        self.used = max(self.used, before)
        if packing:
            self._crash(at, when, lambda: self._pack(before))
        else:
            self._crash(at, when, lambda: void(self.store.drop_segments(self.entry, before)))
        self._restart()
        assert self.start <= self.stream.start <= max(before, self.start)
        self.start = self.stream.start

    @precondition(lambda self: len(self.data) > 0)
    @rule()
    def restart(self) -> None:
        self._restart()

    # What must hold

    @rule(offset=st.integers(0, 1 << 12), size=st.integers(1, 5 * SEGMENT))
    def read(self, offset: int, size: int) -> None:
        buffer = memoryview(bytearray(size))
        at, got = self.reader.read(offset, buffer)
        if offset >= len(self.data):
            assert got == 0
            return
        assert at == max(offset, self.start)
        assert got == min(size, len(self.data) - at)
        assert bytes(buffer[:got]) == self.data[at : at + got]

    @invariant()
    def nothing_is_lost(self) -> None:
        if hasattr(self, "stream"):
            assert (self.stream.start, self.stream.end) == (self.start, len(self.data))
            assert self.cursor.position == self.position
            assert self.stream.size <= len(self.data) - self.start


def void(_: object) -> None:
    return None


@contextlib.contextmanager
def pipe_with(data: bytes) -> Iterator[int]:
    source, sink = os.pipe()
    os.set_blocking(source, False)
    try:
        os.write(sink, data)
        yield source
    finally:
        os.close(source)
        os.close(sink)


TestJournal = Journal.TestCase
TestJournal.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


# Damage: what nobody damaged must come out, and nothing may hang or raise.


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_directory_loses_what_was_damaged_and_no_more(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    store = Store(tmp_path / "state")
    entry = store.create(CONTAINER, f"/run/{FIFO}", {"Config": None}, 0, 4096)
    count = rng.randint(50, 400)
    entry.stream.append(lines(0, count, size=rng.choice((20, 100, 1000))))
    entry.stream.finish(1.0)
    entry.stream.mark_ended()
    entry.stream.close()
    directory = entry.stream.directory
    segments = sorted(directory.glob("*.log"))
    lost_most = 0
    for _ in range(rng.randint(1, 3)):
        victim = rng.choice(segments)
        size = victim.stat().st_size if victim.exists() else 0
        kind = rng.choice(("cut", "flip", "delete", "cursor", "meta", "foreign", "zero"))
        if kind == "cut" and size:
            keep = rng.randint(0, size)
            os.truncate(victim, keep)
            lost_most += size - keep + 2100
        elif kind == "flip" and size:
            data = bytearray(victim.read_bytes())
            data[rng.randrange(size)] ^= 1 << rng.randrange(8)
            victim.write_bytes(data)
            lost_most += 2 * 1100
        elif kind == "zero" and size:
            data = bytearray(victim.read_bytes())
            at = rng.randrange(size)
            length = min(size - at, rng.randint(1, 1000))
            data[at : at + length] = bytes(length)
            victim.write_bytes(data)
            lost_most += length + 2 * 1100
        elif kind == "delete" and size:
            victim.unlink()
            lost_most += size + 2100
        elif kind == "cursor":
            (directory / "cursor").write_bytes(rng.randbytes(rng.choice((0, 5, 64, 128, 500))))
        elif kind == "meta":
            meta = directory / "meta.json"
            meta.write_bytes(meta.read_bytes()[: rng.randint(0, 50)])
        elif kind == "foreign":
            (directory / "00000000000000009999.log").mkdir(exist_ok=True)
            (directory / "lost+found").mkdir(exist_ok=True)
            (directory / "99999999999999999999.tmp").write_bytes(b"?")
            (directory.parent / "not-a-stream").write_bytes(b"?")
            (directory.parent.parent / "file").write_bytes(b"?")
    found, damaged = delivered_from(tmp_path / "state")
    assert found == sorted(set(found))
    size = max(1, (entry.stream.end) // count)
    assert count - len(found) <= lost_most // size + 3
    if not lost_most:
        assert found == list(range(count)) and damaged == 0


def delivered_from(state: Path) -> tuple[list[int], int]:
    """The numbers of the lines that the one stream of a state directory delivers, and the bytes counted as damage."""
    entries = Store(state).open()
    assert len(entries) == 1
    stream = entries[0].stream
    feed = Feed(entries[0], Cursor(stream.directory / "cursor"), python, EncodeOptions(), b"")
    buffer = memoryview(bytearray(BUFFER))
    found: list[int] = []
    try:
        for _ in range(1000):
            if not feed.needs_work:
                return found, feed.counters.passed.damaged_bytes
            part = feed.take(buffer, 1 << 20, 1, False)
            if part is not None:
                found += [number(body) for body in bodies(part.payload) if body[:8].isdigit()]
                feed.settle(part)
                feed.commit()
        raise AssertionError(f"no end: at {feed.offset} of {stream.end}")
    finally:
        feed.close()
        stream.close()
