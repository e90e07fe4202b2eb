"""What an engine may leave behind: processes, mounts, run-time folders, control groups; found by its home folder.

In: the home of an engine whose daemon has been asked to end, or has died. Out: nothing of it is left on the host but
the home itself. Only processes of the engine's own programs that name this home, and their children, are ended.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

PROGRAMS = ("dockerd", "containerd", "runc", "docker-proxy")


def processes(home: Path) -> set[int]:
    """Processes of the engine at `home`: its daemons, its shims, and all that runs below those."""
    parents: dict[int, int] = {}
    found: set[int] = set()
    needle = os.fsencode(f"{home}/")
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            command, _, rest = (entry / "stat").read_text(errors="replace").partition("(")[2].rpartition(")")
            state, parent = rest.split()[:2]
            if state in "ZX":
                continue
            parents[int(entry.name)] = int(parent)
            if command.startswith(PROGRAMS) and needle in (entry / "cmdline").read_bytes():
                found.add(int(entry.name))
    grown = True
    while grown:
        below = {pid for pid, parent in parents.items() if parent in found} - found
        found |= below
        grown = bool(below)
    return found - {os.getpid()}


def mounts(folder: Path) -> list[str]:
    """Mount points at or below `folder`, the innermost first."""
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), line.split()[4])
        if point == str(folder) or point.startswith(f"{folder}/"):
            points.append(point)
    return points[::-1]


def end(pids: Iterable[int], grace: float) -> None:
    """SIGTERM, then SIGKILL after `grace` seconds; returns when all are gone (waits 10 s more at most)."""
    left = set(pids)
    for number, limit in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + limit
        while left and time.monotonic() < deadline:
            left = {pid for pid in left if alive(pid)}
            time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether the process runs; one that waits for its parent to take note (a zombie) does not. Takes note of ours."""
    with contextlib.suppress(ChildProcessError):
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def clear(home: Path, data: Path) -> None:
    """End what is left of the engine at `home` with its data at `data`."""
    for _ in range(5):  # a shim that dies may leave a child to the next round
        left = processes(home)
        if not left:
            break
        end(left, 0.0)
    ids = [entry.name for kind in ("containers", "plugins") for entry in folders(data / kind)]
    run_time = [Path("/run/docker/plugins") / name for name in ids]
    for folder in (home, data, *run_time):
        for point in mounts(folder):
            subprocess.run(["umount", "--lazy", point], capture_output=True)
    for folder in run_time:
        with contextlib.suppress(OSError):
            for entry in folder.iterdir():
                entry.unlink()
            folder.rmdir()
    groups = Path("/sys/fs/cgroup")
    for name in ids:
        for folder in (*groups.glob(f"docker/{name}"), *groups.glob(f"*/docker/{name}")):
            with contextlib.suppress(OSError):
                folder.rmdir()


def folders(path: Path) -> list[Path]:
    return [entry for entry in path.iterdir() if entry.is_dir()] if path.is_dir() else []
