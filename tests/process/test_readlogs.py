"""`docker logs` from the journal, asked over the plugin's socket as the engine asks it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otellogdriver.codec import python
from otellogdriver.codec.contract import MAX_FRAME
from otellogdriver.engine.readlogs import ReadConfig, _boundary
from otellogdriver.errors import ProtocolError
from otellogdriver.journal.stream import Stream
from tests.fakes.engine import Container, Engine, frame, frames, pieces
from tests.scene import files, line, lines, until

SECOND = 1_000_000_000
BEGIN = 1_767_366_000 * SECOND
"""2026-01-02T15:00:00Z"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}  # nobody is there: logs do not need a collector
    with Engine(tmp_path_factory.mktemp("engine"), environ) as running:
        yield running
    assert "Traceback" not in running.log()


@pytest.fixture
def container(engine: Engine) -> Iterator[Container]:
    made = engine.container(options={"max-size": "64k"})
    made.start()
    yield made
    if made.fd >= 0:
        made.stop()


def texts(entries: list[bytes]) -> list[bytes]:
    """The lines of LogEntry messages, read by hand: field 3 behind source and time."""
    found = []
    for entry in entries:
        at = 2 + entry[1]
        if entry[at : at + 1] == b"\x10":
            at += 1
            while entry[at] & 0x80:
                at += 1
            at += 1
        size = shift = 0
        if entry[at : at + 1] == b"\x1a":
            at += 1
            while True:
                size |= (entry[at] & 0x7F) << shift
                shift += 7
                at += 1
                if entry[at - 1] < 0x80:
                    break
        found.append(entry[at : at + size])
    return found


def sized(numbers: range, size: int = 0) -> list[bytes]:
    return [line(number, size) + b"\n" for number in numbers]


def timed(begin: int, end: int, size: int = 0) -> bytes:
    """Lines of one second each, from BEGIN on."""
    return b"".join(frame(line(number, size), time_nano=BEGIN + number * SECOND) for number in range(begin, end))


