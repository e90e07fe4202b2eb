"""`otellogdriver doctor` on a real engine, with the plugin as it is installed: each broken set-up is explained."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from plugin.build import build
from plugin.private_engine import PrivateEngine
from tests.conftest import missing_means_skip, started
from tests.engine.collector import Collector
from tests.engine.loopback import free_port, wait_for
from tests.engine.plugin import Plugin
from tests.fakes.certificates import Certificates, make_certificates
from tests.tools.collector import collector as executable

NAME = "otellogdriver"
TOKEN = "a-token-that-nobody-must-see"


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    """An engine of this module's own: it is restarted, and its plugin's disk filled."""
    with started(PrivateEngine()) as private:
        yield private


@pytest.fixture(scope="module")
def folder(engine: PrivateEngine) -> Path:
    return build()


@pytest.fixture(scope="module")
def plugin(engine: PrivateEngine, folder: Path) -> Plugin:
    made = Plugin(engine, folder)
    made.enable()
    return made


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def collectors(tmp_path_factory: pytest.TempPathFactory, files: Certificates) -> Iterator[dict[str, Collector]]:
    """A plain one, one with TLS, and one that asks for a token."""
    with missing_means_skip():
        executable()
    root = tmp_path_factory.mktemp("collectors")
    tls = {"tls": {"cert_file": str(files.server), "key_file": str(files.server_key)}}
    auth = {"auth": {"authenticator": "bearertokenauth"}}
    with (
        Collector(root / "plain") as plain,
        Collector(root / "tls", tls) as secure,
        Collector(root / "token", auth, {"bearertokenauth": {"token": TOKEN}}) as guarded,
    ):
        yield {"plain": plain, "tls": secure, "token": guarded}


class Doctor:
    """The doctor's answer, found by the name of a check."""

    def __init__(self, engine: PrivateEngine, *arguments: str) -> None:
        command = [sys.executable, "-m", "otellogdriver.cli", "doctor", "--json", *arguments]
        environ = {key: value for key, value in os.environ.items() if not key.startswith("OTEL")}
        environ |= {"DOCKER_HOST": str(engine.host)}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=90)
        assert done.returncode in (0, 1), done.stderr
        assert done.stderr == ""
        assert TOKEN not in done.stdout
        self.code = done.returncode
        self.checks: list[dict[str, str]] = json.loads(done.stdout)["checks"]

    def one(self, name: str) -> dict[str, str]:
        found = [check for check in self.checks if check["name"] == name]
        assert found, f"no check {name!r} in {self.checks}"
        return max(found, key=lambda check: check["state"] == "failed")

    @property
    def failed(self) -> set[str]:
        return {check["name"] for check in self.checks if check["state"] == "failed"}


@contextlib.contextmanager
def configured(plugin: Plugin, environ: Mapping[str, str]) -> Iterator[None]:
    """The plugin with these variables; empty again afterwards."""
    plugin.set(**environ)
    try:
        yield
    finally:
        plugin.set(**dict.fromkeys(environ, ""))


@dataclass(frozen=True)
class Case:
    """Variables of the plugin (with the names of ports and files in braces), and what must be said of them: exactly one
    thing has failed, and why, and what to do."""

    environ: dict[str, str]
    failed: str
    text: str
    advice: str
    arguments: tuple[str, ...] = field(default=())


ENDPOINT, HEADERS, PROTOCOL = (f"OTEL_EXPORTER_OTLP_{name}" for name in ("ENDPOINT", "HEADERS", "PROTOCOL"))
SERVER_NAME = "OTELLOGDRIVER_OTLP_SERVER_NAME"
CASES = {
    "wrong port": Case(
        {ENDPOINT: "http://127.0.0.1:{nobody}"},
        "connection",
        r"127\.0\.0\.1:\d+: Connection refused",
        r"is the collector running, does it listen at this address and port \(usual: 4318 for http/protobuf",
    ),
    "wrong path": Case(
        {ENDPOINT: "http://127.0.0.1:{http}/otlp"},
        "record",
        r"HTTP 404",
        r"requests go to .*/otlp/v1/logs: is the path",
    ),
    "http to a TLS port": Case(
        {ENDPOINT: "http://127.0.0.1:{tls_http}"},
        "record",
        r"HTTP 400",
        r"this port speaks TLS: otlp-endpoint=https://127\.0\.0\.1:\d+$",
    ),
    "plain gRPC to a TLS port": Case(
        {ENDPOINT: "http://127.0.0.1:{tls_grpc}", PROTOCOL: "grpc"}, "record", r"UNAVAILABLE", r"this port speaks TLS"
    ),
    "https to a plain port": Case(
        {ENDPOINT: "https://127.0.0.1:{http}"}, "TLS", r".", r"does not speak TLS: otlp-endpoint=http://127"
    ),
    "unknown CA": Case(
        {ENDPOINT: "https://127.0.0.1:{tls_http}", SERVER_NAME: "{name}"},
        "TLS",
        r"unable to get local issuer certificate",
        r"give it as otlp-certificate, a file in /certs",
    ),
    "wrong name": Case(
        {ENDPOINT: "https://127.0.0.1:{tls_http}", "OTEL_EXPORTER_OTLP_CERTIFICATE": "{ca_pem}"},
        "TLS",
        r"IP address mismatch",
        r"otlp-server-name=NAME",
    ),
    "a file that the plugin does not see": Case(
        {
            ENDPOINT: "https://127.0.0.1:{tls_http}",
            SERVER_NAME: "{name}",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "{ca}",
        },
        "destination",
        r"otlp-certificate: .*/ca\.pem is on the host, but the plugin does not see it",
        r"the plugin sees /etc/ssl/certs \(there /certs\)",
    ),
    "expired token": Case(
        {ENDPOINT: "http://127.0.0.1:{token_http}", HEADERS: f"Authorization=Bearer%20not-{TOKEN}"},
        "record",
        r"HTTP 401",
        r"the token is wrong or has expired \(headers sent: authorization\)",
    ),
    "no token, gRPC": Case(
        {ENDPOINT: "http://127.0.0.1:{token_grpc}", PROTOCOL: "grpc"},
        "record",
        r"UNAUTHENTICATED",
        r"no token is sent: give it as otlp-headers",
    ),
    "unknown name": Case(
        {ENDPOINT: "http://otel-collector:4318"},
        "name",
        r"otel-collector: ",
        r"does not know the names of a compose network: publish the collector's port and write localhost",
    ),
    "gRPC port for HTTP": Case(
        {ENDPOINT: "http://127.0.0.1:{grpc}"}, "record", r".", r"speaks HTTP/2, as gRPC does: otlp-protocol=grpc"
    ),
    "HTTP port for gRPC": Case(
        {ENDPOINT: "http://127.0.0.1:{http}", PROTOCOL: "grpc"},
        "record",
        r".",
        r"speaks HTTP/1\.1, not gRPC: otlp-protocol=http/protobuf",
    ),
    "a value that cannot be": Case(
        {ENDPOINT: "http://127.0.0.1:{http}", PROTOCOL: "htpp"},
        "options",
        r'OTEL_EXPORTER_OTLP_PROTOCOL: "htpp" is not allowed',
        r"otellogdriver options",
    ),
}


@pytest.fixture(scope="module")
def values(collectors: dict[str, Collector], files: Certificates) -> dict[str, str]:
    """What stands in the braces of a case."""
    return {
        "nobody": str(free_port()),
        "http": str(collectors["plain"].http_port),
        "grpc": str(collectors["plain"].grpc_port),
        "tls_http": str(collectors["tls"].http_port),
        "tls_grpc": str(collectors["tls"].grpc_port),
        "token_http": str(collectors["token"].http_port),
        "token_grpc": str(collectors["token"].grpc_port),
        "ca": str(files.ca),
        "ca_pem": files.ca.read_text().replace("\n", "\\n"),
        "name": files.name,
    }


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_on_the_way_to_the_collector(
    engine: PrivateEngine, plugin: Plugin, values: dict[str, str], name: str
) -> None:
    case = CASES[name]
    with configured(plugin, {key: value.format(**values) for key, value in case.environ.items()}):
        doctor = Doctor(engine, *case.arguments)
    check = doctor.one(case.failed)
    assert doctor.code == 1
    assert doctor.failed == {case.failed}
    assert re.search(case.text, check["text"]), check
    assert re.search(case.advice, check["advice"]), check


@pytest.mark.each_engine
def test_all_is_well(engine: PrivateEngine, plugin: Plugin, collectors: dict[str, Collector]) -> None:
    plain = collectors["plain"]
    before = len(plain.records())
    for protocol, endpoint in (("http/protobuf", plain.http), ("grpc", plain.grpc)):
        with configured(plugin, {ENDPOINT: endpoint, PROTOCOL: protocol}):
            doctor = Doctor(engine)
        assert (doctor.code, doctor.failed) == (0, set()), doctor.checks
    records = plain.wait(before + 2)[before:]
    assert {record.resource["service.name"] for record in records} == {"otellogdriver-doctor"}
    environ = {
        ENDPOINT: f"https://127.0.0.1:{collectors['tls'].http_port}",
        SERVER_NAME: "collector.test",
    }
    with configured(plugin, environ):
        certificate = collectors["tls"].receiver["tls"]["cert_file"].replace("server.pem", "ca.pem")
        doctor = Doctor(engine, "--otlp-certificate", Path(certificate).read_text())
        assert doctor.code == 0, doctor.checks


# The plugin


@pytest.mark.each_engine
def test_a_plugin_that_is_disabled(engine: PrivateEngine, plugin: Plugin) -> None:
    plugin.disable()
    try:
        doctor = Doctor(engine, "--no-record")
    finally:
        plugin.enable()
    check = doctor.one("plugin")
    assert "plugin" in doctor.failed and "installed, but disabled" in check["text"]
    assert f"docker plugin enable --timeout 0 {NAME}" in check["advice"]
    assert doctor.one("metrics")["state"] == "skipped"
    assert doctor.one("state directory")["state"] == "ok"


def test_a_plugin_that_is_not_there(engine: PrivateEngine, plugin: Plugin) -> None:
    doctor = Doctor(engine, "--plugin", "otellogdrivr", "--no-record")
    check = doctor.one("plugin")
    assert "plugin" in doctor.failed and "otellogdrivr is not installed" in check["text"]
    assert "installed log drivers: otellogdriver:latest" in check["advice"]


def test_a_driver_that_hangs(engine: PrivateEngine, plugin: Plugin) -> None:
    pid = plugin.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        doctor = Doctor(engine, "--no-record")
    finally:
        os.kill(pid, signal.SIGCONT)
    check = doctor.one("plugin")
    assert "does not answer at" in check["text"] and "no answer within 5 s" in check["text"]
    assert "docker plugin disable -f" in check["advice"]


def test_a_codec_that_is_missing(engine: PrivateEngine, plugin: Plugin, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "plugin"
    shutil.copytree(folder, copy, symlinks=True, copy_function=os.link)
    for path in copy.rglob("otellogdriver/codec/native*.so"):
        path.unlink()
    plugin.disable()  # for its metrics port
    slow = Plugin(engine, copy, "slow:latest")
    try:
        slow.enable()
        doctor = Doctor(engine, "--plugin", "slow", "--no-record")
    finally:
        slow.disable()
        slow.remove()
        plugin.enable()
    check = doctor.one("codec")
    assert "codec" in doctor.failed and "Python stands in for it: nothing is lost" in check["text"]
    assert "make plugin" in check["advice"]


# Metrics


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None: ...


def test_a_metrics_address_that_is_taken(engine: PrivateEngine, plugin: Plugin) -> None:
    plugin.disable()
    server = http.server.HTTPServer(("127.0.0.1", plugin.metrics_port), _Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        plugin.enable()
        doctor = Doctor(engine, "--no-record")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        plugin.disable()
        plugin.enable()
    check = doctor.one("metrics")
    assert "metrics" in doctor.failed and f"something else answers at 127.0.0.1:{plugin.metrics_port}" in check["text"]
    assert "docker plugin set otellogdriver OTELLOGDRIVER_METRICS_ADDRESS=" in check["advice"]
    assert doctor.one("plugin")["state"] == "ok"


def test_a_metrics_address_that_is_not_of_this_host_or_off(engine: PrivateEngine, plugin: Plugin) -> None:
    own = f"127.0.0.1:{plugin.metrics_port}"
    try:
        plugin.set(OTELLOGDRIVER_METRICS_ADDRESS="192.0.2.1:9464")
        check = Doctor(engine, "--no-record").one("metrics")
        assert check["state"] == "failed" and "is that an address of this host?" in check["advice"]
        plugin.set(OTELLOGDRIVER_METRICS_ADDRESS="off")
        check = Doctor(engine, "--no-record").one("metrics")
        assert check["state"] == "note" and check["text"].startswith("off: ")
    finally:
        plugin.set(OTELLOGDRIVER_METRICS_ADDRESS=own)


# The disk


@contextlib.contextmanager
def small_disk(plugin: Plugin, size: str) -> Iterator[Path]:
    """A disk of its own for the plugin's FIFOs and journal, while the plugin runs."""
    plugin.disable()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", plugin.state], check=True)
    try:
        plugin.enable()
        yield plugin.state
    finally:
        plugin.disable()
        if plugin.state.is_mount():  # an engine unmounts the folder by itself
            subprocess.run(["umount", plugin.state], check=True)
        plugin.enable()


def test_a_disk_that_is_full(engine: PrivateEngine, plugin: Plugin) -> None:
    with small_disk(plugin, "64m") as mounted:
        assert "that OTELLOGDRIVER_JOURNAL_TOTAL_MAX_SIZE allows" in Doctor(engine, "--no-record").one("disk")["text"]
        (mounted / "ballast").write_bytes(bytes(63 << 20))
        doctor = Doctor(engine, "--no-record")
    check = doctor.one("disk")
    assert "disk" in doctor.failed and "are kept free: lines are given up" in check["text"]
    assert "docker system df" in check["advice"] and "OTELLOGDRIVER_JOURNAL_MIN_FREE" in check["advice"]


def test_a_disk_that_is_read_only(engine: PrivateEngine, plugin: Plugin) -> None:
    with small_disk(plugin, "64m") as mounted:
        wait_for((mounted / ".state").is_dir, "state directory")
        subprocess.run(["mount", "-o", "remount,ro", mounted], check=True)
        doctor = Doctor(engine, "--no-record")
    check = doctor.one("state directory")
    assert "state directory" in doctor.failed and "Read-only file system" in check["text"]
    assert "remount the file system read-write" in check["advice"]


# Containers


@pytest.fixture
def containers(engine: PrivateEngine) -> Iterator[Any]:
    names: list[str] = []

    def run(name: str, *options: str) -> str:
        names.append(name)
        script = "while :; do date; sleep 0.1; done"
        engine.docker("run", "--detach", f"--name={name}", "--network=none", *options, "busybox", "sh", "-c", script)
        return name

    yield run
    for name in names:
        engine.docker("rm", "--force", name)


def test_a_container_with_options_of_its_own(
    engine: PrivateEngine, plugin: Plugin, collectors: dict[str, Collector], values: dict[str, str], containers: Any
) -> None:
    endpoint = f"--log-opt=otlp-endpoint={collectors['plain'].http}"
    web = containers("web", f"--log-driver={NAME}", endpoint)
    lost = containers("lost", f"--log-driver={NAME}", f"--log-opt=otlp-endpoint=http://127.0.0.1:{values['nobody']}")
    other = containers("other", "--log-driver=json-file")
    doctor = Doctor(engine, "--container", web)
    assert doctor.one("container")["text"].endswith("log-opts: otlp-endpoint")
    assert doctor.one("record")["state"] == "ok"
    assert doctor.one("destination")["text"].startswith("away for the running driver: http://127.0.0.1:")
    assert doctor.failed == {"destination"}
    doctor = Doctor(engine, "--container", lost)
    assert doctor.failed == {"destination", "connection"}
    check = Doctor(engine, "--container", other, "--no-record").one("container")
    assert check["state"] == "failed" and "other logs with json-file, not with otellogdriver" in check["text"]
    assert "No such container" in Doctor(engine, "--container", "none", "--no-record").one("container")["text"]


@pytest.mark.parametrize("terminal", ((), ("--tty",)))
def test_a_time_out_that_cuts_docker_logs(
    engine: PrivateEngine, plugin: Plugin, collectors: dict[str, Collector], containers: Any, terminal: tuple[str, ...]
) -> None:
    assert Doctor(engine, "--no-record", "--follow", "1").one("time-out")["state"] == "skipped", "no container runs"
    check = Doctor(engine, "--no-record").one("time-out")
    assert check["state"] == "note" and "not known" in check["text"] and "--follow" in check["advice"]
    options = (f"--log-driver={NAME}", f"--log-opt=otlp-endpoint={collectors['plain'].http}", *terminal)
    plugin.disable()
    engine.docker("plugin", "enable", "--timeout", "2", NAME)
    containers("old", *options)
    plugin.disable()
    plugin.enable()
    containers("new", *options)
    check = Doctor(engine, "--no-record", "--follow", "4", "--container", "old").one("time-out")
    assert check["state"] == "failed" and "cut `docker logs -f` of old after 2 s" in check["text"]
    assert "docker plugin enable --timeout 0 otellogdriver" in check["advice"]
    assert "until they, or the engine, are restarted" in check["advice"]
    check = Doctor(engine, "--no-record", "--follow", "4", "--container", "new").one("time-out")
    assert (check["state"], check["text"]) == ("ok", "`docker logs -f` of new went on for 4 s")
    engine.docker("restart", "--time=0", "old")
    assert Doctor(engine, "--no-record", "--follow", "4", "--container", "old").one("time-out")["state"] == "ok"


def test_a_restart_of_the_engine_takes_the_time_out_away(engine: PrivateEngine, plugin: Plugin) -> None:
    plugin.disable()
    engine.docker("plugin", "enable", "--timeout", "2", NAME)
    engine.restart()
    wait_for(plugin.ready, "driver that is ready", 20)
    check = Doctor(engine, "--no-record").one("time-out")
    assert (check["state"], check["text"]) == ("ok", "none: the plugin is enabled since the engine's start")
    plugin.disable()
    plugin.enable()


def test_from_the_inside_of_the_plugin(
    engine: PrivateEngine, plugin: Plugin, collectors: dict[str, Collector], values: dict[str, str], containers: Any
) -> None:
    """The image has all that the doctor and the journal need; nsenter is how an operator gets in, because there is no
    shell. From the host the same is found through the engine."""
    name = containers("kept", f"--log-driver={NAME}", f"--log-opt=otlp-endpoint=http://127.0.0.1:{values['nobody']}")
    inside = ["nsenter", f"--target={plugin.pid}", "--mount", "--net", "--root", "--", "/usr/local/bin/otellogdriver"]
    environ = {
        "PATH": "/usr/local/bin:/usr/bin",
        "OTELLOGDRIVER_METRICS_ADDRESS": f"127.0.0.1:{plugin.metrics_port}",
        ENDPOINT: collectors["plain"].http,
    }
    outside = [sys.executable, "-m", "otellogdriver.cli"]
    host = {**os.environ, "DOCKER_HOST": str(engine.host)}

    def said(command: list[str], environ: dict[str, str], *arguments: str) -> str:
        done = subprocess.run([*command, *arguments], env=environ, capture_output=True, text=True, timeout=60)
        assert done.returncode in (0, 1) and (done.returncode == 0 or arguments[0] == "doctor"), done.stderr
        return done.stdout

    states = {
        check["name"]: check["state"] for check in json.loads(said(inside, environ, "doctor", "--json"))["checks"]
    }
    assert states["engine"] == "skipped"
    assert {states[each] for each in ("plugin", "state directory", "metrics", "codec", "record")} == {"ok"}
    for command, variables in ((inside, environ), (outside, host)):
        rows = {row["name"]: row for row in json.loads(said(command, variables, "journal", "ls", "--json"))}
        assert rows[name]["destinations"]["main"]["undelivered_lines"] > 0
        assert "UTC" in said(command, variables, "journal", "show", name, "--tail", "1")
    plugin.disable()  # which leaves the container alone
    try:
        waiting = json.loads(said(outside, host, "journal", "ls", name, "--json"))[0]["destinations"]["main"]
        said(outside, host, "journal", "export", name, "--commit", "--otlp-endpoint", collectors["plain"].http)
        assert len(collectors["plain"].wait(waiting["undelivered_lines"], name)) == waiting["undelivered_lines"]
        (row,) = json.loads(said(outside, host, "journal", "ls", name, "--json"))
        assert row["destinations"]["main"]["undelivered_lines"] == 0
    finally:
        plugin.enable()
