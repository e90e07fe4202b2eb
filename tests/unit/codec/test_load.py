"""Which codec runs: never a slow one without a word, never another one than was asked for."""

from __future__ import annotations

import logging
import sys

import pytest

from otellogdriver.codec import load
from otellogdriver.errors import OptionError
from tests.data.frames.codecs import NAMES

NATIVE = "otellogdriver.codec.native"


@pytest.fixture
def no_native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, NATIVE, None)


@pytest.mark.skipif("native" not in NAMES, reason="OTELLOGDRIVER_NATIVE=skip")
@pytest.mark.parametrize("mode", ["auto", "require"])
def test_native_is_taken_if_it_is_there(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    assert load(mode).name == "native"
    assert not caplog.records


def test_python_is_taken_where_it_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    assert load("python").name == "python"
    assert not caplog.records


@pytest.mark.usefixtures("no_native")
def test_auto_tells_that_it_took_the_slow_one(caplog: pytest.LogCaptureFixture) -> None:
    assert load().name == "python"
    (record,) = caplog.records
    assert (record.levelno, NATIVE in record.getMessage()) == (logging.WARNING, True)


@pytest.mark.usefixtures("no_native")
def test_require_does_not_start_without_native() -> None:
    with pytest.raises(OptionError, match=f"'require', but the native codec cannot be imported: .*{NATIVE}"):
        load("require")


def test_unknown_mode_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(OptionError, match="codec is 'fast'; allowed are auto, require, python"):
        load("fast")
