"""What kind of character a byte is, for all that looks at lines byte by byte.

`KIND` has the bits of each byte, 0 for what is none of these. Compiled code reads it as it stands.
"""

from __future__ import annotations

UPPER = 1
LOWER = 2
DIGIT = 4
MARK = 8  # other characters of names and paths
SPACE = 16  # within a line
JOINT = 32  # those of the marks that words have inside
WORD = UPPER | LOWER | DIGIT | JOINT


def _kinds() -> bytes:
    kinds = bytearray(256)
    for characters, kind in (
        (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", UPPER),
        (b"abcdefghijklmnopqrstuvwxyz", LOWER),
        (b"0123456789", DIGIT),
        (b"_.$@/\\+~%&*-#?!'", MARK),
        (b" \t\r", SPACE),
        (b"_$", JOINT),
    ):
        for code in characters:
            kinds[code] |= kind
    return bytes(kinds)


KIND = _kinds()
