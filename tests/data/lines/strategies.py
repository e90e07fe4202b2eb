"""Lines for property tests: JSON that means something, JSON that is broken, logfmt, stack traces, any bytes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from otellogdriver.lines.fields import EXCEPTION_MEMBERS, EXCEPTIONS, PLACES, ROLES

NAMES = [name for names in ROLES.values() for name in names]
keys = st.one_of(
    st.sampled_from(NAMES),
    st.sampled_from([name.upper() for name in NAMES]),
    st.sampled_from([name for names in EXCEPTION_MEMBERS.values() for name in names]),
    st.text(max_size=6),
    st.sampled_from(
        ["a", "b", "a.b", "id", "name", "level", "message", "$date", "type", "stack", "record", "dd", "time", "repr"]
    ),
    st.sampled_from(["epochSecond", "nanoOfSecond", "seconds", "nanos", "trace_id", "span_id"]),
    st.sampled_from(sorted(PLACES | set(EXCEPTIONS))),
)
texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        "info WARN Critical ERROR+4 INFO3 debug-4 D2 S t 30 7 0 2 099 17 25 "
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 "
        "4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 0000000000000000 01 fF "
        "2026-01-02T03:04:05Z 2024-02-29T23:59:60.123456789012+23:59 2023-02-29T00:00:00Z 2026-13-01T00:00:00Z "
        "2262-04-11T23:47:16.854775807Z 2262-04-12T00:00:00Z 1970-01-01T00:00:00.000000001Z 0000-01-01T00:00:00Z "
        "2026-01-02t03:04:05,5-0030 2026-01-02T03:04:05+0000 2026-01-02T03:04:05 2026-01-02T03:04:05. 1763980001 "
        "1763980001.5 1763980001002 1763980001002003004 9999999999999999999 946684799 946684800 99999999999 "
        "100000000000 946684800000.9 error OK 18446744073709551615 20260102T030405Z 2026-01-02T03:04:05+01[A/b_C] "
        "projects/p/traces/4bf92f3577b34da6a3ce929d0e0e4736".split()
    ),
    st.sampled_from(
        ["", "INFO ", " warn", *(f"2026/01/02 03:04:05{zone}" for zone in (" UTC", ".5 +0100", "+00 CET", " "))]
    ),
    st.builds(lambda run, text: "x" * run + text, st.integers(120, 135), st.text(max_size=2)),
)
numbers = st.one_of(
    st.integers(-(1 << 64), 1 << 64),
    st.integers(-70, 300),
    st.sampled_from([1_763_980_001, 1_763_980_001_002, 1_763_980_001_002_003_004, (1 << 63) - 1, -(1 << 63), 1 << 63]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(1e9, 2e9),
)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(texts, numbers, st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)
members = st.dictionaries(keys, values, max_size=9)


def as_line(members: dict[str, Any], ascii_only: bool, space: bool) -> bytes:
    return json.dumps(members, ensure_ascii=ascii_only, separators=(", ", ": ") if space else (",", ":")).encode()


json_lines = st.builds(as_line, members, st.booleans(), st.booleans())
PIECES = [
    *(b'{ } [ ] , : " \\ \\u \\ud83d \\ude00 \\udc00 \\n \\x -0 -0.0 1e5 1E400 .5 1. 01 - NaN true nul'.split()),
    *(
        b" ",
        b"\t",
        b"\x00",
        b"\x1f",
        b"\x7f",
        b"\xff",
        b"\xc3",
        "é😀".encode(),
        b'"a":1,',
        b'"":1,',
        b"9" * 70,
        b"0." + b"3" * 70,
    ),
]


def changed(line: bytes, at: int, cut: int, piece: bytes) -> bytes:
    at %= len(line) + 1
    return line[:at] + piece + line[at + cut :]


broken_lines = st.builds(
    changed,
    st.one_of(json_lines, st.just(b'{"msg":"x"}')),
    st.integers(0, 1 << 16),
    st.integers(0, 3),
    st.sampled_from(PIECES),
)
twice = st.builds(lambda one, other: one[:-1] + b"," + other[1:], json_lines, json_lines)
deep = st.builds(
    lambda opens, closes: b'{"a":' + opens * b"[" + b"1" + closes * b"]" + b"}",
    st.integers(12, 20),
    st.integers(12, 20),
)
many = st.integers(55, 75).map(lambda count: as_line({f"k{index}": index for index in range(count)}, True, False))
pairs = st.builds(
    lambda key, value: f"{key}={json.dumps(value, ensure_ascii=False)}" if " " in value else f"{key}={value}",
    st.one_of(st.sampled_from(NAMES), st.sampled_from(["a", "b"])),
    st.one_of(texts, st.just("two words"), st.sampled_from(["a \\ b", 'a "b" c', "a\nb c", "\x01 é"])),
)
odd_pairs = st.sampled_from(
    [r'a="\x41"', r'b="\\x41 \x7f\x80"', r'level="\x69nfo"', r'msg="\u00e9 \ud83d\ude00\x4A"', r'a="\q"', r'a="\x4"']
)
logfmt_lines = st.lists(st.one_of(pairs, odd_pairs), max_size=5).map(lambda found: " ".join(found).encode())
plain_lines = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(str.encode),
    st.sampled_from(
        b"[ERROR] x|2026-01-02 12:00:00 INFO x|level=warn x|<3>x|E0102 12:00:00.0 1 x|A first|  at x.y(Z.java:1)|"
        b"Traceback (most recent call last):|ValueError: x|panic: x|goroutine 1 [running]:|main.f(0x1)||".split(b"|")
    ),
)
lines = st.one_of(json_lines, json_lines, broken_lines, twice, deep, many, logfmt_lines, plain_lines)
