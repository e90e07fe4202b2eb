"""A driver, a collector, containers that have nothing to do with what fails, and an account of every line.

In: a folder. Out: printers (containers that print numbered lines), engine calls made as the engine makes them (again
when the connection breaks, with the time they took), and what became of each line: what arrived, what the driver says
it has given up.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from tests.anomalies.strace import threads
from tests.engine.loopback import wait_for
from tests.fakes.engine import Container, Engine, frames
from tests.fakes.received import read_records
from tests.fakes.server_thread import ServerThread
from tests.scene import lines, number

NEIGHBOURS = 2
CALL_WITHIN = 5.5
"""Seconds within which a call of the engine must end, whatever fails: StopLogging's bound, and a margin."""
_BETWEEN = 0.02
"""Seconds between two tries of a call whose connection broke; the engine itself waits longer."""
_WAITS_WITHIN = 1.0
"""Seconds in which a FIFO's thread has begun to wait for it."""
POLL = 7
"""Number of the system call `poll`, in which FIFO threads wait (x86-64)."""


class Broken(Exception):
    """A promise that was not kept; the message says which."""


class Printer:
    """A container whose lines carry their numbers."""

    def __init__(self, scene: Scene, name: str, options: Mapping[str, str]) -> None:
        self.scene, self.name = scene, name
        self.container: Container = scene.engine.container(name, options)
        os.set_blocking(self.container.fd, False)
        self.printed = 0
        self._rest = b""
        self.thread: int | None = None
        self.ending = self.stopped = False
        """Whether it has been asked to stop, and whether that was answered."""

    @property
    def id(self) -> str:
        return self.container.id

    def start(self) -> None:
        """StartLogging, repeated until it is answered with success, for at most CALL_WITHIN seconds."""
        before = self.scene.fifo_threads()
        began = time.monotonic()
        while error := self.scene.call("LogDriver.StartLogging", self._what())["Err"]:
            if time.monotonic() - began > CALL_WITHIN:
                raise Broken(f"StartLogging of {self.name} goes on failing: {error}")
            self._again()
            time.sleep(_BETWEEN)
        deadline = time.monotonic() + _WAITS_WITHIN
        while not (new := self.scene.fifo_threads() - before) and time.monotonic() < deadline:
            time.sleep(0.002)
        self.thread = new.pop() if len(new) == 1 else None

    def _again(self) -> None:
        """A FIFO as the engine makes it for another start: the driver removes that of one that it refused."""
        if not os.path.exists(self.container.file):
            self.container.close()
            os.mkfifo(self.container.file, 0o700)
            self.container.fd = os.open(self.container.file, os.O_RDWR | os.O_NONBLOCK)

    def start_once(self) -> bool:
        """StartLogging, once; whether it was answered with success."""
        return not self.scene.call("LogDriver.StartLogging", self._what())["Err"]

    def _what(self) -> dict[str, Any]:
        return {"File": self.container.file, "Info": self.container.info}

    def print(self, count: int = 1, size: int = 0, within: float = CALL_WITHIN) -> None:
        """Print lines. Raises Broken if the container must wait longer than `within` seconds."""
        view = memoryview(self._rest + lines(self.printed, self.printed + count, size=size))
        self.printed += count
        deadline = time.monotonic() + within
        while view:
            try:
                view = view[os.write(self.container.fd, view[: 1 << 16]) :]
            except BlockingIOError:
                if time.monotonic() > deadline:
                    self._rest = bytes(view)
                    raise Broken(f"{self.name} waits for the driver") from None
                time.sleep(0.001)
        self._rest = b""

    def stop(self) -> None:
        self.ending = True
        error = self.scene.call("LogDriver.StopLogging", {"File": self.container.file})["Err"]
        if error:
            raise Broken(f"StopLogging of {self.name} answers {error}")
        self.stopped = True
        self.container.close()

    def arrived(self) -> list[int]:
        """The numbers of the lines at the collector, in the order they came first."""
        return self.scene.arrived(self.id)

    def dropped(self, samples: Mapping[str, float]) -> dict[str, int]:
        """Reason -> lines given up."""
        found = {}
        for sample, value in samples.items():
            if sample.startswith("otellogdriver_dropped_lines_total{") and f'container_id="{self.id}"' in sample:
                found[sample.split('reason="')[1].split('"')[0]] = int(value)
        return {reason: count for reason, count in found.items() if count}

    def damaged(self, samples: Mapping[str, float]) -> int:
        return sum(
            int(value)
            for sample, value in samples.items()
            if sample.startswith("otellogdriver_damaged_bytes_total{") and f'container_id="{self.id}"' in sample
        )


