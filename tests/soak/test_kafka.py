"""The chain with a durable log between: driver, collector, Kafka, collector, VictoriaLogs, by the configurations that
docs/SCALING.md shows. Broker, collectors and store are killed in turn; each line arrives, each container's in order.

The engine is simulated, the rest is real. Part of `make soak`, because broker and collectors take minutes to get.
"""

from __future__ import annotations

import gzip
import re
import threading
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from plugin.build import ROOT
from tests.conftest import missing_means_skip
from tests.docs import blocks
from tests.engine.kafka import Kafka
from tests.engine.loopback import free_port, listening, wait_for
from tests.engine.program import Program
from tests.engine.victorialogs import VictoriaLogs
from tests.fakes.engine import Container, Engine, frame
from tests.tools.collector import kafka_collector
from tests.tools.kafka import kafka
from tests.tools.victorialogs import victorialogs

OWN = ("host", "connection", "content-length")
"""Headers that belong to one connection."""
CONTAINERS = ("shop", "cart", "mail")
ROUNDS = 2


def configurations() -> tuple[str, str]:
    """Those of the collectors that write to Kafka and that read from it, as the page has them."""
    found = [each.text for each in blocks(ROOT / "docs/SCALING.md") if each.language == "yaml" and "kafka" in each.text]
    (writes,) = [text for text in found if "exporters: [kafka]" in text]
    (reads,) = [text for text in found if "receivers: [kafka]" in text]
    return writes, reads


class Between(Program):
    """A collector of the chain, with its own metrics off."""

    name = "collector"
    within = 30.0

    def __init__(self, folder: Path, name: str, text: str, port: int = 0) -> None:
        super().__init__(folder)
        self.settings, self.log, self.port = folder / f"{name}.yaml", folder / f"{name}.log", port
        self.settings.write_text(text)

    def command(self) -> list[str | Path]:
        quiet = "yaml:service::telemetry::metrics::level: none"
        return [kafka_collector(), f"--config={self.settings}", f"--config={quiet}"]

    def ready(self) -> bool:
        return not self.port or listening(self.port)


class Gate:
    """Before the store: hands each request on, and notes the order in which lines were taken."""

    def __init__(self, store: VictoriaLogs) -> None:
        self.taken: dict[str, list[int]] = defaultdict(list)
        lock = threading.Lock()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {
                    key: value for key, value in self.headers.items() if key.lower() not in ("host", "connection")
                }
                request = urllib.request.Request(store.url + self.path, body, headers)
                with lock:
                    try:
                        with urllib.request.urlopen(request, timeout=20) as answer:
                            status = answer.status
                    except urllib.error.HTTPError as error:
                        status = error.code
                    except OSError:
                        status = 503
                    if status == 200:
                        gate.note(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.1})

    def note(self, body: bytes) -> None:
        for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
            names = {item.key: item.value.string_value for item in resource.resource.attributes}
            for scope in resource.scope_logs:
                self.taken[names["container.name"]] += [int(one.body.string_value) for one in scope.log_records]

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Printer:
    """Numbered lines of one container, every few milliseconds, until it is stopped."""

    def __init__(self, container: Container) -> None:
        self.container, self.printed, self.ended = container, 0, threading.Event()
        self.thread = threading.Thread(target=self._print)
        self.thread.start()

    def _print(self) -> None:
        while not self.ended.wait(0.02):
            lines = range(self.printed, self.printed + 10)
            self.container.write(b"".join(frame(b"%d" % number) for number in lines))
            self.printed += 10

    def stop(self) -> None:
        self.ended.set()
        self.thread.join()


@pytest.fixture(autouse=True)
def tools() -> Iterator[None]:
    with missing_means_skip():
        kafka()
        kafka_collector()
        victorialogs()
    yield


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_each_line_arrives_in_order_while_all_of_it_is_killed_in_turn(tmp_path: Path) -> None:
    writes, reads = configurations()
    with ExitStack() as stack:
        store = stack.enter_context(VictoriaLogs(tmp_path / "store"))
        gate = stack.enter_context(Gate(store))
        broker = stack.enter_context(Kafka(tmp_path / "kafka"))
        port = free_port()
        brokers = f'["{broker.address}"]'
        writes = re.sub(r'\["kafka-1.*?\]', brokers, writes).replace("0.0.0.0:4318", f"127.0.0.1:{port}")
        reads = re.sub(r'\["kafka-1.*?\]', brokers, reads).replace(
            "victorialogs:9428", f"127.0.0.1:{gate.server.server_port}"
        )
        assert brokers in writes and brokers in reads and str(gate.server.server_port) in reads
        writer = stack.enter_context(Between(tmp_path, "writer", writes, port))
        reader = stack.enter_context(Between(tmp_path, "reader", reads))
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}
        engine = stack.enter_context(Engine(tmp_path / "driver", settings))
        printers = {}
        for name in CONTAINERS:
            container = engine.container(name)
            assert container.start() == {"Err": ""}
            printers[name] = Printer(container)
            stack.callback(printers[name].stop)

        def more_arrives(limit: float) -> None:
            for name in CONTAINERS:
                before = len(set(gate.taken[name]))
                wait_for(lambda: len(set(gate.taken[name])) > before + 200, f"lines of {name}", limit, 0.2)  # noqa: B023

        more_arrives(90)
        for _ in range(ROUNDS):
            for part in (broker, writer, reader, store):
                part.kill()
                time.sleep(2)  # an absence that each of the others notices
                part.start()
                more_arrives(90)
        for printer in printers.values():
            printer.stop()
        for name in CONTAINERS:
            total = printers[name].printed
            wait_for(lambda: len(set(gate.taken[name])) >= total, f"{total} lines of {name}", 120, 0.5)  # noqa: B023
        assert sum(value for name, value in engine.metrics().items() if "driver_dropped" in name) == 0

        twice = 0
        for name in CONTAINERS:
            first = list(dict.fromkeys(gate.taken[name]))
            assert first == list(range(printers[name].printed)), f"{name}: a line is missing, or out of order"
            twice += sum(count - 1 for count in Counter(gate.taken[name]).values())
        total = sum(printer.printed for printer in printers.values())
        # What the store had acknowledged when it was killed it may have lost: its own trap, not the chain's.
        kept = {(one["container.name"], one["_msg"]) for one in store.rows("*")}
        print(f"{total} lines, {twice} twice, {total - len(kept)} lost by the store's own kill -9")
        assert total - len(kept) < ROUNDS * 5 * 1500 * len(CONTAINERS)
