# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# cython: infer_types=True, annotation_typing=False
"""The names of levels: which one stands at a place, and which level it is.

In: bytes `p`, how many, `n`, and a place in them, `i`. Out: numbers: a level, perhaps with SHY, or another value of
`level_words.py`. As Python this file is the specification; it is compiled with the types of `level_names.pxd`.
"""

from __future__ import annotations

from otellogdriver.lines.characters import KIND
from otellogdriver.lines.level_words import KEY, NEXT, SHY, TIME, VALUE


def word(p: bytes, n: int, i: int) -> int:
    """`value | end << 8` of the known word whose letters begin here; 0 if it is none."""
    node = 1
    while i < n and KIND[p[i]] & 3:
        node = NEXT[node * 32 + (p[i] & 31)]
        if node == 0:
            return 0
        i += 1
    return VALUE[node] | i << 8 if VALUE[node] else 0


def level_at(p: bytes, n: int, i: int) -> int:
    """As `word`, of a level's name alone."""
    found = word(p, n, i)
    return found if 0 < found & 255 < TIME else 0


def case(p: bytes, i: int, j: int) -> int:
    """Of letters: 2 all capitals, 1 the first, 0 none, -1 mixed."""
    first = KIND[p[i]]
    rest = KIND[p[j - 1]]
    for k in range(i + 1, j):
        if KIND[p[k]] != rest:
            return -1
    if first == 1:
        return 2 if rest == 1 else 1
    return 0 if rest == 2 else -1


def named(p: bytes, i: int, j: int) -> int:
    """The number of a level that is the whole text: a name in any case, a letter, a name with slog's offset (ERROR+4)
    or OpenTelemetry's number (INFO3); 0 if it is none."""
    if j == i + 1:
        return letter(p[i])
    if j == i:
        return 0
    if j == i + 2 and p[i] | 32 == ord("d") and p[i + 1] in b"12345":
        return 5  # MongoDB
    found = level_at(p, j, i)
    if found == 0:
        return 0
    level = found & 31
    end = suffix(p, j, found >> 8)
    return moved(p, level, found >> 8, j) if end == j else 0


def unmistakable(p: bytes, n: int) -> int:
    """The number of a level that is the whole text, if its name is a word for nothing else; 0 if not."""
    found = level_at(p, n, 0)
    return found & 255 if found >> 8 == n and found & 255 < SHY else 0


def letter(c: int) -> int:
    """The number of a level's single letter, of any case."""
    c |= 32
    if c == ord("i"):
        return 9
    if c == ord("w"):
        return 13
    if c == ord("e"):
        return 17
    if c == ord("d"):
        return 5
    if c == ord("n"):
        return 10
    if c == ord("f") or c == ord("c"):
        return 21
    return 1 if c in b"tv" else 0


def suffix(p: bytes, n: int, j: int) -> int:
    """Behind slog's offset or a digit, if one is here; else `j`."""
    if j < n and p[j] in b"+-" and j + 1 < n and KIND[p[j + 1]] == 4:
        j += 2
        return j + 1 if j < n and KIND[p[j]] == 4 else j
    return j + 1 if j < n and p[j] in b"12345" else j


def moved(p: bytes, level: int, i: int, j: int) -> int:
    """The level with the suffix from i to j."""
    if i == j:
        return level
    if j == i + 1:
        offset = p[i] - 49
        return level + offset if offset < 4 and level in (1, 5, 9, 13, 17, 21) else level
    offset = p[i + 1] - 48
    if j == i + 3:
        offset = offset * 10 + p[i + 2] - 48
    level = level - offset if p[i] == ord("-") else level + offset
    return 1 if level < 1 else 24 if level > 24 else level


def names_level(p: bytes, i: int, j: int) -> bool:
    """Whether a key from i to j is one whose value is a level."""
    if p[i] == ord("@"):
        i += 1
        if j == i + 1 and p[i] == ord("l"):
            return True
    node = 1
    while i < j and node:
        if KIND[p[i]] & 3:
            node = NEXT[node * 32 + (p[i] & 31)]
        elif p[i] not in b"._":
            return False
        i += 1
    return VALUE[node] == KEY
