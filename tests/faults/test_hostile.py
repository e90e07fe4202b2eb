"""Input that no engine sends, and more of it than one would: nothing grows, nothing stops, nothing is believed."""

from __future__ import annotations

import http.client
import json
import os
import random
import secrets
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.engine import Engine, frame
from tests.fakes.server_thread import ServerThread
from tests.faults.conftest import MakeEngine
from tests.scene import files, line, lines, number, until


def arrived(collector: ServerThread, container: str) -> list[str | bytes]:
    return [record.body for record in collector.server.records(container)]


def start(engine: Engine, file: Any, info: Any) -> tuple[int, str]:
    """StartLogging; the status and `Err`."""
    status, body = engine.raw("LogDriver.StartLogging", json.dumps({"File": file, "Info": info}).encode())
    return status, json.loads(body)["Err"]


class Size:
    """What a driver's process takes: resident bytes, descriptors, threads; and its files and metric series."""

    def __init__(self, engine: Engine) -> None:
        assert engine.process
        self.series = len(engine.metrics())  # first, because the port is not open as soon as calls are answered
        proc = Path(f"/proc/{engine.process.pid}")
        self.memory = int((proc / "statm").read_text().split()[1]) * 4096
        self.descriptors = len(os.listdir(proc / "fd"))
        self.threads = len(os.listdir(proc / "task"))
        self.files = len(list(files(engine.state)))

    def __repr__(self) -> str:
        return str(vars(self))


# Frames

GARBAGE = (
    b"\0\0\0\0",
    b"\0\0\0\1\x0a",
    b"\xff\xff\xff\xff",
    b"\0\0\0\x10\x0a\x06stdout\x18\0\0\0\0\0\0\0",
    b"\0\x20\0\0\x0a\x06stdout\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    b"GET / HTTP/1.1\r\n\r\n",
    bytes(5000),
    random.Random(5).randbytes(70_000),
)


def test_garbage_between_frames_costs_the_garbage_alone(engine: Engine, collector: ServerThread) -> None:
    container = engine.container()
    container.start()
    for index, garbage in enumerate(GARBAGE):
        container.write(garbage + lines(index, index + 1))
    container.stop()
    until(lambda: collector.server.taken >= len(GARBAGE))
    assert [number(body) for body in arrived(collector, container.id)] == list(range(len(GARBAGE)))
    damaged = engine.metric("otellogdriver_damaged_bytes_total", container_id=container.id)
    assert damaged == sum(map(len, GARBAGE))
    assert [json_line(entry) for entry in container.logs()] == [line(index) + b"\n" for index in range(len(GARBAGE))]


def json_line(entry: bytes) -> bytes:
    """The line of an entry that is shorter than 128 bytes."""
    return entry[entry.index(b"\x1a") + 2 :]


def test_a_frame_that_never_ends_blocks_nobody(engine: Engine, collector: ServerThread) -> None:
    """A header promises 2 MiB and nothing that follows is believed until they have gone by."""
    container, other = engine.container("bad"), engine.container("good")
    for each in (container, other):
        each.start()
    container.write((2 << 20).to_bytes(4, "big") + b"\x0a\x06stdout\x1a\xff\xff\x7f" + lines(0, 1000))
    other.write(lines(0, 10))
    collector.reach(records=10)
    assert len(arrived(collector, other.id)) == 10
    container.write(lines(1000, 30_000, size=100))
    container.stop()
    until(lambda: any(number(body) == 29_999 for body in arrived(collector, container.id)))


def test_pieces_without_end_stay_bounded(engine: Engine, collector: ServerThread) -> None:
    container = engine.container()
    container.start()
    container.write(lines(0, 1))
    collector.reach(records=1)
    before = Size(engine)
    identifier = secrets.token_hex(32)
    for ordinal in range(1, 2001):
        container.write(frame(b"e" * 16384, partial=(False, identifier, ordinal)))
    container.stop()
    until(lambda: sum(map(len, arrived(collector, container.id)[1:])) == 2000 * 16384)
    assert max(map(len, arrived(collector, container.id))) <= 2 << 20
    assert Size(engine).memory - before.memory < 60 << 20


