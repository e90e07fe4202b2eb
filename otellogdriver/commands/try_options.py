"""`otellogdriver try`: lines in, the records that the driver would make of them out; for finding one's options.

Lines come from a file or standard input, and go the very way of a container's lines: frames, codec, options. What is
left out is printed with its reason, on standard error. No engine, no collector, nothing is kept.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from typing import BinaryIO

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otellogdriver import codec
from otellogdriver.codec.contract import BOTH, MAX_FRAME, NOTHING, EncodeOptions, Encoder
from otellogdriver.codec.wire import nested, varint
from otellogdriver.commands.log_opts import given_log_opts
from otellogdriver.commands.record_lines import json_lines, text_lines
from otellogdriver.errors import OptionError
from otellogdriver.lines import line_encoder
from otellogdriver.settings.options import Settings, resolve

_HELP = """\
Show the records that become of lines, with any log-opts: --NAME VALUE, or --log-opt NAME=VALUE as for `docker run`.

    docker logs web 2>&1 | otellogdriver try --multiline-pattern auto --severity auto
    otellogdriver try app.log --parse json --redact-pattern 'password=\\S+' --json
"""
_LINE = 1 << 20
"""Bytes of a line in one frame; a longer one comes in pieces, as from the engine."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    from otellogdriver.settings.line_options import LineSettings
    from otellogdriver.settings.option import options_of

    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _HELP
    parser.add_argument("file", nargs="?", default="-", help="lines to read; - or nothing: standard input")
    parser.add_argument("--json", action="store_true", help="a JSON object for each record, with all fields")
    parser.add_argument("--stderr", action="store_true", help="treat the lines as stderr's")
    parser.add_argument("--log-opt", action="append", default=[], metavar="NAME=VALUE", help="any log-opt, repeatable")
    for option in options_of(LineSettings):
        parser.add_argument(f"--{option.log_opt}", dest=f"log_opt_{option.name}", metavar="VALUE", help=option.help)


def run(arguments: argparse.Namespace) -> int:
    """Print the records; 2 if an option is wrong, 1 if the file cannot be read."""
    try:
        settings = resolve(log_opts(arguments), os.environ)
    except OptionError as error:
        print(f"otellogdriver try: {error}", file=sys.stderr)
        return 2
    try:
        with open(0 if arguments.file == "-" else arguments.file, "rb", closefd=arguments.file != "-") as lines:
            _show(lines, settings, arguments)
    except OSError as error:
        print(f"otellogdriver try: {arguments.file} cannot be read: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def log_opts(arguments: argparse.Namespace) -> dict[str, str]:
    """What is given as `--log-opt NAME=VALUE` or `--NAME VALUE`. Raises OptionError."""
    found = given_log_opts(arguments.log_opt)
    for name, value in vars(arguments).items():
        if name.startswith("log_opt_") and value is not None:
            found[name.removeprefix("log_opt_").replace("_", "-")] = value
    return found


def _show(lines: BinaryIO, settings: Settings, arguments: argparse.Namespace) -> None:
    chosen = codec.load()
    options = EncodeOptions(
        uid=b"otellogd" if settings.record_uid else None,
        streams={"stdout": 1, "stderr": 2}.get(settings.streams, BOTH),
        keep_bytes=settings.invalid_utf8 == "bytes",
    )
    encoder: Encoder = chosen if settings.lines_as_printed else line_encoder(settings, chosen, options)
    left_out: dict[str, int] = {}
    data, at, carry = b"", 0, NOTHING
    source = b"stderr" if arguments.stderr else b"stdout"
    for piece in _with_end(_frames(lines, source)):
        data += piece or b""
        if piece is not None and len(data) < _LINE and not sys.stdout.isatty():
            continue
        while True:
            made = encoder.encode(data, at, carry, options, time.time_ns(), MAX_FRAME, final=piece is None)
            progress = (made.end, made.carry) != (at, carry)
            data, at, carry = data[made.end - at :], made.end, made.carry
            _print(made.payload, arguments.json)
            for reason, count in made.excluded.items():
                left_out[reason] = left_out.get(reason, 0) + count
            if not progress:
                break
    for reason, count in left_out.items():
        print(f"otellogdriver try: {count} lines are left out by {_OPTION.get(reason, reason)}", file=sys.stderr)


_OPTION = {"include": "include-pattern", "exclude": "exclude-pattern", "rate_limit": "rate-limit", "streams": "streams"}


def _with_end(frames: Iterator[bytes]) -> Iterator[bytes | None]:
    yield from frames
    yield None


def _frames(lines: BinaryIO, source: bytes) -> Iterator[bytes]:
    """Each line as the engine sends it."""
    number = 0
    inside = False
    while line := lines.readline(_LINE):
        whole = line.endswith(b"\n")
        entry = nested(b"\x0a", source) + b"\x10" + varint(time.time_ns()) + nested(b"\x1a", line.removesuffix(b"\n"))
        if inside or not whole:
            number += not inside
            last = b"\x08\x01" if whole else b""
            entry += b"\x20\x01" + nested(b"\x2a", last + nested(b"\x12", b"%d" % number))
        inside = not whole
        yield len(entry).to_bytes(4, "big") + entry


def _print(payload: bytes, as_json: bool) -> None:
    if not payload:
        return
    # ResourceLogs (1) of ScopeLogs (2) of the records.
    request = ExportLogsServiceRequest.FromString(nested(b"\x0a", nested(b"\x12", payload)))
    if as_json:
        sys.stdout.writelines(json_lines(request))
    else:
        sys.stdout.writelines(line.replace("  unknown  ", "  ", 1) for line in text_lines(request))
    sys.stdout.flush()
