"""From registry or archive to a running plugin, to another version and back, to nothing: the commands of INSTALL.md."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from plugin.build import ROOT, build
from plugin.engine import EngineError
from plugin.private_engine import PrivateEngine
from plugin.push import architecture, push_release
from plugin.release import release
from tests.docs import block, run
from tests.engine.collector import Collector
from tests.engine.loopback import free_port, wait_for
from tests.engine.numbers import printed, until_stopped
from tests.engine.plugin import Plugin
from tests.engine.registry import Registry
from tests.engine.service import Service
from tests.tools.engine import chosen

MAX_PULL = 50_000_000
"""Bytes of what `docker plugin install` takes over the network."""
READY = 1.0
"""Seconds from `docker plugin enable` until the driver takes calls and tells its metrics, half of which the engine
waits before it dials. The best of some tries, and more where more processes want to run than there are processors."""


class Installed(Plugin):
    """The plugin that the commands of INSTALL.md install, with the values of this test in place of the examples'."""

    def __init__(self, engine: PrivateEngine, registry: Registry, collector: Collector) -> None:
        self.engine, self.registry, self.collector = engine, registry, collector
        self.name = "otellogdriver"
        self.metrics_port = free_port()

    def follow(self, heading: str, cwd: Path = ROOT, **more: str) -> str:
        """Run a block of INSTALL.md in the engine."""
        made = block("INSTALL.md", heading)
        metrics = f"127.0.0.1:{self.metrics_port}"
        values = {
            "registry.example/team": self.registry.address,
            "ghcr.io/OWNER": self.registry.address,
            "=http://localhost:4318": f"={self.collector.http} OTELLOGDRIVER_METRICS_ADDRESS={metrics}",
            "127.0.0.1:9464": metrics,
            " alpine ": " busybox ",
        }
        script = made.filled({name: value for name, value in values.items() if name in made.text} | more)
        return run(script, self.engine.environment(), cwd)

    @property
    def marker(self) -> bool:
        """Whether the second version is the one that is installed."""
        return (self.engine.data / "plugins" / self.id / "rootfs/second-version").exists()


def second_version(folder: Path) -> Path:
    """A plugin that differs from the built one, in files and in its declaration."""
    shutil.copytree(build(), folder, copy_function=os.link, symlinks=True)
    (folder / "rootfs/second-version").write_text("2")
    return folder


