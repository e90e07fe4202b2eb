"""Whether a name is a level where it stands; compiled as in Python. `test_severity_scan.py` has thousands of lines."""

from __future__ import annotations

import pytest

from otellogdriver.lines import level_places
from tests.data.lines.programs import source_of

BOTH = (level_places, source_of(level_places))


@pytest.mark.parametrize(
    "text, before, follows, whether",
    [
        (b"ERROR: x", "^", ":", True),
        (b"ERROR is x", "^", " ", False),
        (b"ERROR/x", "^", "/", False),
        (b"ERROR x", "t", " ", True),
        (b"ERROR", "t", "$", False),
    ],
)
def test_capitals(text: bytes, before: str, follows: str, whether: bool) -> None:
    for module in BOTH:
        found = module.capitals(text, len(text), 0, 5, 17, ord(before), ord(follows), False, 0, 0, ord("^"))
        assert found == whether


def test_other_cases() -> None:
    for module in BOTH:
        for whether, follows in ((True, ":"), (False, "[")):
            assert module.titled(b"Error: x", 8, 0, 5, 17, ord("^"), ord(follows), False, 0, ord("^")) == whether
        for whether, indent in ((True, 0), (False, 4)):
            assert module.small(b"error: x", 8, 0, 5, 17, ord("^"), ord(":"), False, 0, indent) == whether


def test_in_brackets() -> None:
    for module in BOTH:
        for whether, follows in ((True, "]"), (False, "x")):
            given = (17, ord("o"), ord(follows), ord("["), 0, True, 0)
            assert module.in_brackets(b"[ERROR] x", 9, 1, 6, 2, *given) == whether
