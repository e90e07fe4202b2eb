"""Containers that print numbered lines, and the account of what became of these lines.

In: containers whose nth line on a stream is the number n. Out: how many of them arrived, and how often twice. A line
that nobody printed, an order that was not kept, two lines with one `log.record.uid` or one line with two of them fail
the test at once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.engine.collector import Collector
from tests.engine.loopback import wait_for
from tests.engine.records import read
from tests.fakes.received import read_records
from tests.fakes.server_thread import ServerThread

OUT = "/out"
"""Where a container says, in a file of its own, how far it is."""


def at_once(count: int) -> str:
    """A script that prints on both streams as fast as it can, and ends."""
    return f"seq 1 {count} & seq 1 {count} >&2; wait"


def until_stopped(name: str, burst: int = 50, pause: float = 0.02, width: int = 1) -> str:
    """A script that prints `burst` lines every `pause` seconds until SIGTERM, but not while there is `/out/quiet`;
    `/out/NAME` holds how many."""
    return (
        f"trap stop=1 TERM; i=0; while [ -z $stop ]; do [ -e {OUT}/quiet ] && sleep {pause} && continue; "
        f"end=$((i+{burst})); while [ $i -lt $end ]; do i=$((i+1)); printf '%0{width}d\\n' $i; done; "
        f"echo $i > {OUT}/{name}; sleep {pause}; done"
    )


def as_told(name: str) -> str:
    """A script that prints as many lines as the file `/out/NAME.to` says, and then says so in `/out/NAME`. The
    file has to be there at the start."""
    return (
        f"trap exit TERM; i=0; while sleep 0.02; do read to < {OUT}/{name}.to || to=0; "
        f"while [ $i -lt $to ]; do i=$((i+1)); echo $i; done; echo $i > {OUT}/{name}; done"
    )


def with_last_words(name: str, count: int, more: int = 0) -> str:
    """A script that prints `count` lines, says so in `/out/NAME`, waits, and on SIGTERM prints `more` lines."""
    last = f"seq {count + 1} {count + more}; exit" if more else "exit"
    return f"trap '{last}' TERM; seq 1 {count}; echo {count} > {OUT}/{name}; while :; do sleep 1000 & wait; done"


def printed(folder: Path, name: str) -> int:
    """What the container says in its file; 0 before it says anything."""
    try:
        return int((folder / name).read_text() or 0)
    except (FileNotFoundError, ValueError):
        return 0


@dataclass(frozen=True, slots=True)
class Arrival:
    """One record, as a collector has it."""

    container: str
    stream: str
    body: str
    uid: str


def at_server(server: ServerThread) -> Callable[[], Iterator[Arrival]]:
    """What a scripted server took since the last call."""
    seen = 0

    def look() -> Iterator[Arrival]:
        nonlocal seen
        requests = server.server.requests[seen:]
        seen += len(requests)
        for request in requests:
            if request.behaviour.taken and not request.malformed:
                for record in read_records(request.body):
                    yield Arrival(record.container, record.stream, str(record.body), record.uid)

    return look


def at_collector(collector: Collector) -> Callable[[], Iterator[Arrival]]:
    """What a real collector wrote since the last call."""
    start = 0

    def look() -> Iterator[Arrival]:
        nonlocal start
        found, start = read(collector.output, start)
        for record in found:
            uid = record.attributes.get("log.record.uid", "")
            yield Arrival(record.resource["container.id"], record.attributes["log.iostream"], record.body, uid)

    return look


@dataclass
class Ledger:
    """What has arrived at one collector, by container; `look` gives what is new. `ordered`: lines arrive in order. That
    holds within a FIFO; after a restart of its engine a container has a new one."""

    look: Callable[[], Iterator[Arrival]]
    ordered: bool = True
    lines: dict[tuple[str, str], dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    duplicated: Counter[str] = field(default_factory=Counter)
    last: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    def read(self) -> None:
        for arrival in self.look():
            key, number = (arrival.container, arrival.stream), int(arrival.body)
            lines = self.lines[key]
            if number in lines:
                self.duplicated[arrival.container] += 1
                assert lines[number] == arrival.uid, f"line {number} came again with another log.record.uid"
            else:
                in_order = number > self.last[key] or not self.ordered
                assert in_order, f"{arrival.stream} {number} came after {self.last[key]}"
                self.last[key] = number
                lines[number] = arrival.uid

    def received(self, container: str) -> int:
        """Different lines of the container."""
        self.read()
        return sum(len(lines) for (owner, _), lines in self.lines.items() if owner == container)

    def wait(self, sent: Mapping[str, int], limit: float = 60.0) -> None:
        """Until of each container as many lines have arrived as it printed (`sent`, on all streams together)."""

        def missing() -> dict[str, int]:
            self.read()
            found = {container: count - self.received(container) for container, count in sent.items()}
            return {container: count for container, count in found.items() if count > 0}

        try:
            wait_for(lambda: not missing(), "arrival of all lines", limit, 0.05)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; missing: {missing()}") from None

    def check(self, container: str) -> None:
        """No two lines have the same uid."""
        for (owner, _), lines in self.lines.items():
            if owner == container and any(lines.values()):
                assert len(set(lines.values())) == len(lines)
