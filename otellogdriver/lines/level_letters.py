# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# cython: infer_types=True, annotation_typing=False
"""Levels that are one letter or digit, known by the frame in which they stand.

In: a line's bytes, and where the frame or letter may begin. Out: as `severity_scan.find`. As Python this file is the
specification; it is compiled with the types of `level_letters.pxd`.
"""

from __future__ import annotations

from otellogdriver.lines.characters import KIND
from otellogdriver.lines.level_names import letter
from otellogdriver.lines.level_neighbours import is_code, is_digits, is_file, space


def frame(p: bytes, n: int, i: int) -> int:
    """The level of a line whose first characters say what follows: syslog's priority, klog, glog and tendermint's
    letter before the date, logcat, ESP-IDF, Cisco's mnemonics."""
    if i + 3 >= n:
        return 0
    c = p[i]
    j = i + 1
    if c == ord("<") and KIND[p[j]] == 4:
        number = 0
        while j < n and j < i + 4 and KIND[p[j]] == 4:
            number = number * 10 + p[j] - 48
            j += 1
        if j < n and p[j] == ord(">") and number < 192:
            return syslog(number & 7) | i + 1 << 8 | j << 16
        return 0
    if c == ord("<") and p[j + 1] == ord(">") and p[j] | 32 in b"iwedfc" and j + 4 < n:
        if KIND[p[j + 2]] == 4 or (p[j + 2] == ord(" ") and p[j + 3] == ord("[")):  # <W>2026-…, <e> [webpack] x
            return letter(p[j]) | j << 8 | j + 1 << 16
        return 0
    if c == ord("%") and KIND[p[j]] == 1:
        while j < n and (KIND[p[j]] & 5 or p[j] == ord("_")):
            j += 1
        if j + 3 < n and p[j] == ord("-") and p[j + 1] in b"01234567" and p[j + 2] == ord("-") and KIND[p[j + 3]] & 5:
            return syslog(p[j + 1] - 48) | j + 1 << 8 | j + 2 << 16
        return 0
    if c not in b"IWEFDVTN":
        return 0
    digits = 0
    while j < n and KIND[p[j]] == 4:
        digits += 1
        j += 1
    if (
        (digits == 3 or digits == 4 or digits == 6 or digits == 8)
        and j + 6 < n
        and p[j] in b" -"
        and is_digits(p, n, j + 1, 2)
        and p[j + 3] == ord(":")
        and is_digits(p, n, j + 4, 2)
    ):
        return letter(c) | i << 8 | i + 1 << 16
    if digits:
        return 0
    if p[j] == ord(" ") and is_digits(p, n, j + 1, 4) and p[j + 5] == ord(" ") and is_digits(p, n, j + 6, 2):
        return letter(c) | i << 8 | j << 16 if p[j + 8] == ord(":") else 0  # Finagle: I 0102 03:04:05.678 THREAD7: x
    if p[j] == ord("[") and is_digits(p, n, j + 1, 4) and j + 5 < n and p[j + 5] == ord("-"):
        return letter(c) | i << 8 | j << 16
    if p[j] == ord(" ") and p[j + 1] == ord("[") and is_digits(p, n, j + 2, 2) and p[j + 4] == ord("/"):
        return letter(c) | i << 8 | j << 16  # CUPS: E [02/Jan/2026:…
    if p[j] == ord(" ") and p[j + 1] == ord("(") and is_digits(p, n, j + 2, 1):
        j += 2
        while j < n and KIND[p[j]] == 4:
            j += 1
        if j + 2 < n and p[j] == ord(")") and p[j + 1] == ord(" "):
            return letter(c) | i << 8 | i + 1 << 16
        return 0
    if p[j] == ord("/"):
        return logcat(p, n, i)
    return 0


