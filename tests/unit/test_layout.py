"""Who may import whom: a stage imports what is before it on the way of a line, and the leaves; nobody else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import otellogdriver

PACKAGE = Path(otellogdriver.__file__).parent

WAY = (
    "journal",
    "crowd",
    "fifo",
    "codec",
    "lines",
    "export",
    "feed",
    "pump",
    "pumps",
    "session",
    "room",
    "driver",
    "readlogs",
    "account",
    "samples",
    "report",
    "status",
    "self_telemetry",
    "protocol",
    "serve",
)
"""Modules and packages in the order a line meets them, and behind them those that look at what they did."""

LEAVES = (
    "amounts",
    "codec.contract",
    "container",
    "endpoints",
    "errors",
    "events",
    "export.outcome",
    "line_options",
    "option",
    "options",
    "page",
    "patterns",
    "progress",
    "record_lines",
    "resource",
    "tables",
    "tag",
    "tally",
    "turns",
    "values",
)
"""They know no stage."""

DECLARED = ("metrics",)
"""What is declared for who looks on from outside: no stage counts by it."""

PROGRAMS = ("cli", "destination_flags", "doctor", "engine_api", "installation", "journal_command", "reference", "sink")
"""For people; nothing on the way of a line needs them."""


def modules() -> Iterator[str]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            yield name


MODULES = tuple(modules())


def imports(name: str) -> set[str]:
    """The modules of the package that a module names in an import, also where it is imported late or for types only."""
    path = PACKAGE.joinpath(*name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    inside = {each.removeprefix("otellogdriver.") for each in found if each.startswith("otellogdriver.")}
    return {each for each in inside if each in MODULES}


def within(name: str, places: tuple[str, ...]) -> str | None:
    """The place in a list that a module belongs to."""
    return next((place for place in places if name == place or name.startswith(place + ".")), None)


def is_leaf(name: str) -> bool:
    return within(name, LEAVES) is not None


@pytest.mark.parametrize("name", MODULES)
def test_every_module_has_a_place_and_keeps_it(name: str) -> None:
    for other in imports(name):
        if within(other, ("codec", "export", "journal")) == other and within(name, (other,)):
            continue  # the package's own __init__
        said = f"{name} imports {other}"
        if is_leaf(name):
            assert is_leaf(other), f"{said}: a leaf knows leaves alone"
        elif place := within(name, WAY):
            assert is_leaf(other) or within(other, WAY + DECLARED), f"{said}, which is not on the way of a line"
            if other in DECLARED:
                assert WAY.index(place) > WAY.index("driver"), f"{said}: a stage only counts"
            if behind := within(other, WAY):
                assert is_leaf(other) or WAY.index(behind) <= WAY.index(place), f"{said}, which comes behind it"
        else:
            assert within(name, PROGRAMS + DECLARED), f"{name} has no place: give it one in {Path(__file__).name}"


def test_the_lists_name_what_there_is() -> None:
    for place in (*WAY, *LEAVES, *DECLARED, *PROGRAMS):
        assert place == "lines" or place in MODULES, f"{place} is gone: take it out of {Path(__file__).name}"


def test_stages_start_no_threads() -> None:
    """The driver does, but for each FIFO's own thread, the one that reads many, and name lookups, which must be able
    to hang."""
    for name in MODULES:
        if within(name, WAY[: WAY.index("driver")]) and name not in ("crowd", "fifo", "export.resolver"):
            path = PACKAGE.joinpath(*name.split("."))
            source = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
            for word in ("Thread(", "ThreadPoolExecutor(", "create_subprocess"):
                assert word not in source, f"{name} has {word}"
