"""What is counted of a feed: each line once, whatever is put back."""

from __future__ import annotations

from typing import Never

import pytest

from otellogdriver.codec.contract import Encoded
from otellogdriver.delivery.counters import Counters, Passed

SOME = Encoded(b"...", 3, (2, 1), (20, 10), {"streams": 1}, 100, skipped=5, severities=(0, 0, 1, 0, 2, 0))
PLAIN = Encoded(b"...", 3, (3, 0), (30, 0), {}, 200)


def test_what_is_taken_is_summed_and_counts_only_once_it_is_passed() -> None:
    counters = Counters()
    passed, severities, excluded = counters.after([SOME, PLAIN, SOME], lost=7)
    assert passed == Passed([7, 2], [70, 20], 17)
    assert severities == (0, 0, 2, 0, 4, 0) and excluded == {"streams": 2}
    assert counters == Counters()


def test_what_is_reported_does_not_fall_when_lines_are_put_back() -> None:
    counters = Counters()
    before = counters.passed
    counters.passed, *_ = counters.after([SOME], lost=0)
    counters.go_back(before)
    assert counters.passed == before and counters.reported() == Passed([2, 1], [20, 10], 5)
    counters.passed, *_ = counters.after([PLAIN], lost=0)
    assert counters.reported() == Passed([3, 1], [30, 10], 5)


def test_a_record_has_its_severity_and_what_is_excluded_its_reason_when_they_are_settled() -> None:
    counters = Counters()
    for _ in range(2):
        counters.settle(3, SOME.severities, SOME.excluded)
    counters.settle(3, (), {})
    assert (counters.records, counters.severities, counters.excluded) == (9, (0, 0, 2, 0, 4, 0), {"streams": 2})


def test_what_is_skipped_is_passed_and_given_up() -> None:
    counters = Counters()
    counters.skip(10)
    assert counters.given_up == {}
    counters.skip(1, (4, 2), "journal_full")
    counters.give_up("refused", 1)
    counters.give_up("refused", 0)
    assert counters.passed == Passed([4, 2], [0, 0], 11)
    assert counters.given_up == {"journal_full": 6, "refused": 1}


class NoMemory(dict[str, int]):
    """Of which there is nothing to be had at the moment."""

    def items(self) -> Never:
        raise MemoryError


def test_what_finds_no_memory_is_settled_later_and_counts_once() -> None:
    counters = Counters(records=1)
    with pytest.raises(MemoryError):
        counters.settle(5, SOME.severities, NoMemory(streams=1))
    assert counters == Counters(records=1)
    counters.settle(5, SOME.severities, {"streams": 1})
    assert counters.records == 6 and counters.excluded == {"streams": 1}
