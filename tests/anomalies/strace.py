"""strace, attached to a running driver: system calls that fail as told, or a list of those that are made.

In: a process, an injection, the threads it is meant for. Out: how often it struck. The count `when` is kept for each
thread by itself: `3` is the third such call of each thread, `3+` every one from the third on, `3..9` those between.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from plugin.debian import require

_CALL = re.compile(r"^(?:(\d+) +)?(\w+)\(")
_ATTACH = 10.0
"""Seconds within which strace holds all threads, on a machine that is busy with something else."""


@dataclass(frozen=True, slots=True)
class Injection:
    call: str
    errno: str
    when: str = "1"

    def __str__(self) -> str:
        return f"{self.call} {self.errno} {self.when}"


def threads(pid: int) -> set[int]:
    return {int(name) for name in os.listdir(f"/proc/{pid}/task")}


class Strace:
    """A context in which `injection` is in force for the threads; None for them means all, and those that come. Without
    an injection the calls are only noted."""

    def __init__(self, pid: int, injection: Injection | None, only: Iterable[int] | None, record: Path) -> None:
        self._pid = pid
        self._only = None if only is None else sorted(only)
        self._record = record
        self._command = [require("strace", "strace"), "-qq", "-o", str(record)]
        if injection:
            self._command += ["-e", f"trace={injection.call}"]
            self._command += ["-e", f"inject={injection.call}:error={injection.errno}:when={injection.when}"]
        if self._only is None:
            self._command += ["-f", "-p", str(pid)]
        else:
            self._command += [word for thread in self._only for word in ("-p", str(thread))]

    def __enter__(self) -> Self:
        self._record.write_bytes(b"")
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE)
        deadline = time.monotonic() + _ATTACH
        while not self._holds():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                raise RuntimeError(f"strace did not attach to {self._pid}: {self._process.communicate()[1]!r}")
            time.sleep(0.001)
        return self

    def _holds(self) -> bool:
        mine = f"TracerPid:\t{self._process.pid}\n"
        for thread in threads(self._pid) if self._only is None else self._only:
            try:
                if mine not in Path(f"/proc/{self._pid}/task/{thread}/status").read_text():
                    return False
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended
        return True

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    @property
    def struck(self) -> int:
        """How many calls have been made to fail so far."""
        return self._record.read_text(errors="replace").count("(INJECTED)")

    def made(self) -> dict[str, int]:
        """Call -> the most that one thread has made of it; without an injection."""
        by_thread: Counter[tuple[str, str]] = Counter()
        for text in self._record.read_text(errors="replace").splitlines():
            match = _CALL.match(text)
            if match:
                by_thread[match[2], match[1]] += 1
        most: dict[str, int] = {}
        for (call, _), count in by_thread.items():
            most[call] = max(most.get(call, 0), count)
        return most
