"""The shorter way makes the same records as the longer one, whatever the limit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otellogdriver.codec.contract import NOTHING, EncodeOptions
from otellogdriver.lines import line_encoder
from otellogdriver.lines.encoder import LineEncoder
from otellogdriver.lines.rewriting import RewritingEncoder
from otellogdriver.lines.selection import Selection
from otellogdriver.lines.writer import PythonWriter, Rules
from otellogdriver.settings.options import resolve
from tests.data.frames.codecs import codecs
from tests.data.frames.log_entry import frame
from tests.data.lines.corpus import CASES
from tests.data.lines.programs import examples, levelless

NOW = 1_763_990_000_000_000_000
HUGE = 1 << 40
LINES = [
    *(example.line for example in [*examples("programs.txt"), *levelless()]),
    *(printed.line for case in CASES for printed in case.lines if b"\n" not in printed.line),
    b'{"msg":"\xe9","level":"error"}',
    b'{"msg":"paid","level":"warn","n":1,"when":"2026-01-02T03:04:05Z"}\r',
    b'{"msg":"odd number","level":"info","n":-0}',
    b"msg=paid level=error",
    b"msg=\xe9 level=error",
    b"<3>disk full",
    b"\xe9 ERROR x",
    b"\xff",
    b"ERROR: \xe9",
    b"",
    b"\r",
    b"WARN: x\r",
    b"2026-01-02 ERROR " + b"x" * 20_000,
]
DATA = b"".join(
    frame(line, NOW + index if index % 7 else 0, "stderr" if index % 3 else "stdout")
    for index, line in enumerate(LINES)
)


@pytest.mark.parametrize("uid", [None, b"12345678"])
@pytest.mark.parametrize("keep_bytes", [False, True])
@pytest.mark.parametrize("streams", [3, 1])
@pytest.mark.parametrize("limit", [HUGE, 70_000, 3_000, 0])
@pytest.mark.parametrize(
    "log_opts",
    [
        {"severity": "auto"},
        {"parse": "json"},
        {"parse": "logfmt", "severity": "auto"},
        {"parse": "auto", "parse-time": "true", "severity": "auto"},
    ],
    ids=str,
)
def test_the_shorter_way_makes_the_same_records(
    log_opts: dict[str, str], uid: bytes, keep_bytes: bool, streams: int, limit: int
) -> None:
    options = EncodeOptions(uid, streams=streams, keep_bytes=keep_bytes)
    settings = resolve(log_opts, {})
    for codec in codecs():
        short = line_encoder(settings, codec, options)
        assert isinstance(short, RewritingEncoder)
        severity = settings.severity == "auto"
        writer = PythonWriter(Rules(settings.parse, settings.parse_time, severity, keep_bytes=keep_bytes))
        longer = LineEncoder(codec, None, Selection(streams, "", "", 0, 0), writer, False)
        whole = longer.encode(DATA, 0, NOTHING, options, NOW, HUGE, final=True)
        at, carry, payload, severities = 0, NOTHING, b"", [0] * 6
        while at < len(DATA):
            made = short.encode(DATA[at:], at, carry, options, NOW, limit, final=True)
            assert len(made.payload) <= limit or made.records == 1
            assert made.end > at
            at, carry, payload = made.end, made.carry, payload + made.payload
            severities = [sum(pair) for pair in zip(severities, made.severities or [0] * 6, strict=True)]
        assert payload == whole.payload and tuple(severities) == whole.severities
        if limit == HUGE:
            again = short.encode(DATA, 0, NOTHING, options, NOW, HUGE, final=True)
            assert again == replace(whole, severities=again.severities)


@pytest.mark.parametrize(
    "option", ["redact-pattern", "include-pattern", "exclude-pattern", "rate-limit", "multiline-pattern", "strip-ansi"]
)
def test_with_another_option_it_is_the_longer_way(option: str) -> None:
    value = {"strip-ansi": "true", "rate-limit": "5"}.get(option, "x")
    settings = resolve({"severity": "auto", option: value}, {})
    for codec in codecs():
        assert isinstance(line_encoder(settings, codec, EncodeOptions()), LineEncoder)


def test_what_is_open_is_found_again() -> None:
    piece = frame(b"2026-01-02 ERR", NOW, "stdout", "p", ordinal=1)
    last = frame(b"OR x", NOW, "stdout", "p", True, ordinal=2)
    for codec in codecs():
        encoder = line_encoder(resolve({"severity": "auto"}, {}), codec, EncodeOptions())
        carry = encoder.rebuild(piece, 0, (0, -1))
        made = encoder.encode(last, len(piece), carry, EncodeOptions(), NOW, HUGE, final=True)
        assert made.records == 1 and tuple(made.severities) == (0, 0, 0, 0, 1, 0)
