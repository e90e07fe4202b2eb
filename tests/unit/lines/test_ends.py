"""Lines are lines: patterns see each as it was printed, wherever it stands and whatever ends it."""

from __future__ import annotations

import json

import pytest

from otellogdriver.codec.contract import MAX_RECORD, NOTHING, EncodeOptions
from otellogdriver.lines import line_encoder
from otellogdriver.settings.options import resolve
from otellogdriver.settings.patterns import Matcher
from tests.data.frames.codecs import codecs
from tests.data.frames.log_entry import frame
from tests.data.lines.corpus import records, value

NOW = 1_763_990_000_000_000_000
HUGE = 1 << 40
SECRET = b"hunter2"
JOINED = {"multiline-pattern": "^first"}

FORMS: dict[str, tuple[list[bytes], dict[str, str]]] = {
    "plain": ([b"password=hunter2"], {}),
    "terminal": ([b"password=hunter2\r"], {}),
    "terminal, with a line end of its own": ([b"password=hunter2\r\r"], {}),
    "joined, first": ([b"first", b"password=hunter2", b"more"], JOINED),
    "joined, last": ([b"first", b"more", b"password=hunter2"], JOINED),
    "joined, terminal": ([b"first\r", b"password=hunter2\r", b"more\r"], JOINED),
    "joined, its line is the first": ([b"password=hunter2", b"\tat a.B(C.java:1)"], {"multiline-pattern": "java"}),
    "not UTF-8": ([b"password=hunter2", b"\xff\xe9"], {"multiline-pattern": "^password"}),
    "not UTF-8, terminal": ([b"\xff", b"password=hunter2\r"], {}),
    "in JSON": ([json.dumps({"msg": "password=hunter2"}).encode()], {"parse": "json"}),
    "in JSON, escaped": ([b'{"msg":"password=h\\u0075nter2"}'], {"parse": "json"}),
    "in JSON, in a line of a text": ([json.dumps({"msg": "a\r\npassword=hunter2\r\nb"}).encode()], {"parse": "json"}),
    "in JSON, in an attribute": ([b'{"msg":"x","a":{"b":["password=hunter2"]}}\r'], {"parse": "json"}),
    "in JSON, in an exception": (
        [json.dumps({"msg": "x", "err": {"type": "T", "stack": "T: x\n  at f\npassword=hunter2\n  at g"}}).encode()],
        {"parse": "json"},
    ),
    "in JSON, without a message": ([b'{"a":"password=hunter2"}'], {"parse": "json"}),
    "in JSON, without a message, escaped": ([b'{"a":"password=h\\u0075nter2"}\r'], {"parse": "json"}),
    "in JSON, in a key, without a message": ([b'{"password=h\\u0075nter2":1}'], {"parse": "auto"}),
    "in JSON, replaced by a later member": ([b'{"a":"password=h\\u0075nter2","a":1}'], {"parse": "json"}),
    "in JSON, as a level": ([b'{"level":"password=h\\u0075nter2","event.name":"password=hunter2"}'], {"parse": "json"}),
    "in logfmt, without a message": ([b'a="password=h\\x75nter2" b=1'], {"parse": "logfmt"}),
    "in logfmt": ([b'level=info msg="password=hunter2" a=b'], {"parse": "logfmt"}),
    "in logfmt, escaped": ([b'level=info msg="a\\npassword=h\\x75nter2\\nb" a=b\r'], {"parse": "logfmt"}),
    "as a value of logfmt": ([b"a=b password=hunter2\r"], {"parse": "auto"}),
    "with a level": ([b"ERROR\r", b"password=hunter2\r"], {"severity": "auto", "multiline-pattern": "ERROR$"}),
}
PATTERNS = [
    r"^password=[a-z0-9]+$",
    r"password=.*$",
    r"^password=(?P<secret>\S+)$",
    r"\Apassword=[a-z0-9]+\z",
    r"(?-m:^password=[a-z0-9]+$)",
    r"(?m)^password=[a-z0-9]+$",
    r"\bhunter2\b",
    r"hunter2",
]
WITHIN = {"in JSON, in an attribute", "as a value of logfmt"}


