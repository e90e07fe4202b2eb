"""The latest warnings and errors, and what is logged before the driver's own telemetry is there."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator

import pytest

from otellogdriver.telemetry.events import EARLY_MOST, MOST, Early, Events, StandardError

LOG = logging.getLogger("otellogdriver.tests")


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@pytest.fixture
def events() -> Iterator[Events]:
    made = Events()
    LOG.addHandler(made)
    yield made
    LOG.removeHandler(made)


def test_warnings_and_errors_are_kept_the_latest_first(events: Events) -> None:
    LOG.info("not this")
    LOG.warning("a warning,\n  of two lines")
    LOG.error("an error")
    assert [(event.lost, event.text) for event in events.latest()] == [
        (True, "an error"),
        (False, "a warning, of two lines"),
    ]


def test_their_number_and_length_have_bounds(events: Events) -> None:
    for number in range(MOST + 10):
        LOG.error("%d %s", number, "x" * 10_000)
    latest = events.latest()
    assert len(latest) == MOST and latest[0].text.startswith(f"{MOST + 9} ") and latest[-1].text.startswith("10 ")
    assert {len(event.text) for event in latest} == {500}


def test_the_latest_one_about_something(events: Events) -> None:
    LOG.error("container abc: first")
    LOG.error("container abc: second")
    LOG.error("container def: third")
    found = events.about("nothing", "abc")
    assert found is not None and found.text == "container abc: second"
    assert events.about("ghi") is None


def test_what_came_early_is_handed_on_once_and_in_order() -> None:
    early, kept = Early(), Kept()
    try:
        LOG.error("first")
        LOG.error("second")
        early.hand_over(kept)
        LOG.error("third")
        assert kept.texts == ["first", "second", "third"]
    finally:
        early.end()
    LOG.error("fourth")
    assert kept.texts == ["first", "second", "third"]


def test_what_came_early_has_a_bound() -> None:
    early, kept = Early(), Kept()
    try:
        for number in range(EARLY_MOST + 1):
            LOG.error("%d", number)
        early.hand_over(kept)
        assert len(kept.texts) == EARLY_MOST and kept.texts[0] == "1"
    finally:
        early.end()


def test_a_log_that_nobody_reads_keeps_nobody_waiting_and_says_so_afterwards() -> None:
    out, into = os.pipe()
    handler = StandardError(into)

    def say(text: str) -> bytes:
        handler.handle(logging.makeLogRecord({"msg": text}))
        return os.read(out, 1 << 20) if text == "read" else b""

    for number in range(1000):
        say(f"{number} {'x' * 6000}")
    assert os.read(out, 1 << 20).startswith(b"0 %s\n1 xxx" % (b"x" * 6000))
    assert re.fullmatch(rb"level=WARNING 9\d\d lines are missing here: nobody read the log\nread\n", say("read"))
    assert say("read") == b"read\n"
    os.close(out)
    say("to nobody")
    os.close(into)
    say("nowhere")
