"""The driver as a process of the host, as its systemd unit runs it, found by the engine through its socket alone.

Sockets in /run/docker/plugins and FIFOs in /run/docker/logging are shared by all engines of a host, so each service has
a name of its own; its socket goes with it, and the folders if nobody else needs them.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from plugin.build import ROOT
from plugin.private_engine import PrivateEngine
from tests.engine.loopback import free_port, wait_for
from tests.engine.plugin import Plugin
from tests.engine.program import Program

UNIT = ROOT / "plugin/otellogdriver.service"
SOCKETS = Path("/run/docker/plugins")
FIFOS = Path("/run/docker/logging")


def unit(name: str) -> list[str]:
    """The values of a setting in the unit file, in order."""
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]


class Driver(Program):
    """The process: started with the unit's command and privileges, ready when it has told systemd so."""

    name = "driver"
    within = 20.0

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        super().__init__(folder)
        given = {key: value for key, value in os.environ.items() if not key.startswith("OTEL")}
        self._told = folder / "notify.sock"
        self.environ = {**given, **environ, "NOTIFY_SOCKET": str(self._told)}

    def command(self) -> Sequence[str | Path]:
        program, *arguments = unit("ExecStart")[0].split()
        assert Path(program).name == "otellogdriver"
        capabilities = [name.removeprefix("CAP_").lower() for name in unit("CapabilityBoundingSet")[0].split()]
        bound = ",".join(["-all", *(f"+{name}" for name in capabilities)])
        command = [sys.executable, "-m", "otellogdriver.cli", *arguments]
        if setpriv := shutil.which("setpriv"):
            command = [setpriv, f"--bounding-set={bound}", "--no-new-privs", *command]
        return command

    def start(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as self._notify:
            self._notify.bind(str(self._told))
            try:
                super().start()
            finally:
                self._told.unlink()

    def ready(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            return self._notify.recv(100, socket.MSG_DONTWAIT) == b"READY=1"
        return False


class Service(Plugin):
    """A context manager. `environ` is what stands in the unit's environment file."""

    def __init__(self, engine: PrivateEngine, folder: Path, **environ: str) -> None:
        self.engine = engine
        self.name = f"otellogdriver-{secrets.token_hex(4)}"
        self.metrics_port = free_port()
        self.folder = folder
        self.socket = SOCKETS / f"{self.name}.sock"
        given = dict(setting.split("=", 1) for setting in unit("Environment"))
        own = {
            "OTELLOGDRIVER_STATE_DIRECTORY": str(folder / "state"),
            "OTELLOGDRIVER_SOCKET": str(self.socket),
            "OTELLOGDRIVER_METRICS_ADDRESS": f"127.0.0.1:{self.metrics_port}",
        }
        self.driver = Driver(folder, given | own | environ)

    @property
    def state(self) -> Path:
        return FIFOS

    @property
    def pid(self) -> int:
        return self.driver.pid

    def __enter__(self) -> Self:
        self.made = [path for path in (SOCKETS.parent, SOCKETS, FIFOS) if not path.exists()]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.kill()
        self.socket.unlink(missing_ok=True)
        for folder in reversed(self.made):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def start(self) -> None:
        self.driver.start()

    def stop(self) -> None:
        """As `systemctl stop` does."""
        assert self.driver.stop(float(unit("TimeoutStopSec")[0])) == 0

    def kill(self, wait: bool = True) -> None:
        self.driver.kill()
        if wait:
            self.start()
            wait_for(self.ready, "driver started again", 20)
