"""What StartLogging said of a stream: kept on disk alone once nobody needs it often."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from otellogdriver.journal import layout
from otellogdriver.journal.entry import Entry
from otellogdriver.journal.store import Store

INFO = {"ContainerID": "1" * 64, "Config": {"labels": "a"}}


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    """As of a stream that has ended."""
    store = Store(tmp_path / "logging" / ".state")
    made = store.create("1" * 64, f"{tmp_path}/logging/{'f' * 64}", INFO, 0)
    store.describe(made)
    made.forget_info()
    return made


def test_what_was_forgotten_is_read_again(entry: Entry, tmp_path: Path) -> None:
    assert (entry.info, entry.log_opts) == (INFO, INFO["Config"])
    assert (entry.file, entry.sequence) == (f"{tmp_path}/logging/{'f' * 64}", 0)


def test_of_a_file_that_cannot_be_read_for_want_of_numbers_nothing_is_made_up(
    entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_numbers(_: Path, most: int = -1) -> bytes:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(layout, "read", no_numbers)
        with pytest.raises(OSError):
            _ = entry.info
    assert entry.info == INFO


def test_of_one_that_is_lost_nothing_is_known(entry: Entry) -> None:
    (entry.stream.directory / layout.META).unlink()
    assert (entry.info, entry.log_opts) == ({}, {})
