"""A pump with real streams and a client that does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from otellogdriver.codec import python, wire
from otellogdriver.codec.contract import EncodeOptions
from otellogdriver.container import Container
from otellogdriver.delivery.feed import Feed
from otellogdriver.delivery.pump import Pump
from otellogdriver.export.destination import Destination
from otellogdriver.export.outcome import Body, Delivered, Denied, Outcome, Refused, Retry
from otellogdriver.journal.cursor import Cursor
from otellogdriver.journal.entry import Entry
from otellogdriver.journal.stream import Stream
from otellogdriver.pool import Pool
from otellogdriver.resource import resource_of, this_host
from otellogdriver.settings.options import resolve
from tests.fakes.engine import frame
from tests.fakes.received import read_records
from tests.scene import LONG, line, number

DESTINATION = Destination(("http://127.0.0.1:1",), "http/protobuf", compression="none")
Answer = Callable[[bytes], Awaitable[Outcome]]

MARK = b"poison"
"""A record with it fails."""

KINDS: dict[str, Outcome] = {
    "denied": Denied("403"),
    "reset": Retry("unreachable", "reset", broke=True),
    "timeout": Retry("timeout", "no answer", broke=True),
    "gateway": Retry("unavailable", "502", broke=True),
}
"""Ways to fail, of which each may be the destination's or the request's."""


async def deliver(_: bytes) -> Outcome:
    return Delivered()


class Client:
    """Sends to `answer`; keeps what was taken, in the order of the answers."""

    def __init__(self, answer: Answer = deliver) -> None:
        self.answer = answer
        self.bodies: list[bytes] = []
        self.taken: list[tuple[str, int]] = []
        self.in_flight = self.most_in_flight = 0
        self.closed = False

    async def send(self, pieces: Body, alone: bool = False) -> Outcome:
        body = b"".join(pieces)
        self.bodies.append(body)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            outcome = await self.answer(body)
        finally:
            self.in_flight -= 1
        if isinstance(outcome, Delivered):
            self.taken += [(record.container, number(record.body)) for record in read_records(body)]
        return outcome

    async def close(self) -> None:
        self.closed = True

    def of(self, name: str) -> list[int]:
        return [each for container, each in self.taken if container == name.ljust(64, "0")]


class Scene:
    """A pump and the feeds of containers named by a hexadecimal digit or two."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.executor = Pool(2, "test")
        self.client = Client()
        self.feeds: dict[str, Feed] = {}
        self.pump: Pump

    def start(self, answer: Answer = deliver, **settings: float) -> Client:
        self.client = Client(answer)
        given = {"delay": 0.02, **settings}
        self.pump = Pump(DESTINATION, self.client, self.executor, lambda _: None, **given)  # type: ignore[arg-type]
        return self.client

    def feed(self, name: str, segment_size: int = 1 << 20) -> Feed:
        identifier = name.ljust(64, "0")
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        stream = Stream(directory, segment_size=segment_size)
        container = Container(identifier, name)
        resource = wire.resource(resource_of(container, resolve({}, {}), this_host({})).attributes)
        entry = Entry(identifier, f"/{name}", {}, stream)
        made = Feed(entry, Cursor(directory / "cursor"), python, EncodeOptions(), resource)
        self.feeds[name] = made
        return made

    def write(self, name: str, data: bytes) -> None:
        feed = self.feeds[name]
        feed.stream.append(data)
        self.pump.poke(feed)

    async def settled(self) -> None:
        """Wait until every feed has delivered or given up everything."""
        async with asyncio.timeout(LONG):
            while any(feed.delivered < feed.stream.end for feed in self.feeds.values()):
                await asyncio.sleep(0.002)

    async def close(self) -> None:
        if hasattr(self, "pump"):
            await self.pump.close()
        for feed in self.feeds.values():
            feed.close()
            feed.stream.close()
        self.executor.shutdown()


def marked(begin: int, end: int, bad: set[int]) -> bytes:
    """Frames of lines, the bad ones with the mark."""
    texts = {each: line(each) + (MARK if each in bad else b"") for each in range(begin, end)}
    return b"".join(frame(text, b"stdout", each + 1) for each, text in texts.items())


def refuse(body: bytes) -> Outcome:
    return Refused("bad")


def answering(to_marked: Callable[[bytes], Outcome]) -> Answer:
    async def answer(body: bytes) -> Outcome:
        return to_marked(body) if MARK in body else Delivered()

    return answer
