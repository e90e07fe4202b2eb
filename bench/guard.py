"""Whether the driver has become dearer: the cheap rows of the benchmark against figures that are kept in guard.json.

    python -m bench --guard                  compares; fails where a row has lost more than it may
    python -m bench --guard codec lines      these groups alone: the ones that are steady
    python -m bench --guard --write          keeps what was measured, for machines like this one

Needs no engine. A row is CPU time, of the least of many repeats, as a ratio to a loop of pure computing that takes
turns with it: so neither other programs nor a slower clock look like a loss. Memory is kept as it is. What seems to
have lost is measured again before that is said. Figures hold for one kind of processor and one version of Python:
where there are none, nothing is compared, and that is said.
"""

from __future__ import annotations

import contextlib
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import codec, lines
from bench.processes import resident
from bench.sink import Sink
from bench.spread import driver, started, write
from otellogdriver.codec import load
from otellogdriver.codec.contract import NOTHING
from tests.fakes.engine import Engine

FIGURES = Path(__file__).with_name("guard.json")
LIMIT = 0.15
"""Share of a row's figure that may be lost. What lasts a second finds no instant in which others leave the caches and
the core's other half alone: groups of such rows have wider limits, each a little more than ten runs differed by on a
machine that was fully in use."""
TRIES = 3
"""Times that a row is measured, as long as it seems to have lost."""
CALLS = 3
"""Of a row, one after the other, in each round: the first one finds the caches full of others' data."""
SLOW = ("JSON, redacted value by value", "text, multiline-pattern=java")
"""A hundred times as long as others; much the same as another."""

Measure = Callable[[], float]
"""Takes one sample: seconds of CPU, or MiB."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that need the same things around them. `rounds` samples of each are taken."""

    name: str
    rows: Callable[[], contextlib.AbstractContextManager[Mapping[str, Measure]]]
    rounds: int
    limit: float = LIMIT


def cpu_of(pid: int) -> float:
    """Seconds that all threads of a process have used, also those that have ended, to the nanosecond (/proc shows
    hundredths): the kernel's clock of another process, as clock_getcpuclockid(3) names it."""
    return time.clock_gettime((~pid << 3) | 2)


def computing() -> float:
    """The loop that rows are compared with."""
    began = time.thread_time_ns()
    total = 0
    for number in range(4_000):
        total = (total * 31 + number) & 0xFFFFFF
    return (time.thread_time_ns() - began) / 1e9


def called(call: Callable[[], object]) -> Measure:
    def measure() -> float:
        best = float("inf")
        for _ in range(CALLS):
            began = time.thread_time_ns()
            call()
            best = min(best, time.thread_time_ns() - began)
        return best / 1e9

    return measure


@contextlib.contextmanager
def codec_rows() -> Iterator[Mapping[str, Measure]]:
    native = load("require")
    yield {
        f"codec, {way}, {case}": called(lambda way=way, chunk=chunk: codec.WAYS[way](native, chunk))  # type: ignore[misc]
        for case, (chunk, _) in codec.CASES.items()
        for way in ("encode", "count")
    }


@contextlib.contextmanager
def line_rows() -> Iterator[Mapping[str, Measure]]:
    def row(case: str) -> Measure:
        (chunk, _), log_opts = lines.CASES[case]
        encoder = lines.encoder("native", log_opts)
        return called(lambda: encoder.encode(chunk, 0, NOTHING, lines.OPTIONS, codec.NOW, codec.HUGE))

    yield {f"lines, {case}": row(case) for case, (_, log_opts) in lines.CASES.items() if log_opts and case not in SLOW}


@contextlib.contextmanager
def running() -> Iterator[tuple[Engine, Sink]]:
    with tempfile.TemporaryDirectory() as folder, Sink() as sink, driver(Path(folder), sink) as engine:
        yield engine, sink


def pid_of(engine: Engine) -> int:
    assert engine.process
    return engine.process.pid


@contextlib.contextmanager
def spread_rows() -> Iterator[Mapping[str, Measure]]:
    with running() as (engine, sink):
        containers, pid = started(engine, 10), pid_of(engine)

        def busy() -> float:
            sink.reset()
            before = cpu_of(pid)
            write(containers, 50_000, 50_000)
            sink.await_quiet()
            return cpu_of(pid) - before

        busy()  # until everybody has a stream, a feed and a pace
        yield {"spread, 50,000 lines of 10 containers": busy}


@contextlib.contextmanager
def idle_rows() -> Iterator[Mapping[str, Measure]]:
    with running() as (engine, sink):
        containers, pid = started(engine, 200), pid_of(engine)
        write(containers, len(containers), 1000)
        sink.await_quiet()

        def idle() -> float:
            before = cpu_of(pid)
            time.sleep(1.0)
            return cpu_of(pid) - before

        yield {"idle, 200 containers, a second": idle, "idle, 200 containers, MiB": lambda: resident(pid)}


