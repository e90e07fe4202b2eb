"""A module whose import meets a lack of memory is there later."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from otellogdriver.loading import load

_SHORT = """
import weakref
from tests.unit import test_loading
class Held: pass
def fail():
    held = Held()
    test_loading.KEPT.append(weakref.ref(held))
    raise MemoryError
if not test_loading.KEPT:
    fail()
"""
KEPT: list[object] = []


def test_what_a_failed_import_held_is_let_go_of_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module's lock among it, which the next import would wait for."""
    (tmp_path / "short_of_memory.py").write_text(_SHORT)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "short_of_memory", raising=False)
    with pytest.raises(MemoryError, match="short_of_memory") as raised:
        load("short_of_memory")
    (held,) = KEPT
    assert callable(held) and held() is None
    assert raised.value.__context__ is None
    assert load("short_of_memory").fail


def test_other_errors_are_told_as_they_are() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        load("no_such_module")
