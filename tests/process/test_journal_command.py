"""`journal ls` and `journal show`: beside a driver that runs, on a copy, on what is damaged; nothing is changed."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from otellogdriver.codec import python
from otellogdriver.commands.amounts import moment
from otellogdriver.commands.journal.lines import first_time, last_time, offset_at, tail_at
from otellogdriver.journal.segment import scan
from otellogdriver.journal.stream import Stream
from tests.fakes.behaviour import hang
from tests.fakes.engine import Engine, frame, pieces
from tests.fakes.server_thread import ServerThread
from tests.process.command_line import COMMAND, environment, run, told
from tests.process.kept_lines import BEGAN, DEAD, everything, kept, listed, started
from tests.scene import content, until


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": DEAD}) as engine:
        yield engine


def shown(engine: Engine, *arguments: object) -> list[str]:
    """The last word of each line shown."""
    done = run("journal", "show", "--state", engine.state, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return [line.rsplit("  ", 1)[1] for line in done.stdout.splitlines()]


# ls


def test_what_waits(engine: Engine) -> None:
    web = started(engine, "web", 100)
    web.write(frame(b"warning", b"stderr") + pieces(b"x" * 40_000) + pieces(b"name? ", ended=False))
    gone = started(engine, "gone", 3)
    gone.write(pieces(b"name? ", ended=False))
    gone.stop()
    until(lambda: listed(engine)["gone"]["ended"])

    rows = listed(engine)
    web_waits, gone_waits = (rows[name]["destinations"]["main"] for name in ("web", "gone"))
    assert rows["web"]["bytes"] == web_waits["undelivered_bytes"] == kept(engine, web)
    assert web_waits["undelivered_lines"] == 102, "the prompt has no end yet"
    assert gone_waits["undelivered_lines"] == 4, "a container that has ended has no line without an end"
    assert web_waits["waiting_since"] == moment(BEGAN * 10**9)
    assert (web_waits["delivered_until"], rows["web"]["ended"]) == (None, None)

    text = run("journal", "ls", "--state", engine.state).stdout.splitlines()
    assert text[0].split()[:4] == ["CONTAINER", "NAME", "STREAM", "KEPT"]
    assert next(line for line in text if " web " in line).startswith(web.id[:12])
    assert text[-1].startswith("2 streams of 2 containers, ")


def test_what_is_delivered(tmp_path: Path) -> None:
    with (
        ServerThread() as collector,
        Engine(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.server.endpoint}) as engine,
    ):
        started(engine, "web", 100)
        until(lambda: listed(engine)["web"]["destinations"]["main"]["undelivered_bytes"] == 0)
        assert listed(engine)["web"]["destinations"]["main"] == {
            "undelivered_bytes": 0,
            "undelivered_lines": 0,
            "delivered_until": moment((BEGAN + 99) * 10**9),
            "waiting_since": None,
            "cursor_damaged": False,
        }
        assert listed(engine, "--waiting") == {}


def test_a_mirror_has_its_own_word(tmp_path: Path) -> None:
    with (
        ServerThread() as collector,
        Engine(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.server.endpoint}) as engine,
    ):
        started(engine, "web", 10, otlp_mirror=DEAD)
        until(lambda: listed(engine)["web"]["destinations"]["main"]["undelivered_lines"] == 0)
        assert listed(engine, "--waiting")["web"]["destinations"]["mirror"]["undelivered_lines"] == 10
        assert "(mirror)" in run("journal", "ls", "--state", engine.state).stdout
        assert shown(engine, "web", "--undelivered") == []
        assert len(shown(engine, "web", "--undelivered", "--mirror")) == 10


# show


def test_lines_of_named_containers(engine: Engine) -> None:
    web, db = started(engine, "web", 3), started(engine, "db", 2)
    assert shown(engine, "web") == ["web 0", "web 1", "web 2"]
    assert shown(engine, "/db") == shown(engine, db.id[:8]) == ["db 0", "db 1"]
    assert sorted(shown(engine)) == ["db 0", "db 1", "web 0", "web 1", "web 2"]
    text = run("journal", "show", "--state", engine.state, web.id).stdout
    assert text.splitlines()[1] == f"{moment((BEGAN + 1) * 10**9)}  web  stdout  web 1"

    done = run("journal", "show", "--state", engine.state, "wbe")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "otellogdriver journal: no container 'wbe' in the journal; there are: db, web\n"


def test_all_fields_as_json(engine: Engine) -> None:
    container = started(engine, "web", 0, service_name="shop")
    container.write(pieces(b"y" * 20_000, b"stderr") + frame(b"caf\xe9"))
    until(lambda: kept(engine, container) > 20_000)
    done = run("journal", "show", "--state", engine.state, "web", "--json")
    long, binary = map(json.loads, done.stdout.splitlines())
    assert long["body"] == "y" * 20_000
    assert long["attributes"] == {"log.iostream": "stderr"}
    assert (long["resource"]["container.id"], long["resource"]["service.name"]) == (container.id, "shop")
    assert binary["body"] == "caf\ufffd"
    assert binary["attributes"] == {"log.iostream": "stdout", "log.record.original": {"bytes": "Y2Fm6Q=="}}


def test_since_and_until(engine: Engine) -> None:
    started(engine, "web", 1000)
    since, end = moment((BEGAN + 10) * 10**9), moment((BEGAN + 12) * 10**9)
    assert shown(engine, "web", "--since", since, "--until", end) == ["web 10", "web 11", "web 12"]
    assert len(shown(engine, "web", "--since", since)) == 990
    assert shown(engine, "web", "--until", end, "--tail", 2) == ["web 11", "web 12"]
    assert shown(engine, "web", "--since", "2286-11-20T17:46:40Z") == []
    assert shown(engine, "web", "--until", "1h") == [], "all of them are printed in the future"


def test_tail_goes_back_over_restarts(engine: Engine) -> None:
    first = started(engine, "web", 500)
    first.stop()
    again = engine.container("web", {})
    again.id = again.info["ContainerID"] = first.id
    assert again.start() == {"Err": ""}
    again.write(b"".join(frame(b"again %d" % number, time_nano=(BEGAN + 600) * 10**9) for number in range(3)))
    until(lambda: kept(engine, first) > 500 * 20 + 50)
    assert shown(engine, "web", "--tail", 5) == ["web 498", "web 499", "again 0", "again 1", "again 2"]
    assert shown(engine, "web", "--tail", 0) == []
    assert len(shown(engine, "web", "--tail", 10_000)) == 503


def test_undelivered_lines_alone(tmp_path: Path) -> None:
    with (
        ServerThread() as collector,
        Engine(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.server.endpoint}) as engine,
    ):
        container = started(engine, "web", 5)
        until(lambda: listed(engine)["web"]["destinations"]["main"]["undelivered_lines"] == 0)
        collector.server.default = hang()
        container.write(frame(b"more 1") + frame(b"more 2"))
        until(lambda: listed(engine)["web"]["destinations"]["main"]["undelivered_lines"] == 2)
        assert shown(engine, "web", "--undelivered") == ["more 1", "more 2"]
        assert shown(engine, "web", "--undelivered", "--tail", 1) == ["more 2"]


# On any directory


def test_nothing_is_changed(engine: Engine, tmp_path: Path) -> None:
    started(engine, "web", 100)
    started(engine, "gone", 100).stop()
    engine.kill()
    copy = tmp_path / "copy"
    shutil.copytree(engine.state, copy)
    before = everything(copy)
    os.chmod(copy, 0o555)
    for arguments in (("ls",), ("show",), ("show", "--tail", "3"), ("export", "--output", str(tmp_path / "lines"))):
        assert run("journal", *arguments, "--state", copy).returncode == 0
    done = run("journal", "export", "--otlp-endpoint", DEAD, "--patience", "0.3", "--state", copy)
    assert done.returncode == 1
    assert everything(copy) == before
    assert os.stat(copy).st_mode & 0o777 == 0o555
    assert len((tmp_path / "lines").read_text().splitlines()) == 200


def test_the_driver_own_directory_is_found_by_its_variable(engine: Engine) -> None:
    started(engine, "web", 2)
    rows = told("journal", "ls", environ={"OTELLOGDRIVER_STATE_DIRECTORY": str(engine.state)})
    assert [row["name"] for row in rows] == ["web"]
    done = run("journal", "ls", environ={"OTELLOGDRIVER_STATE_DIRECTORY": str(engine.state / "nowhere")})
    assert done.returncode == 1 and "does not exist" in done.stderr


@pytest.mark.skipif(os.path.exists("/run/docker/logging/.state"), reason="a driver is installed here")
def test_without_a_driver_or_an_engine_it_says_what_to_give() -> None:
    done = run("journal", "ls")
    assert done.returncode == 1
    assert "/run/docker/logging/.state does not exist, and the engine cannot be asked" in done.stderr


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("journal", "ls", "--state", tmp_path)
    assert done.returncode == 1 and "is no state directory" in done.stderr
    (tmp_path / "file").unlink()
    assert told("journal", "ls", "--state", tmp_path) == []


def test_damage_is_told_and_read_around(engine: Engine) -> None:
    container = started(engine, "web", 50)
    started(engine, "db", 5)
    engine.kill()
    (directory,) = (engine.state / "containers" / container.id).iterdir()
    (segment,) = directory.glob("*.log")
    data = bytearray(segment.read_bytes())
    data[200:240] = b"\xff" * 40
    segment.write_bytes(data)
    (directory / "meta.json").write_text("{")
    (directory / "cursor").write_bytes(b"nonsense" * 16)
    (engine.state / "containers" / "foreign").touch()
    (directory.parent / "doomed-00000009-x").mkdir()
    done = run("journal", "ls", "--json", "--state", engine.state)
    assert "meta.json" in done.stderr and "damaged" in done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    waits = rows[""]["destinations"]["main"]
    assert waits["cursor_damaged"] and 45 < waits["undelivered_lines"] < 50
    assert rows["db"]["destinations"]["main"]["undelivered_lines"] == 5
    lines = run("journal", "show", "--state", engine.state, container.id[:6]).stdout.splitlines()
    assert len(lines) == waits["undelivered_lines"]


def test_a_segment_that_is_just_being_packed_keeps_both_files(tmp_path: Path) -> None:
    stream = Stream(tmp_path, segment_size=1 << 12)
    stream.append(b"".join(frame(b"%06d" % number, time_nano=BEGAN * 10**9 + number) for number in range(1000)))
    stream.close()
    whole = content(stream)
    stream.segments[0].pack()
    before = everything(tmp_path)
    snapshot = Stream(tmp_path, found=scan(tmp_path))
    assert everything(tmp_path) == before
    snapshot.segments[0].path.unlink()  # the driver goes on
    assert content(snapshot) == whole


# Places in a stream


def test_places_by_time_and_number(tmp_path: Path) -> None:
    stream = Stream(tmp_path, segment_size=1 << 16)
    offsets = []
    for number in range(5000):
        offsets.append(stream.end)
        stream.append(frame(b"x" * (number % 300), time_nano=BEGAN + number))
    offsets.append(stream.end)
    stream.close()
    assert len(stream.segments) > 10
    assert offset_at(stream, 0) == 0
    assert offset_at(stream, BEGAN + 5000) == stream.end
    for number in (0, 1, 77, 2500, 4998, 4999):
        assert offset_at(stream, BEGAN + number) == offsets[number]
        assert first_time(stream, offsets[number]) == BEGAN + number
        assert last_time(stream, python, offsets[number + 1]) == BEGAN + number
    assert last_time(stream, python, 0) == first_time(stream, stream.end) == 0
    for wanted, least in ((1, 0), (700, 0), (4000, 0), (100_000, 0), (700, offsets[4900])):
        place, found = tail_at(stream, python, wanted, least)
        inside = sum(place <= offset for offset in offsets[:-1])
        assert place >= least
        assert found <= inside
        assert found > wanted or place == max(least, stream.start)


def test_long_lines_and_gaps_have_places_too(tmp_path: Path) -> None:
    stream = Stream(tmp_path, segment_size=1 << 20)
    stream.append(b"garbage" + frame(b"x" * 500_000, time_nano=BEGAN))
    after = stream.end
    stream.resume_at(after + 1000)
    stream.append(frame(b"y", time_nano=BEGAN + 1))
    stream.close()
    assert first_time(stream, 0) == BEGAN
    assert offset_at(stream, BEGAN + 1) == after + 1000
    assert last_time(stream, python, stream.end) == BEGAN + 1
    assert last_time(stream, python, after) == BEGAN


# On a terminal


def test_other_options_are_tried_on_lines_that_are_there(engine: Engine) -> None:
    web = started(engine, "web", 0)
    web.write(frame(b'{"level":"warn","msg":"password=hunter2"}') + frame(b"ERROR failed") + frame(b"  at f (a.js:1)"))
    until(lambda: listed(engine)["web"]["bytes"] > 100)
    tried = [f"--log-opt={option}" for option in ("parse=json", "redact-pattern=hunter2", "multiline-pattern=auto")]
    done = run("journal", "show", "--state", engine.state, "web", "--json", *tried)
    bodies = [json.loads(line)["body"] for line in done.stdout.splitlines()]
    assert bodies[-2:] == ["password=****", "ERROR failed\n  at f (a.js:1)"]
    wrong = run("journal", "show", "--state", engine.state, "web", "--log-opt=parse=xml")
    assert wrong.returncode == 1 and '"parse": "xml" is not allowed' in wrong.stderr


def test_long_work_shows_a_bar_on_a_terminal(tmp_path: Path) -> None:
    directory = tmp_path / "containers" / "abc" / "00000000-fifo"
    directory.mkdir(parents=True)
    block = b"".join(frame(b"%0100d" % number, time_nano=BEGAN * 10**9) for number in range(10_000))
    with (directory / f"{0:020d}.log").open("wb") as file:
        for _ in range(60):
            file.write(block)
    master, slave = pty.openpty()
    command = [*COMMAND, "journal", "export", "--output", "-", "--state", str(tmp_path)]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=slave)
    os.close(slave)
    seen = b""
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end and (b"\x1b[K" not in seen or b"%" not in seen):
            if select.select([master], [], [], 1)[0]:
                seen += os.read(master, 4096)
    finally:
        process.kill()
        process.wait()
        os.close(master)
    assert b"% [" in seen and b" of 71 MiB  " in seen, seen