@pytest.mark.timeout(300)  # eight plugins are packed, and unpacked, at some 10 s each where others work, too
def test_push_install_upgrade_roll_back_uninstall(
    own_engine: PrivateEngine, registry: Registry, collector: Collector, out: Path, tmp_path: Path
) -> None:
    plugin = Installed(own_engine, registry, collector)
    arch = architecture(build())

    said = plugin.follow("A registry of your own")
    assert said.splitlines()[-1] == f"{registry.address}/otellogdriver:0.1.0-{arch}"
    assert registry.size("otellogdriver", f"0.1.0-{arch}") < MAX_PULL
    folder = second_version(tmp_path / "second")
    push_release(own_engine, folder, registry.address, "0.2.0", tmp_path / "about")
    assert set(registry.get("otellogdriver/tags/list")["tags"]) == {
        *(f"{version}-{arch}" for version in ("0.1.0", "0.2.0", "0.2")),
        arch,
    }
    about = dict(line.split("=") for line in (tmp_path / "about").read_text().splitlines())
    assert about["name"] == f"{registry.address}/otellogdriver"
    by_digest = registry.get(f"otellogdriver/manifests/{about['digest']}")
    assert all(
        registry.get(f"otellogdriver/manifests/{tag}") == by_digest for tag in (f"0.2.0-{arch}", f"0.2-{arch}", arch)
    )
    assert own_engine.docker("plugin", "ls", "--quiet") == "", "pushing leaves no plugin in the engine"

    # By its digest, as somebody does who has checked it. Engine 20.10 panics when it is asked for one.
    if chosen() != "20.10":
        grant = ("plugin", "install", "--grant-all-permissions", "--disable", "--alias=checked")
        own_engine.docker(*grant, f"{about['name']}@{about['digest']}", timeout=300)
        own_engine.docker("plugin", "rm", "checked")

    assert "hello" in plugin.follow("Install")
    record = collector.wait(1)[0]
    assert (record.body, record.resource["host.id"]) == ("hello", Path("/etc/machine-id").read_text().strip())
    where = ("run", "--detach", "--name=steady", f"--volume={out}:/out", "--log-driver=otellogdriver")
    own_engine.docker(*where, "busybox", "sh", "-c", until_stopped("steady"))
    identifier = plugin.id

    def goes_on() -> None:
        before = printed(out, "steady")
        wait_for(lambda: printed(out, "steady") > before + 100, "container goes on", 30)

    goes_on()
    for heading, second in (("Upgrade", True), ("Roll back", False)):
        plugin.follow(heading)
        assert (plugin.id, plugin.marker, plugin.enabled) == (identifier, second, True)
        goes_on()
    plugin.follow("Settings")
    goes_on()
    settings = json.loads(own_engine.docker("plugin", "inspect", "--format={{json .Settings.Env}}", "otellogdriver"))
    assert {f"OTEL_EXPORTER_OTLP_ENDPOINT={collector.http}", "OTELLOGDRIVER_BATCH_DELAY=1s"} <= set(settings)

    with pytest.raises(EngineError, match="in use"):
        own_engine.docker("plugin", "disable", "otellogdriver")
    own_engine.docker("stop", "steady")
    count = printed(out, "steady")
    numbers = [int(one.body) for one in collector.wait(count, "steady", 60)]
    assert sorted(set(numbers)) == list(range(1, count + 1)), "nothing lost, whatever was installed meanwhile"

    said = plugin.follow("Uninstall")
    assert "otellogdriver /steady" in said
    assert "otellogdriver_driver_undelivered_bytes 0" in said.splitlines()
    assert own_engine.docker("plugin", "ls", "--quiet") == ""
    own_engine.docker("rm", "steady")


def test_the_files_of_a_release(
    own_engine: PrivateEngine, registry: Registry, collector: Collector, tmp_path: Path
) -> None:
    folder = build()
    made = release(folder, tmp_path / "release", "0.1.0", wheels=tmp_path)
    arch = architecture(folder)
    assert sorted(path.name for path in made.iterdir()) == [
        "SHA256SUMS",
        f"otellogdriver-0.1.0-{arch}.cdx.json",
        f"otellogdriver-0.1.0-{arch}.tar.gz",
    ]
    assert (made / f"otellogdriver-0.1.0-{arch}.tar.gz").stat().st_size < MAX_PULL
    text = (made / f"otellogdriver-0.1.0-{arch}.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    purls = {one["purl"].partition("@")[0] for one in bill["components"]}
    declared = {path.name.partition("-")[0] for path in folder.glob("rootfs/usr/local/lib/python3*/*/*.dist-info")}
    assert {f"pkg:pypi/{name.lower().replace('_', '-')}" for name in declared} - {"pkg:pypi/otellogdriver"} <= purls
    assert {f"pkg:deb/debian/{name}" for name in ("libc6", "libssl3t64", "libpython3.13-stdlib")} <= purls

    plugin = Installed(own_engine, registry, collector)
    try:
        plugin.follow("Install without a registry", made, amd64=arch)
        seconds: list[float] = []
        while len(seconds) < 5 and min(seconds, default=READY) >= READY:
            plugin.disable()
            seconds.append(enable(plugin))
        assert min(seconds) < READY * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)), seconds
        plugin.disable()
        plugin.enable()
        began = time.monotonic()
        plugin.disable()
        assert time.monotonic() - began < 5, "the driver hears that it shall end while it still starts"
        plugin.enable()
        own_engine.docker("run", "--rm", "--log-driver=otellogdriver", "busybox", "echo", "from an archive")
        assert collector.wait(1)[0].body == "from an archive"
    finally:
        plugin.remove()


