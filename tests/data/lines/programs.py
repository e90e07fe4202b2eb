"""What programs print, with the level that a person sees in it: `programs*.txt`, and `levelless*.txt` without any.

`programs.txt` is what the scanner was written after; `programs_unseen.txt` was written when it was done, and those
named `fresh` when it had been mended after that, `real` after that again, `strange` last: they are all of other
programs.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import FileFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Example:
    """A line of a program; `number` is 0 for no level."""

    program: str
    line: bytes
    number: int


def examples(name: str) -> list[Example]:
    """Of a file in the form that its head tells."""
    found: list[Example] = []
    program, levels = "", list[tuple[str, str]]()
    for line in (FOLDER / name).read_text().splitlines():
        if line.startswith("#") or not line:
            continue
        if line.startswith("    "):
            found += [Example(program, _filled(_plain(line[4:]), level), int(number)) for level, number in levels]
        else:
            program, _, given = line.rpartition(": ")
            levels = re.findall(r"(\S.*?)=([0-9]+)(?= |$)", given)
    return found


def source_of(module: ModuleType) -> ModuleType:
    """The module as Python, with what it imports of its folder, whatever of that is compiled."""
    assert module.__file__
    package, folder = module.__name__.rpartition(".")[0], str(Path(module.__file__).parent)
    names = vars(sys.modules[package])
    before = dict(names)
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(f"{package}.")}
    sys.path_importer_cache[folder] = FileFinder(folder, (SourceFileLoader, [".py"]))
    try:
        return import_module(module.__name__)
    finally:
        del sys.path_importer_cache[folder]
        for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
            del sys.modules[name]
        sys.modules.update(kept)
        names.clear()
        names.update(before)


def levelless() -> list[Example]:
    lines = {
        line
        for name in ("levelless", "levelless_fresh", "levelless_real", "levelless_strange")
        for line in (FOLDER / f"{name}.txt").read_text().split("\n")
    }
    return [Example("none", _plain(line).encode(), 0) for line in sorted(lines - {""})]


def _plain(text: str) -> str:
    return text.replace("\\t", "\t").replace("\\e", "\x1b").replace("\\n", "\n")


def _filled(line: str, level: str) -> bytes:
    def put(match: re.Match[str]) -> str:
        width = int(match[1] or 0)
        return level.rjust(-width) if width < 0 else level.ljust(width)

    return re.sub("«(-?[0-9]*)»", put, line).encode()
