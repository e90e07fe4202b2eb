"""What processes cost: CPU time, memory, and how busy the rest of the machine is meanwhile.

CPU time is that of /proc/PID/stat, all threads, whose sum the kernel keeps to the nanosecond and shows in ticks of
10 ms.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")
KTHREADD = 2
"""The parent of all kernel threads."""


@dataclass(slots=True)
class Process:
    parent: int
    name: str
    cpu: float
    """Seconds, with those of children that have ended, but not for process 1: it takes over our engine's children."""


def cpu(pid: int) -> float:
    """Seconds of CPU that the process has used, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def resident(pid: int, what: str = "VmRSS") -> float:
    """MiB now, or with `VmHWM` at most since `forget_peak`."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(f"process {pid} has no {what}")


def forget_peak(pid: int) -> None:
    """Let VmHWM begin again with what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def processes() -> dict[int, Process]:
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", errors="replace") as file:
                name, _, rest = file.read().partition("(")[2].rpartition(")")
                fields = rest.split()
                times = fields[11:13] if entry == "1" else fields[11:15]
                found[int(entry)] = Process(int(fields[1]), name, sum(map(int, times)) * TICK)
    return found


def shims(all: Mapping[int, Process], home: Path) -> set[int]:
    """The processes through which the engine at `home` holds its containers, and through which their output goes."""
    found = set()
    for pid, process in all.items():
        if process.name.startswith("containerd-shim"):
            with contextlib.suppress(OSError):
                if os.fsencode(f"{home}/") in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.add(pid)
    return found


def ours(all: Mapping[int, Process], home: Path) -> set[int]:
    """This program, the engine at `home` with its shims and containers, and all below them."""
    found = {os.getpid()} | shims(all, home)
    while below := {pid for pid, process in all.items() if process.parent in found} - found:
        found |= below
    return found


@dataclass(slots=True)
class Usage:
    """What a measurement cost. `foreign` and `stolen` are shares of one core: by processes that have nothing to do with
    it, and taken by the hypervisor."""

    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)
    foreign: float = 0.0
    stolen: float = 0.0


def stolen() -> float:
    return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8]) * TICK


def foreign(home: Path) -> float:
    """Seconds of CPU used so far by all processes that are not ours. A child that ends passes its time on to its
    parent, so two such sums can be compared."""
    all = processes()
    known = ours(all, home)
    return sum(
        process.cpu
        for pid, process in all.items()
        if pid not in known and process.parent != KTHREADD and pid != KTHREADD
    )


@contextlib.contextmanager
def usage(roles: Mapping[str, int], home: Path) -> Iterator[Usage]:
    """Measure the processes in `roles` (name -> pid) as long as the context lasts; the result is filled at its end."""
    result = Usage()
    for pid in roles.values():
        forget_peak(pid)
    foreign_before, stolen_before = foreign(home), stolen()
    cpu_before = {role: cpu(pid) for role, pid in roles.items()}
    began = time.monotonic()
    yield result
    result.seconds = time.monotonic() - began
    result.cpu = {role: cpu(pid) - cpu_before[role] for role, pid in roles.items()}
    result.peak = {role: resident(pid, "VmHWM") for role, pid in roles.items()}
    result.foreign = max(0.0, foreign(home) - foreign_before) / result.seconds
    result.stolen = (stolen() - stolen_before) / result.seconds
