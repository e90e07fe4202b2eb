"""`make stack`: the plugin installed, and everything of compose.yaml up. `python -m compose.stack up|down`.

Takes the running engine; where there is none, a private one that ends with Ctrl-C. Images that the engine cannot pull
are replaced by stand-ins of the same programs; without Grafana's image its profile is left out. By hand it is:

    docker plugin set otellogdriver OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 \\
        OTELLOGDRIVER_METRICS_ADDRESS=172.29.94.1:9464
    docker plugin enable --timeout 0 otellogdriver
    docker compose --file compose/compose.yaml --profile grafana up --detach
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from compose import standin
from plugin.build import build
from plugin.debian import HostError
from plugin.engine import Engine, EngineError
from plugin.private_engine import PrivateEngine, obtain
from tests.engine.program import answers

FILE = Path(__file__).with_name("compose.yaml")
PLUGIN = "otellogdriver:latest"
DEFAULTS = {
    "STACK_PLUGIN": PLUGIN,
    "STACK_GATEWAY": "172.29.94.1",
    "STACK_OTLP_PORT": "4318",
    "STACK_VICTORIALOGS_PORT": "9428",
    "STACK_PROMETHEUS_PORT": "9090",
    "STACK_GRAFANA_PORT": "3000",
}
"""As in compose.yaml."""
ENDS = {signal.SIGINT, signal.SIGTERM}
PATIENCE = 120.0
"""Seconds until everything answers."""


class Stack:
    """The stack in one engine. `variables` replace those in DEFAULTS, e.g. for ports that are free."""

    def __init__(self, engine: Engine, variables: Mapping[str, str] = {}) -> None:
        self.engine = engine
        chosen = {name: os.environ[name] for name in DEFAULTS if name in os.environ}
        self.variables = {**DEFAULTS, **chosen, **variables}
        self.profiles: list[str] = []

    def install(self, folder: Path) -> bool:
        """Create the plugin from `folder` and enable it; False if it is there already, and is taken as it is."""
        name = self.variables["STACK_PLUGIN"]
        if self.engine.run("plugin", "inspect", name).returncode == 0:
            return False
        self.engine.docker("plugin", "create", name, folder, timeout=300)
        settings = (
            f"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:{self.variables['STACK_OTLP_PORT']}",
            f"OTELLOGDRIVER_METRICS_ADDRESS={self.variables['STACK_GATEWAY']}:9464",
        )
        self.engine.docker("plugin", "set", name, *settings)
        # Without `--timeout 0` the engine would cut `docker logs --follow` after 30 seconds.
        self.engine.docker("plugin", "enable", "--timeout", "0", name)
        return True

    def have_images(self) -> list[str]:
        """Pull the images, or make stand-ins; those that there is neither of are returned."""
        missing = []
        for image in self.compose("--profile", "*", "config", "--images").split():
            if self.engine.run("image", "inspect", image).returncode == 0:
                continue
            pulled = self.engine.run("pull", "--quiet", image, timeout=600).returncode == 0
            if not pulled and not standin.ensure(self.engine, image):
                missing.append(image)
        self.profiles = [] if any("grafana/grafana:" in image for image in missing) else ["grafana"]
        return missing

    def up(self) -> None:
        """Start everything, and wait until it answers."""
        self.compose(*(f"--profile={profile}" for profile in self.profiles), "up", "--detach", timeout=300)
        for url in self.pages().values():
            end = time.monotonic() + PATIENCE
            while not answers(url):
                if time.monotonic() > end:
                    raise EngineError(f"{url} does not answer:\n{self.compose('ps', '--all')}")
                time.sleep(0.2)

    def pages(self) -> dict[str, str]:
        """What answers when it is ready, by name."""
        variables = self.variables
        pages = {
            "VictoriaLogs": f"http://127.0.0.1:{variables['STACK_VICTORIALOGS_PORT']}/select/vmui/",
            "Prometheus": f"http://127.0.0.1:{variables['STACK_PROMETHEUS_PORT']}/-/ready",
            "status page": f"http://{variables['STACK_GATEWAY']}:9464/",
        }
        if "grafana" in self.profiles:
            pages["Grafana"] = f"http://127.0.0.1:{variables['STACK_GRAFANA_PORT']}/api/health"
        return pages

    def down(self) -> None:
        """Remove containers, network, data and the plugin."""
        self.compose("--profile", "*", "down", "--volumes", "--timeout", "2", timeout=300)
        self.engine.run("plugin", "rm", "--force", self.variables["STACK_PLUGIN"])

    def compose(self, *arguments: str, timeout: float = 120) -> str:
        """Run a compose command on the file; its output. Raises EngineError with its complaint."""
        command = [*self._program(), "--file", str(FILE), *arguments]
        environment = {**self.engine.environment(), **self.variables}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout)
        if done.returncode:
            raise EngineError(f"{' '.join(command)} failed ({done.returncode}): {done.stderr.strip()[-3000:]}")
        return done.stdout

    def _program(self) -> list[str]:
        """Docker's own compose, or one that is built here."""
        if self.engine.run("compose", "version").returncode == 0:
            return self.engine.command("compose")
        from tests.tools.compose import compose

        return [str(compose())]


def bring_up(engine: Engine) -> None:
    stack = Stack(engine)
    if not stack.install(build()):
        show(f"plugin {PLUGIN} is there already; it needs the two settings that compose/stack.py names")
    for image in stack.have_images():
        show(f"left out, because it can neither be pulled nor made here: {image}")
    try:
        stack.up()
        for name, url in stack.pages().items():
            show(f"{name}: {url.removesuffix('/ready').removesuffix('/-').removesuffix('/api/health')}")
        if isinstance(engine, PrivateEngine):
            show(f"the engine is a private one, DOCKER_HOST={engine.host}; Ctrl-C ends it, with all that is in it")
            before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
            signal.sigwait(ENDS)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)  # the programs that clean up would inherit it
    finally:
        if isinstance(engine, PrivateEngine):
            stack.down()  # its network is a link of the host, which would outlive the engine


def show(text: str) -> None:
    print(f"--- {text}", flush=True)


def main(arguments: list[str]) -> int:
    if arguments not in (["up"], ["down"]):
        print("usage: python -m compose.stack up|down", file=sys.stderr)
        return 2
    try:
        with obtain() as engine:
            if arguments == ["down"]:
                Stack(engine).down()
            else:
                bring_up(engine)
    except (EngineError, HostError, OSError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
