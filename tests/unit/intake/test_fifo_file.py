"""Which files may be read as FIFOs, and which are found and removed."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path
from typing import Any

import pytest

from otellogdriver.errors import ProtocolError
from otellogdriver.intake import fifo_file


def made(root: Path, name: str = "") -> str:
    file = str(root / (name or secrets.token_hex(32)))
    os.mkfifo(file)
    return file


@pytest.mark.parametrize("file", ["/a/b", "/a/../a/b"])
def test_a_path_directly_in_the_folder_is_allowed_and_no_other(file: str) -> None:
    directory = os.path.dirname(file)
    fifo_file.check_path(file, directory)
    fifo_file.check_path(file, directory + "/")
    for other in (f"{directory}/c/b", f"{directory}/..", f"{directory}/", "b", ""):
        with pytest.raises(ProtocolError, match="is not a FIFO in"):
            fifo_file.check_path(other, directory)


def test_what_is_no_fifo_is_named(tmp_path: Path) -> None:
    fifo_file.check(made(tmp_path))
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(made(tmp_path, "fifo"))
    for name, why in {"file": "is not a FIFO", "link": "is not a FIFO", "none": "No such file", "\0": "name"}.items():
        with pytest.raises(ProtocolError, match=why):
            fifo_file.check(str(tmp_path / name))


def test_those_of_nobody_are_fifos_with_the_engines_names(tmp_path: Path) -> None:
    known, unknown = made(tmp_path), made(tmp_path)
    (tmp_path / secrets.token_hex(32)).touch()
    made(tmp_path, "other")
    assert fifo_file.of_nobody(str(tmp_path), {known}) == [unknown]
    assert fifo_file.of_nobody(str(tmp_path / "missing"), ()) == []


def test_what_cannot_be_looked_at_now_may_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not fifo_file.may_be(str(tmp_path)) and not fifo_file.may_be(str(tmp_path / "missing"))

    def fails(path: Any) -> Any:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "lstat", fails)
    assert fifo_file.may_be(str(tmp_path / "missing"))


def test_only_a_fifo_is_removed(tmp_path: Path) -> None:
    fifo, file = made(tmp_path), tmp_path / "file"
    file.touch()
    for path in (fifo, fifo, str(file)):
        fifo_file.remove(path)
    assert not os.path.exists(fifo) and file.exists()