def test_an_unfinished_line_before_a_flood_of_the_other_stream(engine: Engine, collector: ServerThread) -> None:
    container = engine.container(options={"journal-max-size": "1m"})
    container.start()
    container.write(frame(b"begin", partial=(False, "ab" * 32, 1)))
    for begin in range(0, 10_000, 1000):
        container.write(lines(begin, begin + 1000, b"stderr", size=400))
        collector.reach(records=begin + 1000, within=30)
    container.stop()
    collector.reach(records=10_001)
    found = arrived(collector, container.id)
    assert found.count("begin") == 1
    assert sorted(number(body) for body in found if body != "begin") == list(range(10_000))
    assert engine.metric("otellogdriver_dropped_lines_total") == 0


# Containers


@pytest.mark.parametrize("count", [2000, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_containers_that_come_and_go_leave_nothing(engine: Engine, collector: ServerThread, count: int) -> None:
    """Half of them print a line, and their lines are kept for `docker logs`: that is what files may grow by."""
    collector.server.keep = False
    sizes = []
    printed = 0
    for index in range(count):
        container = engine.container(f"job-{index}")
        container.start()
        if index % 2:
            container.write(lines(0, 1))
            printed += 1
        container.stop()
        engine.containers.remove(container)
        if index + 1 in (count // 2, count):
            until(lambda printed=printed: collector.server.taken >= printed)  # type: ignore[misc]
            until(lambda: engine.metric("otellogdriver_open_streams") == 0)
            sizes.append(Size(engine))
    middle, end = sizes
    print(f"{middle} -> {end}")
    until(lambda: Size(engine).descriptors <= middle.descriptors + 5, what="files of containers that are gone")
    assert end.threads <= middle.threads + 2
    assert end.series <= middle.series + 50
    # An entry of the store for each stopped stream that is kept, a few hundred bytes to a few KiB; no session, no feed.
    assert end.memory - middle.memory < (4 << 20) + count // 4 * 8192
    assert end.files - middle.files <= (count // 4 + 1) * 4


def test_a_container_that_starts_a_thousand_times_does_not_fill_the_disk(
    engine: Engine, collector: ServerThread
) -> None:
    first = engine.container("crashing")
    for index in range(300):
        container = engine.container("crashing")
        container.id, container.info = first.id, first.info
        container.start()
        container.write(lines(index, index + 1))
        container.stop()
    collector.reach(records=300, within=30)
    until(lambda: len(list(files(engine.state))) <= 110 * 4)
    assert len(first.logs()) >= 95


# Calls


def test_bad_calls_are_answered_and_change_nothing(engine: Engine) -> None:
    good = engine.container().info
    cases: list[tuple[str, bytes]] = [
        ("LogDriver.StartLogging", b""),
        ("LogDriver.StartLogging", b"{}"),
        ("LogDriver.StartLogging", b"[]"),
        ("LogDriver.StartLogging", b"null"),
        ("LogDriver.StartLogging", b"{"),
        ("LogDriver.StartLogging", b"\xff\xfe\x00"),
        ("LogDriver.StartLogging", b"[" * 200_000),
        ("LogDriver.StartLogging", b'{"File":' + b"9" * 10_000 + b"}"),
        ("LogDriver.StartLogging", b'{"File":"/x"}'),
        ("LogDriver.StartLogging", b'{"File":"/x","Info":[]}'),
        ("LogDriver.StartLogging", json.dumps({"File": 5, "Info": good}).encode()),
        ("LogDriver.StartLogging", json.dumps({"File": None, "Info": good}).encode()),
        ("LogDriver.ReadLogs", b""),
        ("LogDriver.ReadLogs", b"{"),
        ("LogDriver.ReadLogs", b'{"Info":{"ContainerID":7}}'),
        ("LogDriver.ReadLogs", b'{"Info":{"ContainerID":"x"},"Config":[]}'),
        ("LogDriver.ReadLogs", b'{"Info":{"ContainerID":"x"},"Config":{"Tail":"all"}}'),
        ("LogDriver.ReadLogs", b'{"Info":{"ContainerID":"x"},"Config":{"Since":"yesterday"}}'),
        ("LogDriver.Nothing", b"{}"),
        ("", b"{}"),
        ("../../etc/passwd", b"{}"),
        ("VolumeDriver.Create", b"{}"),
    ]
    for call, body in cases:
        status, answer = engine.raw(call, body)
        assert status in (400, 404), (call, body[:50])
        told = json.loads(answer)["Err"]
        assert told and len(told) < 1000 and "\n" not in told
    for body in (b"", b"{}", b"null", b"{", b"[]", b'{"File":5}', b'{"File":"/nowhere"}', b'{"File":"\\ud800"}'):
        status, answer = engine.raw("LogDriver.StopLogging", body)
        assert status == 200 and json.loads(answer).get("Err", "") == ""  # the engine would leak FIFO and plugin
    assert engine.call("Plugin.Activate") == {"Implements": ["LogDriver"]}
    assert engine.metric("otellogdriver_open_streams") == 0
    assert not list(files(engine.state))


def test_only_a_fifo_in_dockers_directory_is_opened(engine: Engine, tmp_path: Path) -> None:
    container = engine.container()
    outside = tmp_path / "outside"
    os.mkfifo(outside)
    (engine.fifos / "regular").write_text("text")
    (engine.fifos / "directory").mkdir()
    (engine.fifos / "link").symlink_to(outside)
    (engine.fifos / "link-inside").symlink_to(container.file)
    inside = os.path.basename(container.file)
    for file in (
        str(outside),
        f"{engine.fifos}/../outside",
        f"{engine.fifos}/directory/../{inside}",
        f"{engine.fifos}//{inside}/",
        f"{engine.fifos}/regular",
        f"{engine.fifos}/directory",
        f"{engine.fifos}/link",
        f"{engine.fifos}/link-inside",
        f"{engine.fifos}/missing",
        f"{engine.fifos}/",
        f"{engine.fifos}/.",
        f"{engine.fifos}/{'n' * 5000}",
        f"{engine.fifos}/a\0b",
        f"{engine.fifos}/\ud800",
        inside,
        "/",
        "/dev/null",
        " ",
    ):
        status, told = start(engine, file, container.info)
        assert status == 400 and "File" in told and len(told) < 500, file[:100]
    assert engine.metric("otellogdriver_open_streams") == 0
    assert not list(files(engine.state))


def test_a_container_id_names_no_other_directory(engine: Engine) -> None:
    wrong: tuple[Any, ...] = (
        "",
        ".",
        "..",
        "../../etc",
        "a/b",
        "/etc",
        "a\0b",
        "a\nb",
        "x" * 5000,
        " ",
        "\ud800",
        "é",
        None,
        5,
        [],
    )
    for identifier in wrong:
        container = engine.container()
        status, told = start(engine, container.file, {**container.info, "ContainerID": identifier})
        assert status == 400 and "ContainerID" in told and "\n" not in told and len(told) < 500, identifier
    assert not list(files(engine.state))
    body = {"Info": {"ContainerID": "../.."}, "Config": {}}
    assert engine.raw("LogDriver.ReadLogs", json.dumps(body).encode()) == (200, b"")


def test_info_of_any_size_and_content(engine: Engine, collector: ServerThread) -> None:
    """The engine passes on what users write into labels, names and environments."""
    wild: dict[str, Any] = {
        "ContainerName": "/\x1b[31mred\x1b[0m\n" + "n" * 10_000,
        "ContainerLabels": {"a\nb": "c\x00d", "k" * 10_000: "v" * 100_000, "": "", "\ud800": "\udfff"},
        "ContainerEnv": [f"V{index}={'e' * 100}" for index in range(20_000)] + ["", "=", "NOEQUALS", "=x"],
        "ContainerArgs": ["x" * 1_000_000],
        "ContainerImageName": "é" * 1000,
        "DaemonName": None,
        "Unknown": {"deep": [[[[]]]]},
    }
    container = engine.container("wild", {"labels-regex": ".*", "env": "V1"}, **wild)
    assert container.start() == {"Err": ""}
    container.write(lines(0, 10))
    container.stop()
    until(lambda: len(arrived(collector, container.id)) == 10)
    assert all(len(entry) < 100_000 for entry in engine.log().splitlines())
    assert "\x1b" not in engine.log()
    engine.kill()
    engine.start()
    assert len(container.logs()) == 10


def test_a_body_beyond_the_limit_is_refused(engine: Engine) -> None:
    status, answer = engine.raw("LogDriver.StartLogging", b'{"File":"' + b"x" * (33 << 20) + b'"}')
    assert status >= 400 and json.loads(answer)["Err"]
    assert engine.call("LogDriver.Capabilities")


def test_log_opts_with_anything_in_them_are_named_and_not_obeyed(engine: Engine) -> None:
    for options in (
        {"otlp-endpoint": "http://x\r\nInjected: 1"},
        {"otlp-headers": "a=b\r\nInjected: 1"},
        {"otlp-timeout": "\x1b[2J"},
        {"no\nsuch\noption": "x"},
        {"journal-max-size": "9" * 5000},
        {"labels-regex": "(" * 500},
        {"otlp-certificate": "/etc/shadow\0"},
        {"": ""},
    ):
        container = engine.container(options=options)
        told = container.start()["Err"]
        assert told and told.isprintable() and len(told) < 3000, options
        container.close()
    assert engine.metric("otellogdriver_open_streams") == 0
    assert all(entry.isprintable() for entry in engine.log().splitlines())


def test_a_log_that_nobody_reads_holds_up_nothing(
    make_engine: MakeEngine, collector: ServerThread, tmp_path: Path
) -> None:
    """The engine reads the plugin's standard error, and may hang itself."""
    unread = tmp_path / "unread"
    os.mkfifo(unread)
    engine = make_engine(collector=collector, start=False)
    engine.command = ["sh", "-c", 'exec "$@" 2<>"$0"', str(unread), *engine.command]
    engine.start()
    for _ in range(100):  # of a thousand bytes and more in the log each
        container = engine.container(options={"no-such-option": "x"})
        assert "no-such-option" in container.start()["Err"]
        container.close()
    container = engine.container()
    container.start()
    container.write(lines(0, 10))
    collector.reach(records=10)
    assert container.stop() == {"Err": ""}
    engine.terminate()  # its metrics are at a port that only the log names


def test_start_logging_twenty_times_at_once_is_one_stream(engine: Engine, collector: ServerThread) -> None:
    for _ in range(5):
        container = engine.container()
        with ThreadPoolExecutor(20) as callers:
            answers = [callers.submit(container.start) for _ in range(20)]
            container.write(lines(0, 100))
        assert [answer.result() for answer in answers] == [{"Err": ""}] * 20
        assert engine.metric("otellogdriver_open_streams") == 1
        container.stop()
        until(lambda container=container: len(arrived(collector, container.id)) == 100)  # type: ignore[misc]
        assert [number(body) for body in arrived(collector, container.id)] == list(range(100))
        assert len(list((engine.state / "containers" / container.id).iterdir())) == 1


def test_callers_that_hang_up_leave_nothing(engine: Engine, collector: ServerThread) -> None:
    """The engine gives up calls when a user presses ^C."""
    before = Size(engine)
    container = engine.container()
    for call in ("StartLogging", "ReadLogs", "StopLogging", "Capabilities"):
        body = json.dumps({"File": container.file, "Info": container.info, "Config": {"Follow": True}}).encode()
        for cut in (1, len(body) // 2, len(body)):
            connection = engine.connection()
            connection.putrequest("POST", f"/LogDriver.{call}")
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body[:cut])
            connection.close()
    for each in (container, engine.container()):  # calls for the first one may still be under way
        assert each.start() == {"Err": ""}
        each.write(lines(0, 10))
        each.stop()
        until(lambda each=each: len(arrived(collector, each.id)) == 10)  # type: ignore[misc]
    until(lambda: engine.metric("otellogdriver_open_streams") == 0)
    until(lambda: Size(engine).descriptors <= before.descriptors + 3)


def test_what_is_no_http_is_told_so_and_not_logged(engine: Engine) -> None:
    for sent in (b"POST / HTTP/1.1\r\n" + b"X: y\r\n" * 1000 + b"\r\n", b"GET / HTTP/2.0.0\r\n\r\n", bytes(100)):
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(engine.socket)
            caller.sendall(sent)
            assert caller.recv(100).startswith(b"HTTP/1.1 400")
    assert "Traceback" not in engine.log()
    assert engine.call("LogDriver.Capabilities")


def test_other_methods_are_not_known(engine: Engine) -> None:
    for method in ("GET", "PUT", "DELETE", "HEAD", "PROPFIND"):
        connection = engine.connection()
        connection.request(method, "/LogDriver.Capabilities")
        response: http.client.HTTPResponse = connection.getresponse()
        assert response.status == 404
        connection.close()
    assert engine.call("LogDriver.Capabilities")
