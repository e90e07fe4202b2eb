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
import subprocess
import sys
from pathlib import Path
from typing import Self

from plugin.build import ROOT
from plugin.private_engine import PrivateEngine
from tests.engine.loopback import free_port, wait_for
from tests.engine.plugin import Plugin

UNIT = ROOT / "plugin/otellogdriver.service"
SOCKETS = Path("/run/docker/plugins")
FIFOS = Path("/run/docker/logging")


def unit(name: str) -> list[str]:
    """The values of a setting in the unit file, in order."""
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]


class Service(Plugin):
    """A context manager. `environ` is what stands in the unit's environment file."""

    def __init__(self, engine: PrivateEngine, folder: Path, **environ: str) -> None:
        self.engine = engine
        self.name = f"otellogdriver-{secrets.token_hex(4)}"
        self.metrics_port = free_port()
        self.folder = folder
        self.socket = SOCKETS / f"{self.name}.sock"
        given = dict(setting.split("=", 1) for setting in unit("Environment"))
        self.environ = given | {
            "OTELLOGDRIVER_STATE_DIRECTORY": str(folder / "state"),
            "OTELLOGDRIVER_SOCKET": str(self.socket),
            "OTELLOGDRIVER_METRICS_ADDRESS": f"127.0.0.1:{self.metrics_port}",
            **environ,
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> Path:
        return FIFOS

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def __enter__(self) -> Self:
        self.made = [path for path in (SOCKETS.parent, SOCKETS, FIFOS) if not path.exists()]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
        self.socket.unlink(missing_ok=True)
        for folder in reversed(self.made):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def start(self) -> None:
        """Start it with the unit's command and privileges; returns when it has told systemd that it is ready."""
        program, *arguments = unit("ExecStart")[0].split()
        assert Path(program).name == "otellogdriver"
        capabilities = [name.removeprefix("CAP_").lower() for name in unit("CapabilityBoundingSet")[0].split()]
        bound = ",".join(["-all", *(f"+{name}" for name in capabilities)])
        command = [sys.executable, "-m", "otellogdriver.cli", *arguments]
        if setpriv := shutil.which("setpriv"):
            command = [setpriv, f"--bounding-set={bound}", "--no-new-privs", *command]
        address = self.folder / "notify.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(address))
            notify.settimeout(20)
            environ = {key: value for key, value in os.environ.items() if not key.startswith("OTEL")}
            environ |= self.environ | {"NOTIFY_SOCKET": str(address)}
            with open(self.folder / "driver.log", "ab") as log:
                self.process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log)
            try:
                assert notify.recv(100) == b"READY=1"
            except BaseException:
                self.process.kill()
                self.process.wait()
                raise
            finally:
                address.unlink()

    def stop(self) -> None:
        """As `systemctl stop` does."""
        assert self.process
        self.process.terminate()
        assert self.process.wait(int(unit("TimeoutStopSec")[0])) == 0

    def kill(self, wait: bool = True) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()
        if wait:
            self.start()
            wait_for(self.ready, "driver started again", 20)
