"""One injection: a fault in a phase, and afterwards everything that must hold.

In: a scene, a phase, an injection. Out: an `Outcome`, whose `broken` names each promise that was not kept: neighbours
unharmed, each call within its bound, each line one fate, all as before within seconds of the fault's end.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.anomalies.phases import Phase
from tests.anomalies.scene import Broken, Printer, Scene
from tests.anomalies.strace import Injection, Strace, threads

WHOLE_WITHIN = 5.0
"""Seconds from the end of a fault until all is as before."""
DISK = frozenset({"disk_full", "disk_error"})
"""The reasons for which a line may be given up when a system call of its own FIFO's thread fails."""
_NUMBER = re.compile(rb"\d{8}(?= )")
"""A line's number, in a frame."""
_FEW, _PROMPT = 4, 0.8
"""So many lines, one after the other, arrive within so many seconds."""
_MORE_FILES, _MORE_THREADS = 10, 4
"""Open files and threads that may come and go: connections kept for later, workers made on demand."""


@dataclass
class Outcome:
    phase: str
    injection: Injection
    struck: int = 0
    printed: int = 0
    lost: int = 0
    dropped: int = 0
    twice: int = 0
    slowest: float = 0.0
    slowest_call: str = ""
    whole: float = 0.0
    crashed: bool = False
    """The interpreter crashed, and the engine started the driver again."""
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.phase}: {self.injection}: {'; '.join(self.broken) or 'all well'}"


def run(scene: Scene, phase: Phase, injection: Injection, lasting: float = 0.0) -> Outcome:
    """`lasting`: seconds that the fault goes on after what happens in the phase."""
    outcome = Outcome(phase.name, injection)
    scene.slowest = 0.0
    try:
        patient = phase.make_ready(scene)
    except Broken as error:
        outcome.broken.append(f"before the fault: {error}")
        return outcome
    strace = Strace(scene.pid, injection, phase.strikes(scene, patient), scene.root / "strace")
    with strace:
        deadline = time.monotonic() + lasting
        acted = Outcome(phase.name, injection)
        check(acted, lambda: phase.act(scene, patient))
        if not lasting or phase.strikes(scene, patient) is not None:
            outcome.broken += acted.broken  # else the call itself cannot be answered as long as it fails
        while scene.alive and time.monotonic() < deadline:
            check(outcome, lambda: phase.again(scene, patient))
    outcome.struck = strace.struck
    close(scene, phase, patient, outcome, time.monotonic())
    outcome.slowest, outcome.slowest_call = scene.slowest, scene.slowest_call
    return outcome


def close(
    scene: Scene, phase: Phase, patient: Printer, outcome: Outcome, ended: float, others: tuple[Printer, ...] = ()
) -> None:
    """After a fault that ended at `ended`: all is as before, and each line of all has one fate."""
    if check(outcome, lambda: _whole(scene, phase, patient, ended)):
        outcome.whole = time.monotonic() - ended
        check(outcome, lambda: _accounts(scene, phase, patient, outcome, others))
    elif not scene.alive:
        outcome.broken.append(f"exit code {scene.engine.process.returncode if scene.engine.process else None}")
    outcome.printed = patient.printed


def check(outcome: Outcome, part: Callable[[], None]) -> bool:
    """Whether `part` finds all well; what it does not is noted."""
    try:
        part()
    except Broken as error:
        if str(error) not in outcome.broken:
            outcome.broken.append(str(error))
        return False
    return True


def _whole(scene: Scene, phase: Phase, patient: Printer, ended: float) -> None:
    """New lines of all containers arrive, calls are answered, another container can be started."""

    def left() -> float:
        return max(0.2, ended + WHOLE_WITHIN - time.monotonic())

    scene.call("LogDriver.Capabilities", within=left())
    if not phase.started:
        patient.start()
        patient.print()
    if patient.ending and not patient.stopped:
        patient.stop()  # the engine repeats what was not answered, and the container prints no more
    printers = [*scene.neighbours, *([] if patient.stopped else [patient])]
    for printer in printers:
        printer.print(within=left())
    for printer in printers:
        _wait_for_last(scene, printer, left())
    while not _is_prompt(scene, scene.neighbours[0]):
        if left() <= 0.2:
            raise Broken(f"lines of {scene.neighbours[0].name} arrive late")
    scene.scrape(within=left())


def _is_prompt(scene: Scene, printer: Printer) -> bool:
    """Whether lines arrive as soon as ever: what wakes the driver only by its clock takes longer."""
    began = time.monotonic()
    for _ in range(_FEW):
        printer.print()
        _wait_for_last(scene, printer, WHOLE_WITHIN)
    return time.monotonic() - began < _PROMPT


def _wait_for_last(scene: Scene, printer: Printer, within: float) -> None:
    last = printer.printed - 1
    scene.until(lambda: last in printer.arrived(), within, f"a new line of {printer.name}")


def _accounts(scene: Scene, phase: Phase, patient: Printer, outcome: Outcome, others: tuple[Printer, ...]) -> None:
    """Each line has one fate, and what the process holds is as it was."""
    if not patient.stopped:
        if phase.keeps_all:
            kept = {int(found[0]) for frame in scene.logs(patient) if (found := _NUMBER.search(frame))}
            missing = set(patient.arrived()) - kept
            if missing:
                raise Broken(f"`docker logs` lacks {len(missing)} lines that were delivered")
        patient.stop()
    deadline = time.monotonic() + WHOLE_WITHIN
    while True:
        samples = scene.scrape()
        fates = {printer: _fates(printer, samples) for printer in (patient, *others, *scene.neighbours)}
        if all(sum(fate) == printer.printed for printer, fate in fates.items()):
            break
        if time.monotonic() > deadline:
            outcome.lost = sum(printer.printed - sum(fate) for printer, fate in fates.items())
            text = (f"{p.name}: {p.printed} printed, {a} arrived, {d} dropped" for p, (a, d) in fates.items())
            raise Broken("lines without a fate: " + ", ".join(text))
        time.sleep(0.02)
    outcome.dropped = fates[patient][1]
    outcome.twice = scene.twice(patient.id)
    for printer in fates:
        if printer.arrived() != sorted(printer.arrived()):
            raise Broken(f"lines of {printer.name} are out of order")
        if damaged := printer.damaged(samples):
            raise Broken(f"{damaged} damaged bytes of {printer.name}")
    if strange := set(patient.dropped(samples)) - DISK - ({"journal_full"} if others else set()):
        raise Broken(f"given up for {sorted(strange)}")
    if not others and any(fates[neighbour][1] for neighbour in scene.neighbours):
        raise Broken("lines of neighbours are given up")
    most_files = scene.files + _MORE_FILES
    if outcome.injection.call == "close":
        scene.files = len(os.listdir(f"/proc/{scene.pid}/fd"))  # what a failed close leaves open is not the driver's
    else:
        scene.until(lambda: len(os.listdir(f"/proc/{scene.pid}/fd")) <= most_files, WHOLE_WITHIN, "files closed")
    scene.until(lambda: len(threads(scene.pid)) <= scene.threads + _MORE_THREADS, WHOLE_WITHIN, "threads ended")


def _fates(printer: Printer, samples: dict[str, float]) -> tuple[int, int]:
    return len(printer.arrived()), sum(printer.dropped(samples).values())
