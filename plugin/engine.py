"""A Docker engine as this project's programs use it: through the docker command.

`running()` gives the engine that DOCKER_HOST or the docker command's context names; `private_engine.py` starts others.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import IO

from plugin.debian import require, which


class EngineError(Exception):
    """A docker command or a daemon failed; the message holds what it said."""


class Engine:
    """An engine that can be talked to; `host` is its DOCKER_HOST, or None for the docker command's own choice."""

    def __init__(self, host: str | None = None) -> None:
        self.host = host

    def docker(self, *args: str | Path, timeout: float = 120, stdin: IO[bytes] | None = None) -> str:
        """Run a docker command and return what it prints; raises EngineError with its complaint."""
        done = self.run(*args, timeout=timeout, stdin=stdin)
        if done.returncode:
            command = " ".join(str(arg) for arg in args)
            raise EngineError(f"docker {command} failed ({done.returncode}): {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def run(
        self, *args: str | Path, timeout: float = 120, stdin: IO[bytes] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a docker command; the outcome is the caller's to judge."""
        command = self.command(*args)
        try:
            return subprocess.run(
                command,
                env=self.environment(),
                stdin=stdin or subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            raise EngineError(f"{' '.join(command)} did not end within {timeout:g} s") from None

    def command(self, *args: str | Path) -> list[str]:
        """The words of a docker command, for callers that start it themselves (with `environment()`)."""
        return [require("docker", "docker.io"), *(str(arg) for arg in args)]

    def environment(self) -> dict[str, str]:
        """The variables with which a docker command reaches this engine."""
        env = dict(os.environ)
        if self.host:
            env["DOCKER_HOST"] = self.host
            env.pop("DOCKER_CONTEXT", None)
        return env

    def answers(self) -> bool:
        return self.refusal() is None

    def refusal(self) -> str | None:
        """Why the docker command and this engine do not come together, in their own words; None if they do."""
        if which("docker") is None:
            return "there is no docker command"
        done = self.run("version", timeout=30)
        return None if done.returncode == 0 else (done.stderr or done.stdout).strip()


def running() -> Engine | None:
    """The engine that DOCKER_HOST or the docker command's context names, if there is one.

    Raises EngineError for one that is there and does not let us in: an engine of our own in its place would surprise.
    """
    host = os.environ.get("DOCKER_HOST")
    engine = Engine(host)
    refusal = engine.refusal()
    if refusal is None:
        return engine
    where = f"DOCKER_HOST is {host!r}" if host else "the docker command's own choice"
    if "client version" in refusal and "API version" in refusal:
        raise EngineError(
            f"{where}: the engine does not speak the docker command's version of the API: {refusal}\n"
            "install a docker command as new as the engine; or set DOCKER_MIN_API_VERSION for dockerd, where the "
            "command is the older one, or DOCKER_API_VERSION for the command, where it is the newer one"
        )
    if "permission denied" in refusal:
        raise EngineError(f"{where}: {refusal}\nrun this as root, or as a member of group docker")
    if host:
        raise EngineError(f"{where}, but no engine answers there: {refusal}")
    return None
