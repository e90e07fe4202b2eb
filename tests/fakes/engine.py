"""A simulated engine: the driver as a real process, called over its real socket, reading real FIFOs.

For what a real engine cannot be made to show quickly: hostile frames, thousands of containers, a kill at a chosen
instant. The frames are built here by hand, independently of the product's code.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PATIENCE = float(os.environ.get("TEST_PATIENCE", "1"))
"""How many times slower than any machine this one may be: an emulated one is."""
MALLOC = dict(re.findall(r"(MALLOC_\w+)=(\d+)", Path(__file__).parents[2].joinpath("Dockerfile").read_text()))
"""How memory is had in the plugin."""
LONG = 30.0 * PATIENCE
"""Seconds within which anything must happen on a machine that is busy with something else."""


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def frame(
    line: bytes, source: bytes = b"stdout", time_nano: int = 0, partial: tuple[bool, str, int] | None = None
) -> bytes:
    """One frame as the engine writes it; `partial` is (last, id, ordinal)."""
    entry = b"\x0a" + varint(len(source)) + source
    entry += b"\x10" + varint(time_nano or time.time_ns())
    if line:
        entry += b"\x1a" + varint(len(line)) + line
    if partial is not None:
        last, identifier, ordinal = partial
        meta = b"\x08\x01" if last else b""
        meta += b"\x12" + varint(len(identifier)) + identifier.encode() + b"\x18" + varint(ordinal)
        entry += b"\x20\x01\x2a" + varint(len(meta)) + meta
    return len(entry).to_bytes(4, "big") + entry


def pieces(line: bytes, source: bytes = b"stdout", ended: bool = True, size: int = 16384) -> bytes:
    """A line as the engine cuts it."""
    now, identifier = time.time_ns(), secrets.token_hex(32)
    if ended and len(line) < size:
        return frame(line, source, now)
    parts = [line[at : at + size] for at in range(0, len(line), size)]
    if ended and len(line) % size == 0:
        parts.append(b"")
    last = len(parts) - 1
    return b"".join(
        frame(part, source, now, (ended and number == last, identifier, number + 1))
        for number, part in enumerate(parts)
    )


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("plugin.moby.localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Container:
    """A FIFO held open as the engine holds it (read and write), with the Info that goes with it."""

    def __init__(self, engine: Engine, name: str, options: Mapping[str, str], info: Mapping[str, Any]) -> None:
        self.engine = engine
        self.id = secrets.token_hex(32)
        self.file = str(engine.fifos / secrets.token_hex(32))
        os.mkfifo(self.file, 0o700)
        self.fd = os.open(self.file, os.O_RDWR)
        self.printed: int | None = 0
        """Lines written; None where that cannot be told, because it was no whole frames."""
        self.info: dict[str, Any] = {
            "Config": dict(options),
            "ContainerID": self.id,
            "ContainerName": f"/{name}",
            "ContainerEntrypoint": "sh",
            "ContainerArgs": None,
            "ContainerImageID": "sha256:" + "0" * 64,
            "ContainerImageName": "busybox:1",
            "ContainerCreated": "2026-01-02T15:04:05.999999999Z",
            "ContainerEnv": None,
            "ContainerLabels": None,
            "LogPath": "",
            "DaemonName": "docker",
        } | dict(info)

    def start(self) -> dict[str, Any]:
        return self.engine.call("LogDriver.StartLogging", {"File": self.file, "Info": self.info})

    def write(self, data: bytes) -> None:
        printed, self.printed = self.printed, None  # as long as it waits
        view = memoryview(data)
        while view:
            view = view[os.write(self.fd, view[: 1 << 16]) :]
        ends = _line_ends(data)
        self.printed = None if printed is None or ends is None else printed + ends

    def stop(self) -> dict[str, Any]:
        answer = self.engine.call("LogDriver.StopLogging", {"File": self.file})
        self.close()
        return answer

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            Path(self.file).unlink(missing_ok=True)

    def logs(self, timeout: float = 30.0, **config: Any) -> list[bytes]:
        """The frames that ReadLogs answers with."""
        body = {"Info": self.info, "Config": {"Tail": -1, "Follow": False} | config}
        return list(frames(self.engine.raw("LogDriver.ReadLogs", json.dumps(body).encode(), timeout)[1]))


def frames(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


def _line_ends(data: bytes) -> int | None:
    """How many lines end in these frames; None where they are not whole, or a line goes on behind them."""
    at = lines = 0
    is_open = False
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 6] != b"\x0a\x06" or end > len(data):
            return None
        tail = data[max(at, end - 90) : end]
        mark = tail.rfind(b"\x20\x01\x2a")  # partial, and its metadata
        is_open = mark >= 0 and tail[mark + 4 : mark + 6] != b"\x08\x01"
        lines += not is_open
        at = end
    return None if is_open else lines


class Engine:
    """The driver's process and its directories; use as a context manager. TEST_DRIVER is another command that starts a
    driver."""

    def __init__(self, root: Path, environ: Mapping[str, str] = {}) -> None:
        self.root = root
        self.fifos = root / "logging"
        self.state = self.fifos / ".state"
        self.socket = str(root / "driver.sock")
        self.log_path = root / "driver.log"
        self.environ = {
            "OTELLOGDRIVER_STATE_DIRECTORY": str(self.state),
            "OTELLOGDRIVER_FIFO_DIRECTORY": str(self.fifos),
            "OTELLOGDRIVER_SOCKET": self.socket,
            "OTELLOGDRIVER_METRICS_ADDRESS": "127.0.0.1:0",
            **MALLOC,
            **environ,
        }
        self.command = os.environ.get("TEST_DRIVER", f"{sys.executable} -m otellogdriver.cli serve").split()
        self.process: subprocess.Popen[bytes] | None = None
        self.launches = 0
        self._begun = 0
        """Bytes in the log that earlier drivers have written."""
        self.containers: list[Container] = []
        self.fifos.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Engine:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()
        for container in self.containers:
            container.close()

    def launch(self) -> None:
        """Start the driver and do not wait for it."""
        self.launches += 1
        self._begun = self.log_path.stat().st_size if self.log_path.exists() else 0
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL", "OTELLOGDRIVER"))}
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(self.command, env=environ | self.environ, stdout=log, stderr=log)

    def start(self, timeout: float = 20.0 * PATIENCE) -> float:
        """Start the driver; seconds until it answered."""
        began = time.monotonic()
        self.launch()
        assert self.process
        while True:
            try:
                self.call("LogDriver.Capabilities", timeout=5)
                return time.monotonic() - began
            except OSError:
                if self.process.poll() is not None or time.monotonic() - began > timeout:
                    raise AssertionError(f"the driver did not start:\n{self.log()}") from None
                time.sleep(0.01)

    def kill(self) -> None:
        """kill -9."""
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self, timeout: float = 10.0) -> int:
        """SIGTERM; the exit code."""
        assert self.process
        self.process.terminate()
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the driver did not end on SIGTERM:\n{self.log()}") from None

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def container(self, name: str = "web", options: Mapping[str, str] | None = None, **info: Any) -> Container:
        container = Container(self, name, options or {}, info)
        self.containers.append(container)
        return container

    def connection(self, timeout: float = 30.0) -> http.client.HTTPConnection:
        """A connection to the plugin's socket; the caller closes it."""
        return _Connection(self.socket, timeout)

    def raw(self, call: str, body: bytes, timeout: float = 30.0) -> tuple[int, bytes]:
        connection = self.connection(timeout)
        try:
            connection.request("POST", f"/{call}", body)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def call(self, call: str, body: Any = None, timeout: float = 30.0) -> dict[str, Any]:
        raw = b"" if body is None else json.dumps(body).encode()
        answer: dict[str, Any] = json.loads(self.raw(call, raw, timeout)[1])
        return answer

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics, by its text before the value."""
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port(), timeout=30)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        samples = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def metrics_port(self) -> int:
        """The port that the driver was given; else wait until it says which it has, some time after it answers
        calls."""
        if given := int(self.environ["OTELLOGDRIVER_METRICS_ADDRESS"].rsplit(":", 1)[1]):
            return given
        began = time.monotonic()
        while time.monotonic() - began < 20 * PATIENCE:
            told = self.log_path.read_bytes()[self._begun :].decode(errors="replace")
            if ports := re.findall(r"metrics on http://\S+:(\d+)/metrics\n", told):  # or half a port
                return int(ports[-1])
            time.sleep(0.01)
        raise AssertionError("the driver did not say where its metrics are")

    def metric(self, name: str, **labels: str) -> float:
        """Sum of the samples of one metric that have these labels."""
        total = 0.0
        for sample, value in self.metrics().items():
            if sample.split("{")[0] == name and all(f'{key}="{text}"' in sample for key, text in labels.items()):
                total += value
        return total
