"""A start does not wait for what only sending and people need: FIFOs are read and calls answered before, and where it
cannot be imported for now, nothing else suffers, and it is tried again."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.loopback import free_port
from tests.fakes.engine import Engine
from tests.fakes.server_thread import ServerThread
from tests.process.metrics_port import get
from tests.scene import in_pipe, lines, until

HINDER = '''
import os, sys

class Hinder:
    """Imports of aiohttp fail, in ways that a shortage has, as long as there is no file that allows them."""

    faults = [OSError(24, "Too many open files"), MemoryError(), ImportError("cannot open shared object file")]

    def find_spec(self, name, path=None, target=None):
        if name == os.environ["HINDERED"] and not os.path.exists(os.environ["ALLOWED"]):
            self.faults.append(self.faults.pop(0))
            raise self.faults[0]

sys.meta_path.insert(0, Hinder())
'''


@pytest.mark.parametrize("hindered", ["aiohttp", "aiohttp.connector", "opentelemetry.sdk.resources"])
def test_lines_are_kept_meanwhile_and_sent_afterwards(collector: ServerThread, tmp_path: Path, hindered: str) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(HINDER)
    port = free_port()
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.server.endpoint,
        "OTELLOGDRIVER_METRICS_ADDRESS": f"127.0.0.1:{port}",
        "PYTHONPATH": str(tmp_path / "site"),
        "HINDERED": hindered,
        "ALLOWED": str(tmp_path / "allowed"),
    }
    with Engine(tmp_path, environ) as engine:
        container = engine.container("web")
        assert container.start() == {"Err": ""}
        container.write(lines(0, 3))
        until(lambda: in_pipe(container.fd) == 0)
        until(lambda: "tried again" in engine.log())
        assert len(container.logs()) == 3
        engine.kill()
        container.write(lines(3, 5))
        engine.start()
        until(lambda: in_pipe(container.fd) == 0)
        assert len(container.logs()) == 5
        assert container.stop() == {"Err": ""}
        assert collector.server.taken == 0
        with socket.create_connection(("127.0.0.1", port), 30) as early:
            early.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
            (tmp_path / "allowed").touch()
            assert early.recv(12) == b"HTTP/1.0 200"
        collector.reach(records=5)
        assert get(engine, "/readyz")[1] == "ready\n"


def test_what_serving_calls_imports() -> None:
    """Nothing but ourselves, the standard library and a small parser."""
    program = """
import sys
before = set(sys.modules)
import otellogdriver.serve, otellogdriver.driver.driver, otellogdriver.engine.protocol
print(*{name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert {name for name in done.stdout.split() if not name.startswith("_cython")} <= {"h11", "otellogdriver"}
