"""Where frames are: the walk over a chunk, in Python. What is a frame and what is damage, `contract.py` says.

In: bytes. Out: tuples of places in them, so that only what is wanted gets copied. Parsed by hand: no message class
tells what is broken from what is not all here yet, and none reads protobuf as strictly.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from otellogdriver.codec.contract import MAX_FRAME, MIN_FRAME

Frame = tuple[int, int, int, int, int, int, "bytes | None", bool]
"""begin, end, stream (0 stdout, 1 stderr), time, start of the line, end of the line, id of the piece (None: a whole
line), more to come. Places count from the start of the chunk."""

SOURCES = (b"stdout", b"stderr")
HEADS = tuple(b"\n\x06" + source for source in SOURCES)
"""What an entry begins with. Both share their first five bytes, by which damage is searched."""
HEADER = 4 + MIN_FRAME
"""A length and a head: what must be seen before a frame is worth parsing."""

USUAL = Struct(">I8sB9sBB")
"""The start of a whole line as the engine writes it: a header, 0x10, a time since 1972, 0x1a, a length's first byte."""

VARINT, I64, LEN, I32 = 0, 1, 2, 5
SHORT, LONG = 35, 70
"""Bits of the longest varint: of tags and lengths, of values."""
ENTRY = {1: LEN, 2: VARINT, 3: LEN, 4: VARINT, 5: LEN}
METADATA = {1: VARINT, 2: LEN, 3: VARINT}
"""The wire types of the known fields of a LogEntry and of its partial metadata."""


class _Damage(Exception):
    """No frame begins here."""


class _Cut(Exception):
    """A frame may begin here, but the chunk ends before it does."""


def walk(data: bytes, final: bool) -> Iterator[Frame]:
    """The frames of `data`; what lies between them is damage. The last one has stream -1, and says where it ended."""
    at, size = 0, len(data)
    while at < size:
        try:
            frame = _usual_frame(data, at) or _frame(data, at)
        except _Cut:
            if not final:
                break
            at += 1
        except _Damage:
            # No need to look at each byte: what two heads have in common is here or it is not (and may begin at the
            # very end).
            found = data.find(HEADS[0][:5], at + 5)
            at = max(at + 1, size - 8) if found < 0 else found - 4
        else:
            yield frame
            at = frame[1]
    yield at, at, -1, 0, at, at, None, False


def _frame(data: bytes, at: int) -> Frame:
    """The frame that begins at `at`. Raises _Damage or _Cut."""
    head = data[at : at + HEADER]
    length = int.from_bytes(head[:4].ljust(4, b"\0"), "big")
    if length > MAX_FRAME or (not HEADS[0].startswith(head[4:]) and not HEADS[1].startswith(head[4:])):
        raise _Damage
    if len(head) >= 4 and length < MIN_FRAME:
        raise _Damage
    if len(head) < HEADER:
        raise _Cut
    begin = at
    at += 4
    end = at + length
    stream = 0
    time = line = line_end = 0
    partial = last = False
    id: bytes | None = None
    while at < end:
        number, value, at = _field(data, at, end, ENTRY)
        if number == 1:
            if at > len(data):
                raise _Cut
            if data[value:at] not in SOURCES:
                raise _Damage
            stream = SOURCES.index(data[value:at])
        elif number == 2:
            time = value - (1 << 64) if value >> 63 else value
        elif number == 3:
            line, line_end = value, at
        elif number == 4:
            partial = value != 0
        elif number == 5:
            id = id or b""
            inner = value
            while inner < at:
                number, value, inner = _field(data, inner, at, METADATA)
                if number == 1:
                    last = value != 0
                elif number == 2:
                    id = data[value:inner]
    if end > len(data):
        raise _Cut
    if id is None and partial:
        id = b""
    return begin, end, stream, time, line, line_end, id, id is not None and not last


def goes_on(data: bytes) -> bool:
    """Whether the whole frame that begins here is a piece of a line, and not its first one."""
    at, end = 4, 4 + int.from_bytes(data[:4], "big")
    while at < end:
        number, value, at = _field(data, at, end, ENTRY)
        while number == 5 and value < at:
            key, ordinal, value = _field(data, value, at, METADATA)
            if key == 3 and ordinal > 1:
                return True
    return False


def _usual_frame(data: bytes, at: int) -> Frame | None:
    """What `_frame` says of a whole line shorter than 16 KiB, for a third of the price; None of anything else."""
    if at + USUAL.size >= len(data):
        return None
    length, head, tag, time, line_tag, size = USUAL.unpack_from(data, at)
    line = at + USUAL.size
    if size >= 0x80:
        size += (data[line] << 7) - 0x80
        line += 1
        if size >= 0x4000:
            return None
    end = line + size
    low = int.from_bytes(time, "little")
    if (
        head not in HEADS
        or (tag, line_tag) != (0x10, 0x1A)
        or end != at + 4 + length
        or end > len(data)
        or low & 0x80_80808080_80808080 != 0x80808080_80808080
    ):
        return None
    # Nine groups of seven bits, put side by side: pairs, then fours, then all.
    low = low & 0x7F_007F007F_007F007F | (low & 0x7F007F00_7F007F00) >> 1
    low = low & 0x7F_00003FFF_00003FFF | (low & 0x3FFF0000_3FFF0000) >> 2
    low = low & 0xFFFFFFF | low >> 4 & 0xFFFFFFF_0000000 | low >> 8 & 0x7F000000_00000000
    return at, end, HEADS.index(head), low, line, end, None, False


def _field(data: bytes, at: int, end: int, known: dict[int, int]) -> tuple[int, int, int]:
    """One field of a message that ends at `end`: its number, its value (of a LEN field: where the value begins) and the
    place after it. Raises _Damage or _Cut; what is cut by the end of `data` may be skipped, but is not read."""
    tag, at = read_varint(data, at, end, SHORT)
    number, wire = tag >> 3, tag & 7
    if not number or tag >> 32 or known.get(number, wire) != wire:
        raise _Damage
    value = at
    if wire == VARINT:
        value, at = read_varint(data, at, end, LONG)
    elif wire == LEN:
        size, value = read_varint(data, at, end, SHORT)
        at = value + size
    elif wire == I64:
        at += 8
    elif wire == I32:
        at += 4
    else:
        raise _Damage
    if at > end:
        raise _Damage
    return number, value, at


def read_varint(data: bytes, at: int, end: int, bits: int) -> tuple[int, int]:
    """The number at `at` of a message that ends at `end`, and the place after it. Raises _Damage or _Cut."""
    value = shift = 0
    while at < end and shift < bits:
        if at >= len(data):
            raise _Cut
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return value, at
        shift += 7
    raise _Damage
