"""The codec's contract: Docker frames in, OTLP LogRecords out. Pure: no I/O, no clock, no threads.

Input bytes (source: moby `daemon/logger/internal/logdriver/entry.proto`, `daemon/logger/adapter.go`):

    frame    = length (4 bytes, big-endian, 1..MAX_FRAME) LogEntry
    LogEntry = 1 source string · 2 time_nano int64 · 3 line bytes · 4 partial bool
               · 5 partial_log_metadata {1 last bool, 2 id string, 3 ordinal int32} · unknown fields are skipped

Output bytes: LogRecords, each as field 2 of `opentelemetry.proto.logs.v1.ScopeLogs` (tag 0x12, length, record), so
that payloads can be joined end to end. The fields of a record, in this order: 1 time_unix_nano (absent if 0) · 5 body ·
6 attribute `log.iostream` · 6 further attributes (`EncodeOptions.attributes`, verbatim) · 6 attribute `log.record.uid`
(opt-in) · 11 observed_time_unix_nano.

Rules:
- A frame without partial metadata and with partial=false is one record, an empty line too.
- Pieces of a long line (partial metadata) of one source and id are joined; `last` ends the record. A piece without
  metadata and with partial=true (engines before 18.06) is joined with what follows, until a frame with partial=false.
  The record has the time of its first piece. A piece with another id, or a whole line, first ends an open group of the
  same source. A group that would pass MAX_RECORD ends as it is and the piece begins a new group.
- Body: `string_value` if the joined bytes are valid UTF-8 (RFC 3629: no surrogates, no overlong forms), else
  `bytes_value`. Nothing is cut, nothing is replaced.
- `log.iostream` is the source verbatim. Source "stderr" belongs to group and count 1, any other to 0.
- `log.record.uid` is a UUID of version 8 in text form: the 8 bytes of `EncodeOptions.uid`, then the offset of the
  record's first frame (8 bytes, big-endian), with the version and variant bits of RFC 9562 set over them. The same
  record read again has the same uid.
- Damage: a length of 0 or above MAX_FRAME, or an entry that is not valid protobuf (or whose known fields have another
  wire type, or whose source is not valid UTF-8), is skipped byte by byte up to the next place where a frame header is
  plausible: length within bounds, then 0x0a 0x06 and `stdout` or `stderr`, and, if the whole frame is in the chunk, an
  entry that parses. If such a frame is cut by the end of the chunk, the scan stops there and waits. Without a
  plausible place, all but the last 11 bytes are skipped. The skipped bytes are counted.
- An incomplete frame at the end of the chunk stays (`end` points at it), unless its header shows damage. With `final`
  no more bytes will come: an incomplete frame is damage, too, and the scan goes on behind its first byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

MAX_FRAME = 2 << 20
"""Longest entry taken for real, in bytes. The engine sends at most 16 KiB of line and about 110 bytes around it."""

MAX_RECORD = 2 << 20
"""Longest body of joined pieces, in bytes: half of the 4 MiB that collectors take by default in one request."""


@dataclass(frozen=True, slots=True)
class Group:
    """A line whose end has not been seen: where its first frame begins in the stream, its time, id and bytes so far."""

    begin: int
    time: int
    source: bytes
    id: bytes
    data: bytes


Carry = tuple[Group | None, Group | None]
"""The open groups of stdout and stderr. Only a cache: the journal holds the same bytes (see `rebuild`)."""

NOTHING: Carry = (None, None)


@dataclass(frozen=True, slots=True)
class EncodeOptions:
    """What a container's settings mean for the codec. `uid` are the 8 bytes that stand for the stream in
    `log.record.uid` (None: no such attribute); `attributes` are encoded field-6 entries put into every record;
    `streams` is a mask of what to keep (1 stdout, 2 stderr): a record of another stream is counted in `excluded`
    instead of being written."""

    uid: bytes | None = None
    attributes: bytes = b""
    streams: int = 3


@dataclass(frozen=True, slots=True)
class Encoded:
    """What came of one call. Pairs are (stdout, stderr); bytes are line contents, without newline."""

    payload: bytes
    records: int
    lines: tuple[int, int]
    bytes: tuple[int, int]
    excluded: int
    first_time: int
    last_time: int
    end: int
    carry: Carry = field(default=NOTHING)
    skipped: int = 0


class Codec(Protocol):
    """Both implementations, `python` and `native`, are modules with these functions."""

    name: str

    def encode(
        self,
        chunk: bytes | bytearray | memoryview,
        start: int,
        carry: Carry,
        options: EncodeOptions,
        observed: int,
        limit: int,
        flush: bool = False,
        final: bool = False,
    ) -> Encoded:
        """Encode the frames of `chunk`, whose first byte is offset `start` of the stream.

        Stops before the payload would pass `limit` bytes (a record that is too long alone is written if the payload is
        empty); `end` is the offset behind the last frame used. With `flush` (and `final`, which implies it), and if
        the limit was not the reason to stop, open groups end as they are and `carry` is NOTHING.
        `lines`/`bytes` count the records written or excluded, `records` those written. `first_time`/`last_time` are
        those of the first and last record written, 0 without any. `observed` is in nanoseconds since the epoch.
        """

    def rebuild(self, chunk: bytes | bytearray | memoryview, start: int, opens: tuple[int, int]) -> Carry:
        """The carry at the end of `chunk`, which ends at a cursor; `start` is the least of the offsets `opens` >= 0, the
        places where the open groups of stdout and stderr begin (-1: none is open). Frames before a source's own begin
        are ignored."""

    def count(
        self, chunk: bytes | bytearray | memoryview, start: int, offset: int, final: bool = False
    ) -> tuple[int, int, int, int]:
        """Walk over frames without encoding, at least to `offset`: (lines on stdout, lines on stderr, bytes skipped as
        damage, end). `end` is the first frame boundary at or behind `offset`, or the last one in the chunk. A line is
        counted where it ends."""

    def readable(
        self, chunk: bytes | bytearray | memoryview, start: int, since: int, until: int
    ) -> tuple[bytes, int, bool]:
        """Frames for `docker logs`: (frames, end, done). Each entry with since <= time (and time <= until, if until is
        not 0) is written again as a frame with source, time and line, and a newline behind the line unless it is a
        piece with more to come, for the engine adds none. `done` is True once an entry behind `until` was met."""

    def positions(self, chunk: bytes | bytearray | memoryview, start: int) -> Sequence[int]:
        """Offsets of the frames in the chunk (damage skipped, an incomplete last one left out), for `--tail`."""
