"""Traces in tests/data/lines/traces become one record each, and the lines around them their own; so do one-line logs.

Files there are named by the preset (`any`: only `auto` knows them); a trace begins at a line `%% name`. In
one-line-logs.txt each group of lines, separated by `--`, is what one container prints; as-printed.txt has the same with
traces, whose lines have a bar before them."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest

from otellogdriver.codec.contract import NOTHING, EncodeOptions
from otellogdriver.lines import line_encoder, trace_modes, traces
from otellogdriver.settings.line_options import PRESETS
from otellogdriver.settings.options import resolve
from tests.data.frames.codecs import codecs
from tests.data.frames.log_entry import frame
from tests.data.lines.corpus import records, value
from tests.data.lines.programs import source_of

FOLDER = Path(__file__).parent.parent.parent / "data" / "lines" / "traces"
NOW = 1_763_990_000_000_000_000
NEIGHBOURS = [
    (
        "2026-01-02 03:04:05,678 INFO [main] com.example.Shop - before",
        "2026-01-02 03:04:06,678 INFO [main] a.B - after",
    ),
    ("INFO:root:before", "INFO:root:after"),
    ("INFO  before it", "INFO  after it"),
    ('{"level":"info","msg":"before"}', '{"level":"info","msg":"after"}'),
    (
        '10.0.0.1 - - [02/Jan/2026:03:04:05 +0000] "GET / HTTP/1.1" 200 5',
        '10.0.0.1 - - [02/Jan/2026:03:04:06 +0000] "X',
    ),
    ("[api] ready", "[api] served"),
    ("level=info msg=before", "level=info msg=after"),
]
PLAIN = ("listening on port 8080", "request served")
TEXTS = {("node", "prisma"), ("python", "notes"), ("python", "a message of several lines"), ("rust", "two lines")}
"""What goes on with text that could be anything: known only where log lines begin with something."""


def load() -> list[tuple[str, str, list[bytes]]]:
    found = []
    for path in sorted(FOLDER.glob("*.txt")):
        for block in path.read_text().split("%% ")[1:]:
            name, _, text = block.partition("\n")
            found.append((path.stem, name, text.rstrip("\n").encode().split(b"\n")))
    return found


TRACES = load()


def sizes(preset: str, lines: list[bytes]) -> list[list[int]]:
    """Lines of each record, with each codec."""
    found = []
    for codec in codecs():
        encoder = line_encoder(resolve({"multiline-pattern": preset}, {}), codec, EncodeOptions())
        data = b"".join(frame(line, NOW) for line in lines)
        payload = encoder.encode(data, 0, NOTHING, EncodeOptions(), NOW, 1 << 40, final=True).payload
        found.append([str(value(record.body)).count("\n") + 1 for record in records(payload)])
    return found


def test_there_are_enough() -> None:
    assert len(TRACES) >= 100 and {preset for preset, *_ in TRACES} == {*PRESETS, "any"} - {"auto", "timestamp"}


@pytest.mark.parametrize("end", [b"", b"\r"], ids=["plain", "terminal"])
@pytest.mark.parametrize("preset, name, lines", TRACES, ids=[f"{preset}: {name}" for preset, name, _ in TRACES])
def test_a_trace_is_one_record(preset: str, name: str, lines: list[bytes], end: bytes) -> None:
    for before, after in [*NEIGHBOURS, *([] if (preset, name) in TEXTS else [PLAIN])]:
        printed = [line + end for line in (before.encode(), *lines, after.encode(), after.encode())]
        for option in {"auto", "auto" if preset == "any" else preset}:
            assert [1, len(lines), 1, 1] in sizes(option, printed), (option, before)
            assert len({*map(tuple, sizes(option, printed))}) == 1


def as_printed() -> list[tuple[str, list[bytes], list[int]]]:
    """What is at the begin of as-printed.txt's groups, their lines, and how many lines each record has: those that
    belong to the line before them are marked with a bar."""
    found = []
    for block in (FOLDER / "as-printed.txt").read_text().split("## ")[1:]:
        name, _, text = block.partition("\n")
        lines = text.rstrip("\n").split("\n")
        begins = [place for place, line in enumerate(lines) if not line.startswith("|")] + [len(lines)]
        sizes_ = [behind - begin for begin, behind in pairwise(begins)]
        found.append((name, [line.removeprefix("|").encode() for line in lines], sizes_))
    return found


@pytest.mark.parametrize("name, lines, expected", as_printed(), ids=[name for name, *_ in as_printed()])
def test_a_trace_among_what_its_program_prints(name: str, lines: list[bytes], expected: list[int]) -> None:
    language = name.partition(":")[0]
    for preset in {"auto", "auto" if language == "any" else language}:
        assert sizes(preset, lines) == [expected] * len(codecs()), preset


GROUPS = (FOLDER / "one-line-logs.txt").read_text().split("--\n")


@pytest.mark.parametrize("group", GROUPS, ids=range(len(GROUPS)))
def test_one_line_logs_stay_one_record_a_line(group: str) -> None:
    lines = [line.encode() for line in group.splitlines() if line] * 2
    for preset in PRESETS:
        if preset != "timestamp" or "docker-entrypoint" not in group:
            assert sizes(preset, lines)[0] == [1] * len(lines), preset


def test_a_record_without_a_time_takes_indented_lines_only() -> None:
    lines = [
        b"no time",
        b"  more",
        b"none either",
        b"2026-01-02 03:04:05 x",
        b"free",
        b"  text",
        b"2026-01-02 03:04:06 y",
    ]
    assert sizes("timestamp", lines)[0] == [2, 1, 3, 1]


PIECES = [
    b"",
    b"\r",
    b"\x1b[31m",
    b" ",
    b"\t",
    b":",
    b".",
    b"(",
    b"\xff",
    b"7",
    b"X",
    b"at ",
    b"{",
    b"]",
    b"\x1b[",
    b'"',
]


def test_compiled_or_not_it_says_the_same() -> None:
    python, chance = source_of(traces), random.Random(7)
    seeds = [line for *_, lines in TRACES for line in lines] + [b"", b"x" * 600]
    seeds += (FOLDER / "one-line-logs.txt").read_bytes().splitlines()
    for _ in range(20_000):
        line = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(4)):
            at = chance.randrange(len(line) + 1)
            line[at : at + chance.choice([0, 1, 5])] = chance.choice([*PIECES, chance.choice(seeds)[:20]])
        languages, state = (
            chance.choice([*trace_modes.PRESETS.values()]),
            chance.randrange(64) | chance.choice([0, 32, 128]),
        )
        head, before = chance.choice(seeds), chance.choice([b"", chance.choice(seeds)])
        arguments = (languages, state, bytes(line), head, before)
        assert traces.joins(*arguments) == python.joins(*arguments), arguments
        assert traces.first(languages, bytes(line)) == python.first(languages, bytes(line)), arguments
