"""Each byte is of the kinds that Python's own words say, and no byte beyond ASCII is of any."""

from __future__ import annotations

from otellogdriver.lines.characters import DIGIT, JOINT, KIND, LOWER, MARK, SPACE, UPPER, WORD


def test_kinds() -> None:
    for code, kind in enumerate(KIND):
        char = chr(code) if code < 128 else ""
        letters = (UPPER if char.isupper() else 0) | (LOWER if char.islower() else 0)
        assert kind & (UPPER | LOWER | DIGIT) == letters | (DIGIT if char.isdigit() else 0)
        assert bool(kind & WORD) == (char.isalnum() or char in {"_", "$"})
        assert bool(kind & SPACE) == (char in {" ", "\t", "\r"})
        assert not kind & JOINT or kind & MARK
