"""`journal show`: lines as the records that become of them, readable or as JSON."""

from __future__ import annotations

import argparse
import logging
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otellogdriver.commands.journal.lines import Journal, Span, feed_of, requests, tail_at
from otellogdriver.commands.log_opts import given_log_opts
from otellogdriver.commands.progress import Progress
from otellogdriver.commands.record_lines import json_lines, text_lines
from otellogdriver.delivery.feed import Feed
from otellogdriver.journal.layout import MAIN, MIRROR

log = logging.getLogger(__name__)

HELP = """\
Print the lines of the containers that are given by name or by the first characters of their ids, or of all; the oldest
of each come first.

    otellogdriver journal show web --tail 20
    otellogdriver journal show web db --undelivered --json | jq -r .body
    otellogdriver journal show web --tail 100 --log-opt parse=auto --log-opt multiline-pattern=auto
    otellogdriver journal show web --since 2026-11-24T10:00:00Z --until 2026-11-24T10:05:00Z
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.add_argument("--undelivered", action="store_true", help="only lines that are not delivered yet")
    parser.add_argument("--tail", type=_number, default=-1, metavar="N", help="only the last N lines")
    parser.add_argument("--json", action="store_true", help="a JSON object for each line, with all fields")
    parser.add_argument(
        "--log-opt", action="append", default=[], metavar="NAME=VALUE", help="try other options than the container's"
    )


def run(journal: Journal, arguments: argparse.Namespace) -> int:
    """Print the lines; 1 if some could not be read."""
    role = MIRROR if arguments.mirror else MAIN
    span = Span(arguments.since, arguments.until, arguments.undelivered, role)
    log_opts = given_log_opts(arguments.log_opt)
    code = 0
    feeds: list[Feed] = []
    left = arguments.tail
    for entry in reversed(journal.entries):
        if arguments.tail >= 0 and left <= 0:
            break
        try:
            feed = feed_of(entry, journal.codec, journal.environ, span, all_streams=True, log_opts=log_opts)
            if left > 0:
                offset, found = tail_at(entry.stream, journal.codec, left, feed.offset)
                left -= found
                span_left = replace(span, begin=offset)
                feed = feed_of(entry, journal.codec, journal.environ, span_left, all_streams=True, log_opts=log_opts)
        except OSError as error:
            log.warning("%s cannot be read: %s", entry.stream.directory, error.strerror)
            code = 1
            continue
        feeds.insert(0, feed)
    last: deque[str] = deque(maxlen=max(0, arguments.tail))
    with Progress(sum(feed.pending for feed in feeds)) as progress:
        quiet = arguments.tail >= 0 or not sys.stdout.isatty()
        for feed in feeds:
            try:
                for request in requests(feed, progress.add if quiet else lambda size: None):
                    for line in _lines(request, span, arguments.json):
                        if arguments.tail >= 0:
                            last.append(line)
                        else:
                            sys.stdout.write(line)
            except BrokenPipeError:
                raise
            except OSError as error:
                log.warning("%s cannot be read: %s", feed.stream.directory, error.strerror)
                code = 1
    sys.stdout.writelines(last)
    return code


def _lines(encoded: bytes, span: Span, as_json: bool) -> Iterator[str]:
    request = ExportLogsServiceRequest.FromString(encoded)
    if span.since or span.until:
        for scope in request.resource_logs[0].scope_logs:
            wanted = [
                record
                for record in scope.log_records
                if record.time_unix_nano >= span.since and not 0 < span.until < record.time_unix_nano
            ]
            if len(wanted) < len(scope.log_records):
                kept = [type(record).FromString(record.SerializeToString()) for record in wanted]
                del scope.log_records[:]
                scope.log_records.extend(kept)
    return json_lines(request) if as_json else text_lines(request)


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: a whole number")
    return int(text)
