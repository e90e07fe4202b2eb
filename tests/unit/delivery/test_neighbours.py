"""One container's poison, by kind, protocol and share of its lines: what its neighbours notice of it.

Real sockets, and a collector (or a proxy before it) that fails every request with a marked line in it. Neighbours print
a line now and then; all of them arrive, in order, and no later than twice the usual.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import pytest

from otellogdriver.delivery import apart
from otellogdriver.delivery.pump import Pump
from otellogdriver.export.client import client_for
from otellogdriver.export.destination import Destination
from tests.fakes import behaviour as do
from tests.fakes import http2
from tests.fakes.behaviour import Behaviour
from tests.fakes.engine import frame
from tests.fakes.otlp_server import OtlpServer
from tests.fakes.received import read_records
from tests.scene import LONG, line, number
from tests.unit.delivery.accounting import check, fates
from tests.unit.delivery.pump_scene import Scene

HTTP, GRPC = "http/protobuf", "grpc"
MARK = b"poison"
NEIGHBOURS = ("a", "b", "c")
LINES, EVERY = 25, 0.02
"""Lines that each neighbour prints in a phase, and the seconds between two of them."""
DELAY, TIMEOUT = 0.1, 0.3
NOISE = 0.1
"""Seconds that a machine with something else to do may take for itself."""

REFUSALS = ("400", "413", "500", "partial")
KINDS: dict[tuple[str, str], Behaviour] = {
    (HTTP, "400"): do.status(400),
    (HTTP, "413"): do.status(413),
    (HTTP, "403"): do.status(403),
    (HTTP, "500"): do.status(500),
    (HTTP, "502"): do.status(502),
    (HTTP, "503"): do.status(503),
    (HTTP, "429"): do.status(429),
    (HTTP, "abort"): do.close(within=200),
    (HTTP, "reset"): do.close(),
    (HTTP, "hang"): do.hang(),
    (HTTP, "partial"): do.partial(1),
    (GRPC, "400"): do.status("INVALID_ARGUMENT"),
    (GRPC, "413"): do.status("RESOURCE_EXHAUSTED"),
    (GRPC, "403"): do.status("PERMISSION_DENIED"),
    (GRPC, "500"): do.status("INTERNAL"),
    (GRPC, "503"): do.status("UNAVAILABLE"),
    (GRPC, "429"): do.status("RESOURCE_EXHAUSTED", retry_after="0.02"),
    (GRPC, "abort"): do.ok(),
    (GRPC, "reset"): do.ok(),
    (GRPC, "hang"): do.hang(),
    (GRPC, "partial"): do.partial(1),
}
BROKEN_OFF: dict[tuple[str, str], int | None] = {(GRPC, "abort"): None, (GRPC, "reset"): 2}
"""What a proxy before the collector does and a server of gRPC cannot: it resets the stream with a code, or aborts the
connection, and with it whatever else is on its way there."""
SHARES = {"1 in 1,000": (1000, {500}), "2 %": (200, {20, 70, 120, 170}), "50 %": (40, set(range(0, 40, 2)))}
"""Lines of the container with poison, and which of them are marked."""


class Street(Scene):
    """A pump with a real client, a container with poison, and neighbours whose lines have a time."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.printed: dict[tuple[str, int], float] = {}
        self.twice: set[str] = set()
        """Neighbours of which a line came more than once."""

    def open(self, endpoint: str, protocol: str) -> None:
        destination = Destination((endpoint,), protocol, compression="none", timeout=TIMEOUT)
        self.pump = Pump(destination, client_for(destination), self.executor, lambda _: None, delay=DELAY)
        for name in (*NEIGHBOURS, "f"):
            self.feed(name)

    async def print(self, begin: int, poison: list[bytes]) -> None:
        """LINES lines of each neighbour, and what the other prints meanwhile."""
        for count in range(begin, begin + LINES):
            for name in NEIGHBOURS:
                self.printed[name, count] = time.monotonic()
                self.write(name, frame(line(count), b"stdout", count + 1))
            if poison:
                self.write("f", poison.pop(0))
            await asyncio.sleep(EVERY)

    def delays(self, server: OtlpServer, begin: int) -> list[float]:
        """Sorted, of the neighbours' lines from `begin` on; also checks that all came and in order."""
        came: dict[str, list[tuple[int, float]]] = {name: [] for name in NEIGHBOURS}
        for request in server.requests:
            if request.behaviour.taken:
                for record in read_records(request.body):
                    if (name := record.container[0]) in came:
                        came[name].append((number(record.body), request.at))
        for name in NEIGHBOURS:
            first = dict(reversed(came[name]))
            if len(first) < len(came[name]):
                self.twice.add(name)
            came[name] = [(count, at) for count, at in came[name] if first.pop(count, None) is not None]
            assert [count for count, _ in came[name]] == list(range(begin + LINES)), f"lines of neighbour {name}"
        return sorted(at - self.printed[name, count] for name in came for count, at in came[name] if count >= begin)

    async def delivered(self) -> None:
        async with asyncio.timeout(LONG):
            while any(self.feeds[name].delivered < self.feeds[name].stream.end for name in NEIGHBOURS):
                await asyncio.sleep(0.005)


