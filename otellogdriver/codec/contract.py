"""The codec's contract: Docker frames in, OTLP LogRecords out. Pure: no I/O, no clock, no threads.

Input bytes (source: moby `daemon/logger/internal/logdriver/entry.proto`, `daemon/logger/adapter.go`):

    frame    = length (4 bytes, big-endian, MIN_FRAME..MAX_FRAME) LogEntry
    LogEntry = 1 source string · 2 time_nano int64 · 3 line bytes · 4 partial bool
               · 5 partial_log_metadata {1 last bool, 2 id string, 3 ordinal int32} · unknown fields are skipped

A frame is where all of this holds; the rule is the same in step and after damage, so that where a chunk was cut never
changes what comes out:
- The length is within bounds, and the entry begins with 0x0a 0x06 and `stdout` or `stderr`: the engine has no other
  source and writes fields in order.
- The entry is protobuf to its last byte: tags below 2^32 with a field number above 0, tags and lengths of at most 5
  bytes, other varints of at most 10 bytes and 64 bits, wire types 0, 1, 2 and 5 (no groups), nothing longer than what
  it is in. Known fields have their wire type.
  As everywhere in protobuf the last value of a field counts and messages are merged; a second source obeys the first
  rule, too. `id` is only compared, so its UTF-8 is not checked.

Output bytes: LogRecords, each as field 2 of `opentelemetry.proto.logs.v1.ScopeLogs` (tag 0x12, length, record), so
that payloads can be joined end to end. The fields of a record, in this order: 1 time_unix_nano (absent unless above 0:
OTLP has no time before 1970) · 5 body · 6 attribute `log.iostream` · 6 more attributes (`EncodeOptions.attributes`,
verbatim) · 6 attribute `log.record.uid` (opt-in) · 11 observed_time_unix_nano: the frame's time, too, at which the
engine read the line, so that it is the same at each try; `observed` where that is not above 0.

Rules:
- A frame without partial metadata and with partial=false is one record, an empty line too: a *whole line*.
- Any other frame is a *piece*. It has more to come unless its metadata say `last`; a piece without metadata (engines
  before 18.06) always has. Pieces of one source and id are joined, and the one with nothing to come ends the record.
  Without metadata the id is empty, and a whole line ends an open group of empty id by joining it.
- A frame that does not belong to the open group of its source first ends that group as it is. So does one that would
  make the group longer than MAX_RECORD; it is then treated as if no group had been open.
- A joined record has the time and the offset of its first piece.
- Body: the joined bytes as `string_value`, without the carriage returns at their end, which a terminal puts there. If
  they are not valid UTF-8 (RFC 3629: no surrogates, no overlong forms), each byte that does not belong to a valid
  sequence is replaced by U+FFFD, as Docker's json-file driver does, and an attribute `log.record.original` before
  `log.iostream` has the bytes; with `EncodeOptions.keep_bytes` the body is a `bytes_value` instead.
- `log.iostream` is the source. stdout has group and count 0, stderr 1.
- `log.record.uid` is a UUID of version 8 in text form: the 8 bytes of `EncodeOptions.uid`, then the offset of the
  record's first frame (8 bytes, big-endian), with the version and variant bits of RFC 9562 set over them. The same
  record read again has the same uid.
- Damage: a byte at which no frame begins is skipped and counted, and the next byte is looked at. What the chunk shows
  is enough to skip: the first bytes of a header, or a broken field in a frame whose end is not in the chunk.
- Where a frame may begin but is cut by the end of the chunk the walk stops, and `end` points at it. A chunk of
  MAX_FRAME + 4 bytes is never cut at its first byte. With `final` no more bytes will come: what is cut is damage, and
  all of the chunk is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol

MIN_FRAME = 8
"""Shortest entry, in bytes: a source and nothing else, which is an empty line without a time."""

MAX_FRAME = 2 << 20
"""Longest entry taken for real, in bytes. The engine sends at most 16 KiB of line and about 110 bytes around it."""

MAX_RECORD = 2 << 20
"""Longest body of joined pieces, in bytes: half of the 4 MiB that collectors take by default in one request."""


class Open(Protocol):
    """What is kept of a stream while its record is not finished."""

    @property
    def begin(self) -> int:
        """Where its first frame begins in the stream."""

    @property
    def size(self) -> int:
        """Bytes so far, which grow with each part that is added."""

    @property
    def patience(self) -> float:
        """Seconds without growth after which the caller may end it."""


@dataclass(frozen=True, slots=True)
class Group:
    """A line whose end has not been seen: where its first frame begins in the stream, its time, id and bytes so far."""

    patience: ClassVar[float] = float("inf")

    begin: int
    time: int
    source: bytes
    id: bytes
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)


Carry = tuple[Group | None, Group | None]
"""The open groups of stdout and stderr. Only a cache: the journal holds the same bytes (see `rebuild`)."""

NOTHING: Carry = (None, None)

BOTH = 3
"""The mask of both streams: 1 stdout, 2 stderr."""

Chunk = bytes | bytearray | memoryview
"""Bytes of a stream, in memory."""

NONE: Mapping[str, int] = MappingProxyType({})


class EncodeOptions(NamedTuple):
    """What a container's settings mean for the codec. `uid` are the 8 bytes that stand for the stream in
    `log.record.uid` (None: no such attribute); `attributes` are encoded field-6 entries put into every record;
    `streams` is a mask of what to keep (1 stdout, 2 stderr): a record of another stream is counted in `excluded`, as
    "streams", instead of being written. With `keep_bytes` what is not UTF-8 is a body of bytes."""

    uid: bytes | None = None
    attributes: bytes = b""
    streams: int = BOTH
    keep_bytes: bool = False


@dataclass(slots=True)
class Encoded:
    """What came of one call. Pairs are (stdout, stderr); bytes are line contents, without newline."""

    payload: bytes
    records: int
    lines: tuple[int, int]
    bytes: tuple[int, int]
    excluded: Mapping[str, int]
    """Reason -> lines that the options leave out."""
    end: int
    carry: Any = field(default=NOTHING)
    """The carry for the next call: what has not ended at `end`."""
    skipped: int = 0
    severities: Sequence[int] = ()
    """How many of the records have a severity: of trace, debug, info, warn, error and fatal. Empty where none is looked
    for; all other records have none."""


Line = tuple[int, int, int, bytes]
"""A whole line: the offset of its first frame, the time of that, its stream (0 stdout, 1 stderr), its bytes."""


@dataclass(frozen=True, slots=True)
class Split:
    """The lines of a chunk, for what looks at each of them. `end`, `carry` and `skipped` as of `Encoded`."""

    lines: list[Line]
    end: int
    carry: Carry = field(default=NOTHING)
    skipped: int = 0


class Encoder(Protocol):
    """What makes records of a stream's frames: a codec or what is put before it. `carry` is what the encoder gave
    last, a pair of `Open | None`."""

    def encode(
        self,
        chunk: Chunk,
        start: int,
        carry: Any,
        options: EncodeOptions,
        observed: int,
        limit: int,
        flush: int = 0,
        final: bool = False,
    ) -> Encoded:
        """Encode the frames of `chunk`, whose first byte is offset `start` of the stream.

        Stops before the payload would pass `limit` bytes (a record that is too long alone is written if the payload is
        empty); `end` is the offset after the last frame used and the damage after it. A frame may end a group and
        be a record as well: where only the first of the two fits, the group is ended and the frame stays.
        If the limit was not the reason to stop, the open groups of the streams in the mask `flush` (`final`: of both)
        end as they are, in the order of their begin, unless the limit stops this as well.
        `lines`/`bytes` count the records written or excluded, `records` those written. `observed`, in
        nanoseconds since the epoch, is for records whose frame has no time.
        """

    def rebuild(self, chunk: Chunk, start: int, opens: tuple[int, int]) -> Any:
        """The carry at the end of `chunk`, which ends at a cursor (so a frame that goes beyond is none); `start` is the
        least of the offsets `opens` >= 0, the places where the open groups of stdout and stderr begin (-1: none is
        open). Frames before a source's own begin are ignored."""


