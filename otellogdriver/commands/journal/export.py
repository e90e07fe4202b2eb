"""`journal export`: send kept lines by hand, or write them to a file.

What goes out are the records that the driver would send, through the driver's own pump and clients, with the same
`log.record.uid` where the container has it. Where to: the container's own destination, or what the flags say; with
`--otlp-endpoint` nothing of the container's destination is used, so that its token goes nowhere else.

Cursors: they stay where they are, so the driver sends the same lines again once it can, twice rather than never. With
`--commit` they move over what was taken, which only a driver at rest may stand (it has its own idea of them in memory);
a driver seen at work is a refusal. One that is not seen would send lines twice, no worse.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otellogdriver.codec.contract import Codec
from otellogdriver.commands import destination_flags
from otellogdriver.commands.amounts import counted, size
from otellogdriver.commands.journal.lines import Journal, Span, feed_of, requests
from otellogdriver.commands.journal.running import pid_at
from otellogdriver.commands.progress import Progress
from otellogdriver.commands.record_lines import json_lines
from otellogdriver.delivery.feed import BUFFER, Feed
from otellogdriver.delivery.pump import Pump
from otellogdriver.delivery.pumps import destinations
from otellogdriver.errors import DriverError, OptionError
from otellogdriver.export.client import client_for
from otellogdriver.export.destination import Destination
from otellogdriver.journal.entry import Entry
from otellogdriver.journal.layout import MAIN, MIRROR
from otellogdriver.journal.reader import Reader
from otellogdriver.pool import Pool
from otellogdriver.settings.options import Settings, resolve, resolve_running

HELP = """\
Send by hand what waits for delivery (or, with --all, everything that is kept), or write it to a file.

    otellogdriver journal export                              to each container's own collector
    otellogdriver journal export --otlp-endpoint http://other:4318 --otlp-headers-file /root/token
    otellogdriver journal export web --all --since 2h --otlp-endpoint http://other:4318
    otellogdriver journal export --output lines.json          JSON lines, as `otellogdriver sink` prints them
    otellogdriver journal export web --all --output - --format frames > web.frames

