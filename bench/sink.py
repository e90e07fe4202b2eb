"""The sink process: started, stopped (an outage), asked what it got and when.

It shares the machine with what is measured, so it is made to cost little (see sink/main.go): compressed bodies are
counted only when the measurement is over.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from dataclasses import dataclass
from typing import Any, Self

from bench.programs import program
from tests.engine.loopback import free_port

QUIET = 0.7
"""Seconds without a request after which everything seems to have come: several times the batch delay."""
PATIENCE = 60.0
"""Seconds in which a missing record must come."""


class RecordsMissing(Exception):
    """Not every line has become a record."""


@dataclass(frozen=True, slots=True)
class Received:
    """`first` and `reached` are the times of the first answer and of the one that made the number of records full, in
    nanoseconds since the epoch; `bytes` as sent, `raw` before compression."""

    records: int
    requests: int
    bytes: int
    raw: int
    first: int
    reached: int


class Sink:
    """On fixed ports of loopback, so that it can come back after an outage."""

    def __init__(self, count: str = "later") -> None:
        self.count = count
        self.http_port, self.grpc_port = free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def grpc(self) -> str:
        return f"http://127.0.0.1:{self.grpc_port}"

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self.stop()

    def start(self) -> None:
        ports = (f"--http=127.0.0.1:{self.http_port}", f"--grpc=127.0.0.1:{self.grpc_port}")
        self.process = subprocess.Popen(
            [program("sink"), *ports, f"--count={self.count}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout
        if self.process.stdout.readline() != b"ready\n":
            raise OSError(f"the sink did not start on {self.http} and {self.grpc}")

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def ask(self, method: str, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=120)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                raise OSError(f"sink {path}: {response.status} {body.decode(errors='replace')}")
            return json.loads(body) if body else None
        finally:
            connection.close()

    def reset(self) -> None:
        self.ask("POST", "/reset")

    def await_quiet(self) -> None:
        """Wait until requests have come and no more come."""
        deadline, before, seen = time.monotonic() + PATIENCE, 0, 0.0
        while not before or time.monotonic() - seen < QUIET:
            requests = self.ask("GET", "/totals")["requests"]
            if requests != before:
                before, seen = requests, time.monotonic()
                deadline = seen + PATIENCE
            if time.monotonic() > deadline:
                raise RecordsMissing(f"no request within {PATIENCE:g} s")
            time.sleep(0.1)

    def received(self, records: int) -> Received:
        """Wait until there are `records`. Raises RecordsMissing when no more come, or when there are too many."""
        deadline = time.monotonic() + PATIENCE
        while (found := self.ask("GET", f"/records?reach={records}"))["records"] < records:
            if time.monotonic() > deadline:
                raise RecordsMissing(f"{found['records']} of {records} records came")
            time.sleep(QUIET)
        if found["records"] > records:
            raise RecordsMissing(f"{found['records']} records came, {records} lines were printed")
        totals = self.ask("GET", "/totals")
        return Received(
            found["records"], totals["requests"], totals["bytes"], found["raw"], totals["first"], found["reached"]
        )

    def latencies(self) -> list[float]:
        """Milliseconds from printed to acknowledged, sorted."""
        return sorted(self.ask("GET", "/latencies"))
