"""What a release says of itself: one version, a changelog of the usual form, notes of that version alone."""

from __future__ import annotations

import re
from importlib.metadata import version

import pytest

from otellogdriver import __version__
from plugin.release import CHANGELOG, main, notes

TEXT = """# Changelog

## [Unreleased]

### Fixed

- Something new.

## [1.2.0] - 2026-01-31

### Added

- A thing, and [a link](https://example.com).

## [1.1.0] - 2025-12-24

### Removed

- Another.

[Unreleased]: https://example.com/compare/v1.2.0...HEAD
[1.1.0]: https://example.com/v1.1.0
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    (
        ("Unreleased", "### Fixed\n\n- Something new.\n"),
        ("1.2.0", "### Added\n\n- A thing, and [a link](https://example.com).\n"),
        ("1.1.0", "### Removed\n\n- Another.\n"),
    ),
)
def test_notes_are_of_one_version(name: str, expected: str) -> None:
    assert notes(TEXT, name) == expected


def test_a_version_without_notes_is_no_release(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"no section '1.2'; it has Unreleased, 1.2.0, 1.1.0"):
        notes(TEXT, "1.2")
    assert main(["--notes", "99.0.0"]) == 1
    assert "'99.0.0'" in capsys.readouterr().err


def test_the_changelog_has_the_usual_form() -> None:
    text = CHANGELOG.read_text(encoding="utf-8")
    sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert sections[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", section) for section in sections[1:])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= kinds
    assert notes(text, "Unreleased").strip()


def test_there_is_one_version() -> None:
    assert version("otellogdriver") == __version__