class Codec(Encoder, Protocol):
    """Both implementations, `python` and `native`, are modules with these functions."""

    name: str

    def split(
        self,
        chunk: Chunk,
        start: int,
        carry: Carry,
        flush: int = 0,
        final: bool = False,
        most: int = -1,
        opens: tuple[int, int] = (0, 0),
    ) -> Split:
        """The lines of a chunk in place of records: `encode` without options and limit.

        Stops before there would be more than `most` lines (-1: no such limit), where `encode` would stop if exactly
        those fitted. `final` does not imply `flush` here. Frames before `opens` of their stream are ignored, all of the
        stream's if that is -1, so that what `rebuild` reads can be split, too."""

    def count(self, chunk: Chunk, start: int, offset: int, final: bool = False) -> tuple[int, int, int, int]:
        """Walk over frames without encoding, at least to `offset`: (lines on stdout, lines on stderr, bytes skipped as
        damage, end). `end` is the first place at or after `offset` where a frame begins or may begin, or the place
        where the walk stops. A line is counted where it ends: a whole line, or a piece with nothing to come."""

    def readable(self, chunk: Chunk, start: int, since: int, until: int) -> tuple[bytes, int, bool]:
        """Frames for `docker logs`: (frames, end, done). Each entry with since <= time (and time <= until, if until is
        not 0) is written again as a frame with source, time and line (as protobuf does, without empty fields), and a
        newline after the line, as the engine adds none, unless it is a piece with more to come. `done` is True once an
        entry after `until` was met; `end` is its offset then."""

    def positions(self, chunk: Chunk, start: int) -> Sequence[int]:
        """Offsets of the frames in the chunk (damage skipped, an incomplete last one left out), for `--tail`."""
