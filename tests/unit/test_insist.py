"""A step that meets a lack of memory is made again; any other error is told."""

from __future__ import annotations

import pytest

from otellogdriver.insist import insist


def test_a_step_is_made_until_there_is_memory_for_it() -> None:
    tries: list[int] = []

    def step(number: int, *, more: int) -> int:
        tries.append(number)
        if len(tries) < 3:
            raise MemoryError
        return number + more

    assert insist(step, 7, more=1) == 8
    assert tries == [7, 7, 7]


def test_other_errors_are_told_at_once() -> None:
    with pytest.raises(ZeroDivisionError):
        insist(divmod, 1, 0)