@contextlib.contextmanager
def start_rows() -> Iterator[Mapping[str, Measure]]:
    with running() as (engine, _):

        def driver_starts() -> float:
            engine.terminate()
            engine.start()
            engine.metrics_port()  # until then it imports what the first calls did not need
            return cpu_of(pid_of(engine))

        def containers_start() -> float:
            containers = [engine.container(f"c{index}") for index in range(50)]
            before = cpu_of(pid_of(engine))
            for container in containers:
                container.start()
            for container in containers:
                container.stop()
            return cpu_of(pid_of(engine)) - before

        yield {"start, the driver": driver_starts, "start, 50 containers": containers_start}


GROUPS = (
    Group("codec", codec_rows, 150),
    Group("lines", line_rows, 30),
    Group("spread", spread_rows, 3, 0.75),
    Group("idle", idle_rows, 3, 0.25),
    Group("start", start_rows, 5, 0.6),
)
NAMES = tuple(group.name for group in GROUPS)


def measure(group: Group) -> dict[str, float]:
    """The rows of a group: ratios to computing, or MiB."""
    with group.rows() as rows:
        least = dict.fromkeys(rows, float("inf"))
        loop = float("inf")
        for _ in range(group.rounds):
            for name, sample in rows.items():
                loop = min(loop, computing(), computing(), computing())
                least[name] = min(least[name], sample())
    return {name: value if name.endswith("MiB") else value / loop for name, value in least.items()}


def here() -> str:
    """What figures hold for: the kind of processor, and the version of Python."""
    first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
    words = [facts[name] for name in ("model name", "cpu family", "model") if name in facts]
    return f"{' '.join(words) or platform.machine()}, Python {'.'.join(platform.python_version_tuple()[:2])}"


def of(name: str, groups: Sequence[Group]) -> Group | None:
    return next((group for group in groups if name.startswith(f"{group.name}, ")), None)


def lost(figures: Mapping[str, float], found: Mapping[str, float], groups: Sequence[Group]) -> list[str]:
    """The rows that are dearer than they may be; those without a figure are not among them."""

    def most(name: str) -> float:
        group = of(name, groups)
        return figures[name] * (1 + group.limit) if group and name in figures else float("inf")

    return [name for name, value in found.items() if value > most(name)]


def table(figures: Mapping[str, float], found: Mapping[str, float], dearer: Sequence[str]) -> str:
    rows = [f"{'CPU to computing, or MiB':48} {'kept':>10} {'now':>10} {'change':>8}"]
    for name, value in found.items():
        kept = figures.get(name)
        change = f"{value / kept - 1:+8.0%}" if kept else f"{'new':>8}"
        mark = "  LOST" if name in dearer else ""
        rows.append(f"{name:48} {kept or 0:10.4g} {value:10.4g} {change}{mark}")
    rows += [f"{name:48} {kept:10.4g}       gone" for name, kept in figures.items() if name not in found]
    return "\n".join(rows)


def compare(figures: Mapping[str, float], groups: Sequence[Group], tries: int = TRIES) -> dict[str, float]:
    """What was measured, the least of all tries: the groups are measured again in which a row seems to have lost."""
    found: dict[str, float] = {}
    wanted = list(groups)
    for _ in range(tries):
        for group in wanted:
            again = measure(group)
            found |= {name: min(value, found.get(name, value)) for name, value in again.items()}
        wanted = [group for group in groups if any(of(name, [group]) for name in lost(figures, found, groups))]
    return found


def main(write_figures: bool, groups: Sequence[Group] = GROUPS, path: Path = FIGURES) -> int:
    kept: dict[str, dict[str, float]] = json.loads(path.read_text()) if path.exists() else {}
    figures = {name: value for name, value in kept.get(here(), {}).items() if of(name, groups)}
    if write_figures:
        rounds = [compare({}, groups, 1) for _ in range(TRIES)]  # as low as what is compared with them may be
        least = {name: float(f"{min(one[name] for one in rounds):.4g}") for name in rounds[0]}
        others = {name: value for name, value in kept.get(here(), {}).items() if name not in figures}
        kept[here()] = others | least
        path.write_text(json.dumps(kept, indent=1) + "\n")
        print(f"{path.name}: figures for {here()}")
        return 0
    if not figures:
        print(f"{path.name} has no figures for {here()}: nothing is compared (python -m bench --guard --write)")
        return 0
    found = compare(figures, groups)
    dearer = lost(figures, found, groups)
    print(table(figures, found, dearer))
    gone = [name for name in figures if name not in found]
    if dearer or gone:
        print(f"dearer than it may be, or measured no more: {'; '.join(dearer + gone)}", file=sys.stderr)
        print("where that is meant: python -m bench --guard --write", file=sys.stderr)
    return 1 if dearer or gone else 0
