"""The journal's limit, reached in an outage by real containers: each policy gives up what it says, and counts it."""

from __future__ import annotations

import pytest

from otellogdriver.intake.fifo import PIPE_SIZE
from tests.engine.fault_scene import Scene
from tests.engine.loopback import wait_for
from tests.engine.numbers import until_stopped
from tests.engine.stopwatch import LONGEST, Stopwatch
from tests.fakes.server_thread import ServerThread

LINES = 100_000
"""About 3 MB as frames."""


@pytest.mark.parametrize("policy", ("drop-oldest", "drop-newest"))
def test_lines_beyond_the_limit_are_given_up_and_counted(scene: Scene, server: ServerThread, policy: str) -> None:
    server.down()
    name = f"limit-{policy}"
    container = scene.run(name, f"seq 1 {LINES}", journal_max_size="1m", journal_full=policy)
    scene.wait_exit(name)
    most = (1 << 20) + PIPE_SIZE  # what one read may add
    wait_for(lambda: scene.metric("undelivered_bytes", container) <= most, "journal within its limit", 20)
    server.up()
    wait_for(lambda: scene.metric("undelivered_bytes", container) == 0, "end", 60)
    dropped = scene.metric("dropped_lines_total", container)
    row = scene.row(f"journal full, {policy}", {container: LINES}, dropped, note="counted: journal_full")
    assert dropped and dropped == scene.plugin.metric(
        "otellogdriver_dropped_lines_total", container_id=container, reason="journal_full"
    )
    arrived = scene.ledger.lines[container, "stdout"].keys()
    if policy == "drop-newest":
        assert arrived == set(range(1, row.received + 1))
    else:  # what was in flight when the limit was reached is not taken back
        assert arrived >= set(range(LINES - 10_000, LINES + 1))


@pytest.mark.measures
def test_block_stops_the_container_and_nothing_else(scene: Scene, server: ServerThread) -> None:
    """The engine has a buffer of 1 MB for each container, so it takes some lines until it stands still. Who asks for it
    meanwhile is answered; only its end would have to wait."""
    watch, name, other = Stopwatch(scene.engine), "blocks", "goes-on"
    server.down()
    container = scene.run(
        name, until_stopped(name, pause=0.01, width=1000), journal_max_size="256k", journal_full="block"
    )
    neighbour = scene.run(other, until_stopped(other))
    scene.stand_still(name)
    assert scene.plugin.metric("otellogdriver_blocked_streams") == 1
    blocked_at, before = scene.printed(name), scene.printed(other)
    driver = scene.driver()
    short = scene.out / "short.id"
    for command in (
        ("ps",),
        ("inspect", name),
        ("logs", "--tail=1", name),
        ("run", "--rm", f"--cidfile={short}", *driver, "busybox", "echo", "1"),
        ("stop", other),
        ("rm", other),
    ):
        watch.docker("block", *command)
    scene.names.remove(other)
    wait_for(lambda: scene.printed(other) > before, "lines of the other container")
    assert scene.printed(name) == blocked_at
    server.up()
    scene.go_on(name)
    sent = {container: scene.stop(name), neighbour: scene.printed(other), short.read_text(): 1}
    scene.row("journal full, block", sent, slowest=watch.slowest(), note=f"the container waited at line {blocked_at}")
    assert watch.slowest().seconds <= LONGEST
    assert scene.metric("dropped_lines_total", container) == 0
