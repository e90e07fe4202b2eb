"""What holds for any bytes, cut anywhere: both codecs agree exactly, and where a stream is cut changes nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from otellogdriver.codec.contract import BOTH, NOTHING, Carry, Codec, Encoded, EncodeOptions
from tests.data.frames.codecs import codecs
from tests.data.frames.log_entry import LogEntry
from tests.data.frames.records import opens, told
from tests.data.frames.streams import chunks, cuts, garbage, streams, written

OBSERVED = 1_763_980_000_123_456_789
HUGE = 1 << 40
flushes = st.integers(0, BOTH)
python = codecs()[0]
many = settings(max_examples=4 * settings().max_examples, deadline=None)

options = st.builds(
    EncodeOptions,
    st.sampled_from([None, b"12345678", b"\xff" * 8]),
    st.sampled_from([b"", b"\x32\x00"]),
    st.integers(0, 3),
)
limits = st.one_of(st.just(HUGE), st.integers(0, 1000))


def run(
    codec: Codec, data: bytes, ends: list[int], options: EncodeOptions, limit: int, start: int = 0, final: bool = False
) -> list[Encoded]:
    """Every call that it takes to encode a stream that is seen up to each of `ends` in turn."""
    calls: list[Encoded] = []
    at, carry = start, NOTHING
    for index, end in enumerate(ends):
        last = final and index == len(ends) - 1
        while True:
            encoded = codec.encode(data[at - start : end], at, carry, options, OBSERVED, limit, final=last)
            calls.append(encoded)
            progress = (encoded.end, encoded.carry) != (at, carry)
            at, carry = encoded.end, encoded.carry
            if not progress:
                break
    return calls


def summed(calls: list[Encoded]) -> tuple[bytes, list[int], int, Carry, int]:
    counts = [(*call.lines, *call.bytes, call.records, call.excluded.get("streams", 0)) for call in calls]
    total = [sum(column) for column in zip(*counts, strict=True)]
    skipped = sum(call.skipped for call in calls)
    return b"".join(call.payload for call in calls), total, skipped, calls[-1].carry, calls[-1].end


@many
@given(streams, cuts, options, limits, st.integers(0, 1 << 61), st.booleans())
def test_codecs_agree_in_every_call(
    data: bytes, places: list[int], options: EncodeOptions, limit: int, start: int, final: bool
) -> None:
    ends = chunks(data, places)
    expected = run(python, data, ends, options, limit, start, final)
    for other in codecs():
        assert run(other, data, ends, options, limit, start, final) == expected


@many
@given(streams, st.integers(0, 1 << 16), flushes, flushes, st.booleans(), limits)
def test_codecs_flush_the_same_streams(
    data: bytes, place: int, first: int, second: int, final: bool, limit: int
) -> None:
    cut = place % (len(data) + 1)
    expected = python.encode(data[:cut], 0, NOTHING, EncodeOptions(), OBSERVED, limit, first)
    kept = [expected.carry[stream] for stream in (0, 1) if first >> stream & 1]
    assert limit < HUGE or not any(kept)
    rest = expected.end, expected.carry, EncodeOptions(), OBSERVED, limit, second, final
    for other in codecs():
        assert other.encode(data[:cut], 0, NOTHING, EncodeOptions(), OBSERVED, limit, first) == expected
        assert other.encode(data[expected.end :], *rest) == python.encode(data[expected.end :], *rest)


@many
@given(streams, st.integers(0, 1 << 16), flushes, st.booleans(), st.integers(-1, 8), st.integers(0, 1 << 61))
def test_split_gives_the_lines_that_encode_makes_records_of(
    data: bytes, place: int, flush: int, final: bool, most: int, start: int
) -> None:
    cut = place % (len(data) + 1)
    for codec in codecs():
        before = codec.encode(data[:cut], start, NOTHING, EncodeOptions(), OBSERVED, HUGE)
        rest, at = data[before.end - start :], before.end
        encoded = codec.encode(rest, at, before.carry, EncodeOptions(uid=b"12345678"), OBSERVED, HUGE, flush, final)
        split = codec.split(rest, at, before.carry, BOTH if final else flush, final)
        shown = [
            (("stdout", "stderr")[stream], max(time, 0), line.rstrip(b"\r")) for _, time, stream, line in split.lines
        ]
        found = [
            (stream, time, line.encode() if isinstance(line, str) else line)
            for stream, time, line in told(encoded.payload)
        ]
        assert shown == found
        assert (split.end, split.carry, split.skipped) == (encoded.end, encoded.carry, encoded.skipped)
        some = codec.split(rest, at, before.carry, flush, final, most)
        assert some.lines == codec.split(rest, at, before.carry, flush, final).lines[: most if most >= 0 else None]
        assert some == python.split(rest, at, before.carry, flush, final, most)
        # What is left goes on as if there had been no stop.
        again = codec.split(rest[some.end - at :], some.end, some.carry, flush, final)
        assert some.lines + again.lines == codec.split(rest, at, before.carry, flush, final).lines


@many
@given(streams, st.tuples(st.integers(-1, 400), st.integers(-1, 400)))
def test_split_ignores_what_is_before_the_begins(data: bytes, begins: tuple[int, int]) -> None:
    for codec in codecs():
        split = codec.split(data, 0, NOTHING, final=True, opens=begins)
        assert split.carry == codec.rebuild(data, 0, begins)
        assert all(0 <= begins[stream] <= begin for begin, _, stream, _ in split.lines)
        assert split == python.split(data, 0, NOTHING, final=True, opens=begins)


@many
@given(streams, cuts, options, limits, st.booleans())
def test_cuts_and_limits_change_nothing(
    data: bytes, places: list[int], options: EncodeOptions, limit: int, final: bool
) -> None:
    for codec in codecs():
        whole = run(codec, data, [len(data)], options, HUGE, 0, final)
        assert summed(run(codec, data, chunks(data, places), options, limit, 0, final)) == summed(whole)
        if final:
            assert (whole[-1].end, whole[-1].carry) == (len(data), NOTHING)


@many
@given(streams, cuts, limits)
def test_limit_is_kept(data: bytes, places: list[int], limit: int) -> None:
    for codec in codecs():
        for call in run(codec, data, chunks(data, places), EncodeOptions(), limit, 0, True):
            assert len(call.payload) <= limit or call.records == 1


@many
@given(streams, cuts, limits, st.integers(0, 1 << 61))
def test_rebuild_gives_the_carry_at_any_cut(data: bytes, places: list[int], limit: int, start: int) -> None:
    for codec in codecs():
        for call in run(codec, data, chunks(data, places), EncodeOptions(), limit, start):
            begins = opens(call.carry)
            if begins == (-1, -1):
                continue
            least = min(begin for begin in begins if begin >= 0)
            assert codec.rebuild(data[least - start : call.end - start], least, begins) == call.carry


@many
@given(streams, st.tuples(st.integers(-1, 400), st.integers(-1, 400)))
def test_rebuild_agrees_for_any_begins(data: bytes, begins: tuple[int, int]) -> None:
    for other in codecs():
        assert other.rebuild(data, 0, begins) == python.rebuild(data, 0, begins)


@many
@given(streams, st.integers(0, 1000), st.integers(-10, 2000), st.booleans())
def test_count_agrees(data: bytes, start: int, offset: int, final: bool) -> None:
    expected = python.count(data, start, offset, final)
    out, err, skipped, end = expected
    assert start <= end <= start + len(data)
    for other in codecs():
        assert other.count(data, start, offset, final) == expected
        rest = other.count(data[end - start :], end, HUGE, final)
        whole = other.count(data, start, HUGE, final)
        assert (out + rest[0], err + rest[1], skipped + rest[2], rest[3]) == whole


@many
@given(streams, st.integers(0, 1000), st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-(1 << 63), (1 << 63) - 1))
def test_readable_and_positions_agree(data: bytes, start: int, since: int, until: int) -> None:
    for other in codecs():
        assert other.readable(data, start, since, until) == python.readable(data, start, since, until)
        assert other.readable(data, start, since, 0) == python.readable(data, start, since, 0)
        assert list(other.positions(data, start)) == list(python.positions(data, start))


@many
@given(streams)
def test_a_frame_is_what_protobuf_reads(data: bytes) -> None:
    for codec in codecs():
        frames, _, _ = codec.readable(data, 0, -(1 << 63), 0)
        shown = [LogEntry.FromString(entry) for entry in _entries(frames, list(codec.positions(frames, 0)))]
        read = [LogEntry.FromString(entry) for entry in _entries(data, list(codec.positions(data, 0)))]
        for seen, entry in zip(shown, read, strict=True):
            metadata = entry.partial_log_metadata
            more = not metadata.last if entry.HasField("partial_log_metadata") else entry.partial
            assert (seen.source, seen.time_nano) == (entry.source, entry.time_nano)
            assert seen.line == entry.line + (b"" if more else b"\n")


def _entries(data: bytes, places: list[int]) -> list[bytes]:
    return [data[at + 4 : at + 4 + int.from_bytes(data[at : at + 4], "big")] for at in places]


@many
@given(st.lists(written, max_size=15), options)
def test_records_are_those_of_a_plain_model(frames: list[bytes], options: EncodeOptions) -> None:
    expected, end = [], 0
    opened: dict[str, tuple[str, int, bytes]] = {}  # source -> id, time, data
    for frame in frames:
        entry = LogEntry.FromString(frame[4:])
        piece = entry.HasField("partial_log_metadata") or entry.partial
        id = entry.partial_log_metadata.id
        more = piece and not entry.partial_log_metadata.last
        if entry.source in opened and opened[entry.source][0] != id:
            _, time, line = opened.pop(entry.source)
            expected.append((entry.source, time, line))
        _, time, line = opened.pop(entry.source, (id, entry.time_nano, b""))
        if more:
            opened[entry.source] = (id, time, line + entry.line)
        else:
            expected.append((entry.source, time, line + entry.line))
        end += len(frame)
    kept = [entry for entry in expected if options.streams & (1 if entry[0] == "stdout" else 2)]
    for codec in codecs():
        (encoded, *_) = run(codec, b"".join(frames), [end], options, HUGE)
        found = [
            (stream, time, line.encode() if isinstance(line, str) else line)
            for stream, time, line in told(encoded.payload)
        ]
        assert found == [(stream, max(time, 0), line.rstrip(b"\r")) for stream, time, line in kept]
        assert encoded.excluded.get("streams", 0) == len(expected) - len(kept)
        assert sum(encoded.bytes) == sum(len(line) for _, _, line in expected)
        assert {group.source.decode(): group.data for group in encoded.carry if group} == {
            source: line for source, (_, _, line) in opened.items()
        }


@many
@given(st.lists(st.tuples(written, garbage), max_size=10), cuts)
def test_damage_costs_no_frame(parts: list[tuple[bytes, bytes]], places: list[int]) -> None:
    clean = b"".join(frame for frame, _ in parts)
    dirty = b"".join(rest + frame for frame, rest in parts)
    for codec in codecs():
        expected = summed(run(codec, clean, [len(clean)], EncodeOptions(), HUGE))
        payload, counts, skipped, _, end = summed(run(codec, dirty, chunks(dirty, places), EncodeOptions(), HUGE))
        assert (payload, counts) == expected[:2]
        assert (skipped, end) == (len(dirty) - len(clean), len(dirty))


@many
@given(st.binary(max_size=200))
def test_any_bytes_are_used_up_in_the_end(data: bytes) -> None:
    for codec in codecs():
        encoded = codec.encode(data, 0, NOTHING, EncodeOptions(), OBSERVED, HUGE, final=True)
        assert (encoded.end, encoded.carry) == (len(data), NOTHING)
