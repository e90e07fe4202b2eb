"""What holds for any line and any options: nothing is lost, nothing raises, both writers agree, cuts change nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otellogdriver.codec.contract import BOTH, NOTHING, Encoded, EncodeOptions, Encoder, Line
from otellogdriver.lines import json_line, line_encoder, logfmt, severity, severity_scan, times
from otellogdriver.lines.joined import MAX_LINES
from otellogdriver.lines.redaction import Redaction
from otellogdriver.lines.writer import PythonWriter, Rules, Writer
from otellogdriver.settings.options import Settings
from otellogdriver.settings.patterns import without_returns
from tests.data.frames.codecs import NAMES, codecs
from tests.data.frames.log_entry import frame
from tests.data.frames.streams import chunks, cuts, damaged, written
from tests.data.lines.corpus import records, value
from tests.data.lines.programs import examples, levelless, source_of
from tests.data.lines.strategies import changed, json_lines, lines, logfmt_lines, members, plain_lines, texts

NOW = 1_763_980_000_000_000_000
HUGE = 1 << 40
many = settings(max_examples=4 * settings().max_examples, deadline=None)

PATTERNS = ["[0-9]{3}", "^a", 'info|"a"', r"\bx", "é+", r"[^a]a", r"\{", "[^a-z]{4}", "(?P<secret>i)n", ""]
redactions = st.sampled_from([None, None, *(Redaction(pattern) for pattern in PATTERNS if pattern)])
rules = st.builds(Rules, st.sampled_from(["none", "json", "logfmt", "auto"]), st.booleans(), st.booleans(), redactions)
printed = st.lists(
    st.tuples(st.integers(0, 1 << 62), st.sampled_from([NOW, 0, -5]), st.integers(0, 1), lines), max_size=4
)
limits = st.one_of(st.just(HUGE), st.integers(0, 1000))


def writers(rules: Rules) -> list[Writer]:
    python = PythonWriter(rules)
    if "native" not in NAMES:
        return [python]
    from otellogdriver.lines.native import NativeWriter

    return [python, NativeWriter(rules, python)]


@many
@given(printed, rules, st.sampled_from([None, b"12345678"]), limits)
def test_writers_agree(lines: list[Line], rules: Rules, uid: bytes | None, limit: int) -> None:
    python, *others = writers(rules)
    expected = python.write(lines, EncodeOptions(uid=uid), NOW, limit)
    assert expected[1] >= min(1, len(lines))
    assert len(expected[0]) <= limit or expected[1] == 1
    numbers = [record.severity_number for record in records(expected[0])]
    assert expected[2] == tuple(sum(1 <= number - 4 * place <= 4 for number in numbers) for place in range(6))
    for other in others:
        assert other.write(lines, EncodeOptions(uid=uid), NOW, limit) == expected


@many
@example(b"\r\n", "none", False, False)
@example(b"a\r\n\rb\r\r\n\xff\r", "none", False, False)
@given(lines, st.sampled_from(["none", "json", "logfmt", "auto"]), st.booleans(), st.booleans())
def test_nothing_of_a_line_is_lost(line: bytes, parse: Any, with_time: bool, with_severity: bool) -> None:
    for writer in writers(Rules(parse, with_time, with_severity)):
        (record,) = records(writer.write([(0, NOW, 0, line)], EncodeOptions(), NOW, HUGE)[0])
        body = value(record.body)
        originals = [pair.value.bytes_value for pair in record.attributes if pair.key == "log.record.original"]
        if without_returns(line) in [body.encode(), *originals]:
            continue
        found = json_line.parsed(line) if parse in ("json", "auto") else None
        found = found if found is not None else logfmt.parsed(line)
        assert found is not None
        left = leaves({pair.key: value(pair.value) for pair in record.attributes if pair.key != "log.iostream"})
        own = {"log.iostream", "log.record.uid"}
        everything = leaves({key: held for key, held in found.items() if key.lower() not in own})
        for item in left:
            everything.remove(item)
        # What is no attribute has a place of its own.
        places: list[Any] = [body, record.severity_text, record.trace_id.hex(), record.span_id.hex(), record.event_name]
        for item in everything:
            text = item.text if isinstance(item, json_line.Double) else str(item)
            placed = {text, text.lower(), text.rpartition("/")[2].lower()} & set(places) or is_part_of(text, record)
            assert placed or times.nanoseconds(text) == record.time_unix_nano or int(text, 16) == record.flags


def is_part_of(text: str, record: LogRecord) -> bool:
    """Whether a number is one of an id, or of a time."""
    if not text.isdecimal():
        return False
    ids = int.from_bytes(record.trace_id), int.from_bytes(record.span_id)
    return int(text) in (*ids, *divmod(record.time_unix_nano, 10**9))


def leaves(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return [leaf for held in item.values() for leaf in leaves(held)]
    if isinstance(item, list):
        return [leaf for held in item for leaf in leaves(held)]
    return [item]


@many
@given(members)
def test_json_is_read_as_the_json_module_reads_it(members: dict[str, Any]) -> None:
    found = json_line.parsed(json.dumps(members).encode())
    if "" in members:
        assert found is None
    else:
        assert found is not None and plain(found) == plain(members)


def plain(item: Any) -> Any:
    """With numbers as OTLP has them."""
    if isinstance(item, dict):
        return {key: plain(held) for key, held in item.items()}
    if isinstance(item, list):
        return [plain(held) for held in item]
    if isinstance(item, int) and not isinstance(item, bool) and not -(1 << 63) <= item < 1 << 63:
        return "str", str(item)
    return type(item).__name__.replace("Double", "float"), item


@many
@given(
    st.dictionaries(st.from_regex(r"[A-Za-z_@][\w./@:-]{0,5}", fullmatch=True).filter(str.isascii), texts, min_size=1)
)
def test_logfmt_is_read_as_it_was_written(members: dict[str, str]) -> None:
    line = " ".join(f"{key}={json.dumps(text)}" for key, text in members.items())
    assert logfmt.parsed(line.encode()) == members


@many
@given(st.one_of(st.binary(max_size=300), plain_lines, logfmt_lines))
def test_any_bytes_are_taken(line: bytes) -> None:
    number, text = severity.in_text(line)
    assert 0 <= number <= 24 and bool(number) == bool(text)
    logfmt.parsed(line)
    json_line.parsed(line)
    assert 0 <= times.nanoseconds(line.decode("latin-1")) < 1 << 63


PRINTED = [example.line for example in [*examples("programs.txt"), *levelless()]]
PARTS = [b" ", b": ", b":", b"[", b"] ", b"(", b"/", b".", b"=", b'"', b"{", b"ERROR", b"info", b"Warn", b"2026-01-02 "]
scanned = st.one_of(
    st.binary(max_size=80),
    st.sampled_from(PRINTED),
    st.builds(changed, st.sampled_from(PRINTED), st.integers(0, 1 << 16), st.integers(0, 9), st.sampled_from(PARTS)),
    st.builds(
        lambda line, begin, end: line[begin:end], st.sampled_from(PRINTED), st.integers(0, 30), st.integers(0, 99)
    ),
    st.builds(lambda one, other, at: one[:at] + other, *[st.sampled_from(PRINTED)] * 2, st.integers(0, 200)),
    st.lists(st.sampled_from(PARTS), max_size=30).map(b"".join),
)
SCAN = source_of(severity_scan)


@many
@given(scanned)
def test_the_scanner_is_the_same_compiled(line: bytes) -> None:
    head = line[: severity.HEAD]
    found = severity_scan.find(head, len(head))
    assert SCAN.find(head, len(head)) == found
    begin, end = found >> 8 & 255, found >> 16
    assert 0 <= begin <= end <= len(head) and (begin < end) == (0 < found & 255 <= 24)


SECRET = "hunter2"


def hidden(item: Any, where: int) -> Any:
    """A copy of `item` with the secret in each text."""
    if isinstance(item, dict):
        return {(key + SECRET if where & 1 else key): hidden(held, where) for key, held in item.items()}
    if isinstance(item, list):
        return [hidden(held, where) for held in item]
    return SECRET + item if isinstance(item, str) else SECRET if where & 2 else item


@many
@given(members, st.integers(0, 3), st.booleans(), rules, st.sampled_from([SECRET, f"^{SECRET}|{SECRET}", "h[^a]nter2"]))
def test_what_is_redacted_is_in_no_field(
    members: dict[str, Any], where: int, escaped: bool, rules: Rules, pattern: str
) -> None:
    line = json.dumps(hidden(members, where)).encode()
    if escaped:
        line = line.replace(b"hunter2", b"h\\u0075nter2")
    rules = Rules(rules.parse, rules.parse_time, rules.severity, Redaction(pattern))
    for writer in writers(rules):
        payload, *_ = writer.write([(0, NOW, 0, line)], EncodeOptions(), NOW, HUGE)
        assert SECRET.encode() not in payload


# --- the encoder

frames = st.builds(
    frame,
    st.one_of(plain_lines, json_lines),
    st.integers(NOW, NOW + 10**10),
    st.sampled_from(["stdout", "stderr"]),
    st.sampled_from([None, None, None, "x", "y"]),
    st.booleans(),
)
streams = st.lists(st.one_of(frames, frames, written, damaged), max_size=12).map(b"".join)
options = st.builds(
    Settings,
    parse=st.sampled_from(["none", "none", "json"]),
    severity=st.sampled_from(["none", "auto"]),
    multiline_pattern=st.sampled_from(["", "^A", "x", "auto", "java", "python", "go", "timestamp"]),
    include_pattern=st.sampled_from(["", "", "[a-z]"]),
    exclude_pattern=st.sampled_from(["", "", "Trace"]),
    rate_limit=st.sampled_from([0, 0, 1, 1000]),
    streams=st.sampled_from(["both", "both", "stdout"]),
)


def encoders(settings: Settings) -> list[Encoder]:
    return [line_encoder(settings, codec, encode_options(settings)) for codec in codecs()]


def encode_options(settings: Settings) -> EncodeOptions:
    return EncodeOptions(uid=b"12345678", streams={"stdout": 1, "stderr": 2}.get(settings.streams, BOTH))


def run(
    encoder: Encoder, settings: Settings, data: bytes, ends: list[int], limit: int, final: bool = True
) -> list[Encoded]:
    """Every call that it takes to encode a stream that is seen up to each of `ends` in turn, and with `final` ends
    then. Each is made twice, because a feed may throw the result away."""
    calls: list[Encoded] = []
    at, carry = 0, NOTHING
    for index, end in enumerate(ends):
        while True:
            arguments = (
                data[at:end],
                at,
                carry,
                encode_options(settings),
                NOW,
                limit,
                0,
                final and index == len(ends) - 1,
            )
            encoded = encoder.encode(*arguments)
            assert encoder.encode(*arguments) == encoded
            calls.append(encoded)
            progress = (encoded.end, encoded.carry) != (at, carry)
            at, carry = encoded.end, encoded.carry
            if not progress:
                break
    return calls


def summed(calls: list[Encoded]) -> tuple[Any, ...]:
    excluded: dict[str, int] = {}
    for call in calls:
        for reason, count in call.excluded.items():
            excluded[reason] = excluded.get(reason, 0) + count
    counts = [(*call.lines, *call.bytes, call.records, call.skipped) for call in calls]
    total = [sum(column) for column in zip(*counts, strict=True)]
    return b"".join(call.payload for call in calls), total, excluded, calls[-1].carry, calls[-1].end


@many
@given(streams, cuts, options, limits)
def test_cuts_and_limits_change_nothing(data: bytes, places: list[int], settings: Settings, limit: int) -> None:
    expected = None
    for encoder, again in zip(encoders(settings), encoders(settings), strict=True):
        whole = summed(run(encoder, settings, data, [len(data)], HUGE))
        parts = run(again, settings, data, chunks(data, places), limit)
        assert summed(parts) == whole
        assert whole[3:] == (NOTHING, len(data))
        assert all(len(part.payload) <= limit or part.records == 1 for part in parts)
        assert expected in (None, whole)
        expected = whole


@settings(deadline=None)
@given(streams, cuts, options.filter(lambda settings: not settings.rate_limit), limits)
def test_a_crash_anywhere_changes_nothing(data: bytes, places: list[int], settings: Settings, limit: int) -> None:
    for encoder in encoders(settings):
        for call in run(encoder, settings, data, chunks(data, places), limit, final=False):
            begins = tuple(-1 if group is None else group.begin for group in call.carry)
            if begins == (-1, -1):
                continue
            least = min(begin for begin in begins if begin >= 0)
            again = encoder.rebuild(data[least : call.end], least, begins)  # type: ignore[arg-type]
            assert begins == tuple(-1 if group is None else group.begin for group in again)
            whole, rebuilt = (
                encoder.encode(data[call.end :], call.end, carry, encode_options(settings), NOW, HUGE, final=True)
                for carry in (call.carry, again)
            )
            assert whole == rebuilt


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(["^A", "java"]), st.integers(0, 2))
def test_records_are_bounded(pattern: str, more: int) -> None:
    settings = Settings(multiline_pattern=pattern)
    for encoder in encoders(settings):
        data = b"".join(frame(b"\tat x") for _ in range(MAX_LINES + more))
        calls = run(encoder, settings, data, [len(data)], HUGE)
        assert sum(call.records for call in calls) == (2 if more else 1)
        data = b"".join(frame(b"\tat " + b"x" * 20_000) for _ in range(120))
        found = [record for call in run(encoder, settings, data, [len(data)], HUGE) for record in records(call.payload)]
        assert len(found) == 2 and all(len(record.body.string_value) <= 2 << 20 for record in found)
        assert sum(record.body.string_value.count("\n") + 1 for record in found) == 120


@pytest.mark.parametrize("text", ["1-1-" * 60, "[1] " * 60, "[" * 200, "(" * 200, "\x1b[" * 100, "- " * 100, "9" * 200])
def test_looking_for_a_level_takes_no_time(text: str) -> None:
    assert severity.in_text(text.encode()) == (0, "")
