"""Records in a real VictoriaLogs, from the driver itself and through a collector, and the traps of this store.

The engine is simulated. What the store does to a record is in docs/MIGRATING.md, under *VictoriaLogs*.
"""

from __future__ import annotations

import base64
import calendar
import json
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing_means_skip
from tests.engine.gateway import Gateway
from tests.engine.loopback import wait_for
from tests.engine.victorialogs import Row, VictoriaLogs
from tests.fakes.engine import Container, Engine, frame, pieces
from tests.process.metrics_port import row, started
from tests.tools.collector import collector as build_collector
from tests.tools.victorialogs import victorialogs

DAY = 86400 * 10**9
TRACE, SPAN = secrets.token_hex(16), secrets.token_hex(8)
RECORD: dict[str, Any] = {
    "level": "error",
    "msg": "card declined",
    "trace_id": TRACE,
    "span_id": SPAN,
    "n": 7,
    "order": {"items": [1, "two"]},
}


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    with missing_means_skip():
        victorialogs()
        build_collector()


@pytest.fixture(params=["direct", "collector"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[VictoriaLogs, Engine]]:
    """A store, and a driver whose records get there."""
    with VictoriaLogs(tmp_path / "store") as store:
        if request.param == "direct":
            with Engine(tmp_path / "driver", {"OTEL_EXPORTER_OTLP_ENDPOINT": store.endpoint}) as engine:
                yield store, engine
        else:
            with (
                Gateway(tmp_path / "collector", store) as collector,
                Engine(tmp_path / "driver", {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.http}) as engine,
            ):
                yield store, engine


def direct(store: VictoriaLogs, folder: Path) -> Engine:
    return Engine(folder, {"OTEL_EXPORTER_OTLP_ENDPOINT": store.endpoint})


def nanoseconds(row: Row) -> int:
    """When a record was printed; the store cuts zeros at the end off."""
    moment, _, fraction = row["_time"].removesuffix("Z").partition(".")
    return calendar.timegm(time.strptime(moment, "%Y-%m-%dT%H:%M:%S")) * 10**9 + int(fraction.ljust(9, "0"))


def arrived(store: VictoriaLogs, count: int, query: str = "*") -> list[Row]:
    """The records in the order of their times, as soon as there are that many. The store counts them a moment before it
    gives them out, so it is the records themselves that are waited for."""
    found: list[Row] = []

    def all_given() -> bool:
        found[:] = store.rows(query)
        return len(found) >= count

    wait_for(all_given, f"{count} records from the store", 20, 0.1)
    assert len(found) == count
    return sorted(found, key=nanoseconds)


def write(container: Container, *lines: bytes) -> None:
    """Lines one nanosecond apart, so that their order is known."""
    now = time.time_ns()
    container.write(b"".join(frame(line, time_nano=now + place) for place, line in enumerate(lines)))


def test_what_becomes_of_a_record(way: tuple[VictoriaLogs, Engine]) -> None:
    store, engine = way
    container = started(engine, "shop-1", service_name="shop", parse="json")
    lines = ["größer als 3 €".encode(), json.dumps(RECORD).encode(), b"\xff\xfe\x00", b"x" * 100_000]
    begun = time.time_ns()
    write(container, *lines)
    container.write(frame(b"on the other stream", b"stderr"))
    plain, parsed, binary, long, other = arrived(store, 5)

    assert plain["_msg"] == "größer als 3 €"
    assert (plain["severity_number"], plain["severity_text"]) == ("0", "Unspecified")
    assert (plain["log.iostream"], other["log.iostream"]) == ("stdout", "stderr")
    assert (plain["service.name"], plain["container.name"]) == ("shop", "shop-1")
    assert plain["container.id"] == container.id and "trace_id" not in plain
    assert binary["_msg"] == "\ufffd\ufffd\x00"
    assert base64.b64decode(binary["log.record.original"]) == b"\xff\xfe\x00"
    assert long["_msg"] == "x" * 100_000

    assert parsed["_msg"] == "card declined"
    assert (parsed["severity_number"], parsed["severity_text"]) == ("17", "error")
    assert (parsed["trace_id"], parsed["span_id"]) == (TRACE, SPAN)
    assert parsed["n"] == "7" and json.loads(parsed["order.items"]) == [1, "two"]
    assert begun <= nanoseconds(plain) <= time.time_ns()
    assert nanoseconds(parsed) - nanoseconds(plain) == 1


def test_how_it_is_asked(way: tuple[VictoriaLogs, Engine]) -> None:
    store, engine = way
    write(started(engine, "shop-1", service_name="shop", parse="json"), b"fine", json.dumps(RECORD).encode())
    write(started(engine, "cart-1", service_name="cart"), b"fine")
    arrived(store, 3)
    assert store.count('{service.name="shop"}') == 2
    assert [one["_msg"] for one in store.rows(f'trace_id:="{TRACE}"')] == ["card declined"]
    assert store.count("severity_number:range[17,20]") == 1
    assert sorted(store.values("service.name")) == ["cart", "shop"]


def test_an_empty_line_gets_the_stores_own_text(way: tuple[VictoriaLogs, Engine]) -> None:
    store, engine = way
    write(started(engine, "shop-1"), b"before", b"", b"after")
    before, empty, after = arrived(store, 3)
    assert (before["_msg"], after["_msg"]) == ("before", "after")
    assert empty["_msg"].startswith("missing _msg field")


def test_what_the_store_does_not_take_costs_no_neighbour(tmp_path: Path) -> None:
    """Too long, too old, too far ahead: it acknowledges them and drops them, which no sender can see."""
    with VictoriaLogs(tmp_path / "store", "-retentionPeriod=7d") as store, direct(store, tmp_path / "driver") as engine:
        container = started(engine, "shop-1")
        write(container, b"first")
        container.write(pieces(b"y" * ((2 << 20) - 100)))
        container.write(frame(b"a month old", time_nano=time.time_ns() - 30 * DAY))
        container.write(frame(b"in three days", time_nano=time.time_ns() + 3 * DAY))
        container.write(frame(b"five days old", time_nano=time.time_ns() - 5 * DAY))
        write(container, b"last")
        found = {one["_msg"] for one in arrived(store, 3)}
        assert found == {"first", "five days old", "last"}
        wait_for(lambda: row(engine, "shop-1")["delivered"] == 6, "six acknowledged", 10)


def test_a_retention_of_years_takes_what_an_outage_made_old(tmp_path: Path) -> None:
    with VictoriaLogs(tmp_path / "store") as store, direct(store, tmp_path / "driver") as engine:
        container = started(engine, "shop-1")
        container.write(frame(b"a year old", time_nano=time.time_ns() - 365 * DAY))
        assert [one["_msg"] for one in arrived(store, 1)] == ["a year old"]


def test_with_little_disk_it_asks_to_wait_and_nothing_is_lost(tmp_path: Path) -> None:
    full = VictoriaLogs(tmp_path / "store", "-storage.minFreeDiskSpaceBytes=900TiB")
    with full as store, direct(store, tmp_path / "driver") as engine:
        container = started(engine, "shop-1", 100)
        wait_for(lambda: engine.metric("otellogdriver_requests_total", outcome="throttled"), "429", 20)
        assert row(engine, "shop-1")["delivered"] == 0 and row(engine, "shop-1")["dropped"] == {}
        store.stop()
        store.flags = ()
        store.start()
        write(container, b"at last")
        assert len(arrived(store, 101)) == 101
        assert row(engine, "shop-1")["dropped"] == {}


def test_killed_it_has_lost_at_most_its_last_seconds(tmp_path: Path) -> None:
    """What it acknowledged it may hold in memory for a moment; the driver's part is that nothing else is missing."""
    with VictoriaLogs(tmp_path / "store") as store, direct(store, tmp_path / "driver") as engine:
        container = started(engine, "shop-1")
        printed: list[float] = []
        ended = threading.Event()

        def prints() -> None:
            while not ended.wait(0.005):
                container.write(frame(b"%d" % len(printed)))
                printed.append(time.monotonic())

        thread = threading.Thread(target=prints)
        thread.start()
        try:
            wait_for(lambda: store.count("*") > 1000, "records", 30, 0.2)
            killed = time.monotonic()
            store.kill()
            wait_for(lambda: engine.metric("otellogdriver_destination_up") == 0, "destination away", 10)
            store.start()
            wait_for(lambda: engine.metric("otellogdriver_destination_up") == 1, "destination back", 10)
        finally:
            ended.set()
            thread.join()
        total = len(printed)
        wait_for(lambda: row(engine, "shop-1")["delivered"] == total, "all acknowledged", 20)

        def lost() -> set[float]:
            found = {int(one["_msg"]) for one in store.rows("*")}
            return {printed[number] for number in set(range(total)) - found}

        # What it has taken it shows a second or more later, and not in order.
        wait_for(lambda: all(killed - 5 < when < killed for when in lost()), "all but its last seconds", 20, 0.2)