def logcat(p: bytes, n: int, i: int) -> int:
    """`I/Tag( 7): ` or `I/Tag: `, at its letter."""
    j = i + 2
    while j < n and (KIND[p[j]] & 7 or p[j] in b"._-$"):
        j += 1
    if j < i + 4 or j + 1 >= n:
        return 0
    j = space(p, n, j)
    if j < n and p[j] == ord("("):
        j = space(p, n, j + 1)
        if not is_digits(p, n, j, 1):
            return 0
        while j < n and KIND[p[j]] == 4:
            j += 1
        if j >= n or p[j] != ord(")"):
            return 0
        j += 1
    elif KIND[p[j - 1]] == 16:
        return 0
    return letter(p[i]) | i << 8 | i + 1 << 16 if j < n and p[j] == ord(":") else 0


def syslog(number: int) -> int:
    """OpenTelemetry's number of syslog's."""
    if number == 0:
        return 21
    if number < 4:
        return 20 - number if number < 3 else 17
    return 13 if number == 4 else 10 if number == 5 else 9 if number == 6 else 5


def single(p: bytes, n: int, i: int, opened: int, before: int, time: bool, inner: int) -> int:
    """The level that is a single letter at i, among others that say it is one: in brackets, or after a time."""
    c = p[i]
    if c not in b"IWEFDVTNC":
        return 0
    found = letter(c) | i << 8 | i + 1 << 16
    j = i + 1
    if j >= n:
        return 0
    if opened == ord("[") and inner < 2 and p[j] == ord(" ") and is_digits(p, n, j + 1, 4):
        return found  # [C 2026-01-02 x] · [NeMo W 2026-01-02 x]
    if opened == ord("(") and before == ord("o") and i > 1 and KIND[p[i - 2]] & 7 and inner == 0 and c in b"EWI":
        return found if p[j] == ord(")") and j + 1 < n and p[j + 1] == ord(":") else 0  # SLF4J(W): x
    if c == ord("C") and not (time and before == ord("t") and opened):
        return 0
    if opened:
        if inner or opened in b"{<":
            return 0
        if opened == ord("(") and p[j] == c and (time or i == 1 or p[i - 3] == ord("]")) and j + 2 < n and c in b"EWI":
            return found if p[j + 1] == ord(")") and p[j + 2] == ord(" ") else 0  # X: (EE) x
        if p[j] == ord(":") and time and j + 1 < n and KIND[p[j + 1]] & 3:
            return found if before == ord("o") else 0  # [W:component, file x] y
        if p[j] in b"])":
            if before != ord("o"):
                return 0
            if time:
                return found
            if i > 1 or j + 2 >= n or p[j + 1] not in b" [":
                return 0
            if p[j + 1] == ord("["):
                return found if is_digits(p, n, j + 2, 2) else 0
            return found if opened == ord("[") or KIND[p[j + 2]] == 4 else 0
        if p[j] != ord(" ") or j + 1 >= n or opened != ord("["):
            return 0
        return found if KIND[p[j + 1]] == 4 or is_file(p, n, j + 1) else 0
    if time and p[j] == ord(">") and j + 1 < n and p[j + 1] == ord(" ") and KIND[p[i - 1]] == 16:
        return found  # Tarantool: main/103/init.lua I> x
    if not time or before in b"W/^":
        return 0
    if before in b"wi":
        # WebSphere: Component  I   WSVR0001I: x
        k = space(p, n, j)
        return found if i > 1 and p[i - 2] == ord(" ") and is_code(p, n, k) else 0
    if p[j] == ord("!"):
        return found if j + 1 < n and KIND[p[j + 1]] == 16 else 0
    if p[j] == ord("/"):
        return logcat(p, n, i)
    if c == ord("D") and KIND[p[j]] == 4 and j + 1 < n and p[j + 1] == ord(" "):
        j += 1
    if KIND[p[j]] != 16:
        return 0
    if p[j] == ord("\t"):
        return found
    k = space(p, n, j)
    if k >= n:
        return 0
    if k - j > 1 or KIND[p[k]] & 5 or p[k] in b"[(|-" or is_file(p, n, k):
        return found
    return 0
