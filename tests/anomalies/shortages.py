"""Shortages of the whole process, made with limits of the kernel and a small disk: files, threads, memory, room,
inodes, a file system that stands still.

In: a scene. Each shortage is a context: inside it is there. It takes hold of the driver's process or of the disk that
`small_disk` mounts where the scene's journal will be.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from plugin.debian import HostError, require
from tests.anomalies.phases import Phase
from tests.anomalies.scene import Broken, Printer, Scene
from tests.anomalies.strace import Injection, threads
from tests.anomalies.trial import WHOLE_WITHIN, Outcome, check, close

_PIDS = Path("/sys/fs/cgroup/pids")
FROZEN_WITHIN = 0.5
"""Seconds in which calls that need no disk are answered while it stands still: 0.1 s, and a margin for a busy host."""


@contextlib.contextmanager
def small_disk(root: Path, size: str = "24M") -> Iterator[Path]:
    """A disk of its own for the journal of a scene in `root`, with few inodes."""
    state = root / "logging" / ".state"
    state.mkdir(parents=True)
    image = root.with_name(root.name + ".img")
    subprocess.run(["truncate", "-s", size, image], check=True)
    subprocess.run([require("mkfs.ext4", "e2fsprogs"), "-q", "-F", "-N", "300", image], check=True)
    done = subprocess.run(["mount", "-o", "loop", image, state], capture_output=True, text=True)
    if done.returncode:
        raise HostError(f"cannot mount a disk for the test: {done.stderr.strip()}")
    try:
        yield state
    finally:
        subprocess.run(["umount", "-l", state], check=True)
        image.unlink()


@contextlib.contextmanager
def no_files(scene: Scene) -> Iterator[None]:
    before = resource.prlimit(scene.pid, resource.RLIMIT_NOFILE)
    most = max(int(name) for name in os.listdir(f"/proc/{scene.pid}/fd"))
    resource.prlimit(scene.pid, resource.RLIMIT_NOFILE, (most + 1, before[1]))
    try:
        yield
    finally:
        resource.prlimit(scene.pid, resource.RLIMIT_NOFILE, before)


@contextlib.contextmanager
def no_memory(scene: Scene) -> Iterator[None]:
    """Of the address space there is no more than now."""
    before = resource.prlimit(scene.pid, resource.RLIMIT_AS)
    pages = int(Path(f"/proc/{scene.pid}/statm").read_text().split()[0])
    resource.prlimit(scene.pid, resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 20), before[1]))
    try:
        yield
    finally:
        resource.prlimit(scene.pid, resource.RLIMIT_AS, before)


@contextlib.contextmanager
def no_threads(scene: Scene) -> Iterator[None]:
    if not _PIDS.is_dir():
        raise HostError(f"{_PIDS} is not there: threads cannot be limited")
    group = _PIDS / f"anomalies-{os.getpid()}-{scene.pid}"
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(scene.pid))
        (group / "pids.max").write_text(str(len(threads(scene.pid))))
        yield
    finally:
        (_PIDS / "cgroup.procs").write_text(str(scene.pid))
        group.rmdir()


@contextlib.contextmanager
def no_room(scene: Scene) -> Iterator[None]:
    filler = scene.engine.state / "somebody-else"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 12))
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def no_inodes(scene: Scene) -> Iterator[None]:
    folder = scene.engine.state / "somebody-else"
    folder.mkdir()
    with contextlib.suppress(OSError):
        for number in range(1000):
            (folder / str(number)).touch()
    try:
        yield
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


@contextlib.contextmanager
def frozen(scene: Scene) -> Iterator[None]:
    freeze = require("fsfreeze", "util-linux")
    subprocess.run([freeze, "--freeze", scene.engine.state], check=True)
    try:
        yield
    finally:
        subprocess.run([freeze, "--unfreeze", scene.engine.state], check=True)


_MORE_THAN_A_PIPE = 8000
"""Lines of 200 bytes: with a disk that does not answer for ten seconds, a container still has to go on."""


@dataclass(frozen=True)
class Shortage:
    name: str
    context: Callable[[Scene], contextlib.AbstractContextManager[None]]
    on_disk: bool = False
    within: float | None = None
    """Seconds in which calls are answered that need neither a disk nor anything new."""


SHORTAGES = {
    shortage.name: shortage
    for shortage in (
        Shortage("no file numbers", no_files),
        Shortage("no memory", no_memory),
        Shortage("no threads", no_threads),
        Shortage("disk full", no_room, on_disk=True),
        Shortage("no inodes", no_inodes, on_disk=True),
        Shortage("disk frozen", frozen, on_disk=True, within=FROZEN_WITHIN),
    )
}


@contextlib.contextmanager
def scene(root: Path, shortage: Shortage) -> Iterator[Scene]:
    """A scene, on a small disk if the shortage is one of it."""
    with contextlib.ExitStack() as stack:
        if shortage.on_disk:
            stack.enter_context(small_disk(root))
        yield stack.enter_context(Scene(root))


def run(scene: Scene, shortage: Shortage, lasting: float) -> Outcome:
    """The lives of some containers, begun and ended before, in and after a shortage of `lasting` seconds."""
    outcome = Outcome("a life", Injection(shortage.name, "", f"{lasting:g} s"), struck=1)
    scene.slowest = 0.0
    patient, ending, quiet, fresh = (scene.printer(name) for name in ("patient", "ending", "quiet", "fresh"))
    for printer in (patient, ending) if shortage.within is None else (patient, ending, quiet):
        printer.start()
        printer.print()
    with shortage.context(scene):
        deadline = time.monotonic() + lasting
        began = check(outcome, lambda: _under(scene, shortage, patient, ending, quiet, fresh))
        while began and time.monotonic() < deadline and scene.alive:
            check(outcome, lambda: patient.print())
            for neighbour in scene.neighbours:
                check(outcome, neighbour.print)
            time.sleep(0.05)
    ended = time.monotonic()
    phase = Phase("a life", lambda scene, patient: None, lambda scene, patient: None, keeps_all=False)
    if check(outcome, lambda: _afterwards(scene, fresh, ended)):
        others = [printer for printer in (ending, quiet, fresh) if printer.printed]
        close(scene, phase, patient, outcome, ended, tuple(others))
    outcome.slowest, outcome.slowest_call = scene.slowest, scene.slowest_call
    return outcome


def _under(scene: Scene, shortage: Shortage, patient: Printer, ending: Printer, quiet: Printer, fresh: Printer) -> None:
    patient.print(20)
    ending.print(20)
    if shortage.within is None:
        scene.tolerate(lambda: fresh.start_once())
        ending.stop()
        scene.tolerate(lambda: scene.scrape(within=2.0))
        return
    for name, call in (("Capabilities", lambda: scene.call("LogDriver.Capabilities")), ("scrape", scene.scrape)):
        began = time.monotonic()
        call()
        if (took := time.monotonic() - began) > shortage.within:
            raise Broken(f"{name} took {took:.2f} s")
    quiet.stop()
    fresh.start()
    for printer in (patient, ending, fresh, *scene.neighbours):
        printer.print(_MORE_THAN_A_PIPE, size=200)
    ending.stop()


def _afterwards(scene: Scene, fresh: Printer, ended: float) -> None:
    """A new container's lines arrive; the first may still be given up, because the disk is looked at now and then."""
    fresh.start()
    while not fresh.arrived():
        fresh.print()
        with contextlib.suppress(Broken):
            scene.until(fresh.arrived, 0.5, "")
        if time.monotonic() > ended + WHOLE_WITHIN:
            raise Broken("no line of a new container arrives")