@pytest.mark.measures
@pytest.mark.parametrize(("protocol", "kind"), KINDS)
async def test_neighbours_of_poison_get_all_their_lines_in_time(
    protocol: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best of three looks at each share counts for delays, and for lines that come twice: a machine that stands
    still longer than the time-out has the driver send again what arrived. All have to arrive in each look."""
    monkeypatch.setattr(apart, "POISON_AGE", 0.2)
    monkeypatch.setattr(apart, "_FIRST_PAUSE", 0.02)
    late = dict.fromkeys(SHARES, "")
    for look in range(3):
        async with asyncio.TaskGroup() as group:
            looks = {
                share: group.create_task(lateness(protocol, kind, share, tmp_path / f"{look}-{number}"))
                for number, share in enumerate(late)
            }
        late = {share: found for share, task in looks.items() if (found := task.result())}
        if not late:
            return
    pytest.fail(f"{late}")


async def lateness(protocol: str, kind: str, share: str, directory: Path) -> str:
    """What came later than it may, in words; "" if nothing did."""
    directory.mkdir()
    count, bad = SHARES[share]
    texts = [line(each) + (MARK if each in bad else b"") for each in range(2 * count)]
    frames = [frame(text, b"stdout", index + 1) for index, text in enumerate(texts)]
    each = -(-count // LINES)
    poison, good = (
        [b"".join(frames[at : at + each]) for at in range(begin, begin + count, each)] for begin in (0, count)
    )
    street = Street(directory)
    async with contextlib.AsyncExitStack() as stack:
        server = OtlpServer(protocol, judge=lambda body: KINDS[protocol, kind] if MARK in body else None)
        await stack.enter_async_context(server)
        endpoint = server.endpoint
        if (protocol, kind) in BROKEN_OFF:
            code = BROKEN_OFF[protocol, kind]
            endpoint = await stack.enter_async_context(http2.breaking(endpoint, MARK, code))
        try:
            street.open(endpoint, protocol)
            await street.print(0, good)
            await street.delivered()
            usual = street.delays(server, 0)
            begin, late = LINES, ""
            if kind == "hang":  # who shares the very first request with poison waits for its time-out
                first = min(bad) // each + 1
                await street.print(begin, poison[:first])
                await street.delivered()
                late += over(
                    "the last one beside the first poison", street.delays(server, begin)[-1:], usual[-1:], 3 * TIMEOUT
                )
                begin, poison = begin + LINES, poison[first:]
            await street.print(begin, poison)
            await street.delivered()
            delays = street.delays(server, begin)
            most = slice(len(usual) * 9 // 10 + 1)
            late += over("nine of ten", delays[most], usual[most], NOISE)
            late += over("the last one", delays, usual, DELAY + NOISE)
            for name in NEIGHBOURS:
                assert kind == "partial" or fates(street.feeds[name]) == {"delivered": begin + LINES, "waiting": 0}
            if kind in REFUSALS:
                await street.settled()
                lost = street.feeds["f"].counters.given_up
                assert set(lost) <= {"rejected" if kind == "partial" else "refused"}
                assert kind == "partial" or lost == {"refused": len(bad)}
                taken = {number(record.body) for record in server.records() if record.container[0] == "f"}
                assert kind == "partial" or taken == set(range(2 * count)) - bad
            check(street.feeds.values())
            if street.twice and (protocol, kind) != (GRPC, "abort"):  # which takes answers of others along
                late += f"lines of {', '.join(sorted(street.twice))} came twice; "
            return late
        finally:
            await street.close()


def over(what: str, delays: list[float], usual: list[float], more: float) -> str:
    """In words, if the last of the sorted delays is beyond twice the usual and `more` seconds."""
    most = 2 * usual[-1] + more
    return "" if delays[-1] <= most else f"{what}: {delays[-1]:.3f} s, at most {most:.3f} s; "