def at(second: int, nanoseconds: int = 0) -> str:
    return time.strftime(f"%Y-%m-%dT%H:%M:%S.{nanoseconds:09d}Z", time.gmtime(BEGIN // SECOND + second))


def written(container: Container, data: bytes) -> None:
    """Write and wait until it is in the journal, and the driver knows: the file is longer a moment earlier."""

    def read() -> float:
        return container.engine.metric("otellogdriver_driver_read_bytes_total")

    wanted = read() + len(data)
    container.write(data)
    until(lambda: read() >= wanted)


# What is asked for


def test_everything(container: Container) -> None:
    written(container, timed(0, 1000))
    assert texts(container.logs()) == sized(range(1000))


def test_frames_have_source_time_and_a_newline(container: Container) -> None:
    written(container, frame(b"out", b"stdout", 5) + frame(b"", b"stderr", 6) + frame(b"\xff\x00", b"stdout", 7))
    assert container.logs() == [
        b"\x0a\x06stdout\x10\x05\x1a\x04out\n",
        b"\x0a\x06stderr\x10\x06\x1a\x01\n",
        b"\x0a\x06stdout\x10\x07\x1a\x03\xff\x00\n",
    ]


def test_a_long_line_has_one_newline(container: Container) -> None:
    long = os.urandom(25_000).hex().encode()
    written(container, pieces(long) + pieces(b"no end", ended=False))
    assert b"".join(texts(container.logs())) == long + b"\nno end"


@pytest.mark.parametrize("tail", [0, 1, 10, 999, 1000, 5000, -1])
def test_tail_over_many_segments(container: Container, tail: int) -> None:
    written(container, timed(0, 1000, size=500))
    count = 1000 if tail < 0 else min(tail, 1000)
    assert texts(container.logs(Tail=tail)) == sized(range(1000 - count, 1000), 500)


def test_tail_over_the_streams_of_several_runs(engine: Engine, container: Container) -> None:
    written(container, timed(0, 10))
    container.stop()
    again = engine.container()
    again.id, again.info = container.id, container.info
    again.start()
    written(again, timed(10, 15))
    assert texts(again.logs()) == sized(range(15))
    assert texts(again.logs(Tail=5)) == sized(range(10, 15))
    assert texts(again.logs(Tail=7)) == sized(range(8, 15))
    again.stop()
    assert texts(container.logs(Tail=7)) == sized(range(8, 15))


def test_since_and_until(container: Container) -> None:
    written(container, timed(0, 100))
    assert texts(container.logs(Since=at(90))) == sized(range(90, 100))
    assert texts(container.logs(Since=at(89, 1))) == sized(range(90, 100))
    assert texts(container.logs(Until=at(9))) == sized(range(10))
    assert texts(container.logs(Since=at(20), Until=at(29, 5))) == sized(range(20, 30))
    assert texts(container.logs(Since=at(500))) == []
    assert texts(container.logs(Since="0001-01-01T00:00:00Z", Until="0001-01-01T00:00:00Z")) == sized(range(100))
    assert texts(container.logs(Since=at(50), Tail=60)) == sized(range(50, 100))


def test_an_unknown_container_has_no_logs(engine: Engine) -> None:
    body = {"Info": {"ContainerID": "f" * 64}, "Config": {"Tail": -1}}
    assert engine.raw("LogDriver.ReadLogs", json.dumps(body).encode()) == (200, b"")


def test_a_line_that_is_not_all_here_yet_is_left_out(container: Container) -> None:
    whole = frame(b"z" * 5000)
    written(container, timed(0, 3) + whole[:4000])
    assert texts(container.logs()) == sized(range(3))
    container.write(whole[4000:])
    until(lambda: texts(container.logs())[3:] == [b"z" * 5000 + b"\n"])


# Damage


def test_damaged_segments_are_read_past(engine: Engine, container: Container) -> None:
    written(container, timed(0, 2000, size=500))
    segments = sorted(path for path in files(engine.state) if container.id in str(path) and path.suffix == ".log")
    assert len(segments) > 10
    os.truncate(segments[2], 1000)
    segments[4].unlink()
    data = bytearray(segments[6].read_bytes())
    data[100:5000] = bytes(4900)
    segments[6].write_bytes(data)
    found = [int(text[:8]) for text in texts(container.logs())]
    assert found == sorted(set(found))
    assert found[:200] == list(range(200)) and found[-1000:] == list(range(1000, 2000))
    assert texts(container.logs(Tail=1000)) == sized(range(1000, 2000), 500)
    assert len(texts(container.logs(Tail=2000))) == len(found)


def test_a_stream_that_ends_in_damage_ends(container: Container) -> None:
    written(container, timed(0, 10) + MAX_FRAME.to_bytes(4, "big") + b"\x0a\x06stdout\x1a\xff\xff\x7f" + timed(10, 20))
    container.stop()
    assert texts(container.logs())[:10] == sized(range(10))
    assert texts(container.logs())[10:] in ([], sized(range(10, 20)))


# Follow


class Follower(threading.Thread):
    """A `docker logs -f`; reads as fast as it can, or not before `read` is set."""

    def __init__(self, container: Container, **config: Any) -> None:
        super().__init__()
        self.connection: http.client.HTTPConnection = container.engine.connection()
        body = {"Info": container.info, "Config": {"Tail": -1, "Follow": True} | config}
        self.connection.request("POST", "/LogDriver.ReadLogs", json.dumps(body).encode())
        self.socket = self.connection.sock
        self.response = self.connection.getresponse()
        self.data = bytearray()
        self.ended = False

    def run(self) -> None:
        try:
            while more := self.response.read1(1 << 20):
                self.data += more
            self.ended = True
        except (OSError, http.client.HTTPException):
            pass  # closed here

    def texts(self) -> list[bytes]:
        whole = bytes(self.data)
        return texts([entry for entry in frames(whole) if entry])

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        if self.is_alive():
            self.join(20)
        self.response.close()
        self.connection.close()


@pytest.fixture
def follow() -> Iterator[Callable[..., Follower]]:
    made: list[Follower] = []

    def start(container: Container, reading: bool = True, **config: Any) -> Follower:
        made.append(Follower(container, **config))
        if reading:
            made[-1].start()
        return made[-1]

    yield start
    for follower in made:
        follower.close()


Follow = Callable[..., Follower]


def test_follow_shows_what_was_and_what_comes_and_ends_with_the_container(container: Container, follow: Follow) -> None:
    written(container, timed(0, 10))
    follower = follow(container)
    until(lambda: follower.texts() == sized(range(10)))
    for begin in range(10, 100, 30):
        container.write(timed(begin, begin + 30))
        until(lambda begin=begin: follower.texts() == sized(range(begin + 30)))  # type: ignore[misc]
    container.write(timed(100, 101) + pieces(b"last words", ended=False))
    container.stop()
    until(lambda: follower.texts() == [*sized(range(101)), b"last words"] and follower.ended)


@pytest.mark.parametrize("printed", [0, 5])
def test_follow_from_now_on(container: Container, follow: Follow, printed: int) -> None:
    """`docker logs -f --tail 0`, also of a container that has printed nothing yet."""
    if printed:
        written(container, timed(0, printed))
    follower = follow(container, Tail=0)
    next_line = printed
    while not follower.data:  # it has begun when the first line shows; which one that is, is not known
        container.write(timed(next_line, next_line + 1))
        next_line += 1
        follower.join(0.02)
    container.write(timed(next_line, next_line + 5))
    container.stop()
    until(lambda: follower.ended)
    found = follower.texts()
    assert len(found) >= 6 and found == sized(range(next_line + 5 - len(found), next_line + 5))
    assert len(found) <= next_line + 5 - printed


def test_to_follow_from_now_on_begins_with_the_frame_that_is_not_whole_yet(tmp_path: Path) -> None:
    stream = Stream(tmp_path)
    stream.append(timed(0, 3))
    torn = stream.end
    stream.append(frame(b"z" * 5000)[:4000])
    end = stream.end
    stream.append(frame(b"z" * 5000)[4000:] + timed(3, 5))
    stream.close()
    assert _boundary(python, stream, end) == torn
    assert _boundary(python, stream, stream.end) == stream.end


def test_follow_ends_at_until(container: Container, follow: Follow) -> None:
    follower = follow(container, Until=at(49, 999))
    container.write(timed(0, 100))
    until(lambda: follower.texts() == sized(range(50)) and follower.ended)


def test_a_follower_that_goes_away_is_freed(engine: Engine, container: Container, follow: Follow) -> None:
    assert engine.process
    folder = Path(f"/proc/{engine.process.pid}/fd")

    def calls() -> int:
        """The engine's connections that the driver has taken up: sockets with the listener's path."""
        table = (line.split() for line in Path("/proc/net/unix").read_text().splitlines())
        connected = {f"socket:[{words[6]}]" for words in table if words[-1] == str(engine.socket)}
        return sum(os.path.realpath(each).rpartition("/")[2] in connected for each in folder.iterdir())

    def own() -> int:
        return sum(container.id in os.path.realpath(each) for each in folder.iterdir())

    written(container, timed(0, 10))
    before = calls()
    followers = [follow(container) for _ in range(20)]
    until(lambda: calls() >= before + 20)
    for follower in followers:
        follower.close()
    until(lambda: calls() <= before)
    until(lambda: own() <= 3, what="the segment as it is written and sent, and the cursor")
    container.write(timed(10, 20))
    until(lambda: texts(container.logs()) == sized(range(20)))


def test_a_follower_that_does_not_read_holds_up_nobody(engine: Engine, container: Container, follow: Follow) -> None:
    assert engine.process
    statm = Path(f"/proc/{engine.process.pid}/statm")
    stuck = follow(container, reading=False)
    before = int(statm.read_text().split()[1]) * 4096
    reader = follow(container, Tail=0)
    last = line(39_999, 500)
    container.write(timed(0, 40_000, size=500))
    until(lambda: last in reader.data)
    assert int(statm.read_text().split()[1]) * 4096 - before < 16 << 20
    assert engine.call("LogDriver.Capabilities", timeout=5)
    stuck.start()
    until(lambda: last in stuck.data)
    assert stuck.texts() == sized(range(40_000), 500)


# The request


def test_times_as_go_writes_them() -> None:
    def since(text: object) -> int:
        return ReadConfig.from_request({"Since": text}).since

    assert since("2026-01-02T15:00:00Z") == BEGIN
    assert since("2026-01-02T15:00:00.000000001Z") == BEGIN + 1
    assert since("2026-01-02T15:00:00.5Z") == BEGIN + SECOND // 2
    assert since("2026-01-02T16:30:00.123456789+01:30") == BEGIN + 123_456_789
    assert since("0001-01-01T00:00:00Z") == since(None) == since("") == 0
    assert since("1969-12-31T23:59:59Z") == -SECOND
    wrong_times: tuple[object, ...] = (
        "yesterday",
        "2026-13-01T00:00:00Z",
        "2026-01-02 15:00:00",
        5,
        [],
        "2026-01-02T15:00:00",
    )
    for wrong in wrong_times:
        with pytest.raises(ProtocolError, match="Since"):
            since(wrong)


def test_what_is_missing_means_everything() -> None:
    assert ReadConfig.from_request(None) == ReadConfig.from_request({}) == ReadConfig(0, 0, -1, False)
    not_objects: tuple[object, ...] = ([], "x", 5)
    for wrong in not_objects:
        with pytest.raises(ProtocolError, match="Config"):
            ReadConfig.from_request(wrong)
    with pytest.raises(ProtocolError, match="Tail"):
        ReadConfig.from_request({"Tail": "10"})


def test_lines_of_both_streams_keep_their_order(container: Container) -> None:
    written(container, b"".join(lines(n, n + 1, (b"stdout", b"stderr")[n % 2]) for n in range(100)))
    assert texts(container.logs()) == sized(range(100))
