"""Who may import whom: a folder imports what is before it on the way of a line; inside a folder there is no circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import otellogdriver

PACKAGE = Path(otellogdriver.__file__).parent

ORDER = (
    "errors",
    "pool",
    "values",
    "container",
    "settings",
    "resource",
    "journal",
    "codec",
    "lines",
    "intake",
    "export",
    "delivery",
    "driver",
    "engine",
    "telemetry",
    "serve",
    "commands",
    "cli",
)
"""Folders and single modules in the order in which a line, or what looks at it, meets them."""

THREADS = ("pool", "intake.crowd", "intake.fifo", "export.resolver")
"""Where threads are started: pools, and what must be able to hang without anything else."""


def modules() -> Iterator[str]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            yield name


MODULES = tuple(modules())


def source(name: str) -> str:
    path = PACKAGE.joinpath(*name.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()


def imports(name: str) -> set[str]:
    """The modules of the package that a module names in an import, also where it is imported late or for types only."""
    found = set()
    for node in ast.walk(ast.parse(source(name))):
        if isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}".removeprefix("otellogdriver.") for alias in node.names}
            found |= inside & set(MODULES) or {node.module.removeprefix("otellogdriver.")}
        elif isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("otellogdriver.") for alias in node.names}
    return (found & set(MODULES)) - {name}


def folder(name: str) -> str:
    return name.split(".")[0]


@pytest.mark.parametrize("name", MODULES)
def test_a_folder_imports_what_is_before_it(name: str) -> None:
    assert folder(name) in ORDER, f"{name} has no place: give it one in {Path(__file__).name}"
    for other in imports(name):
        assert ORDER.index(folder(other)) <= ORDER.index(folder(name)), f"{name} imports {other}, which comes after it"


def test_no_module_imports_itself_by_others() -> None:
    try:
        TopologicalSorter({name: imports(name) for name in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {error.args[1]}")


def test_the_order_names_what_there_is() -> None:
    assert {folder(name) for name in MODULES} == set(ORDER)


def test_stages_start_no_threads() -> None:
    for name in MODULES:
        if ORDER.index(folder(name)) <= ORDER.index("driver") and name not in THREADS:
            for word in ("Thread(", "ThreadPoolExecutor(", "create_subprocess"):
                assert word not in source(name), f"{name} has {word}"
