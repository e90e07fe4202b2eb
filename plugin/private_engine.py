"""A private dockerd: everything of its own, nothing left behind.

Data, run-time folder, socket, pid file, containerd, bridge and settings file are its own; no firewall rule of the host
is touched, no other engine disturbed. It can be restarted, with live-restore and by SIGKILL, as hosts do. What keeps
running when its program is killed is ended when the next private engine starts (`sweep`).

Command line: `python3 -m plugin.private_engine start` prints the home folder and DOCKER_HOST of an engine that stays;
`stop HOME` ends it; `sweep` ends those whose program has died.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

from plugin import bridge, remains
from plugin.cache import locked
from plugin.debian import HostError, require
from plugin.engine import Engine, EngineError, running

HOMES = Path("/var/tmp")
"""Where homes of private engines lie: not a tmpfs on most hosts, and short, as socket paths must be."""

PREFIX = "otellogdriver-engine-"
START_LIMIT = 60.0
STOP_LIMIT = 30.0


class PrivateEngine(Engine):
    """A dockerd of our own. Needs root on Linux; installs `docker.io` on Debian when there is no dockerd.

    As a context manager it is started and stopped. `data` is a folder to keep between engines (one at a time);
    without it the data goes with the engine. `programs` is a folder with dockerd and what it calls, in place of those
    on PATH.
    """

    programs: Path | None = None

    def __init__(self, data: Path | None = None, live_restore: bool = False) -> None:
        super().__init__()
        self.live_restore = live_restore
        self.kept_data = data
        self.home: Path | None = None
        self.gateway = ""
        """Address of the host on the engine's bridge, as containers see it."""
        self.owner: IO[str] | None = None
        self.daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self.stop()

    @property
    def data(self) -> Path:
        assert self.home
        return self.kept_data or self.home / "data"

    @property
    def log(self) -> Path:
        """What dockerd writes, for messages and tests."""
        assert self.home
        return self.home / "dockerd.log"

    @property
    def pid(self) -> int:
        """The process id of dockerd."""
        assert self.daemon
        return self.daemon.pid

    def environment(self) -> dict[str, str]:
        # Debian's engine has no BuildKit; the docker command must not insist on it.
        return {**super().environment(), "DOCKER_BUILDKIT": "0"}

    def start(self) -> None:
        """Start the daemon and wait until it answers. Whatever fails, nothing is left running."""
        assert self.home is None, "the engine runs already"
        if os.geteuid() != 0 or sys.platform != "linux":
            raise HostError("a private engine needs root on Linux; or start Docker, or set DOCKER_HOST")
        self.dockerd()
        require("docker", "docker.io", "docker-cli")
        sweep()
        with locked("engines"):
            self.home = Path(tempfile.mkdtemp(prefix=PREFIX, dir=HOMES))
            self.owner = open(self.home / "owner", "w")  # noqa: SIM115 - held, for its lock, as long as the engine
            fcntl.flock(self.owner, fcntl.LOCK_EX)
            name = f"otl{self.home.name[-8:]}"
            (self.home / "bridge").write_text(name)
            (self.home / "data-root").write_text(str(self.data))
            try:
                self.gateway = bridge.make(name)
            except BaseException:
                self.stop()
                raise
        self.host = f"unix://{self.home}/docker.sock"
        try:
            self.launch()
        except BaseException:
            self.stop()
            raise

    def dockerd(self) -> str:
        return str(self.programs / "dockerd") if self.programs else require("dockerd", "docker.io")

    def launch(self) -> None:
        """Start dockerd on the home that is there."""
        assert self.home
        self.data.mkdir(parents=True, exist_ok=True)
        command = [
            self.dockerd(),
            f"--config-file={self.write_settings()}",
            f"--data-root={self.data}",
            f"--exec-root={self.home}/exec",
            f"--pidfile={self.home}/dockerd.pid",
            f"--host={self.host}",
            f"--bridge={(self.home / 'bridge').read_text()}",
            "--iptables=false",
            "--ip-forward=false",
            "--ip-masq=false",
        ]
        env = {**os.environ, "PATH": f"{self.programs}:{os.environ.get('PATH', '')}"} if self.programs else None
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_LIMIT
        while not self.answers():
            if self.daemon.poll() is not None or time.monotonic() > deadline:
                tail = self.log.read_text(errors="replace").splitlines()[-15:]
                raise EngineError("the private dockerd did not start:\n" + "\n".join(tail))
            time.sleep(0.05)

    def restart(self, live_restore: bool | None = None, kill: bool = False) -> None:
        """End the daemon (by SIGTERM, or SIGKILL with `kill`) and start it again on the same data.

        `live_restore` is set before the end, so that containers outlive this very restart, or do not.
        """
        if live_restore is not None:
            self.live_restore = live_restore
            self.write_settings()
            assert self.daemon
            self.daemon.send_signal(signal.SIGHUP)
            wanted = str(live_restore).lower()
            deadline = time.monotonic() + START_LIMIT
            while self.docker("info", "--format", "{{.LiveRestoreEnabled}}").strip() != wanted:
                if time.monotonic() > deadline:
                    raise EngineError(f"dockerd did not take live-restore={wanted} from {self.home}/daemon.json")
                time.sleep(0.05)
        self.halt(kill)
        self.launch()

    def write_settings(self) -> Path:
        assert self.home
        settings = self.home / "daemon.json"
        settings.write_text(json.dumps({"live-restore": self.live_restore}))
        return settings

    def halt(self, kill: bool = False) -> None:
        """End only the daemon; with live-restore, or killed, its containers and plugins go on."""
        if self.daemon:
            self.daemon.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            try:
                self.daemon.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
            self.daemon = None
            self.await_containerd()

    def await_containerd(self) -> None:
        """A killed daemon takes its containerd with it, a moment later. One started in between would count on it, and
        also where process 1 is slow to take note of the death: then only the pid file, deleted here, says so."""
        assert self.home
        pid_file = self.home / "exec/containerd/containerd.pid"
        with contextlib.suppress(OSError, ValueError):
            pid = int(pid_file.read_text())
            deadline = time.monotonic() + 5.0
            while (alive := remains.alive(pid)) and time.monotonic() < deadline:
                time.sleep(0.02)
            if not alive:
                pid_file.unlink()

    def stop(self) -> None:
        """End everything of this engine and delete it; twice is as good as once."""
        self.halt(kill=not self.kept_data)  # what is deleted next needs no good-bye of its containers
        if self.home:
            discard(self.home)
        self.home = self.host = None
        if self.owner:
            self.owner.close()
            self.owner = None

    def keep(self) -> Path:
        """Let the engine outlive this program; `discard(home)` ends it."""
        assert self.home and self.owner
        (self.home / "kept").touch()
        self.owner.close()
        self.owner = self.daemon = None
        return self.home


