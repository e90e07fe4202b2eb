"""Names of levels: their numbers, with what may follow them; compiled as in Python."""

from __future__ import annotations

import pytest

from otellogdriver.lines import level_names
from tests.data.lines.programs import source_of

BOTH = (level_names, source_of(level_names))


@pytest.mark.parametrize(
    "text, number",
    [
        (b"info", 9),
        (b"WARNING", 13),
        (b"w", 13),
        (b"ERROR+4", 21),
        (b"DEBUG-4", 1),
        (b"INFO3", 11),
        (b"D3", 5),
        (b"fine", 6),
        (b"", 0),
        (b"informal", 0),
        (b"jan", 0),
        (b"level", 0),
    ],
)
def test_a_whole_text(text: bytes, number: int) -> None:
    assert [module.named(text, 0, len(text)) & 31 for module in BOTH] == [number, number]


def test_where_a_name_ends() -> None:
    for module in BOTH:
        assert module.level_at(b"x error: y", 10, 2) == 17 | 7 << 8
        assert module.level_at(b"x errors", 8, 2) == module.level_at(b"is", 2, 0) == 0
        assert module.word(b"is", 2, 0) >> 8 == 2


def test_cases() -> None:
    for module in BOTH:
        assert [module.case(text, 0, 5) for text in (b"ERROR", b"Error", b"error", b"eRROR")] == [2, 1, 0, -1]


def test_what_is_a_level_for_sure() -> None:
    for module in BOTH:
        assert module.unmistakable(b"error", 5) == 17 and not module.unmistakable(b"success", 7)


def test_keys() -> None:
    for module in BOTH:
        for key, whether in (
            (b"level", True),
            (b"log.level", True),
            (b"@l", True),
            (b"levels", False),
            (b"msg", False),
        ):
            assert module.names_level(key, 0, len(key)) == whether
