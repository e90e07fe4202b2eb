"""The codec, both implementations: the corpus whole, byte by byte and with trailing bytes, and each promise by name."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource

from otellogdriver.codec.contract import BOTH, MAX_FRAME, NOTHING, Carry, Codec, Encoded, EncodeOptions
from tests.data.frames.codecs import NAMES, codec
from tests.data.frames.corpus import CASES, Case
from tests.data.frames.log_entry import LogEntry, frame, framed
from tests.data.frames.records import groups, opens, parsed, told

NOW = 1_763_980_000_123_456_789
HUGE = 1 << 40


@pytest.fixture(params=NAMES, name="codec")
def _codec(request: pytest.FixtureRequest) -> Codec:
    return codec(request.param)


def encode(
    codec: Codec,
    data: bytes | bytearray | memoryview,
    options: EncodeOptions | None = None,
    limit: int = HUGE,
    flush: int = 0,
    final: bool = False,
) -> Encoded:
    """The whole of a stream in one call."""
    return codec.encode(data, 0, NOTHING, options or EncodeOptions(), NOW, limit, flush, final)


def fed(codec: Codec, data: bytes, step: int) -> Iterator[Encoded]:
    """As a reader does that sees the stream grow: what was not used is offered again, with more."""
    end, carry = 0, NOTHING
    for seen in range(0, len(data) + step, step):
        encoded = codec.encode(data[end:seen], end, carry, EncodeOptions(), NOW, HUGE)
        assert end <= encoded.end <= seen
        end, carry = encoded.end, encoded.carry
        yield encoded


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
class TestCorpus:
    def test_whole(self, codec: Codec, case: Case) -> None:
        encoded = encode(codec, case.data)
        assert told(encoded.payload) == case.records
        assert groups(encoded.carry) == case.open
        assert len(case.data) - encoded.end == case.left
        assert encoded.skipped == case.skipped
        assert encoded.records == len(case.records) == sum(encoded.lines)

    def test_byte_by_byte(self, codec: Codec, case: Case) -> None:
        step = 1 if len(case.data) < 1000 else 997
        parts = list(fed(codec, case.data, step))
        assert told(b"".join(part.payload for part in parts)) == case.records
        assert groups(parts[-1].carry) == case.open
        assert len(case.data) - parts[-1].end == case.left
        assert sum(part.skipped for part in parts) == case.skipped

    def test_ended(self, codec: Codec, case: Case) -> None:
        encoded = encode(codec, case.data, final=True)
        assert told(encoded.payload) == case.records + case.ended_records
        assert encoded.skipped == case.skipped + case.ended_skipped
        assert (encoded.end, encoded.carry) == (len(case.data), NOTHING)

    def test_ends_after_the_last_byte_came(self, codec: Codec, case: Case) -> None:
        before = encode(codec, case.data)
        last = codec.encode(
            case.data[before.end :], before.end, before.carry, EncodeOptions(), NOW, HUGE, flush=BOTH, final=True
        )
        assert told(last.payload) == case.ended_records
        assert last.skipped == case.ended_skipped

    def test_other_walks_agree(self, codec: Codec, case: Case) -> None:
        encoded = encode(codec, case.data)
        out, err, skipped, end = codec.count(case.data, 0, HUGE)
        assert (skipped, end) == (encoded.skipped, encoded.end)
        places = codec.positions(case.data, 0)
        for place in places:
            assert codec.count(case.data[place:], place, place)[2] == 0
        frames, end, done = codec.readable(case.data, 0, -(1 << 63), 0)
        assert (end, done) == (encoded.end, False)
        assert len(codec.positions(frames, 0)) == len(places)
        assert codec.count(frames, 0, HUGE)[2:] == (0, len(frames))
        assert out + err <= len(places)


@pytest.mark.parametrize("case", [case for case in CASES if not case.left], ids=lambda case: case.name)
def test_trailing_bytes_of_the_next_frame_change_nothing(codec: Codec, case: Case) -> None:
    whole = encode(codec, case.data)
    trailing = frame(b"trailing")
    for size in (1, 4, 5, 11, 12, 13, len(trailing) - 1):
        assert encode(codec, case.data + trailing[:size]) == whole


# --- records


def test_record_is_what_the_sdk_writes(codec: Codec) -> None:
    lines = [(b"out", "stdout"), ("é€😀".encode(), "stderr"), (b"", "stdout"), (b"x" * 300, "stderr")]
    records = [
        ReadableLogRecord(
            LogRecord(
                timestamp=NOW + index,
                observed_timestamp=NOW + index,
                body=line.decode(),
                attributes={"log.iostream": source},
            ),
            Resource.get_empty(),
        )
        for index, (line, source) in enumerate(lines)
    ]
    (scope,) = encode_logs(records).resource_logs[0].scope_logs
    expected = b"".join(b"\x12" + _len(record.SerializeToString()) for record in scope.log_records)
    data = b"".join(frame(line, NOW + index, source) for index, (line, source) in enumerate(lines))
    assert encode(codec, data).payload == expected


def _len(message: bytes) -> bytes:
    size, out = len(message), b""
    while size >= 0x80:
        out, size = out + bytes([size & 0x7F | 0x80]), size >> 7
    return out + bytes([size]) + message


def test_attributes_stand_verbatim_between_iostream_and_uid(codec: Codec) -> None:
    more = b"\x32" + _len(b"\x0a\x01k\x12\x03\x0a\x01v") + b"\x32" + _len(b"\x0a\x01n\x12\x02\x18\x07")
    encoded = encode(codec, frame(b"line"), EncodeOptions(uid=b"12345678", attributes=more))
    (record,) = parsed(encoded.payload)
    assert [attribute.key for attribute in record.attributes] == ["log.iostream", "k", "n", "log.record.uid"]
    assert record.attributes[1].value.string_value == "v"
    assert record.attributes[2].value.int_value == 7
    assert record.SerializeToString() in encoded.payload


@pytest.mark.parametrize("uid", (None, b"12345678"))
def test_a_record_was_observed_when_the_engine_read_its_first_frame(codec: Codec, uid: bytes | None) -> None:
    data = (
        frame(b"whole", 10)
        + frame(b"a", 20, id="x")
        + frame(b"\xff", 30, "stderr")
        + frame(b"b", 40, id="x", last=True)
    )
    options = EncodeOptions(uid=uid)
    now, later = (codec.encode(data, 0, NOTHING, options, observed, HUGE).payload for observed in (NOW, NOW + HUGE))
    assert [record.observed_time_unix_nano for record in parsed(now)] == [10, 30, 20]
    assert now == later, "the same bytes at each try"


@pytest.mark.parametrize("time", (0, -1, -(1 << 63)))
def test_a_record_without_a_time_is_observed_now(codec: Codec, time: int) -> None:
    (record,) = parsed(encode(codec, frame(b"line", time)).payload)
    assert (record.time_unix_nano, record.observed_time_unix_nano) == (0, NOW)


@pytest.mark.parametrize("start", [0, 1, 0xFFFF_FFFF_FFFF, 0x0123_4567_89AB_CDEF, (1 << 62) - 1])
def test_uid_is_a_uuid_of_stream_and_offset(codec: Codec, start: int) -> None:
    stream = bytes.fromhex("00112233445566ff")
    encoded = codec.encode(frame(b"line"), start, NOTHING, EncodeOptions(uid=stream), NOW, HUGE)
    text = parsed(encoded.payload)[0].attributes[1].value.string_value
    uid = uuid.UUID(text)
    assert (text, uid.variant, uid.version) == (str(uid), uuid.RFC_4122, 8)
    assert uid.bytes[:6] + uid.bytes[7:8] == stream[:6] + stream[7:]
    assert uid.int & ((1 << 62) - 1) == start


def test_uid_of_joined_pieces_is_that_of_the_first(codec: Codec) -> None:
    options = EncodeOptions(uid=b"12345678")
    first = frame(b"a", id="x")
    data = first + frame(b"other", source="stderr") + frame(b"b", id="x", last=True)
    whole = parsed(encode(codec, data, options).payload)[1]
    alone = parsed(encode(codec, frame(b"ab"), options).payload)[0]
    assert whole.attributes[1] == alone.attributes[1]


@pytest.mark.parametrize("size", [0, 7, 9])
def test_uid_of_another_length_is_refused(codec: Codec, size: int) -> None:
    with pytest.raises(ValueError, match=f"has {size} bytes; it must have 8"):
        encode(codec, frame(b"line"), EncodeOptions(uid=b"x" * size))


def test_counts(codec: Codec) -> None:
    data = frame(b"four", 10) + frame(b"five!", 20, "stderr") + frame(b"", 30) + frame(b"open", 40, id="x")
    encoded = encode(codec, data)
    assert (encoded.records, encoded.lines, encoded.bytes, encoded.excluded) == (3, (2, 1), (4, 5), {})
    nothing = encode(codec, b"")
    assert nothing == Encoded(b"", 0, (0, 0), (0, 0), {}, 0)


@pytest.mark.parametrize(("streams", "kept"), [(0, []), (1, ["stdout", "stdout"]), (2, ["stderr"]), (3, None)])
def test_streams_excluded_are_counted(codec: Codec, streams: int, kept: list[str] | None) -> None:
    data = frame(b"a", 1) + frame(b"b", 2, "stderr") + frame(b"c", 3, id="x") + frame(b"d", 4, id="x", last=True)
    encoded = encode(codec, data, EncodeOptions(streams=streams))
    found = [stream for stream, _, _ in told(encoded.payload)]
    assert found == (["stdout", "stderr", "stdout"] if kept is None else kept)
    excluded = {} if len(found) == 3 else {"streams": 3 - len(found)}
    assert (encoded.records, encoded.excluded) == (len(found), excluded)
    assert (encoded.lines, encoded.bytes) == ((2, 1), (3, 1))
    assert encoded.end == len(data)


# --- limit, flush, final


def test_limit_stops_before_the_record_that_would_pass_it(codec: Codec) -> None:
    data = frame(b"a" * 50) * 10
    one = len(encode(codec, data, limit=0).payload)
    for limit, records in ((0, 1), (1, 1), (one, 1), (2 * one - 1, 1), (2 * one, 2), (10 * one, 10)):
        encoded = encode(codec, data, limit=limit)
        assert encoded.records == records
        assert encoded.end == records * len(data) // 10
        assert encoded.payload == encode(codec, data).payload[: records * one]


def test_limit_is_passed_only_by_a_record_alone(codec: Codec) -> None:
    encoded = encode(codec, frame(b"long" * 100) + frame(b"b"), limit=10)
    assert (encoded.records, len(encoded.payload) > 400) == (1, True)


def test_group_that_is_ended_may_fit_where_its_ending_frame_does_not(codec: Codec) -> None:
    piece = frame(b"piece", id="x")
    data = piece + frame(b"line")
    first = encode(codec, data, limit=10)
    assert (told(first.payload), first.end, first.carry) == ([("stdout", NOW, "piece")], len(piece), NOTHING)
    second = codec.encode(data[first.end :], first.end, first.carry, EncodeOptions(), NOW, 10)
    assert (told(second.payload), second.end) == ([("stdout", NOW, "line")], len(data))


@pytest.mark.parametrize("more", ["flush", "final"])
def test_flush_may_be_stopped_by_the_limit_too(codec: Codec, more: str) -> None:
    data = frame(b"out", id="x") + frame(b"err", source="stderr", id="y")
    first = encode(codec, data, limit=10, flush=BOTH * (more == "flush"), final=more == "final")
    assert (told(first.payload), first.end) == ([("stdout", NOW, "out")], len(data))
    assert groups(first.carry) == [("stderr", NOW, b"err")]
    second = codec.encode(b"", first.end, first.carry, EncodeOptions(), NOW, 10, flush=BOTH)
    assert (told(second.payload), second.carry, second.end) == ([("stderr", NOW, "err")], NOTHING, len(data))


def test_flush_does_not_end_groups_if_frames_are_left_by_the_limit(codec: Codec) -> None:
    data = frame(b"out", id="x") + frame(b"1", source="stderr") + frame(b"2", source="stderr")
    encoded = encode(codec, data, limit=10, flush=BOTH)
    assert (encoded.records, groups(encoded.carry)) == (1, [("stdout", NOW, b"out")])


def test_flush_leaves_a_frame_that_is_not_complete(codec: Codec) -> None:
    data = frame(b"out", id="x") + frame(b"cut")[:-1]
    encoded = encode(codec, data, flush=BOTH)
    assert told(encoded.payload) == [("stdout", NOW, "out")]
    assert (len(data) - encoded.end, encoded.skipped) == (len(frame(b"cut")) - 1, 0)


def test_a_chunk_of_the_longest_frame_always_makes_progress(codec: Codec) -> None:
    longest = framed(b"\n\x06stdout\x1a" + _len(b"a" * (MAX_FRAME - 8 - 5)) + b"")
    longest = framed(longest[4:] + b"\x20\x00" * ((MAX_FRAME - len(longest) + 4) // 2))
    assert len(longest) in (MAX_FRAME + 3, MAX_FRAME + 4)
    assert encode(codec, longest[:-1]).end == 0
    assert encode(codec, longest).records == 1
    too_long = (MAX_FRAME + 1).to_bytes(4, "big") + longest[4:] + b" "
    assert encode(codec, too_long).end > 0


# --- rebuild


def test_rebuild_gives_the_carry(codec: Codec) -> None:
    data = frame(b"whole") + frame(b"a", 1, id="x") + frame(b"b", 2, "stderr", id="y") + frame(b"c", 3, id="x")
    encoded = encode(codec, data)
    begin = len(frame(b"whole"))
    assert groups(encoded.carry) == [("stdout", 1, b"ac"), ("stderr", 2, b"b")]
    assert codec.rebuild(data[begin:], begin, opens(encoded.carry)) == encoded.carry


def test_rebuild_ignores_frames_before_a_begin_and_of_other_sources(codec: Codec) -> None:
    data = frame(b"a", id="x") + frame(b"b", source="stderr", id="y") + frame(b"c", source="stderr", id="y")
    third = len(data) - len(frame(b"c", source="stderr", id="y"))
    assert codec.rebuild(data, 0, (0, -1)) == (encode(codec, data).carry[0], None)
    assert groups(codec.rebuild(data, 0, (0, third))) == [("stdout", NOW, b"a"), ("stderr", NOW, b"c")]
    assert codec.rebuild(data, 0, (-1, -1)) == NOTHING


def test_rebuild_is_not_held_up_by_damage_that_looks_like_a_begin(codec: Codec) -> None:
    # A header that promises more than the chunk of `rebuild` has, but was seen to be damage by `encode`.
    damage = b"\0\0\1\0\n\x06stdout\x1a\x80\x01"
    data = frame(b"a", id="x") + damage + frame(b"b", id="x") + b"\xff" * 300
    encoded = encode(codec, data)
    assert groups(encoded.carry) == [("stdout", NOW, b"ab")]
    assert codec.rebuild(data[: encoded.end - 300], 0, (0, -1)) == encoded.carry


# --- count, readable, positions


def test_count_goes_to_the_first_frame_at_or_behind_the_offset(codec: Codec) -> None:
    one, two = frame(b"one"), frame(b"two", source="stderr")
    data = one + two + one
    start = 1000
    for offset, expected in (
        (0, (0, 0, 0, start)),
        (start, (0, 0, 0, start)),
        (start + 1, (1, 0, 0, start + len(one))),
        (start + len(one), (1, 0, 0, start + len(one))),
        (start + len(one) + 1, (1, 1, 0, start + len(one + two))),
        (HUGE, (2, 1, 0, start + len(data))),
        (1 << 80, (2, 1, 0, start + len(data))),
    ):
        assert codec.count(data, start, offset) == expected


def test_count_counts_lines_where_they_end(codec: Codec) -> None:
    pieces = frame(b"a", id="x") + frame(b"b", id="x") + frame(b"c", id="x", last=True)
    assert codec.count(pieces, 0, HUGE)[:2] == (1, 0)
    assert codec.count(pieces, 0, len(frame(b"a", id="x")) + 1)[:2] == (0, 0)
    assert codec.count(frame(b"a", partial=True) + frame(b"b"), 0, HUGE)[:2] == (1, 0)


def test_count_passes_over_damage_at_the_offset(codec: Codec) -> None:
    line = frame(b"line")
    data = line + b"\xff" * 50 + line
    assert codec.count(data, 0, len(line)) == (1, 0, 50, len(line) + 50)
    assert codec.count(data, 0, len(line) + 7) == (1, 0, 50, len(line) + 50)
    cut = line + line[:-1]
    assert codec.count(cut, 0, HUGE) == (1, 0, 0, len(line))
    assert codec.count(cut, 0, HUGE, True) == (1, 0, len(line) - 1, len(cut))


def test_readable_is_what_the_engine_reads(codec: Codec) -> None:
    data = (
        frame(b"line", 1)
        + frame(b"", 2, "stderr")
        + frame(b"pie", 3, id="x")
        + frame(b"", 4, id="x")
        + frame(b"ce", 5, id="x", last=True)
        + frame(b"old", 6, partial=True)
        + frame(b"x" * 127, 0)
        + frame(b"x" * 16383, -5)
    )
    expected = [
        LogEntry(source="stdout", time_nano=1, line=b"line\n"),
        LogEntry(source="stderr", time_nano=2, line=b"\n"),
        LogEntry(source="stdout", time_nano=3, line=b"pie"),
        LogEntry(source="stdout", time_nano=4),
        LogEntry(source="stdout", time_nano=5, line=b"ce\n"),
        LogEntry(source="stdout", time_nano=6, line=b"old"),
        LogEntry(source="stdout", line=b"x" * 127 + b"\n"),
        LogEntry(source="stdout", time_nano=-5, line=b"x" * 16383 + b"\n"),
    ]
    frames = b"".join(framed(entry.SerializeToString()) for entry in expected)
    assert codec.readable(data, 7, -(1 << 63), 0) == (frames, 7 + len(data), False)


def test_readable_keeps_to_since_and_until(codec: Codec) -> None:
    data = b"".join(frame(str(time).encode(), time) for time in (10, 20, 30, 25, 40))
    one = len(frame(b"10", 10))

    def times(since: int, until: int) -> tuple[list[int], int, bool]:
        frames, end, done = codec.readable(data, 0, since, until)
        size = len(frame(b"10\n", 10))
        found = [LogEntry.FromString(frames[at + 4 : at + size]).time_nano for at in range(0, len(frames), size)]
        return found, end // one, done

    assert times(0, 0) == ([10, 20, 30, 25, 40], 5, False)
    assert times(20, 0) == ([20, 30, 25, 40], 5, False)
    assert times(20, 30) == ([20, 30, 25], 4, True)
    assert times(0, 9) == ([], 0, True)
    assert times(0, 40) == ([10, 20, 30, 25, 40], 5, False)


def test_positions_are_offsets_of_frames(codec: Codec) -> None:
    one, two = frame(b"one"), frame(b"two two", id="x")
    data = one + b"\xff\xff" + two + one[:-1]
    assert list(codec.positions(data, 100)) == [100, 100 + len(one) + 2]
    assert len(codec.positions(b"", 100)) == 0


# --- bytes-like input, threads


@pytest.mark.parametrize("kind", [bytearray, memoryview, lambda data: memoryview(bytearray(b"xx" + data))[2:]])
def test_any_buffer_is_read(codec: Codec, kind: type[bytearray]) -> None:
    data = frame(b"a", id="x") + frame(b"b", source="stderr") + frame(b"c")
    chunk = kind(data)
    assert encode(codec, chunk) == encode(codec, data)
    assert codec.rebuild(chunk, 0, (0, -1)) == codec.rebuild(data, 0, (0, -1))
    assert codec.count(chunk, 0, HUGE) == codec.count(data, 0, HUGE)
    assert codec.readable(chunk, 0, 0, 0) == codec.readable(data, 0, 0, 0)
    assert list(codec.positions(chunk, 0)) == list(codec.positions(data, 0))
    if isinstance(chunk, bytearray):
        chunk.extend(b"nobody holds the buffer any more")


def test_native_holds_the_buffer_and_leaves_the_others_running() -> None:
    if "native" not in NAMES:
        pytest.skip("OTELLOGDRIVER_NATIVE=skip")
    native = codec("native")
    chunk = bytearray(frame(b"a" * 20) * 500_000)
    size = len(chunk)
    result: list[Encoded] = []
    worker = threading.Thread(target=lambda: result.append(encode(native, chunk)))
    held = False
    worker.start()
    while worker.is_alive():
        try:
            chunk.append(0)
            del chunk[size:]
        except BufferError:
            held = True
    worker.join()
    assert held, "the chunk was never seen exported: it is copied, or the GIL is held all the time"
    assert (result[0].records, result[0].end) == (500_000, size)


def test_threads_do_not_disturb_each_other(codec: Codec) -> None:
    chunks = [b"".join(frame(b"%d" % line, id=id) for line in range(2000)) for id in ("x", "y", "z")]
    expected = [encode(codec, chunk, flush=BOTH) for chunk in chunks]
    results: dict[int, Encoded] = {}

    def work(index: int) -> None:
        results[index] = encode(codec, chunks[index], flush=BOTH)

    workers = [threading.Thread(target=work, args=(index,)) for index in range(len(chunks))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [results[index] for index in range(len(chunks))] == expected


def test_carry_is_a_value_that_both_codecs_understand() -> None:
    data = b"".join(frame(b"piece%d " % index, id="x", last=index == 9) for index in range(10))
    whole = encode(codec("python"), data)
    end, carry = 0, NOTHING
    payload = b""
    for seen in range(0, len(data) + 1, 7):
        encoded = codec(NAMES[seen % len(NAMES)]).encode(data[end:seen], end, carry, EncodeOptions(), NOW, HUGE)
        end, carry = encoded.end, encoded.carry
        payload += encoded.payload
    rest: Carry = codec("python").encode(data[end:], end, carry, EncodeOptions(), NOW, HUGE, final=True).carry
    assert rest == NOTHING
    assert payload in (b"", whole.payload)
