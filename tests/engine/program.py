"""A program that runs beside a test: a collector, a store, a broker, the driver without an engine.

In: a folder to work in, where its output goes to `<name>.log`. Each kind of program says what its command is and when
it is ready. It is killed at the end, whatever happens; where it does not start, the error shows what it printed.
"""

from __future__ import annotations

import contextlib
import subprocess
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.engine.loopback import wait_for


class Program:
    """A context manager."""

    name = ""
    within = 60.0
    """Seconds in which it must be ready."""
    environ: Mapping[str, str] | None = None
    """None: that of the tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / f"{self.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def command(self) -> Sequence[str | Path]:
        """What is run, once what it reads is written."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Whether it can be used."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def start(self) -> None:
        """Start it, or start it again on the same ports and data, and wait until it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = self.command()
        with self.log.open("ab") as log:
            self.process = process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environ
            )
        try:
            what = f"{self.name} that is ready"
            wait_for(lambda: process.poll() is not None or self.ready(), what, self.within, 0.05)
            assert process.poll() is None, f"{self.name} ended:\n{self.log.read_text()[-4000:]}"
        except BaseException:
            self.kill()
            raise

    def stop(self, patience: float = 30.0) -> int:
        """End it as an operator does, so that what it holds in memory goes to the disk; by force after so many seconds.
        Its exit code."""
        if self.process:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
        return self.kill()

    def kill(self) -> int:
        """End it with SIGKILL, unless it has ended. Its exit code."""
        process, self.process = self.process, None
        if process is None:
            return 0
        process.kill()
        return process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()


def answers(url: str) -> bool:
    """Whether a GET succeeds."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False
