"""A program of somebody else's that runs beside a test: a collector, a store, a broker.

In: a folder to work in, where its output goes to `<name>.log`. Each kind of program says what its command is and when
it is ready. It is killed at the end, whatever happens; where it does not start, the error shows what it printed.
"""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.engine.loopback import wait_for


class Program:
    """A context manager."""

    name = ""
    within = 60.0
    """Seconds in which it must be ready."""

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
            self.process = process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            what = f"{self.name} that is ready"
            wait_for(lambda: process.poll() is not None or self.ready(), what, self.within, 0.05)
            assert process.poll() is None, f"{self.name} ended:\n{self.log.read_text()[-4000:]}"
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it as an operator does; what it holds in memory goes to the disk."""
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

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