def discard(home: Path) -> None:
    """End the private engine at `home`, whoever started it, and delete it."""
    data_root = home / "data-root"
    data = Path(data_root.read_text()) if data_root.exists() else home / "data"
    with contextlib.suppress(OSError, ValueError):
        pid = int((home / "dockerd.pid").read_text())
        if pid in remains.processes(home):
            remains.end([pid], 0.0 if data.is_relative_to(home) else STOP_LIMIT)
    remains.clear(home, data)
    if (home / "bridge").exists():
        bridge.delete((home / "bridge").read_text())
    shutil.rmtree(home)


def sweep() -> None:
    """End private engines whose program has died without stopping them."""
    with locked("engines"):
        for home in HOMES.glob(f"{PREFIX}*"):
            if (home / "kept").exists():
                continue
            with open(home / "owner", "a") as owner:
                try:
                    fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                discard(home)


@contextlib.contextmanager
def obtain(data: Path | None = None) -> Iterator[Engine]:
    """The running engine, or else a private one for as long as the context lasts (`data` as in `PrivateEngine`)."""
    engine = running()
    if engine:
        yield engine
    else:
        private = PrivateEngine(data)
        private.programs = None  # whatever tests run on: an older engine could not use the data of a newer one
        with private:
            yield private


def main(args: list[str]) -> int:
    try:
        match args:
            case ["start"]:
                engine = PrivateEngine()
                engine.start()
                print(f"{engine.keep()} DOCKER_HOST={engine.host} DOCKER_BUILDKIT=0")
            case ["stop", home] if Path(home).name.startswith(PREFIX):
                discard(Path(home))
            case ["sweep"]:
                sweep()
            case _:
                print(
                    f"usage: python3 -m plugin.private_engine start | sweep | stop {HOMES}/{PREFIX}...", file=sys.stderr
                )
                return 2
    except (EngineError, HostError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
