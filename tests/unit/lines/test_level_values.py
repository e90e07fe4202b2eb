"""Levels as values of keys; compiled as in Python."""

from __future__ import annotations

import pytest

from otellogdriver.lines import level_values
from tests.data.lines.programs import source_of

BOTH = (level_values, source_of(level_values))


@pytest.mark.parametrize("text, number", [(b"info x", 9), (b'"warn" x', 13), (b"5 x", 0), (b"info.x", 0), (b"", 0)])
def test_values(text: bytes, number: int) -> None:
    assert [module.value(text, len(text), 0) & 255 for module in BOTH] == [number, number]


@pytest.mark.parametrize(
    "text, number",
    [
        (b'{"a":1,"level":"error"}', 17),
        (b'{"level":30}', 9),
        (b'{"log":{"level":"warn"}}', 13),
        (b'{"a":{"level":"warn"}}', 0),
        (b'{"level":', 0),
    ],
)
def test_objects(text: bytes, number: int) -> None:
    assert [module.json(text, len(text), 0) & 255 for module in BOTH] == [number, number]