def enable(plugin: Plugin) -> float:
    """Seconds from the command until the driver is ready; the command itself may end later."""
    command = plugin.engine.command("plugin", "enable", "--timeout", "0", plugin.name)
    began = time.monotonic()
    with subprocess.Popen(command, env=plugin.engine.environment(), stdout=subprocess.DEVNULL) as running:
        wait_for(plugin.ready, "driver", 20, 0.005)
        seconds = time.monotonic() - began
    assert running.returncode == 0
    return seconds


def test_nothing_to_run_but_the_driver() -> None:
    rootfs = build() / "rootfs"
    programs = {path.name for path in rootfs.glob("**/bin/*")} | {path.name for path in rootfs.glob("**/sbin/*")}
    assert {name for name in programs if not name.startswith("python3")} == {"otellogdriver"}


@pytest.fixture
def service(own_engine: PrivateEngine, collector: Collector, tmp_path: Path) -> Iterator[Service]:
    """The driver as its systemd unit runs it."""
    with Service(own_engine, tmp_path / "service", OTEL_EXPORTER_OTLP_ENDPOINT=collector.http) as running:
        yield running


def test_as_a_service_of_the_host(service: Service, collector: Collector, out: Path) -> None:
    docker = service.engine.docker
    driver = f"--log-driver={service.name}"
    assert docker("run", "--rm", driver, "busybox", "echo", "hello") == "hello\n"
    where = ("--detach", "--name=served", f"--volume={out}:/out", driver)
    docker("run", *where, "busybox", "sh", "-c", until_stopped("served"))
    try:
        for end in (service.kill, service.stop):
            before = printed(out, "served")
            wait_for(lambda: printed(out, "served") > before + 100, "container goes on", 30)  # noqa: B023
            end()
        service.start()
        docker("stop", "served")
        count = printed(out, "served")
        numbers = [int(one.body) for one in collector.wait(count, "served", 60)]
        assert sorted(set(numbers)) == list(range(1, count + 1))
        assert docker("logs", "--tail=1", "served") == f"{count}\n"
    finally:
        docker("rm", "--force", "served")
    assert any((service.folder / "state").rglob("meta.json")), "the journal is where the unit says"


def test_as_a_container(own_engine: PrivateEngine, collector: Collector, tmp_path: Path) -> None:
    docker = own_engine.docker
    with Service(own_engine, tmp_path / "unused", OTEL_EXPORTER_OTLP_ENDPOINT=collector.http) as service:
        service.stop()  # its name, its folders and its clean-up are used; the driver itself runs in the container
        archive = tmp_path / "rootfs.tar"
        subprocess.run(["tar", "--create", f"--file={archive}", f"--directory={build()}/rootfs", "."], check=True)
        entry = ("--change", 'ENTRYPOINT ["/usr/local/bin/otellogdriver"]', "--change", 'CMD ["serve"]')
        docker("import", *entry, archive, "otellogdriver", timeout=300)
        here = f"--env OTELLOGDRIVER_SOCKET={service.socket}"
        here += f" --env OTELLOGDRIVER_METRICS_ADDRESS=127.0.0.1:{service.metrics_port}"
        command = block("INSTALL.md", "As a container").filled({"=http://localhost:4318": f"={collector.http} {here}"})
        try:
            run(command[command.index("docker run") :], own_engine.environment())
            wait_for(service.ready, "driver", 20)
            assert docker("run", "--rm", f"--log-driver={service.name}", "busybox", "echo", "hello") == "hello\n"
            record = collector.wait(1)[0]
            assert (record.body, record.resource["host.name"]) == ("hello", os.uname().nodename)
        finally:
            docker("rm", "--force", "--volumes", "otellogdriver")
            docker("volume", "rm", "otellogdriver")
