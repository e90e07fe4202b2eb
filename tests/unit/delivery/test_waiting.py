"""Which feeds are first, and when it is time, by a clock that the test moves."""

from __future__ import annotations

from collections import defaultdict

import pytest

from otellogdriver.delivery import waiting as waiting_module
from otellogdriver.delivery.feed import Feed
from otellogdriver.delivery.waiting import Waiting

DELAY, SIZE = 1.0, 1 << 20


class Some(Feed):
    """A feed of which only the size is asked."""

    pending = 0

    def __init__(self) -> None:
        self.around = 100


class Queue:
    """Feeds that wait, and a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waiting = Waiting(DELAY, SIZE, lambda: self.now)
        self._feeds = defaultdict[str, Some](Some)

    def add(self, name: str, size: int) -> Some:
        """A feed that has `size` more bytes waits."""
        feed = self._feeds[name]
        feed.pending += size
        self.waiting.add(feed)
        return feed

    def left(self, is_behind: bool = False) -> float:
        return self.waiting.left(is_behind)


@pytest.fixture
def queue() -> Queue:
    return Queue()


def test_what_waits_goes_after_the_delay_of_the_first(queue: Queue) -> None:
    queue.add("a", 10_000)
    assert queue.left() == pytest.approx(DELAY)
    queue.now += 0.4
    queue.add("b", 10_000)
    queue.add("a", 10_000)
    assert queue.left() == pytest.approx(DELAY - 0.4)
    assert queue.left(is_behind=True) < 0


def test_few_lines_do_not_wait_for_others_but_go_three_times_in_a_delay_at_most(queue: Queue) -> None:
    feed = queue.add("a", 10)
    assert queue.left() == pytest.approx(0.01)
    for _ in range(3):
        queue.waiting.remove(queue.waiting.first(SIZE))
        queue.add("a", 10)
        assert queue.left() == pytest.approx(DELAY / 3)
        queue.now += DELAY / 3
        assert queue.left() == pytest.approx(0)
    feed.pending += 10_000  # nobody has been told of these
    assert queue.left() == pytest.approx(DELAY - DELAY / 3)


def test_many_wait_longer_up_to_five_times_the_delay(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_module, "_EACH", 0.1)
    for count, longest in ((5, DELAY), (15, 1.5), (60, 5 * DELAY)):
        for number in range(len(queue.waiting.feeds), count):
            queue.add(f"{number:02x}", 2000)
        assert queue.left() == pytest.approx(longest)


def test_what_fills_a_request_goes_at_once_unless_it_is_many_small_parts(queue: Queue) -> None:
    for number in range(80):
        queue.add(f"{number:02x}", SIZE // 70)
    assert queue.left() == pytest.approx(DELAY)
    queue.add("00", SIZE)
    assert queue.left() == 0


def test_no_more_feeds_are_first_than_have_room_and_the_others_keep_their_time(queue: Queue) -> None:
    feeds = [queue.add(name, SIZE) for name in "abcd"]
    queue.now += DELAY / 2
    assert queue.waiting.first(128 << 10) == feeds[:2]
    queue.waiting.remove(feeds[:1])
    assert queue.waiting.first(SIZE) == feeds[1:]
    assert queue.waiting.feeds[feeds[1]][0] == queue.now - DELAY / 2


def test_who_goes_is_not_counted_any_more(queue: Queue) -> None:
    feed = queue.add("a", 10)
    queue.add("a", SIZE)
    assert queue.left() == 0
    queue.waiting.remove([feed, feed])
    assert not queue.waiting.feeds
    queue.add("b", 10_000)
    assert queue.left() > 0