def sent(lines: list[bytes], options: dict[str, str]) -> list[tuple[bytes, int, dict[str, int]]]:
    """(payload, records, excluded) with each codec, read at once and with each line on its own."""
    settings = resolve(options, {})
    data = [frame(line, NOW) for line in lines]
    found = []
    for codec in codecs():
        for chunks in ([b"".join(data)], data):
            encoder = line_encoder(settings, codec, EncodeOptions())
            carry, at, payload, count = NOTHING, 0, b"", 0
            excluded: dict[str, int] = {}
            for index, chunk in enumerate(chunks):
                made = encoder.encode(chunk, at, carry, EncodeOptions(), NOW, HUGE, final=index == len(chunks) - 1)
                at, carry, payload, count = made.end, made.carry, payload + made.payload, count + made.records
                excluded |= made.excluded
            found.append((payload, count, excluded))
    return found


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("form", FORMS)
def test_what_a_pattern_finds_in_a_line_does_not_leave(form: str, pattern: str) -> None:
    lines, options = FORMS[form]
    for payload, count, _ in sent(lines, options | {"redact-pattern": pattern}):
        assert count and payload
        whole = b"\n".join(lines)
        as_printed = any(Matcher(pattern).finds(line) for line in lines)
        if as_printed or (form not in WITHIN and form.startswith("in ")) or pattern in (r"\bhunter2\b", "hunter2"):
            assert SECRET not in payload and b"nter2" not in payload, whole


@pytest.mark.parametrize("pattern", [r"^password=[a-z0-9]+$", r"hunter2$", r"\Apassword", r"(?-m:hunter2$)"])
@pytest.mark.parametrize("form", [form for form in FORMS if not form.startswith("in ") and "value" not in form])
def test_what_a_pattern_finds_in_a_line_is_selected(form: str, pattern: str) -> None:
    lines, options = FORMS[form]
    every = sum(SECRET not in line for line in lines) if "multiline-pattern" not in options else 0
    for _, count, excluded in sent(lines, options | {"exclude-pattern": pattern}):
        assert count == every and sum(excluded.values()) == len(lines) - every
    for _, count, excluded in sent(lines, options | {"include-pattern": pattern}):
        assert count == 1 and sum(excluded.values()) == every


@pytest.mark.parametrize("pattern", ["^first$", r"first$", r"\Afirst\z"])
def test_the_first_line_is_found_through_a_terminal(pattern: str) -> None:
    for payload, count, _ in sent([b"first\r", b"a\r", b"first\r", b"b\r"], {"multiline-pattern": pattern}):
        assert count == 2
        assert [value(record.body) for record in records(payload)] == ["first\na", "first\nb"]


def test_bodies_have_no_carriage_return_at_the_ends_of_lines_and_all_others() -> None:
    for options in ({}, {"rate-limit": "9"}, {"severity": "auto"}, {"parse": "json"}, {"redact-pattern": "x"}):
        lines = [b"10%\r20%\r", b"\r", b"a\r\r", b"\xe9\r"]
        for payload, _, _ in sent(lines, options):
            bodies = [value(record.body) for record in records(payload)]
            assert bodies[:3] == ["10%\r20%", "", "a"]
            assert len(bodies) == 4


@pytest.mark.parametrize("options", [{}, JOINED, {"multiline-pattern": "auto"}, {"parse": "json"}])
@pytest.mark.parametrize("before", [MAX_RECORD - 9, MAX_RECORD - 16, MAX_RECORD - 3, MAX_RECORD - 16384 - 9])
def test_a_cut_leaves_no_part_of_a_secret(before: int, options: dict[str, str]) -> None:
    line, data = long_line(before)
    data.append(frame(b"next", NOW))
    settings = resolve({"redact-pattern": r"password=\S+", **options}, {})
    for codec in codecs():
        for chunks in ([b"".join(data)], data):
            encoder, at, carry, payload, size = line_encoder(settings, codec, EncodeOptions()), 0, NOTHING, b"", 0
            for index, chunk in enumerate(chunks):
                made = encoder.encode(chunk, at, carry, EncodeOptions(), NOW, HUGE, final=index == len(chunks) - 1)
                at, carry, payload, size = made.end, made.carry, payload + made.payload, size + made.bytes[0]
            assert not any(part in payload for part in (b"password", b"hunter2", b"hun", b"ter2", b"pass"))
            assert size == len(line) + 4 and b"next" in payload


