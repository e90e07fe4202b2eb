"""Drivers that start within milliseconds and stand still until told: for faults that strike from the very beginning.

`python -m tests.anomalies.forked` imports all of the product, then forks a driver for each line of JSON on its standard
input ({"environ": {...}, "log": PATH}), answers with its process id, and once it has ended with its exit code. The
driver stops itself (SIGSTOP) just before it runs what `otellogdriver serve` runs. With "allocations" in the line, a
file, it has a handler for SIGUSR1 that reads a number from that file: that allocation from then on fails, once.

`ForkedEngine` is the simulated engine with such a driver.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import queue
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.engine.loopback import free_port
from tests.fakes.engine import Engine
from tests.scene import until


class Nursery:
    """Where drivers are forked; use as a context manager."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.anomalies.forked"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._born: queue.Queue[int] = queue.Queue()
        self._codes: dict[int, queue.Queue[int]] = {}
        self._reading = threading.Thread(target=self._read, name="nursery")
        self._reading.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)
        self._reading.join(10)
        assert self._process.stdout
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout
        for text in self._process.stdout:
            told = json.loads(text)
            if "code" in told:
                self._codes[told["pid"]].put(told["code"])
            else:
                self._codes[told["pid"]] = queue.Queue()
                self._born.put(told["pid"])

    def fork(self, told: Mapping[str, Any]) -> Child:
        """A driver that stands still; one thread at a time may call this."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        pid = self._born.get(timeout=30)
        until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", what="a driver")
        return Child(pid, self._codes[pid])


class Child:
    """As much of subprocess.Popen as the simulated engine uses."""

    def __init__(self, pid: int, code: queue.Queue[int]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._code = code

    def poll(self) -> int | None:
        if self.returncode is None and not self._code.empty():
            self.returncode = self._code.get()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            try:
                self.returncode = self._code.get(timeout=timeout)
            except queue.Empty:
                raise subprocess.TimeoutExpired("driver", timeout or 0.0) from None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkedEngine(Engine):
    """`launch` returns with a driver that stands still until `go`. Its metrics have a port of their own, for a log that
    cannot be written does not tell where they are."""

    def __init__(
        self, root: Path, environ: Mapping[str, str], nursery: Nursery, allocations: Path | None = None
    ) -> None:
        super().__init__(root, {**environ, "OTELLOGDRIVER_METRICS_ADDRESS": f"127.0.0.1:{free_port()}"})
        self._nursery = nursery
        self._allocations = allocations

    def launch(self) -> None:
        told: dict[str, Any] = {"environ": self.environ, "log": str(self.log_path)}
        if self._allocations:
            told["allocations"] = str(self._allocations)
        self.process = self._nursery.fork(told)  # type: ignore[assignment]

    def go(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)


# The program.


_LEFT_OUT = ("otellogdriver.commands", "otellogdriver.lines", "otellogdriver.export.grpc")
"""Modules that a driver without special options does not load; gRPC may not be forked, either."""


def _import_all() -> None:
    import otellogdriver

    for module in pkgutil.walk_packages(otellogdriver.__path__, "otellogdriver."):
        if not module.name.startswith(_LEFT_OUT):
            importlib.import_module(module.name)
    importlib.import_module("_testcapi")


def _fail_allocation(path: str) -> None:
    api: Any = importlib.import_module("_testcapi")
    number = int(Path(path).read_text())
    api.set_nomemory(number, number + 1)


def _drive(told: Mapping[str, Any]) -> int:
    from otellogdriver import cli

    for key in [key for key in os.environ if key.startswith(("OTEL", "OTELLOGDRIVER"))]:
        del os.environ[key]
    os.environ.update(told["environ"])
    log = os.open(told["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.closerange(3, 64)
    if "allocations" in told:
        signal.signal(signal.SIGUSR1, lambda *_: _fail_allocation(told["allocations"]))
    os.kill(os.getpid(), signal.SIGSTOP)
    sys.argv = ["otellogdriver", "serve"]
    return cli.main(["serve"])


def main() -> None:
    _import_all()
    lock = threading.Lock()

    def answer(**what: int) -> None:
        with lock:
            print(json.dumps(what), flush=True)

    def reap(pid: int) -> None:
        answer(pid=pid, code=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    for text in sys.stdin:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = _drive(json.loads(text))
            except SystemExit as end:
                code = int(end.code or 0)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        answer(pid=pid)
        threading.Thread(target=reap, args=(pid,), daemon=True).start()


if __name__ == "__main__":
    main()
