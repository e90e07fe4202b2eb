"""Levels of one letter or digit, by their frames; compiled as in Python."""

from __future__ import annotations

import pytest

from otellogdriver.lines import level_letters
from tests.data.lines.programs import source_of

BOTH = (level_letters, source_of(level_letters))


@pytest.mark.parametrize(
    "line, number",
    [
        (b"<3>x", 17),
        (b"<191>x y", 5),
        (b"<192>x y", 0),
        (b"I0102 03:04:05.678 x", 9),
        (b"E [02/Jan/2026:03:04:05 x", 17),
        (b"W/Tag( 7): x", 13),
        (b"E (123) wifi: x", 17),
        (b"%LINK-3-UPDOWN: x", 17),
        (b"I think", 0),
    ],
)
def test_frames(line: bytes, number: int) -> None:
    found = [module.frame(line, len(line), 0) for module in BOTH]
    assert found[0] == found[1] and found[0] & 255 == number


def test_a_letter_in_brackets() -> None:
    for module in BOTH:
        assert module.single(b"[E] x", 5, 1, ord("["), ord("o"), True, 0) == 17 | 1 << 8 | 2 << 16
        assert module.single(b"[A] x", 5, 1, ord("["), ord("o"), True, 0) == 0


def test_numbers_of_syslog() -> None:
    for module in BOTH:
        assert [module.syslog(number) for number in range(8)] == [21, 19, 18, 17, 13, 10, 9, 5]
