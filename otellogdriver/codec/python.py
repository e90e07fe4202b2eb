"""The codec in Python: the specification in code, the oracle of the tests, and what runs where `native` cannot.

In and out: see `contract.py`, whose rules are here in the same words. Every function goes over frames with `walk`, so
that all of them agree on what is a frame and what is damage. Records are written by hand: building protobuf messages
would cost more than all the rest.
"""

from __future__ import annotations

import codecs
from array import array
from collections.abc import Sequence
from functools import lru_cache

from otellogdriver.codec.contract import (
    BOTH,
    MAX_RECORD,
    NONE,
    NOTHING,
    Carry,
    Chunk,
    Encoded,
    EncodeOptions,
    Group,
    Line,
    Split,
)
from otellogdriver.codec.frames import HEADS, SOURCES, walk
from otellogdriver.codec.wire import fixed64, nested, varint

name: str = "python"


def encode(
    chunk: Chunk,
    start: int,
    carry: Carry,
    options: EncodeOptions,
    observed: int,
    limit: int,
    flush: int = 0,
    final: bool = False,
) -> Encoded:
    """See `contract.Codec`."""
    records = _Records(options, observed, limit)
    end, carry, skipped = _go(bytes(chunk), start, carry, records, BOTH if final else flush, final, (0, 0))
    return Encoded(
        payload=b"".join(records.payload),
        records=records.written,
        lines=(records.lines[0], records.lines[1]),
        bytes=(records.bytes[0], records.bytes[1]),
        excluded={"streams": records.excluded} if records.excluded else NONE,
        end=end,
        carry=carry,
        skipped=skipped,
    )


def split(
    chunk: Chunk,
    start: int,
    carry: Carry,
    flush: int = 0,
    final: bool = False,
    most: int = -1,
    opens: tuple[int, int] = (0, 0),
) -> Split:
    """See `contract.Codec`."""
    lines = _Lines(most)
    end, carry, skipped = _go(bytes(chunk), start, carry, lines, flush, final, opens)
    return Split(lines.lines, end, carry, skipped)


def _go(
    data: bytes,
    start: int,
    carry: Carry,
    output: _Records | _Lines,
    flush: int,
    final: bool,
    opens: tuple[int, int],
) -> tuple[int, Carry, int]:
    """Join pieces and put out lines until `output` takes no more: (end, carry, skipped)."""
    groups = [None if group is None else _OpenGroup(group) for group in carry]
    end = skipped = 0
    fits = True
    for begin, after, stream, time, line, line_end, id, more in walk(data, final):
        skipped += begin - end
        end = begin
        if stream < 0:
            break
        if not 0 <= opens[stream] <= start + begin:
            end = after
            continue
        group = groups[stream]
        if group is not None and not group.takes(id, line_end - line):
            fits = output.add(stream, group.begin, group.time, group.data())
            if not fits:
                break
            group = groups[stream] = None
        if more:
            if group is None:
                groups[stream] = group = _OpenGroup(Group(start + begin, time, SOURCES[stream], id or b"", b""))
            group.add(data[line:line_end])
        elif group is None:
            fits = output.add(stream, start + begin, time, data[line:line_end])
        else:
            fits = output.add(stream, group.begin, group.time, group.data() + data[line:line_end])
            if fits:
                groups[stream] = None
        if not fits:
            break
        end = after
    if fits:
        for group in sorted((group for group in groups if group is not None), key=lambda group: group.begin):
            stream = SOURCES.index(group.source)
            if flush >> stream & 1:
                if not output.add(stream, group.begin, group.time, group.data()):
                    break
                groups[stream] = None
    return start + end, _close(groups), skipped


def rebuild(chunk: Chunk, start: int, opens: tuple[int, int]) -> Carry:
    """See `contract.Codec`."""
    data = bytes(chunk)
    groups: list[_OpenGroup | None] = [None, None]
    for begin, _, stream, time, line, line_end, id, more in walk(data, True):
        if stream < 0 or not 0 <= opens[stream] <= start + begin:
            continue
        group = groups[stream]
        if not more:
            groups[stream] = None
            continue
        if group is None or not group.takes(id, line_end - line):
            groups[stream] = group = _OpenGroup(Group(start + begin, time, SOURCES[stream], id or b"", b""))
        group.add(data[line:line_end])
    return _close(groups)


def count(chunk: Chunk, start: int, offset: int, final: bool = False) -> tuple[int, int, int, int]:
    """See `contract.Codec`."""
    lines = [0, 0]
    end = skipped = 0
    for begin, after, stream, _, _, _, _, more in walk(bytes(chunk), final):
        skipped += begin - end
        end = begin
        if stream < 0 or start + begin >= offset:
            break
        lines[stream] += not more
        end = after
    return lines[0], lines[1], skipped, start + end


def readable(chunk: Chunk, start: int, since: int, until: int) -> tuple[bytes, int, bool]:
    """See `contract.Codec`."""
    data = bytes(chunk)
    frames: list[bytes] = []
    end = 0
    done = False
    for begin, after, stream, time, line, line_end, _, more in walk(data, False):
        end = begin
        done = stream >= 0 and until != 0 and time > until
        if stream < 0 or done:
            break
        if time >= since:
            entry = HEADS[stream]
            if time:
                entry += b"\x10" + varint(time % (1 << 64))
            text = data[line:line_end] if more else data[line:line_end] + b"\n"
            if text:
                entry += b"\x1a" + varint(len(text)) + text
            frames.append(len(entry).to_bytes(4, "big") + entry)
        end = after
    return b"".join(frames), start + end, done


