"""The plugin as Docker installs it, in an engine: create, set, enable, disable, find its process, read its metrics."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from pathlib import Path

from plugin.engine import EngineError
from plugin.private_engine import PrivateEngine
from tests.engine.loopback import free_port, wait_for


class Plugin:
    """The plugin `name` made from `folder`, or else from a registry; its metrics are on a free loopback port."""

    def __init__(self, engine: PrivateEngine, folder: Path | None, name: str = "otellogdriver:latest") -> None:
        self.engine = engine
        self.name = name
        self.metrics_port = free_port()
        if folder:
            engine.docker("plugin", "create", name, folder)
        else:
            engine.docker("plugin", "install", "--disable", "--grant-all-permissions", name, timeout=300)
        self.set(OTELLOGDRIVER_METRICS_ADDRESS=f"127.0.0.1:{self.metrics_port}")

    @property
    def id(self) -> str:
        return self.engine.docker("plugin", "inspect", "--format", "{{.Id}}", self.name).strip()

    @property
    def enabled(self) -> bool:
        return self.engine.docker("plugin", "inspect", "--format", "{{.Enabled}}", self.name).strip() == "true"

    @property
    def state(self) -> Path:
        """The folder of the host that the driver sees as /run/docker/logging: FIFOs and `.state`."""
        return self.engine.data / "plugins" / self.id / "propagated-mount"

    @property
    def pid(self) -> int:
        """The driver's process, on the host."""
        assert self.engine.home
        tasks = self.engine.home / "exec/containerd/daemon/io.containerd.runtime.v2.task"
        (file,) = tasks.glob(f"plugins.moby*/{self.id}/init.pid")  # the name goes on where users are mapped
        return int(file.read_text())

    def set(self, **values: str) -> None:
        """`docker plugin set`; a plugin that is enabled is disabled for it and enabled again."""
        enabled = self.enabled
        if enabled:
            self.disable()
        self.engine.docker("plugin", "set", self.name, *(f"{name}={value}" for name, value in values.items()))
        if enabled:
            self.enable()

    def enable(self) -> None:
        """Without `--timeout 0` the engine would cut `docker logs -f` after 30 s."""
        self.engine.docker("plugin", "enable", "--timeout", "0", self.name)

    def disable(self) -> None:
        """Also while containers use it."""
        self.engine.docker("plugin", "disable", "--force", self.name)

    def remove(self) -> None:
        self.engine.docker("plugin", "rm", "--force", self.name)

    def kill(self, wait: bool = True) -> None:
        """SIGKILL the driver; with `wait`, until the engine has started the next one and it answers.

        Not before the engine has seen its socket: a plugin whose driver dies before that is given up and disabled.
        """
        old = wait_for(lambda: (pid := self.running()) and self.was_seen(pid) and pid, "driver seen by the engine", 20)
        assert old
        os.kill(old, signal.SIGKILL)
        if wait:
            wait_for(lambda: self.running() not in (None, old) and self.ready(), "driver started again", 20)

    def running(self) -> int | None:
        """The driver's process, or None if there is none now."""
        try:
            pid = self.pid
            return pid if "otellogdriver" in Path(f"/proc/{pid}/cmdline").read_text() else None
        except (OSError, ValueError, EngineError):
            return None

    def was_seen(self, pid: int) -> bool:
        """Whether the engine has dialled the driver: it tries half a second after the start, then every three."""
        try:
            bound = (Path("/run/docker/plugins") / self.id / "otellogdriver.sock").stat().st_ctime
            started = start_time(pid)
        except OSError:
            return False
        dialled = next(started + after for after in (0.5, 3.5, 6.5, 9.5, 12.5) if bound < started + after - 0.1)
        return time.time() > dialled + 0.5

    def get(self, path: str) -> str:
        """A page of the driver's metrics port."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}{path}", timeout=10) as answer:
            text: str = answer.read().decode()
            return text

    def metrics(self) -> str:
        return self.get("/metrics")

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels; 0 if there is none."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        total = 0.0
        for line in self.metrics().splitlines():
            if line.startswith((f"{name}{{", f"{name} ")) and all(each in line for each in wanted):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def ready(self) -> bool:
        try:
            return bool(self.get("/readyz"))
        except OSError:
            return False

    def log(self) -> list[str]:
        """What the driver has written, as the engine's log holds it."""
        lines = self.engine.log.read_text(errors="replace").splitlines()
        messages = (line.partition(" msg=")[2].partition(" plugin=") for line in lines)
        return [json.loads(message) for message, mark, plugin in messages if mark and plugin == self.id]


def start_time(pid: int) -> float:
    """When the process was started, in seconds since the epoch."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age
