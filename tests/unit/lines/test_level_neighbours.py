"""What stands beside a level; compiled as in Python."""

from __future__ import annotations

import pytest

from otellogdriver.lines import level_neighbours
from tests.data.lines.programs import source_of

BOTH = (level_neighbours, source_of(level_neighbours))


@pytest.mark.parametrize(
    "text, letter",
    [
        (b"", "$"),
        (b": x", ":"),
        (b":x", ";"),
        (b" | x", "|"),
        (b"] x", "]"),
        (b" [x", "["),
        (b" (device sda1): x", ":"),
        (b"\tx", "\t"),
        (b" x", " "),
        (b"  x", "g"),
        (b"\x1b[0m x", "m"),
        (b"/x", "/"),
        (b"s", "x"),
    ],
)
def test_what_follows(text: bytes, letter: str) -> None:
    assert [chr(module.after(text, len(text), 0)) for module in BOTH] == [letter, letter]


def test_where_things_end() -> None:
    for module in BOTH:
        assert module.space(b"  x", 3, 0) == 2
        assert module.escape(b"\x1b[31mx", 6, 0) == 5
        assert module.skipped(b'"a\\"b"c', 7, 0) == 6


def test_what_is_here() -> None:
    for module in BOTH:
        assert module.same(b"xPHP", 1, 4, b"php", 3) and not module.same(b"xPHP", 0, 4, b"php", 3)
        assert module.is_digits(b"12x", 3, 0, 2) and not module.is_digits(b"12", 2, 0, 2)
        assert module.is_code(b"CS1002: x", 9, 0) and not module.is_code(b"CS: x", 5, 0)
        assert module.is_file(b"a/b.c: x", 8, 0) and not module.is_file(b"abc: x"[:3], 3, 0)
        assert module.is_title(b" Ab", 3, 0) and not module.is_title(b" AB", 3, 0)
        assert module.is_prose(b" is x", 5, 0) and not module.is_prose(b" x is", 5, 0)
