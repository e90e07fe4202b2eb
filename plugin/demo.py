"""`make demo`: the whole way once, from a container's `echo` to records in a receiver.

Takes the running engine, or a private one. Builds, installs and enables the plugin under a name of its own, starts
`otellogdriver sink` as the receiver, runs a container, shows what came, what `docker logs` says and the metrics, and
removes everything again. Exit code 0 only if every line is in both.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

from plugin import images
from plugin.build import build
from plugin.debian import HostError
from plugin.engine import Engine, EngineError
from plugin.private_engine import obtain

NAME = "otellogdriver-demo"
METRICS_PORT = 9464
LINES = [f"{stream} says hello {number}" for number in (1, 2, 3) for stream in ("stdout", "stderr")]
SCRIPT = "for i in 1 2 3; do echo stdout says hello $i; echo stderr says hello $i >&2; done"
PATIENCE = 30
"""Seconds in which the records must have come."""


def demo() -> bool:
    folder = build()
    with obtain() as engine:
        show(f"engine {engine.docker('version', '--format', '{{.Server.Version}}').strip()}")
        images.ensure(engine, "busybox:latest")
        remove(engine)  # an earlier demo may have been killed
        try:
            engine.docker("plugin", "create", NAME, folder)
            return deliver(engine)
        finally:
            remove(engine)


def deliver(engine: Engine) -> bool:
    with sink() as (endpoint, process):
        metrics = f"127.0.0.1:{METRICS_PORT if free(METRICS_PORT) else free(0)}"
        settings = (f"OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}", f"OTELLOGDRIVER_METRICS_ADDRESS={metrics}")
        engine.docker("plugin", "set", NAME, *settings)
        # Without `--timeout 0` the engine would cut `docker logs --follow` after 30 seconds.
        engine.docker("plugin", "enable", "--timeout", "0", NAME)
        show(f"plugin {NAME} enabled: {', '.join(settings)}")
        show(f"docker run --log-driver {NAME} busybox sh -c '{SCRIPT}'")
        engine.docker("run", f"--name={NAME}", f"--log-driver={NAME}", "busybox", "sh", "-c", SCRIPT)
        received, _ = process.communicate(timeout=PATIENCE + 10)
        show("received:\n" + received)
        logs = engine.run("logs", NAME)
        kept = logs.stdout + logs.stderr
        show("docker logs, stdout and then stderr:\n" + kept)
        with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=10) as answer:
            page = answer.read().decode().splitlines()
        ours = [line for line in page if f'container_name="{NAME}"' in line and not line.endswith((" 0", " 0.0"))]
        show(f"http://{metrics}/metrics, this container, what is not 0:\n" + "\n".join(ours) + "\n")
    missing = [line for line in LINES if line not in received or line not in kept]
    show(f"MISSING: {missing}" if missing else f"all {len(LINES)} lines arrived")
    return not missing and process.returncode == 0


@contextlib.contextmanager
def sink() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A receiver on a free port: (endpoint, process). It ends by itself once all records have come."""
    address = f"127.0.0.1:{free(0)}"
    limits = (f"--max-records={len(LINES)}", f"--timeout={PATIENCE}")
    command = [sys.executable, "-m", "otellogdriver.cli", "sink", f"--http={address}", "--grpc=off", *limits]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            first = process.stderr.readline()
            if address not in first:
                raise EngineError(f"the receiver did not start: {first}{process.stderr.read()}")
            yield f"http://{address}", process
        finally:
            process.kill()


def remove(engine: Engine) -> None:
    engine.run("rm", "--force", NAME)
    engine.run("plugin", "rm", "--force", NAME)


def free(port: int) -> int:
    """`port` if nothing listens there (0 asks for any), else 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
        found: int = probe.getsockname()[1]
        return found


def show(text: str) -> None:
    print(f"--- {text}", flush=True)


def main() -> int:
    try:
        return 0 if demo() else 1
    except (EngineError, HostError, OSError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
