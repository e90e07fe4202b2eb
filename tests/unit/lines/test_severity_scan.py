"""The level in what programs print: how many are found, how many are right, and what has none."""

from __future__ import annotations

import pytest

from otellogdriver.lines import severity, severity_scan
from tests.data.lines.programs import Example, examples, levelless, source_of

TABLES = ("programs.txt", "programs_unseen.txt", "programs_fresh.txt", "programs_real.txt", "programs_strange.txt")
KNOWN = [example for table in TABLES for example in examples(table)]


def number(example: Example) -> int:
    return severity.in_text(example.line)[0]


def test_the_tables_are_as_wide_as_they_should_be() -> None:
    assert len({example.program for example in KNOWN}) >= 600
    assert len(levelless()) >= 700


@pytest.mark.parametrize("table", TABLES)
def test_recall(table: str) -> None:
    missed = [example for example in examples(table) if not number(example)]
    assert len(missed) <= 0.03 * len(examples(table)), missed


def test_precision() -> None:
    found = [example for example in [*KNOWN, *levelless()] if number(example)]
    wrong = [example for example in found if number(example) != example.number]
    assert len(wrong) <= 0.0005 * len(found), wrong


@pytest.mark.parametrize("example", levelless(), ids=lambda example: example.line.decode())
def test_no_level(example: Example) -> None:
    assert severity.in_text(example.line) == (0, "")


@pytest.mark.parametrize("place", range(0, 230, 7))
def test_only_the_begin_is_looked_at(place: int) -> None:
    line = (b"2026-01-02 03:04:05 [" + b"x" * place + b"] ERROR x").ljust(400)
    assert bool(severity.in_text(line)[0]) == (line.index(b"ERROR") + 5 <= severity.HEAD)


def test_no_line_is_read_beyond_its_end() -> None:
    scan = source_of(severity_scan)  # as Python, which says so
    for line in {example.program: example.line[: severity.HEAD] for example in KNOWN}.values():
        for size in range(len(line)):
            scan.find(line[:size], size)
    for line in (b"E,", b"WAR[", b"WAR", b"I 0102 03"):
        scan.find(line, len(line))
