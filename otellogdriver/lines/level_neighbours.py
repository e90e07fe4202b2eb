# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# cython: infer_types=True, annotation_typing=False
"""What stands beside a level, or begins at a place: spaces, digits, quoted text, the next word, a name with dots.

In: bytes, and a place in them. Out: the place after it, whether it is there, or the letter of what follows a level; see
`severity_scan.py`. As Python this file is the specification; it is compiled with the types of `level_neighbours.pxd`.
"""

from __future__ import annotations

from otellogdriver.lines.characters import KIND
from otellogdriver.lines.level_names import case, word
from otellogdriver.lines.level_words import SHY, STOP


def same(p: bytes, i: int, j: int, text: bytes, size: int) -> bool:
    """Whether the bytes from i to j are this text, in any case."""
    if j - i != size:
        return False
    for k in range(size):
        c = p[i + k]
        if c != text[k] and (KIND[c] != 1 or (c | 32) != text[k]):
            return False
    return True


def is_digits(p: bytes, n: int, i: int, count: int) -> bool:
    """Whether so many digits are here, and at least one byte behind them, so that it may be looked at."""
    if i + count >= n:
        return False
    for k in range(i, i + count):  # noqa: SIM110 -- C knows no generators
        if KIND[p[k]] != 4:
            return False
    return True


def space(p: bytes, n: int, i: int) -> int:
    """The first place that is no space."""
    while i < n and KIND[p[i]] == 16:
        i += 1
    return i


def escape(p: bytes, n: int, i: int) -> int:
    """Behind the terminal's escape sequence that begins here."""
    i += 1
    if i < n and p[i] == ord("["):
        i += 1
        while i < n and p[i] < 64:
            i += 1
    elif i < n and p[i] == ord("("):
        i += 1
    return i + 1


def skipped(p: bytes, n: int, i: int) -> int:
    """Behind the quoted text that begins here."""
    quote = p[i]
    i += 1
    while i < n and p[i] != quote:
        i += 2 if p[i] == ord("\\") else 1
    return i + 1


def after(p: bytes, n: int, j: int) -> int:
    """The letter of what follows a level that ends here."""
    coloured = False
    while j < n and p[j] == 27:
        j = escape(p, n, j)
        coloured = True
    if coloured:
        return ord("m")
    if j >= n:
        return ord("$")
    c = p[j]
    if c == ord(":"):
        j += 1
        return ord(":") if j >= n or KIND[p[j]] == 16 or p[j] in b":\x1b" else ord(";")
    if c in b"])}>" or (c == ord("*") and j + 1 < n and p[j + 1] == ord(" ")):
        return ord("]")
    if c in b"|;":
        return ord("|")
    if c in b",-":
        return (
            ord("|")
            if j + 1 < n
            and c == ord(",")
            and KIND[p[j + 1]] != 16
            or c == ord("-")
            and j + 1 < n
            and KIND[p[j + 1]] == 16
            else ord("x")
        )
    if c in b"[(":
        return ord("[")
    if c == ord("/"):
        return c
    if c == ord("!"):
        return ord(":") if j + 1 < n and KIND[p[j + 1]] == 16 else ord("x")
    if KIND[c] != 16:
        return ord("x")
    if c == ord("\t"):
        return c
    i = j
    while j < n and KIND[p[j]] == 16:
        if p[j] == ord("\t"):
            return ord("\t")
        j += 1
    if j >= n:
        return ord("$")
    c = p[j]
    if (
        c in b"|:;"
        or (c == ord("@") and j + 1 < n and KIND[p[j + 1]] == 4)
        or (c == ord("-") and (j + 1 >= n or p[j + 1] in b" ->"))
    ):
        return ord("|")
    if c == ord("="):
        return ord("|") if j + 2 < n and (p[j + 1] == ord(">") or p[j + 2] == ord(">")) else ord("x")
    if c in b"])}>":
        return ord("]")
    if c in b"[(<{":
        return ord(":") if c == ord("(") and is_remark(p, n, j) else ord("[")
    if c == 27:
        return ord("m")
    return ord("g") if j - i > 1 else ord(" ")


def is_remark(p: bytes, n: int, j: int) -> bool:
    """Whether round brackets are here and a colon follows them: "error (device sda1): x"."""
    while j < n and p[j] not in b")\n":
        j += 1
    return j + 2 < n and p[j + 1] == ord(":") and p[j + 2] == ord(" ")


def is_code(p: bytes, n: int, i: int) -> bool:
    """Whether the number of a message is here, with its colon: CS1002:, WSVR0001I:."""
    j = i
    digits = 0
    while j < n and KIND[p[j]] & 5:
        if KIND[p[j]] == 4:
            digits += 1
        j += 1
    return j < n and p[j] == ord(":") and digits > 2 and KIND[p[i]] == 1


def is_file(p: bytes, n: int, i: int) -> bool:
    """Whether a name with a slash or dot inside is here, as files and loggers have them, or one with a colon."""
    j = i
    marks = 0
    while j < n and (KIND[p[j]] & 7 or p[j] in b"._-/$:"):
        if p[j] in b"._/:" and j > i:
            marks += 1
        j += 1
    return j > i + 2 and marks > 0 and p[j - 1] != ord(".") and KIND[p[i]] & 3 != 0


def is_title(p: bytes, n: int, j: int) -> bool:
    """Whether a space and a word with a capital follow."""
    return j + 2 < n and p[j] == ord(" ") and KIND[p[j + 1]] == 1 and KIND[p[j + 2]] == 2


def is_prose(p: bytes, n: int, j: int) -> bool:
    """Whether the next word makes a sentence of a level's name before j: "ERROR is what …"; or is the next of a row."""
    j = space(p, n, j)
    found = word(p, n, j)
    return found & STOP != 0 or (
        0 < found & 255 < SHY and case(p, j, found >> 8) == 2 and after(p, n, found >> 8) in b" $"
    )