def positions(chunk: Chunk, start: int) -> Sequence[int]:
    """See `contract.Codec`."""
    return array("q", (start + begin for begin, _, stream, *_ in walk(bytes(chunk), False) if stream >= 0))


# --- records


class _OpenGroup:
    """A `Group` that grows: pieces are joined once, when the record is written or the call ends."""

    __slots__ = ("begin", "id", "pieces", "size", "source", "time")

    def __init__(self, group: Group) -> None:
        self.begin, self.time, self.source, self.id = group.begin, group.time, group.source, group.id
        self.pieces = [group.data]
        self.size = len(group.data)

    def takes(self, id: bytes | None, size: int) -> bool:
        return self.id == (id or b"") and self.size + size <= MAX_RECORD

    def add(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self.size += len(piece)

    def data(self) -> bytes:
        return b"".join(self.pieces)


def _close(groups: Sequence[_OpenGroup | None]) -> Carry:
    out, err = (None if g is None else Group(g.begin, g.time, g.source, g.id, g.data()) for g in groups)
    return NOTHING if out is err is None else (out, err)


class _Lines:
    """Lines, at most so many (-1: any number). `add` as of `_Records`."""

    def __init__(self, most: int) -> None:
        self.lines: list[Line] = []
        self._most = most

    def add(self, stream: int, offset: int, time: int, body: bytes) -> bool:
        if len(self.lines) == self._most:
            return False
        self.lines.append((offset, time, stream, body))
        return True


class _Records:
    """The payload and its counts. `add` says whether the record was taken: False means that the limit is reached."""

    def __init__(self, options: EncodeOptions, observed: int, limit: int) -> None:
        self.payload: list[bytes] = []
        self.size = self.written = self.excluded = 0
        self.lines = [0, 0]
        self.bytes = [0, 0]
        self._streams = options.streams
        self._with_uid = options.uid is not None
        self._keep_bytes = options.keep_bytes
        self._tails = tails(options)
        self._observed = fixed64(observed)
        self._limit = limit

    def add(self, stream: int, offset: int, time: int, body: bytes) -> bool:
        printed = len(body)
        if self._streams >> stream & 1:
            body = body.rstrip(b"\r")
            size = len(body)
            tail = self._tails[stream]
            # AnyValue.string_value is field 1, AnyValue.bytes_value field 7.
            kind = b"\x0a"
            if not _is_utf8(body):
                if self._keep_bytes:
                    kind = b"\x3a"
                else:
                    tail = _attribute(ORIGINAL, body, kind=b"\x3a") + tail
                    body = as_text(body).encode()
                    size = len(body)
            head = kind + varint(size)
            head = b"\x2a" + varint(len(head) + size) + head
            observed = self._observed
            if time > 0:
                observed = fixed64(time)
                head = b"\x09" + observed + head
            after = len(tail) + len(observed)
            head = b"\x12" + varint(len(head) + size + after) + head
            size += len(head) + after
            if self.size and self.size + size > self._limit:
                return False
            if self._with_uid:
                tail = with_uid(tail, offset)
            self.payload += head, body, tail, observed
            self.size += size
            self.written += 1
        else:
            self.excluded += 1
        self.lines[stream] += 1
        self.bytes[stream] += printed
        return True


@lru_cache(maxsize=1024)
def tails(options: EncodeOptions) -> tuple[bytes, bytes]:
    """What stands after the body in every record of stdout and stderr, to the tag of the observed time, whose value
    (`fixed64`) follows. The second half of `log.record.uid`, which each record's offset gives, has its place UID_BEHIND
    bytes before the end. Made once, because a quiet container's batch is a few lines."""
    more = options.attributes
    if options.uid is not None:
        if len(options.uid) != 8:
            raise ValueError(f"EncodeOptions.uid has {len(options.uid)} bytes; it must have 8")
        first = options.uid.hex()
        first = f"{first[:8]}-{first[8:12]}-8{first[13:]}-"
        more += _attribute(b"log.record.uid", first.encode() + _offset_text(0))
    out, err = (_attribute(b"log.iostream", source) + more + b"\x59" for source in SOURCES)
    return out, err


UID_BEHIND = 17 + 1


def with_uid(tail: bytes, offset: int) -> bytes:
    """The tail of the record whose first frame is at `offset`."""
    text = _offset_text(offset)
    return tail[:-UID_BEHIND] + text + tail[len(text) - UID_BEHIND :]


def _offset_text(offset: int) -> bytes:
    """The second half of a UUID in text form, 17 characters, with its variant bits."""
    text = f"{offset & (1 << 62) - 1 | 1 << 63:x}"
    return f"{text[:4]}-{text[4:]}".encode()


def _attribute(key: bytes, value: bytes, kind: bytes = b"\x0a") -> bytes:
    """LogRecord.attributes (6) of one KeyValue {1 key, 2 AnyValue {1 string_value or 7 bytes_value}}."""
    return nested(b"\x32", nested(b"\x0a", key) + nested(b"\x12", nested(kind, value)))


ORIGINAL = b"log.record.original"


def as_text(line: bytes) -> str:
    """The line with U+FFFD in place of each byte that is no UTF-8."""
    return line.decode(errors=_REPLACE)


_REPLACE = "otellogdriver.replace"
# Python's own handler puts one sign in place of several bytes of a sequence that is cut.
codecs.register_error(_REPLACE, lambda fault: ("\ufffd" * (fault.end - fault.start), fault.end))  # type: ignore[attr-defined]


def _is_utf8(body: bytes) -> bool:
    if body.isascii():
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