class Scene:
    """Use as a context manager. `options` are the driver's environment beside what is needed here."""

    def __init__(self, root: Path, environ: Mapping[str, str] | None = None) -> None:
        self.root = root
        self.collector = ServerThread()
        self.slowest = 0.0
        self.slowest_call = ""
        self.neighbours: list[Printer] = []
        self.files = self.threads = 0
        """What the process holds when nothing happens."""
        self.environ = {"OTELLOGDRIVER_BATCH_DELAY": "10ms", **(environ or {})}
        self._read = 0
        self._arrived: dict[str, dict[int, int]] = {}

    def __enter__(self) -> Self:
        self.collector.__enter__()
        self.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = self.collector.server.endpoint
        self.engine = Engine(self.root, self.environ)
        try:
            self.engine.start(timeout=60)
            for index in range(NEIGHBOURS):
                self.neighbours.append(self.printer(f"neighbour-{index}"))
                self.neighbours[-1].start()
            self._warm_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.engine.process and self.engine.process.poll() is None:
            self.engine.kill()
        for container in self.engine.containers:
            container.close()
        self.collector.__exit__()

    def _warm_up(self) -> None:
        """Everything that is made once, on demand, is there: threads, connections, modules."""
        for _ in range(4):
            printer = self.printer("warm-up")
            printer.start()
            printer.print(3)
            for neighbour in self.neighbours:
                neighbour.print()
            self.until(lambda printer=printer: len(printer.arrived()) == 3, 10, "warm-up lines")  # type: ignore[misc]
            printer.container.logs()
            self.scrape(10)  # the port is opened some time after calls are answered
            printer.stop()
        self.files, self.threads = len(os.listdir(f"/proc/{self.pid}/fd")), len(threads(self.pid))

    # The engine's side.

    def printer(self, name: str, options: Mapping[str, str] | None = None) -> Printer:
        return Printer(self, name, options or {})

    def call(self, name: str, body: Any = None, within: float = CALL_WITHIN) -> dict[str, Any]:
        """A call as the engine makes it: again if the connection breaks. Raises Broken after `within` seconds."""
        raw = b"" if body is None else json.dumps(body).encode()
        status, answer = self._timed(name, lambda left: self.engine.raw(name, raw, left), within)
        return dict(json.loads(answer)) if status == 200 else {"Err": f"{status} {answer[:200]!r}"}

    def logs(self, printer: Printer, within: float = CALL_WITHIN) -> list[bytes]:
        """What `docker logs` gives, as frames."""
        body = json.dumps({"Info": printer.container.info, "Config": {"Tail": -1, "Follow": False}}).encode()
        return list(
            frames(
                self._timed(
                    "LogDriver.ReadLogs", lambda left: self.engine.raw("LogDriver.ReadLogs", body, left)[1], within
                )
            )
        )

    def scrape(self, within: float = CALL_WITHIN) -> dict[str, float]:
        return dict(self._timed("scrape", lambda _: self.engine.metrics(), within))

    def tolerate(self, call: Callable[[], object]) -> None:
        """A call that the shortage may keep from being answered; that it is within its bound is seen by others."""
        with contextlib.suppress(Broken):
            call()

    def _timed(self, name: str, call: Callable[[float], Any], within: float) -> Any:
        began = time.monotonic()
        while True:
            try:
                found = call(max(0.1, within - (time.monotonic() - began)))
                break
            except (OSError, http.client.HTTPException, ValueError) as error:
                if not self.alive:
                    raise Broken("the driver has ended") from error
                if time.monotonic() - began > within:
                    raise Broken(f"{name} is not answered within {within:g} s: {error!r}") from error
                time.sleep(_BETWEEN)
        took = time.monotonic() - began
        if took > self.slowest:
            self.slowest, self.slowest_call = took, name
        return found

    @property
    def alive(self) -> bool:
        return self.engine.process is not None and self.engine.process.poll() is None

    @property
    def pid(self) -> int:
        assert self.engine.process
        return self.engine.process.pid

    # Threads of the driver, by what they wait for.

    def fifo_threads(self) -> set[int]:
        """The threads that wait for a FIFO's bytes."""
        return {thread for thread in threads(self.pid) if _waits_in(self.pid, thread) == POLL}

    def but_neighbours(self) -> set[int]:
        return threads(self.pid) - {neighbour.thread for neighbour in self.neighbours if neighbour.thread}

    # What arrived.

    def arrived(self, container: str) -> list[int]:
        requests = self.collector.server.requests
        for request in requests[self._read : (end := len(requests))]:
            if request.behaviour.taken and not request.malformed:
                for record in read_records(request.body):
                    counts = self._arrived.setdefault(record.container, {})
                    counts[number(record.body)] = counts.get(number(record.body), 0) + 1
        self._read = end
        return list(self._arrived.get(container, ()))

    def forget(self, arrived: Mapping[str, list[int]]) -> None:
        """Nothing has arrived but this."""
        self._read = len(self.collector.server.requests)
        self._arrived = {container: dict.fromkeys(numbers, 1) for container, numbers in arrived.items()}

    def twice(self, container: str) -> int:
        """Records that came again."""
        return sum(count - 1 for count in self._arrived.get(container, {}).values())

    def until(self, condition: Callable[[], object], within: float, what: str) -> None:
        """Wait until `condition` holds. Raises Broken after `within` seconds."""
        try:
            wait_for(condition, what, within)
        except TimeoutError as error:
            raise Broken(str(error)) from None


def _waits_in(pid: int, thread: int) -> int:
    """The system call that a thread is in; -1 where it runs or has ended."""
    try:
        return int(Path(f"/proc/{pid}/task/{thread}/syscall").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return -1
