"""A Swarm of one node: the stack of SCALING.md, a collector on each node and a service that prints through the driver.

An engine that joins a swarm makes the link `docker_gwbridge`, which all swarm engines of a host share. So there is one
such engine at a time, none where a swarm runs already, and the link goes with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose import standin
from plugin import bridge, images
from plugin.build import build
from plugin.cache import locked
from plugin.debian import HostError
from plugin.private_engine import PrivateEngine
from tests.conftest import missing_means_skip
from tests.docs import block, run
from tests.engine.collector import Collector
from tests.engine.loopback import free_port, wait_for
from tests.engine.plugin import Plugin
from tests.engine.records import Record, read

GATEWAY = "docker_gwbridge"
COLLECTOR = "otel/opentelemetry-collector-contrib:0.160.0"


def link() -> bool:
    return GATEWAY in bridge.ip("-brief", "link")


@pytest.fixture(scope="module")
def swarm() -> Iterator[PrivateEngine]:
    """An engine that is a swarm of one node."""
    with locked("swarm"), missing_means_skip():
        if link():
            raise HostError(f"{GATEWAY} is there: this host is part of a swarm, which a test must not disturb")
        with PrivateEngine() as engine:
            try:
                images.ensure(engine, "busybox:latest")
                assert standin.ensure(engine, COLLECTOR)
                at = f"127.0.0.1:{free_port()}"
                engine.docker("swarm", "init", f"--advertise-addr={at}", f"--listen-addr={at}")
                yield engine
            finally:
                engine.run("swarm", "leave", "--force", timeout=60)
        if link():
            bridge.ip("link", "delete", GATEWAY)


@pytest.fixture(scope="module")
def plugin(swarm: PrivateEngine) -> Plugin:
    made = Plugin(swarm, build())
    made.enable()
    return made


def stack(folder: Path, port: int) -> None:
    """The stack of SCALING.md in a folder, with a collector that writes into a file."""
    (folder / "out").mkdir()
    (folder / "out").chmod(0o777)
    text = block("SCALING.md", "A collector on each host: Swarm", "yaml").filled(
        {
            "published: 4318": f"published: {port}",
            "    labels: {otellogdriver": f'    volumes: ["{folder}/out:/out"]\n    labels: {{otellogdriver',
            "    image: example/shop:1\n": "    image: busybox\n    command: [sh, -c, "
            "'trap exit TERM; seq 1 100; while sleep 0.1; do :; done']\n",
        }
    )
    (folder / "stack.yaml").write_text(text)
    settings = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": "0.0.0.0:4318"}}}},
        "exporters": {"file": {"path": "/out/records.json", "rotation": {"max_megabytes": 100_000}}},
        "service": {
            "pipelines": {"logs": {"receivers": ["otlp"], "exporters": ["file"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
    }
    (folder / "collector.yaml").write_text(json.dumps(settings))


def test_a_stack_with_a_collector_on_each_node(swarm: PrivateEngine, plugin: Plugin, tmp_path: Path) -> None:
    port = free_port()
    plugin.set(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}")
    stack(tmp_path, port)
    deploy, logs = block("SCALING.md", "A collector on each host: Swarm").text.splitlines()
    run(deploy, swarm.environment(), tmp_path)

    def records() -> list[Record]:
        return read(tmp_path / "out/records.json")[0]

    try:
        wait_for(lambda: len(records()) >= 200, "lines of both tasks", 60, 0.1)
        found = records()
        assert sorted(int(one.body) for one in found) == sorted([*range(1, 101)] * 2)
        assert {one.resource["service.name"] for one in found} == {"shop_web"}
        assert {one.resource["service.namespace"] for one in found} == {"shop"}
        tasks = {one.resource["container.name"] for one in found}
        assert {name[: len("shop_web.1.")] for name in tasks} == {"shop_web.1.", "shop_web.2."}
        assert len({one.resource["service.instance.id"] for one in found}) == 2
        wait_for(
            lambda: len(run(logs, swarm.environment()).splitlines()) == 200, "both in docker service logs", 20, 0.2
        )
        (collector,) = swarm.docker("ps", "--quiet", "--filter=name=shop_collector").split()
        labels = json.loads(swarm.docker("inspect", "--format={{json .Config.Labels}}", collector))
        assert labels["otellogdriver.exclude"] == "true", "a label of the container, not of the service alone"
    finally:
        swarm.docker("stack", "rm", "shop")
        wait_for(lambda: not swarm.docker("ps", "--quiet"), "end of all tasks", 30, 0.1)


def test_service_logs(swarm: PrivateEngine, plugin: Plugin, collector: Collector) -> None:
    lines = [str(number) for number in range(1, 101)]
    log = (f"--log-driver={plugin.name}", f"--log-opt=otlp-endpoint={collector.http}")
    script, raw = "trap exit TERM; seq 1 100; while sleep 0.1; do :; done", ("service", "logs", "--raw")
    swarm.docker("service", "create", "--detach", "--name=shop", *log, "busybox", "sh", "-c", script)
    try:
        records = collector.wait(100, limit=60)
        assert {record.resource["service.name"] for record in records} == {"shop"}
        assert [record.body for record in records] == lines
        wait_for(lambda: swarm.docker(*raw, "shop").split() == lines, "all lines in service logs", 20)
        assert swarm.docker(*raw, "--tail=3", "shop") == "98\n99\n100\n"
        task = swarm.docker("service", "ps", "--quiet", "shop").split()[0]
        assert swarm.docker(*raw, task).split() == lines
    finally:
        swarm.docker("service", "rm", "shop")
        wait_for(lambda: not swarm.docker("ps", "--quiet"), "end of the task", 30)
