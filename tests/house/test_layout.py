"""Who may import whom: a folder imports what is before it on the way of a line; inside a folder there is no circle.
And where a module is tested: in a file of its own, which mirrors its place, or where TESTED_BY says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import otellogdriver

PACKAGE = Path(otellogdriver.__file__).parent
TESTS = Path(__file__).parents[1]

ORDER = (
    "errors",
    "insist",
    "loading",
    "loop",
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

THREADS = ("pool", "intake.crowd", "intake.fifo", "intake.rescue", "export.resolver", "serve")
"""Where threads are started: pools, and what must be able to hang without anything else."""

TESTED_BY = {
    "codec.contract": "unit/codec/test_codec.py",
    "codec.frames": "unit/codec/test_codec.py",
    "codec.python": "unit/codec/test_codec.py",
    "commands.amounts": "process/test_journal_command.py",
    "commands.destination_flags": "process/test_journal_command_export.py",
    "commands.doctor.advice": "process/test_doctor.py",
    "commands.doctor.check": "process/test_doctor.py",
    "commands.doctor.collector": "unit/commands/test_doctor_collector.py",
    "commands.doctor.command": "process/test_doctor.py",
    "commands.doctor.driver": "process/test_doctor.py",
    "commands.doctor.engine": "e2e/test_doctor.py",
    "commands.doctor.host": "e2e/test_doctor.py",
    "commands.doctor.place": "process/test_doctor.py",
    "commands.doctor.port": "process/test_doctor.py",
    "commands.doctor.record": "unit/commands/test_doctor_collector.py",
    "commands.doctor.time_out": "process/test_doctor.py",
    "commands.engine_api": "e2e/test_doctor.py",
    "commands.installation": "e2e/test_doctor.py",
    "commands.journal.command": "process/test_journal_command.py",
    "commands.journal.export": "process/test_journal_command_export.py",
    "commands.journal.lines": "process/test_journal_command.py",
    "commands.journal.ls": "process/test_journal_command.py",
    "commands.journal.running": "process/test_journal_command_export.py",
    "commands.journal.show": "process/test_journal_command.py",
    "commands.journal.snapshot": "process/test_journal_command.py",
    "commands.log_opts": "unit/commands/test_try_options.py",
    "commands.progress": "process/test_journal_command_export.py",
    "errors": "unit/settings/test_options.py",
    "export.answer": "unit/export/test_outcomes.py",
    "export.client": "unit/export/test_outcomes.py",
    "export.gzip": "unit/export/test_request.py",
    "export.http": "unit/export/test_connection.py",
    "export.outcome": "unit/export/test_outcomes.py",
    "intake.aside": "unit/intake/test_rescue.py",
    "journal.reader": "unit/journal/test_stream.py",
    "lines.encoder": "unit/lines/test_lines.py",
    "lines.fields": "unit/lines/test_lines.py",
    "lines.json_line": "property/test_lines.py",
    "lines.level_words": "unit/lines/test_level_names.py",
    "lines.logfmt": "property/test_lines.py",
    "lines.mapping": "unit/lines/test_lines.py",
    "lines.multiline": "unit/lines/test_traces.py",
    "lines.redaction": "unit/lines/test_lines.py",
    "lines.severity": "unit/lines/test_lines.py",
    "lines.times": "unit/lines/test_lines.py",
    "lines.trace_modes": "unit/lines/test_traces.py",
    "lines.wire": "property/test_lines.py",
    "lines.writer": "unit/lines/test_lines.py",
    "settings.endpoints": "unit/test_values.py",
    "settings.foreign": "unit/settings/test_options.py",
    "settings.go_format": "unit/settings/test_tag.py",
    "settings.go_template": "unit/settings/test_tag.py",
    "settings.line_options": "unit/settings/test_options.py",
    "settings.option": "unit/settings/test_options.py",
    "settings.patterns": "unit/test_values.py",
    "telemetry.metrics": "process/test_status.py",
    "telemetry.page": "process/test_status_page.py",
    "telemetry.samples": "unit/telemetry/test_exposition.py",
}
"""Module -> below tests/, the file that tests it, where that is not its own: what is met only as a part of another, or
of a process."""


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


@pytest.mark.parametrize("name", MODULES)
def test_each_module_has_a_test(name: str) -> None:
    """Its own: tests/unit/<folder>/test_<module>.py, or the same below tests/process where it takes a process."""
    path = PACKAGE.joinpath(*name.split("."))
    *folders, module = name.split(".")
    own = [
        TESTS.joinpath("unit", *folders, f"test_{module}.py"),
        TESTS / "process" / f"test_{module}.py",
    ]
    found = [file for file in own if file.exists()]
    if path.is_dir() and not found and name not in TESTED_BY:
        assert not has_code(source(name)) or len(list(path.glob("*.py"))) > 1
        return
    if name in TESTED_BY:
        assert not found, f"{name} has a test of its own, {found[0]}: take it out of TESTED_BY"
        found = [TESTS / TESTED_BY[name]]
    assert found, f"{name} has no test: write {own[0]}, or say in TESTED_BY where it is tested"
    assert re.search(r"^ *(async )?def test_", found[0].read_text(), re.MULTILINE), f"{found[0]} has no test"


def test_only_modules_are_tested_elsewhere() -> None:
    assert set(TESTED_BY) <= set(MODULES)


def has_code(text: str) -> bool:
    return any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.parse(text).body)
