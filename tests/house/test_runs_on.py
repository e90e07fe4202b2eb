"""The README's table of engines is made of what runs said, and of nothing else."""

from __future__ import annotations

import json
from pathlib import Path

from tests.engine.runs_on import BEGIN, END, HEAD, README, rendered, row

SUITE = '<testsuite tests="50" skipped="{}" failures="{}" errors="1" timestamp="2026-11-26T19:41:00"/>'


def run(folder: Path, name: str, version: str, skipped: int, failures: int) -> Path:
    path = folder / f"{name}.xml"
    path.write_text(f"<testsuites>{SUITE.format(skipped, failures)}</testsuites>")
    about = {"version": version, "storage": "overlay2, cgroup v1", "machine": "x86_64, Linux 6.18", "part": skipped > 0}
    path.with_suffix(".json").write_text(json.dumps(about))
    return path


def test_a_row_says_what_passed_and_what_did_not(tmp_path: Path) -> None:
    assert row(run(tmp_path, "20.10", "20.10.24+dfsg1", 2, 3)) == (
        "| 20.10.24+dfsg1 | overlay2, cgroup v1 | x86_64, Linux 6.18 |"
        " 44 passed, 4 failed, 2 skipped (a chosen part) | 2026-11-26 |\n"
    )


def test_an_engine_that_does_not_know_its_version_has_that_of_its_module(tmp_path: Path) -> None:
    assert row(run(tmp_path, "28", "library-import", 0, 0)).startswith("| 28 (v28.5.2) | ")


def test_rows_are_in_order_and_those_of_other_engines_stay() -> None:
    text = f"before\n{BEGIN}\n\n{HEAD}| 28 (v28.5.2) | old |\n| 26.1.5 | stays |\n\n{END}\nafter\n"
    new = rendered(text, {"28": "| 28 (v28.5.2) | new |\n", "20.10": "| 20.10.24 | new |\n"})
    rows = "| 20.10.24 | new |\n| 26.1.5 | stays |\n| 28 (v28.5.2) | new |\n"
    assert new == f"before\n{BEGIN}\n\n{HEAD}{rows}\n{END}\nafter\n"


def test_the_readme_has_a_place_for_it() -> None:
    text = README.read_text(encoding="utf-8")
    assert rendered(text, {}) == text
