# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# cython: infer_types=True, annotation_typing=False
"""Levels that are the value of a key: of `level=`, or of a member in an object of JSON.

In: a line's bytes, and where the value or object begins. Out: as `severity_scan.find`. As Python this file is the
specification; it is compiled with the types of `level_values.pxd`.
"""

from __future__ import annotations

from otellogdriver.lines.characters import KIND
from otellogdriver.lines.level_letters import syslog
from otellogdriver.lines.level_names import named, names_level
from otellogdriver.lines.level_neighbours import same, skipped, space


def value(p: bytes, n: int, i: int) -> int:
    """The level that is the value of `level=`, at its begin."""
    quote = 0
    if i < n and p[i] in b"\"'":
        quote = p[i]
        i += 1
    j = i
    while j < n and (KIND[p[j]] & 7 or p[j] in b"+-"):
        j += 1
    if j == i or (j < n and (p[j] != quote if quote else KIND[p[j]] != 16 and p[j] not in b"],;)}|")):
        return 0
    level = named(p, i, j)
    return level | i << 8 | j << 16 if level else 0


def json(p: bytes, n: int, i: int) -> int:
    """The level of an object at its brace: of a key of its own, or of one in its member `log`."""
    depth = 0
    inside = False
    while i < n:
        c = p[i]
        if c in b"\"'":
            j = skipped(p, n, i)
            if j > n:
                return 0
            k = space(p, n, j)
            if k < n and p[k] == ord(":"):
                k = space(p, n, k + 1)
                if (depth == 1 or (depth == 2 and inside)) and j > i + 2 and names_level(p, i + 1, j - 1):
                    found = member(p, n, k)
                    if found:
                        return found
                    if k + 1 < n and p[k] in b"34567" and p[k + 1] in b",}" and same(p, 0, 13, b'{"version":"1', 13):
                        return syslog(p[k] - 48) | k << 8 | k + 1 << 16  # GELF
                if depth == 1 and j == i + 3 and p[i + 1] == ord("s") and same(p, 0, 5, b'{"t":', 5):
                    return member(p, n, k)  # MongoDB
                if depth == 1:
                    inside = same(p, i + 1, j - 1, b"log", 3) and k < n and p[k] == ord("{")
                j = k
            i = j
            continue
        if c in b"{[":
            depth += 1
        elif c in b"}]":
            depth -= 1
            if depth == 0:
                return 0
        i += 1
    return 0


def member(p: bytes, n: int, i: int) -> int:
    """The level that is the value of a member, at its begin: a name, or a number of bunyan's and pino's."""
    if i < n and p[i] in b"\"'":
        end = skipped(p, n, i) - 1
        if end >= n:
            return 0
        i += 1
        while i < end and p[i] == ord(" "):
            i += 1
        while i < end and p[end - 1] == ord(" "):
            end -= 1
        level = named(p, i, end) if i < end else 0
        return level | i << 8 | end << 16 if level else 0
    if i + 2 < n and p[i] in b"123456" and p[i + 1] == ord("0") and p[i + 2] in b",} ":
        tens = p[i] - 48
        return (4 * tens - 3) | i << 8 | i + 2 << 16
    return 0