The journal stays as it is, so the driver will send the same lines again when it can. With --commit it will not: for a
plugin that is disabled, or a copy. Exit code 0: all was taken; 1: something was not; 2: wrong usage.
"""


class UsageError(DriverError):
    """Flags that do not go together."""


@dataclass(slots=True)
class Result:
    """What became of it. `fault` says why it ended before its end."""

    delivered: int = 0
    given_up: dict[str, int] = field(default_factory=dict)
    damaged: int = 0
    fault: str = ""

    def add(self, feed: Feed) -> None:
        self.delivered += feed.counters.delivered
        self.damaged += feed.counters.passed.damaged_bytes
        for reason, lines in feed.counters.given_up.items():
            self.given_up[reason] = self.given_up.get(reason, 0) + lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    add = parser.add_argument
    add("--all", action="store_true", help="everything that is kept, delivered or not")
    add("--commit", action="store_true", help="move the cursors, so that the driver does not send these lines again")
    add("--patience", type=float, default=15.0, metavar="S", help="seconds without progress after which to end (15)")
    add("--output", default="", metavar="FILE", help="write to a new file (- for stdout) instead of sending")
    add("--format", choices=("json", "frames"), default="json", help="JSON lines, or the engine's frames as they are")
    destination_flags.add_arguments(parser, "otlp-mirror")


def run(journal: Journal, arguments: argparse.Namespace) -> int:
    """Send or write; the exit code."""
    flags = destination_flags.log_opts(arguments)
    try:
        _check(arguments, flags)
        resolve(flags, {})
    except (UsageError, OptionError) as error:
        _tell(str(error))
        return 2
    if arguments.commit and (pid := pid_at(journal.state)):
        raise DriverError(
            f"--commit is not allowed while a driver works on {journal.state} (process {pid}): disable the plugin first"
        )
    role = MIRROR if arguments.mirror else MAIN
    span = Span(arguments.since, arguments.until, not arguments.all, role, whole=bool(arguments.output))
    try:
        feeds = [
            feed_of(entry, journal.codec, journal.environ, span, commit=arguments.commit) for entry in journal.entries
        ]
    except OSError as error:
        raise DriverError(f"the journal cannot be read: {error}") from None
    feeds = [feed for feed in feeds if feed.needs_work and (feed.pending or feed.unfinished)]
    if not feeds:
        _tell("nothing waits" if span.undelivered else "nothing is kept")
        return 0
    if arguments.output:
        return _write(feeds, arguments.output, arguments.format, journal.codec)
    return _send(journal, feeds, flags, role, arguments)


def _check(arguments: argparse.Namespace, flags: Mapping[str, str]) -> None:
    if arguments.output and (flags or arguments.commit):
        raise UsageError("--output is not allowed with --commit or --otlp-...: lines are either written or sent")
    if arguments.commit and (arguments.all or arguments.since or arguments.until):
        raise UsageError("--commit is not allowed with --all, --since or --until: a cursor cannot leave lines out")
    if arguments.format == "frames" and (not arguments.output or len(arguments.containers) != 1):
        raise UsageError("--format frames needs --output and one container: frames do not say whose they are")


# To a file.


def _write(feeds: list[Feed], path: str, form: str, codec: Codec) -> int:
    lines = lost = 0
    with _open(path) as file, Progress(sum(feed.pending for feed in feeds)) as progress:
        try:
            for feed in feeds:
                if form == "frames":
                    written, damaged = _frames(feed, codec, file, progress.add)
                    lines, lost = lines + written, lost + damaged
                    continue
                for request in requests(feed, progress.add):
                    told = list(json_lines(ExportLogsServiceRequest.FromString(request)))
                    file.write("".join(told).encode("utf-8", "backslashreplace"))
                    lines += len(told)
            file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise DriverError(f"writing ended after {lines:,} lines: {error.strerror}") from None
    _tell(f"{counted(lines, 'line')} written to {'stdout' if path == '-' else path}")
    if lost:
        _tell(f"{size(lost)} of the journal are damaged or lost")
    return 1 if lost else 0


@contextlib.contextmanager
def _open(path: str) -> Iterator[BinaryIO]:
    if path == "-":
        yield sys.stdout.buffer
        return
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DriverError(f"--output {path!r}: {error.strerror}") from None
    with os.fdopen(file, "wb") as made:
        yield made


def _frames(feed: Feed, codec: Codec, file: BinaryIO, seen: Callable[[int], None]) -> tuple[int, int]:
    """Copy the frames as they are, up to the last whole one: (how many lines end in them, bytes that were missing or
    could not be read). Raises OSError where the file cannot be written."""
    stream, reader, buffer = feed.stream, Reader(feed.stream), memoryview(bytearray(BUFFER))
    offset, lines, lost = feed.needed, 0, 0
    try:
        while offset < stream.end:
            start, got = _read(reader, offset, buffer)
            out, err, _, end = codec.count(buffer[:got], start, start + got)
            file.write(buffer[: end - start])
            lines, lost = lines + out + err, lost + start - offset
            if end == start and start + got >= stream.end:
                break  # the last frame is not whole yet
            if end == start and got:  # nor will this one be: what follows is missing
                end = start + got
                lost += got
            seen(end - offset)
            offset = end
    finally:
        reader.close()
    return lines, lost


def _read(reader: Reader, offset: int, buffer: memoryview) -> tuple[int, int]:
    """Like `Reader.read`; what cannot be read is passed over up to the next segment."""
    try:
        start, got = reader.read(offset, buffer)
    except OSError as error:
        _tell(f"{reader.stream.directory} cannot be read at offset {offset}: {error.strerror}")
        start, got = offset, 0
    return (start, got) if got else (max(start, reader.stream.behind(offset)), 0)


# To a collector.


def _send(
    journal: Journal, feeds: list[Feed], flags: Mapping[str, str], role: str, arguments: argparse.Namespace
) -> int:
    groups: dict[Destination, tuple[Settings, list[Feed]]] = {}
    for feed in feeds:
        settings = _settings(journal, feed.entry, flags)
        places = dict(destinations(settings))
        place = places.get(MAIN if "otlp-endpoint" in flags else role)
        if place is None:
            raise DriverError("there is no otlp-mirror to send to: say where with --otlp-endpoint")
        groups.setdefault(place, (settings, []))[1].append(feed)
    total = sum(feed.pending for feed in feeds)
    _tell(
        f"{size(total)} of {counted(len(feeds), 'stream')} go to {', '.join(sorted({place.label for place in groups}))}"
    )
    with contextlib.suppress(ValueError, OSError):  # each stream in a request has a file open
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    result = Result()
    try:
        with Progress(total) as progress:
            asyncio.run(_deliver(groups, result, progress, arguments.patience))
    finally:
        for feed in feeds:
            feed.close()
            result.add(feed)
        _tell(
            f"{counted(result.delivered, 'record')} delivered{'' if arguments.commit else '; the journal is as it was'}"
        )
    for reason, lines in result.given_up.items():
        _tell(f"{counted(lines, 'record')} {reason} by the collector")
    if result.damaged:
        _tell(f"{size(result.damaged)} of the journal are damaged or lost")
    if result.fault:
        _tell(f"ended early: {result.fault}")
    return 1 if result.fault or result.given_up or result.damaged else 0


def _settings(journal: Journal, entry: Entry, flags: Mapping[str, str]) -> Settings:
    if "otlp-endpoint" in flags:
        return resolve(flags, {})
    settings = resolve_running({**entry.log_opts, **flags}, journal.environ)[0]
    return journal.installed.settings_on_host(settings)[0] if journal.installed else settings


async def _deliver(
    groups: Mapping[Destination, tuple[Settings, list[Feed]]], result: Result, progress: Progress, patience: float
) -> None:
    """Run a pump for each destination until nothing is left to do, or no progress is made."""
    feeds = [feed for _, members in groups.values() for feed in members]
    begins = {feed: feed.delivered for feed in feeds}
    changed, loop = asyncio.Event(), asyncio.get_running_loop()
    moved = loop.time()
    pumps: dict[Feed, Pump] = {}

    def committed(feed: Feed) -> None:
        nonlocal moved
        moved = loop.time()
        if pumps[feed].is_idle(feed):
            feed.close()  # there may be more of them than files can be open
        changed.set()

    workers = Pool(2, "export")
    try:
        for place, (settings, members) in groups.items():
            pump = Pump(
                place,
                client_for(place),
                workers,
                committed,
                lanes=settings.otlp_concurrency,
                delay=0.0,
                size=settings.batch_size,
            )
            for feed in members:
                pumps[feed] = pump
                pump.poke(feed)
        while not all(pumps[feed].is_idle(feed) for feed in feeds):
            changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), 0.2)
            progress.reach(sum(feed.delivered - begins[feed] for feed in feeds))
            stuck = [pump for pump in set(pumps.values()) if not pump.gate.is_open]
            denied = [pump for pump in stuck if pump.tally.outcomes.get("denied")]
            if denied or loop.time() - moved > patience:
                reasons = [pump.gate.last_failure for pump in denied or stuck]
                result.fault = "; ".join(reasons) or f"no progress within {patience:g} s"
                return
    finally:
        await asyncio.gather(*(pump.close() for pump in set(pumps.values())))
        workers.shutdown()


def _tell(text: str) -> None:
    print(f"otellogdriver journal: {text}", file=sys.stderr, flush=True)
