"""Containers that print on command, all at the same time.

In: a log driver with its options. Out: containers that run, wait, and print as often as they are told, so that no
measurement contains the start of a container. They are told over a socket that is mounted into them.
"""

from __future__ import annotations

import contextlib
import io
import json
import socket
import tarfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.engine_api import EngineApi
from bench.programs import program
from plugin.engine import Engine, EngineError

IMAGE = "otellogdriver-bench-printer"
STARTS = 4
"""Containers started at a time."""
PATIENCE = 300.0
"""Seconds that one round of printing may take."""


@dataclass(frozen=True, slots=True)
class Printed:
    """When the first line was begun and when the last one was in the pipe, in nanoseconds since the epoch."""

    began: int
    ended: int

    @property
    def seconds(self) -> float:
        return (self.ended - self.began) / 1e9


@dataclass(slots=True)
class Printer:
    """A container and its control connection."""

    id: str
    name: str
    control: socket.socket
    answers: io.TextIOWrapper


class Printers:
    """Starts printers and removes them at the end. `folder` must have a short path: a socket is made in it."""

    def __init__(self, engine: Engine, api: EngineApi, folder: Path) -> None:
        self.api = api
        self.folder = folder
        self.all: list[Printer] = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(folder / "printer.sock"))
        self.listener.listen(1024)
        self.listener.settimeout(60.0)
        make_image(engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.remove(list(self.all))
        self.listener.close()

    def start(self, prefix: str, number: int, driver: str, options: Mapping[str, str]) -> list[Printer]:
        """`number` containers named PREFIX-0 and so on."""
        ids: dict[str, str] = {}

        def start(index: int) -> None:
            name = f"{prefix}-{index}"
            ids[name] = self.api.create(
                name, IMAGE, driver, options, Env=[f"NAME={name}"], Binds=[f"{self.folder}:/control"]
            )
            self.api.start(ids[name])

        with ThreadPoolExecutor(STARTS) as pool:
            list(pool.map(start, range(number)))
        found: dict[str, Printer] = {}
        while len(found) < number:
            control, _ = self.listener.accept()
            control.settimeout(PATIENCE)
            answers = control.makefile("r")
            name = answers.readline().strip()
            found[name] = Printer(ids[name], name, control, answers)
        printers = [found[f"{prefix}-{index}"] for index in range(number)]
        self.all += printers
        return printers

    def remove(self, printers: Sequence[Printer]) -> None:
        for printer in printers:
            self.all.remove(printer)
            printer.answers.close()
            printer.control.close()
        with ThreadPoolExecutor(STARTS) as pool, contextlib.suppress(EngineError):
            list(pool.map(self.api.remove, [printer.id for printer in printers]))


def command(printers: Sequence[Printer], lines: int, length: int, rate: float = 0.0) -> None:
    """Have each printer print `lines` lines of `length` characters, at full speed or `rate` a second."""
    text = json.dumps({"lines": lines, "length": length, "rate": rate}).encode() + b"\n"
    for printer in printers:
        printer.control.sendall(text)


def printed(printers: Sequence[Printer]) -> Printed:
    """Wait until all have printed what they were told."""
    reports = []
    for printer in printers:
        answer = printer.answers.readline()
        if not answer:
            raise EngineError(f"container {printer.name} has ended while it printed")
        reports.append(json.loads(answer))
    return Printed(min(report["began"] for report in reports), max(report["ended"] for report in reports))


def make_image(engine: Engine) -> None:
    """An image with one static program."""
    file = program("printer")
    with tarfile.open(file.with_suffix(".tar"), "w") as archive:
        archive.add(file, "printer")
    engine.docker("import", '--change=ENTRYPOINT ["/printer"]', file.with_suffix(".tar"), IMAGE)
    file.with_suffix(".tar").unlink()
