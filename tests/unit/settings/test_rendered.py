"""What is between the markers is replaced, the rest is left byte for byte."""

from __future__ import annotations

import pytest

from otellogdriver.settings.rendered import begin, between, end


def test_between() -> None:
    before = f"a\n<!-- x: begin, by hand -->\nold\n{end('x')}\nb"
    once = between(before, "x", "make x", "new")
    assert once == f"a\n{begin('x', 'make x')}\n\nnew\n{end('x')}\nb"
    assert between(once, "x", "make x", "new") == once


@pytest.mark.parametrize("text", ["", begin("x", "c"), end("x"), f"{begin('y', 'c')}{end('y')}"])
def test_without_markers(text: str) -> None:
    with pytest.raises(ValueError, match="are missing"):
        between(text, "x", "c", "new")
