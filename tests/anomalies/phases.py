"""The phases of a container's life, each as what is made ready, what happens under the fault, and whom it strikes.

`act` is what happens while calls fail; `again` goes on with it where the fault lasts. `strikes` are the threads that
the fault is meant for; None for all, also those that begin meanwhile: then the neighbours are silent, whose FIFOs'
threads are struck with the others.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.anomalies.scene import Broken, Printer, Scene

SETTLES = 0.25
"""Seconds that lines get to arrive while the fault is there; what is not there then may come afterwards."""


@dataclass(frozen=True)
class Phase:
    name: str
    act: Callable[[Scene, Printer], None]
    strikes: Callable[[Scene, Printer], set[int] | None]
    options: Mapping[str, str] = field(default_factory=dict)
    started: bool = True
    """Whether the patient has been started, and a line of it has arrived, before the fault."""
    keeps_all: bool = True
    """Whether `docker logs` must have each line afterwards."""

    def make_ready(self, scene: Scene) -> Printer:
        patient = scene.printer("patient", self.options)
        if self.started:
            patient.start()
            patient.print()
            scene.until(lambda: patient.arrived(), 10, "the patient's first line")
        return patient

    def again(self, scene: Scene, patient: Printer) -> None:
        """A moment more of the fault."""
        if patient.ending and not patient.stopped:
            patient.stop()
        elif not patient.stopped and self.started:
            patient.print()
        if self.strikes(scene, patient) is not None:
            for neighbour in scene.neighbours:
                neighbour.print()
        time.sleep(0.1)


def _settle(scene: Scene, patient: Printer) -> None:
    with contextlib.suppress(Broken):
        scene.until(lambda: len(patient.arrived()) == patient.printed, SETTLES, "")


def _print(scene: Scene, patient: Printer) -> None:
    for _ in range(3):
        patient.print(3)
        for neighbour in scene.neighbours:
            neighbour.print()
        _settle(scene, patient)


def _deliver(scene: Scene, patient: Printer) -> None:
    """Lines over a connection that stands, and over a new one."""
    _print(scene, patient)
    scene.collector.down()
    scene.collector.up()
    _print(scene, patient)


def _rotate(scene: Scene, patient: Printer) -> None:
    for _ in range(4):
        patient.print(400, size=200)
        _settle(scene, patient)


def _rush(scene: Scene, patient: Printer) -> None:
    """More than the crowd's thread reads for others."""
    for _ in range(3):
        patient.print(4000, size=500)
        _settle(scene, patient)


def _start(scene: Scene, patient: Printer) -> None:
    patient.start_once()


def _stop(scene: Scene, patient: Printer) -> None:
    patient.print(20)
    patient.stop()


def _logs(scene: Scene, patient: Printer) -> None:
    scene.logs(patient)


def _scrape(scene: Scene, patient: Printer) -> None:
    scene.scrape()


def _everyone(scene: Scene, patient: Printer) -> None:
    return None


def _but_neighbours(scene: Scene, patient: Printer) -> set[int]:
    return scene.but_neighbours()


def _no_fifo(scene: Scene, patient: Printer) -> set[int]:
    return scene.but_neighbours() - {patient.thread or 0}


ROTATES = {"max-size": "64k", "max-file": "2", "compress": "true"}

PHASES = {
    phase.name: phase
    for phase in (
        Phase("StartLogging", _start, _everyone, started=False),
        Phase("intake", _print, _but_neighbours),
        Phase("full speed", _rush, _but_neighbours),
        Phase("delivery", _deliver, _no_fifo),
        Phase("commit with sync", _print, _but_neighbours, {"journal-sync": "true"}),
        Phase("rotation", _rotate, _but_neighbours, ROTATES, keeps_all=False),
        Phase("StopLogging", _stop, _everyone),
        Phase("ReadLogs", _logs, _everyone),
        Phase("scrape", _scrape, _everyone),
    )
}