def long_line(before: int) -> tuple[bytes, list[bytes]]:
    """A line with a secret in it, and its frames as the engine writes them."""
    line = b"x" * before + b" password=hunter2 " + b"y" * 40_000
    pieces = [line[at : at + 16384] for at in range(0, len(line), 16384)]
    return line, [frame(piece, NOW, "stdout", "p", piece is pieces[-1], ordinal=n) for n, piece in enumerate(pieces, 1)]


@pytest.mark.parametrize("options", [{}, {"multiline-pattern": "auto"}])
@pytest.mark.parametrize("before", [MAX_RECORD - 9, MAX_RECORD - 16384 - 9])
@pytest.mark.parametrize("pieces", [0, 1, 2], ids="{} pieces after the cut are read again".format)
def test_a_crash_between_the_parts_of_a_line_leaves_no_part_of_a_secret(
    before: int, options: dict[str, str], pieces: int
) -> None:
    line, data = long_line(before)
    settings = resolve({"redact-pattern": r"password=\S+", **options}, {})
    first = MAX_RECORD // 16384
    rest, end = data[first:], b"".join([frame(b"next", NOW)])
    pieces = min(pieces, len(rest) - 1)
    at = sum(map(len, data[:first]))
    place = at + sum(map(len, rest[:pieces]))
    for codec in codecs():
        encoder = line_encoder(settings, codec, EncodeOptions())
        carry = encoder.rebuild(b"".join(rest[:pieces]), at, (at, -1)) if pieces else NOTHING
        chunk = b"".join(rest[pieces:]) + end
        made = encoder.encode(chunk, place, carry, EncodeOptions(), NOW, HUGE, final=True)
        assert not any(part in made.payload for part in (b"password", b"hunter2", b"hun", b"ter2", b"pass"))
        assert made.bytes[0] == len(line) - MAX_RECORD + 4 and b"next" in made.payload


@pytest.mark.parametrize("options", [{}, {"multiline-pattern": "auto"}])
def test_a_line_that_is_sent_before_its_end_leaves_no_part_of_a_secret(options: dict[str, str]) -> None:
    _, data = long_line(16384 * 7 - 9)
    settings = resolve({"redact-pattern": r"password=\S+", **options}, {})
    for codec in codecs():
        encoder, at, carry, payload = line_encoder(settings, codec, EncodeOptions()), 0, NOTHING, b""
        for chunk, flush in ((b"".join(data[:7]), 1), (b"".join(data[7:]) + frame(b"next", NOW), 0)):
            made = encoder.encode(chunk, at, carry, EncodeOptions(), NOW, HUGE, flush, flush == 0)
            at, carry, payload = made.end, made.carry, payload + made.payload
        assert not any(part in payload for part in (b"password", b"hunter2", b"hun", b"ter2", b"pass"))
        assert b"x" * 40_000 in payload and b"next" in payload


def test_what_a_closed_stream_ends_with_is_no_part_of_a_longer_line() -> None:
    settings = resolve({"redact-pattern": r"password=\S+"}, {})
    for codec in codecs():
        encoder = line_encoder(settings, codec, EncodeOptions())
        made = encoder.encode(frame(b"bye", NOW, "stdout", "p", ordinal=1), 0, NOTHING, EncodeOptions(), NOW, HUGE, 1)
        assert b"bye" in made.payload


def test_a_match_is_masked_whatever_else_matches_near_it() -> None:
    # Over several lines the pattern finds something that ends in the midst of what it finds in the line alone.
    assert Matcher(r"a[^b]{5}|secret=\d+").masked(b"a123\nsecret=42", b"*") == b"*"
    assert Matcher(r"BEGIN[\s\S]*END").masked(b"x\r\nBEGIN\r\n1\r\nEND\r\ny\r", b"*") == b"x\n*\ny"
    assert Matcher(r"password=\w+\s").masked(b"password=x\r", b"*") == b"*"
    assert Matcher(r"password=\w+\r$").masked(b"a\r\npassword=x\r", b"*") == b"a\n*"
    assert Matcher("x").masked(b"axa", b"*") == b"a*a"
    assert Matcher("[0-9]{2}").masked(b"1234", b"*") == b"**"
    assert Matcher(r"\r$").masked(b"a\r\r\nbc", b"*") == b"a*\nbc"
