"""docs/CONFORMANCE.md: each row has a status and a test, and each test that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from plugin.build import ROOT

PAGE = ROOT / "docs" / "CONFORMANCE.md"
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("|") and not re.match(r"\|(-|\s*feature|\s*\*\*)", line)
]


def named_in(path: Path) -> set[str]:
    """The tests of a file, those of a class as Class::test."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
    return {name for name in found if "test_" in name}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_row_has_a_status_and_a_test_that_is_there(row: list[str]) -> None:
    feature, optional, status, test = row
    assert feature and optional in ("", "*")
    assert re.match(r"\+( |$)|[~-] \S", status), "what differs has a reason"
    named = re.fullmatch(r"`(tests/[\w/]+\.py)::([\w:]+)`", test)
    assert named, f"{test!r} is not one test"
    path = ROOT / named[1]
    assert path.is_file(), f"{named[1]} is not there"
    assert named[2] in named_in(path), f"{named[1]} has no {named[2]}"


def test_the_page_speaks_of_everything() -> None:
    text = PAGE.read_text(encoding="utf-8")
    asked = "Endpoint Protocols Headers TLS Compression Time-out Retry"
    assert all(f"| **{name}** |" in text for name in [*asked.split(), "Partial success"])
    assert re.findall(r"^## (.*)", text, re.MULTILINE) == [
        "OTLP exporter",
        "Environment variables",
        "Resource",
        "Log data model",
    ]
    assert len(ROWS) > 50
