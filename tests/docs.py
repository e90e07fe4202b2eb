"""The code blocks of the documentation, for tests that run or parse them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plugin.build import ROOT

PAGES = (*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")))


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: the heading above it, the word behind its fence, its lines."""

    page: Path
    heading: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}, {self.heading}, {self.language}"

    def filled(self, values: Mapping[str, str]) -> str:
        """The text with each key replaced by its value. All keys must be there: a test must not run something else."""
        text = self.text
        for name, value in values.items():
            assert name in text, f"{self} has no {name!r}"
            text = text.replace(name, value)
        return text


def blocks(page: Path) -> list[Block]:
    """The page's blocks, in order."""
    found, heading, language, lines = [], "", None, list[str]()
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            if language is None:
                language, lines = line[3:].strip(), []
            else:
                found.append(Block(page, heading, language, "\n".join(lines) + "\n"))
                language = None
        elif language is not None:
            lines.append(line)
        elif match := re.fullmatch(r"#+ (.*)", line):
            heading = match[1]
    return found


def block(page: str, heading: str, language: str = "sh", number: int = 0) -> Block:
    """The block with this number, among those of a language under a heading of docs/`page`."""
    every = [one for one in blocks(ROOT / "docs" / page) if (one.heading, one.language) == (heading, language)]
    assert len(every) > number, f"docs/{page} has no {language} block number {number} under {heading!r}"
    return every[number]


def run(script: str, environment: Mapping[str, str], cwd: Path = ROOT, timeout: float = 300) -> str:
    """Run a block as somebody would who pastes it, but end at its first failure; what it prints. A `make` around
    the tests is not told of: it would make another one speak of folders."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={name: value for name, value in environment.items() if not name.startswith(("MAKE", "MFLAGS"))},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, f"{script}\nended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout
