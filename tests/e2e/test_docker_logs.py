"""`docker logs` from the journal, side by side with `json-file` on the same engine: the same bytes."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from plugin.private_engine import PrivateEngine
from tests.engine.collector import Collector
from tests.engine.loopback import NOBODY, wait_for
from tests.engine.plugin import Plugin

# The engine copies the two streams apart from each other: what comes at once may change places, in any driver.
PROGRAMS = {
    "plain": "seq 1 100",
    "empty": "true",
    "empty lines": "printf 'a\\n\\n\\nb\\n\\n'",
    "no newline": "echo first; printf last",
    "only a prompt": "printf 'name? '",
    "both streams": "for i in 1 2 3 4; do echo out $i; sleep 0.3; echo err $i >&2; sleep 0.3; done",
    "control characters": "printf '\\000\\001\\033[31mred\\033[0m\\n\\177\\b\\n'",
    "long lines": "for n in 16383 16384 16385 32768 100000; do head -c $n /dev/zero | tr '\\0' x; echo; done",
    "long without newline": "head -c 40000 /dev/zero | tr '\\0' y",
    "carriage returns": "printf 'one\\r\\ntwo\\rthree\\n'",
    "many": "seq 1 200000",
}
FLAGS: tuple[tuple[str, ...], ...] = (
    (),
    ("--tail=0",),
    ("--tail=1",),
    ("--tail=7",),
    ("--tail=1000",),
    ("--tail=all",),
)


@dataclass
class Side:
    """Containers of one driver."""

    engine: PrivateEngine
    driver: list[str]
    names: list[str] = field(default_factory=list)

    def run(self, script: str, *arguments: str) -> str:
        name = f"logs-{secrets.token_hex(4)}"
        self.names.append(name)
        command = ("run", f"--name={name}", *self.driver, *arguments, "busybox", "sh", "-c", script)
        subprocess.run(
            self.engine.command(*command), env=self.engine.environment(), capture_output=True, timeout=120, check=False
        )
        return name

    def logs(self, name: str, *flags: str) -> tuple[bytes, bytes]:
        """(stdout, stderr) of `docker logs`."""
        done = subprocess.run(
            self.engine.command("logs", *flags, name),
            env=self.engine.environment(),
            capture_output=True,
            timeout=120,
            check=True,
        )
        return done.stdout, done.stderr

    def follow(self, name: str, *flags: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.engine.command("logs", "--follow", *flags, name),
            env=self.engine.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )


@pytest.fixture
def ours(engine: PrivateEngine, plugin: Plugin) -> Iterator[Side]:
    """Our driver with a collector that is not there: `docker logs` needs none."""
    side = Side(engine, [f"--log-driver={plugin.name}", f"--log-opt=otlp-endpoint={NOBODY}"])
    yield side
    if side.names:
        engine.docker("rm", "--force", *side.names)


@pytest.fixture
def theirs(engine: PrivateEngine) -> Iterator[Side]:
    side = Side(engine, ["--log-driver=json-file"])
    yield side
    if side.names:
        engine.docker("rm", "--force", *side.names)


@pytest.mark.each_engine
@pytest.mark.parametrize("tty", (False, True), ids=("pipe", "tty"))
@pytest.mark.parametrize("program", PROGRAMS)
def test_the_same_bytes_as_json_file(ours: Side, theirs: Side, program: str, tty: bool) -> None:
    arguments = ("--tty",) if tty else ()
    mine, reference = ours.run(PROGRAMS[program], *arguments), theirs.run(PROGRAMS[program], *arguments)
    for flags in FLAGS:
        assert ours.logs(mine, *flags) == theirs.logs(reference, *flags), flags


def test_bytes_that_are_no_text_stay_as_they_are(ours: Side) -> None:
    """Here the reference is the driver `local`: `json-file` cannot hold bytes that are no UTF-8, and replaces them."""
    reference = Side(ours.engine, ["--log-driver=local"], ours.names)
    for script in ("printf '\\377\\376\\n\\200abc\\n'", "head -c 300000 /bin/busybox"):
        mine, other = ours.run(script), reference.run(script)
        assert ours.logs(mine) == reference.logs(other)
    assert len(ours.logs(mine)[0]) == 300_000


@pytest.mark.each_engine
def test_since_and_until(ours: Side, theirs: Side) -> None:
    script = "for i in 1 2 3; do echo line $i; sleep 1; done"
    for side in (ours, theirs):
        name = side.run(script)
        stamps = [line.split(b" ", 1)[0].decode() for line in side.logs(name, "--timestamps")[0].splitlines()]
        assert len(stamps) == 3
        assert side.logs(name, f"--since={stamps[1]}")[0] == b"line 2\nline 3\n"
        assert side.logs(name, f"--until={stamps[1]}")[0] == b"line 1\nline 2\n"
        assert side.logs(name, f"--since={stamps[1]}", f"--until={stamps[1]}")[0] == b"line 2\n"
        assert side.logs(name, "--since=2100-01-01T00:00:00Z")[0] == b""
        assert side.logs(name, "--until=2000-01-01T00:00:00Z")[0] == b""
        assert side.logs(name, f"--since={stamps[0]}", "--tail=1")[0] == b"line 3\n"


def test_timestamps_are_those_of_the_records(ours: Side, collector: Collector, plugin: Plugin) -> None:
    ours.driver = [f"--log-driver={plugin.name}", f"--log-opt=otlp-endpoint={collector.http}"]
    name = ours.run("seq 1 20")
    records = collector.wait(20, name)
    lines = ours.logs(name, "--timestamps")[0].decode().splitlines()
    shown = [re.fullmatch(r"(\S+)\.(\d{9})(\S+) (.*)", line) for line in lines]
    assert all(shown)
    assert [(match[2], match[4]) for match in shown if match] == [
        (f"{record.time % 10**9:09d}", record.body) for record in records
    ]


@pytest.mark.each_engine
def test_follow_shows_what_comes_and_ends_with_the_container(ours: Side) -> None:
    name = ours.run("true", "--detach")
    ours.engine.docker("rm", "--force", name)
    name = f"logs-{secrets.token_hex(4)}"
    ours.names.append(name)
    script = "echo before; read x; echo $x; printf tail"
    ours.engine.docker(
        "run", "--detach", "--interactive", f"--name={name}", *ours.driver, "busybox", "sh", "-c", script
    )
    with ours.follow(name) as follower:
        assert follower.stdout
        assert follower.stdout.readline() == b"before\n"
        subprocess.run(
            ours.engine.command("attach", name),
            env=ours.engine.environment(),
            input=b"now\n",
            timeout=30,
            check=False,
            capture_output=True,
        )
        assert follower.communicate(timeout=30)[0] == b"now\ntail"
        assert follower.returncode == 0


def test_follow_of_a_chatty_container_misses_nothing(ours: Side) -> None:
    name = f"logs-{secrets.token_hex(4)}"
    ours.names.append(name)
    ours.engine.docker(
        "run", "--detach", f"--name={name}", *ours.driver, "busybox", "sh", "-c", "sleep 1; seq 1 100000"
    )
    with ours.follow(name) as follower:
        out, _ = follower.communicate(timeout=60)
    assert out == b"".join(b"%d\n" % number for number in range(1, 100_001))


@pytest.mark.each_engine
def test_a_restarted_container_has_one_history(ours: Side) -> None:
    name = ours.run("echo run; date +%N >/tmp/x; echo again >&2")
    for _ in range(2):
        ours.engine.docker("start", "--attach", name)
    assert ours.logs(name) == (b"run\n" * 3, b"again\n" * 3)
    assert ours.logs(name, "--tail=2")[0] + ours.logs(name, "--tail=2")[1] == b"run\nagain\n"


def test_history_survives_the_driver(ours: Side, plugin: Plugin) -> None:
    stopped = ours.run("seq 1 1000")
    running = f"logs-{secrets.token_hex(4)}"
    ours.names.append(running)
    script = "echo early; while [ ! -e /go ]; do sleep 0.1; done; echo late; sleep 600"
    ours.engine.docker("run", "--detach", f"--name={running}", *ours.driver, "busybox", "sh", "-c", script)
    wait_for(lambda: ours.logs(running)[0] == b"early\n", "first line", 10)
    plugin.kill()
    assert ours.logs(stopped)[0] == b"".join(b"%d\n" % number for number in range(1, 1001))
    ours.engine.docker("exec", running, "touch", "/go")
    wait_for(lambda: ours.logs(running)[0] == b"early\nlate\n", "line after the crash", 10)


def test_a_follower_that_goes_away_is_freed(ours: Side, plugin: Plugin) -> None:
    """The engine itself notices with the next lines only, and keeps its connection to the driver until then."""
    name = f"logs-{secrets.token_hex(4)}"
    ours.names.append(name)
    script = "echo up; while [ ! -e /go ]; do sleep 0.1; done; while true; do echo next; sleep 0.2; done"
    ours.engine.docker("run", "--detach", f"--name={name}", *ours.driver, "busybox", "sh", "-c", script)
    before = _connections(plugin)
    followers = [ours.follow(name) for _ in range(5)]
    try:
        for follower in followers:
            assert follower.stdout
            assert follower.stdout.readline() == b"up\n"
        assert _connections(plugin) >= before + 4  # an idle one of the engine's may be used again
    finally:
        _end(followers)
    ours.engine.docker("exec", name, "touch", "/go")
    wait_for(lambda: _connections(plugin) <= before + 1, "connections closed", 20)


def _end(followers: list[subprocess.Popen[bytes]]) -> None:
    for follower in followers:
        follower.kill()
        follower.communicate()


def _connections(plugin: Plugin) -> int:
    """Connections on the plugin's socket that the driver has open."""
    process = Path(f"/proc/{plugin.pid}")
    names = [os.readlink(path) for path in (process / "fd").iterdir() if path.exists() or path.is_symlink()]
    fields = [line.split() for line in (process / "net/unix").read_text().splitlines()[1:]]
    connected = {f"socket:[{field[6]}]" for field in fields if field[5] == "03"}
    return len(connected & set(names))


def test_the_api_follows_without_the_docker_command(ours: Side) -> None:
    name = f"logs-{secrets.token_hex(4)}"
    ours.names.append(name)
    ours.engine.docker(
        "run", "--detach", f"--name={name}", *ours.driver, "busybox", "sh", "-c", "echo a; sleep 1; echo b"
    )
    assert ours.engine.home
    connection = http.client.HTTPConnection("docker", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(ours.engine.environment()["DOCKER_HOST"].removeprefix("unix://"))
    try:
        connection.request("GET", f"/containers/{name}/logs?stdout=1&follow=1")
        body = connection.getresponse().read()
    finally:
        connection.close()
    assert body == b"\x01\0\0\0\0\0\0\x02a\n\x01\0\0\0\0\0\0\x02b\n"


def test_retention_keeps_the_newest(ours: Side, collector: Collector, plugin: Plugin) -> None:
    limits = ("--log-opt=max-size=256k", "--log-opt=max-file=2")
    ours.driver = [f"--log-driver={plugin.name}", f"--log-opt=otlp-endpoint={collector.http}", *limits]
    name = ours.run("seq 1 100000")
    collector.wait(100_000, name)
    identifier = ours.engine.docker("inspect", "--format", "{{.Id}}", name).strip()
    folder = plugin.state / ".state" / "containers" / identifier

    def size() -> int:
        return sum(path.stat().st_size for path in folder.rglob("*.log*"))

    wait_for(lambda: size() <= 3 * 256 * 1024, "journal within its limit", 10)
    kept = ours.logs(name)[0].split()
    assert kept[-1] == b"100000" and 1000 < len(kept) < 100_000
    assert kept == [b"%d" % number for number in range(int(kept[0]), 100_001)]


def test_undelivered_lines_are_not_retained_away(ours: Side) -> None:
    ours.driver += ["--log-opt=max-size=256k", "--log-opt=max-file=2"]
    name = ours.run("seq 1 100000")
    assert ours.logs(name)[0] == b"".join(b"%d\n" % number for number in range(1, 100_001))


def test_compressed_files_read_the_same(ours: Side, collector: Collector, plugin: Plugin) -> None:
    options = ("--log-opt=max-size=256k", "--log-opt=max-file=40", "--log-opt=compress=true")
    ours.driver = [f"--log-driver={plugin.name}", f"--log-opt=otlp-endpoint={collector.http}", *options]
    name = ours.run("seq 1 100000")
    collector.wait(100_000, name)
    identifier = ours.engine.docker("inspect", "--format", "{{.Id}}", name).strip()
    folder = plugin.state / ".state" / "containers" / identifier
    wait_for(lambda: len(list(folder.rglob("*.log.gz"))) >= 5, "compressed files", 10)
    assert ours.logs(name)[0] == b"".join(b"%d\n" % number for number in range(1, 100_001))
    assert ours.logs(name, "--tail=30000")[0] == b"".join(b"%d\n" % number for number in range(70_001, 100_001))


def test_damage_costs_only_what_is_damaged(ours: Side, plugin: Plugin) -> None:
    name = ours.run("seq 1 50000")
    identifier = ours.engine.docker("inspect", "--format", "{{.Id}}", name).strip()
    segment = next((plugin.state / ".state" / "containers" / identifier).rglob("*.log"))
    with segment.open("r+b") as file:
        file.seek(segment.stat().st_size // 2)
        file.write(b"\xff" * 1000)
    lines = ours.logs(name)[0].split()
    assert lines[0] == b"1" and lines[-1] == b"50000"
    assert 49_900 < len(lines) < 50_000
    assert set(lines) <= {b"%d" % number for number in range(1, 50_001)}


@pytest.mark.measures
def test_reading_is_as_fast_as_with_json_file(ours: Side, theirs: Side) -> None:
    script = "yes 'a line as long as lines tend to be, with a word or two more' | head -n 500000"
    mine, reference = ours.run(script), theirs.run(script)

    def seconds(side: Side, name: str) -> float:
        began = time.monotonic()
        process = subprocess.Popen(
            side.engine.command("logs", name), env=side.engine.environment(), stdout=subprocess.DEVNULL
        )
        assert process.wait(120) == 0
        return time.monotonic() - began

    times = [(seconds(ours, mine), seconds(theirs, reference)) for _ in range(3)]
    assert min(our for our, _ in times) <= min(their for _, their in times) * 1.1, times


@pytest.mark.each_engine
def test_logs_left_to_the_engine(engine: PrivateEngine, plugin: Plugin, collector: Collector, ours: Side) -> None:
    """OTELLOGDRIVER_READ_LOGS=false: the engine keeps its own copy, the journal only what is not delivered."""
    plugin.set(OTELLOGDRIVER_READ_LOGS="false")
    try:
        ours.driver = [f"--log-driver={plugin.name}", f"--log-opt=otlp-endpoint={collector.http}"]
        name = ours.run("seq 1 1000")
        collector.wait(1000, name)
        assert ours.logs(name)[0] == b"".join(b"%d\n" % number for number in range(1, 1001))
        identifier = engine.docker("inspect", "--format", "{{.Id}}", name).strip()
        wait_for(lambda: not (plugin.state / ".state" / "containers" / identifier).exists(), "journal gone", 10)
    finally:
        plugin.set(OTELLOGDRIVER_READ_LOGS="true")


def test_followers_do_not_delay_others(ours: Side, plugin: Plugin) -> None:
    name = f"logs-{secrets.token_hex(4)}"
    ours.names.append(name)
    ours.engine.docker("run", "--detach", f"--name={name}", *ours.driver, "busybox", "sh", "-c", "echo up; sleep 600")
    followers = [ours.follow(name) for _ in range(20)]
    try:
        began = time.monotonic()
        other = ours.run("echo quick")
        assert ours.logs(other)[0] == b"quick\n"
        assert time.monotonic() - began < 10
    finally:
        _end(followers)
    assert json.loads(ours.engine.docker("inspect", name))[0]["State"]["Running"]
