"""Faults while the driver begins and while it ends: a state directory as a killed driver leaves it, again and again.

In: a folder. Out: outcomes, as of any other injection. The state has what a start can meet: a container that prints
on, one that has ended with lines undelivered, one with delivered segments to delete and to compress, one whose FIFO is
gone. A driver that ends by itself at its start is a promise not kept, though the engine would start it again.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Self

from tests.anomalies.forked import ForkedEngine, Nursery
from tests.anomalies.phases import ROTATES
from tests.anomalies.scene import Broken, Printer, Scene
from tests.anomalies.strace import Injection, Strace
from tests.anomalies.trial import DISK, WHOLE_WITHIN, Outcome, check

PHASES = ("begin", "end")
_STARTS_WITHIN = 10.0
"""Seconds in which the engine dials a plugin that it has started, before it ends it."""
_ENDS_WITHIN = 8.0


class Restarts:
    """Use as a context manager; `run` one injection after the other."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._template = root / "template"
        self._nursery = Nursery()
        self._scene = Scene(root / "engine")

    def __enter__(self) -> Self:
        self._nursery.__enter__()
        scene = self._scene.__enter__()
        live, ended, rotates, gone = (
            scene.printer(name, options)
            for name, options in (("live", {}), ("ended", {}), ("rotates", ROTATES), ("gone", {}))
        )
        self.printers = [live, ended, rotates, gone]
        for printer in self.printers:
            printer.start()
            printer.print(5)
        rotates.print(1500, size=200)
        scene.until(lambda: len(rotates.arrived()) == rotates.printed, 10, "lines of the template")
        scene.until(lambda: all(len(printer.arrived()) >= 5 for printer in self.printers), 10, "lines of the template")
        scene.collector.down()
        for printer in self.printers:
            printer.print(5)
        rotates.print(1500, size=200)
        ended.stop()
        rotates.stop()
        kept = [printer for printer in self.printers if not printer.stopped]
        scene.until(
            lambda: all(len(scene.logs(printer)) == printer.printed for printer in kept), 10, "lines in the journal"
        )
        scene.engine.kill()
        gone.container.close()
        self.printers += scene.neighbours
        shutil.copytree(scene.engine.state, self._template)
        self._before = {printer: (printer.printed, printer.arrived()) for printer in self.printers}
        scene.collector.up()
        return self

    def __exit__(self, *_: object) -> None:
        self._scene.__exit__()
        self._nursery.__exit__()

    def log(self) -> str:
        """What all its drivers said."""
        return self._scene.engine.log()

    def _restore(self) -> None:
        """State, FIFOs and accounts as the template was made; the FIFOs have unread lines."""
        scene = self._scene
        if scene.alive:
            scene.engine.kill()
        shutil.rmtree(scene.engine.state)
        shutil.copytree(self._template, scene.engine.state)
        scene.forget({printer.id: arrived for printer, (_, arrived) in self._before.items()})
        for printer, (printed, _) in self._before.items():
            printer.printed = printed
            if printer.name in ("ended", "rotates", "gone"):
                continue
            printer.container.close()
            os.mkfifo(printer.container.file, 0o700)
            printer.container.fd = os.open(printer.container.file, os.O_RDWR | os.O_NONBLOCK)
            printer.print(3)

    @property
    def _living(self) -> list[Printer]:
        return [printer for printer in self.printers if printer.container.fd >= 0]

    def _launch(self, allocations: Path | None = None) -> None:
        scene = self._scene
        scene.engine = ForkedEngine(self._root / "engine", scene.environ, self._nursery, allocations)
        scene.engine.launch()
        for printer in self.printers:
            printer.container.engine = scene.engine

    def _go(self) -> None:
        assert isinstance(self._scene.engine, ForkedEngine)
        self._scene.engine.go()

    def run(self, phase: str, injection: Injection | None, lasting: float = 0.0) -> tuple[Outcome, dict[str, int]]:
        """The outcome, and without an injection which calls were made."""
        outcome = Outcome(phase, injection or Injection("none", "none"))
        self._scene.slowest = 0.0
        self._restore()
        self._launch()
        strace = self._begin(outcome, injection, lasting) if phase == "begin" else self._end(outcome, injection)
        outcome.struck = strace.struck
        ended = time.monotonic()
        if not outcome.broken and check(outcome, lambda: self._whole(ended)):
            outcome.whole = time.monotonic() - ended
            check(outcome, lambda: self._accounts(outcome))
        outcome.printed = sum(printer.printed for printer in self.printers)
        outcome.slowest, outcome.slowest_call = self._scene.slowest, self._scene.slowest_call
        return outcome, strace.made()

    def run_allocation(self, number: int) -> Outcome:
        """The allocation of that number fails, counted from a moment at which lines and calls come."""
        outcome = Outcome("allocation", Injection("malloc", "ENOMEM", str(number)), struck=1)
        told = self._root / "allocation"
        told.write_text(str(number))
        self._scene.slowest = 0.0
        self._restore()
        self._launch(told)
        self._go()
        if check(outcome, lambda: self._starts(_STARTS_WITHIN)) and check(
            outcome, lambda: self._whole(time.monotonic())
        ):
            assert self._scene.engine.process
            self._scene.engine.process.send_signal(signal.SIGUSR1)
            fresh, lived = self._scene.printer("fresh"), Outcome(outcome.phase, outcome.injection)
            check(lived, lambda: self._live(fresh))
            ended = time.monotonic()
            outcome.crashed = self._has_crashed
            if not outcome.crashed:
                outcome.broken += lived.broken
            else:  # the engine starts a plugin again that has ended, and repeats what was not answered
                self._launch()
                self._go()
                check(outcome, lambda: self._starts(_STARTS_WITHIN))
                if fresh.printed and not fresh.stopped:
                    check(outcome, fresh.stop)
            if check(outcome, lambda: self._whole(ended)):
                outcome.whole = time.monotonic() - ended
                check(outcome, lambda: self._accounts(outcome, fresh))
        outcome.printed = sum(printer.printed for printer in self.printers)
        outcome.slowest, outcome.slowest_call = self._scene.slowest, self._scene.slowest_call
        return outcome

    @property
    def _has_crashed(self) -> bool:
        """Whether the interpreter itself had no answer to a lack of memory: in `dict.items()`, for one, CPython lets go
        of an iterator that it has not finished making. No code of ours can keep it from that."""
        process = self._scene.engine.process
        assert process
        return process.poll() == -signal.SIGSEGV

    def _live(self, fresh: Printer) -> None:
        """Something of everything, again and again for a moment."""
        fresh.start()
        for _ in range(5):
            for printer in (fresh, *self._living):
                printer.print(3)
            self._scene.scrape()
            self._scene.logs(fresh)
        fresh.stop()

    def _begin(self, outcome: Outcome, injection: Injection | None, lasting: float) -> Strace:
        scene = self._scene
        with Strace(scene.pid, injection, None, self._root / "strace") as strace:
            self._go()
            deadline = time.monotonic() + lasting
            if not lasting:
                check(outcome, lambda: self._starts(_STARTS_WITHIN))
            while scene.alive and time.monotonic() < deadline:
                time.sleep(0.05)
        if lasting:
            check(outcome, lambda: self._starts(WHOLE_WITHIN))
        return strace

    def _starts(self, within: float) -> None:
        self._scene.call("LogDriver.Capabilities", within=within)

    def _end(self, outcome: Outcome, injection: Injection | None) -> Strace:
        scene = self._scene
        self._go()
        check(outcome, lambda: self._starts(_STARTS_WITHIN))
        check(outcome, lambda: self._whole(time.monotonic()))
        for printer in self._living:
            printer.print(3)
        with Strace(scene.pid, injection, None, self._root / "strace") as strace:
            assert scene.engine.process
            scene.engine.process.send_signal(signal.SIGTERM)
            check(outcome, self._ended)
        if scene.alive:
            scene.engine.kill()
        for printer in self._living:
            printer.print(3)
        self._launch()
        self._go()
        check(outcome, lambda: self._starts(_STARTS_WITHIN))
        return strace

    def _ended(self) -> None:
        process = self._scene.engine.process
        assert process
        self._scene.until(lambda: process.poll() is not None, _ENDS_WITHIN, "the end after SIGTERM")

    def _whole(self, ended: float) -> None:
        for printer in self._living:
            printer.print(within=max(0.2, ended + WHOLE_WITHIN - time.monotonic()))
        for printer in self._living:
            self._wait_for_last(printer, ended)

    def _wait_for_last(self, printer: Printer, ended: float) -> None:
        last = printer.printed - 1
        left = max(0.2, ended + WHOLE_WITHIN - time.monotonic())
        self._scene.until(lambda: last in printer.arrived(), left, f"a new line of {printer.name}")

    def _accounts(self, outcome: Outcome, *more: Printer) -> None:
        printers, deadline = (*self.printers, *more), time.monotonic() + WHOLE_WITHIN
        while True:
            samples = self._scene.scrape()
            missing = {
                printer.name: lacking
                for printer in printers
                if (lacking := printer.printed - len(printer.arrived()) - sum(printer.dropped(samples).values()))
            }
            if not missing:
                break
            if time.monotonic() > deadline:
                outcome.lost = sum(missing.values())
                raise Broken(f"lines without a fate: {missing}")
            time.sleep(0.02)
        for printer in printers:
            outcome.dropped += sum(printer.dropped(samples).values())
            outcome.twice += self._scene.twice(printer.id)
            if strange := set(printer.dropped(samples)) - DISK:
                raise Broken(f"lines of {printer.name} given up for {sorted(strange)}")
            if printer.arrived() != sorted(printer.arrived()):
                raise Broken(f"lines of {printer.name} are out of order")
