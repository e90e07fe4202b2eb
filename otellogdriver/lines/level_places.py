# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# cython: infer_types=True, annotation_typing=False
"""Whether the name of a level is one where it stands: by its case, and what is before and after it.

In: a line's bytes, from where to where the name goes, and what the scan knows of the line so far: `before` and
`follows` are letters as `severity_scan.py` has them, `form` is that of `level_names.case`, `level` a number, perhaps
with SHY. As Python this file is the specification; it is compiled with the types of `level_places.pxd`.
"""

from __future__ import annotations

from otellogdriver.lines.characters import KIND
from otellogdriver.lines.level_names import level_at
from otellogdriver.lines.level_neighbours import after, is_code, is_digits, is_file, is_prose, is_title, same, space
from otellogdriver.lines.level_words import SHY


def in_brackets(
    p: bytes,
    n: int,
    i: int,
    j: int,
    form: int,
    level: int,
    before: int,
    follows: int,
    opened: int,
    inner: int,
    time: bool,
    plain: int,
) -> bool:
    """A level from i to j inside of brackets."""
    if level & SHY and form < 2:
        c = p[i] | 32
        if c == ord("n"):
            pass  # [Note]
        elif c == ord("s") and (p[i + 1] == ord("y")) == (form == 1) and (time or form == 0):
            pass  # [System] of MySQL, [success] of sbt, [silly] of winston
        else:
            return False
    if not time and opened == ord("[") and p[i - 1] == ord("[") and is_part(p, n, i, j):
        return False
    if opened in b"(<{" and not time:
        if opened != ord("<") or follows != ord("]") or level & SHY:
            return False
        k = space(p, n, j + 1)  # <info>  [1704164645.678] x
        return (k > j + 1 and k < n and p[k] == ord("[") and is_digits(p, n, k + 1, 2)) or (
            form == 2 and i > 3 and p[i - 3] == ord(":")
        )
    if not time and form < 2 and inner and i > 2 and p[i - 2] == ord(","):
        return False  # words in a row
    if opened == ord("<") and form == 0:
        return False
    if plain and not time and form < 2 and before == ord("o") and inner == 0:
        return (
            plain < 2 and follows == ord("]") and not (KIND[p[i - 2]] == 16 and KIND[p[i - 3]] == 2) if i > 2 else False
        )
    if follows in b"]m":
        if before in b"oti;|:pb":
            return inner == 0 or form == 2 or before in b";|:"
        return opened == ord("[") and (before == ord("/") or form == 2)
    if follows in b":;|/":
        if before == ord("/"):
            return form == 2
        return before in b"ot;|:" and (inner == 0 or form == 2 or before == ord(";"))
    if follows in b"g \t[" and before in b"ot|;:" and inner == 0:
        k = space(p, n, j)
        if k + 1 >= n:
            return form == 2
        return (KIND[p[k]] == 4 and (time or i == 1)) or (
            form == 2 and (time or KIND[p[k]] != 1 or KIND[p[k + 1]] != 1)
        )
    if follows in b"g " and before == ord("t") and inner == 1:
        return form == 2 and time  # [RUNNER 2026-01-02 03:04:05Z INFO Terminal]
    return False


def is_part(p: bytes, n: int, i: int, j: int) -> bool:
    """Whether the brackets around i to j belong to what is beside them: test_x[error] · [info](https://…)."""
    if i > 1:
        return KIND[p[i - 2]] & 7 != 0 and (p[i - 2] != ord("m") or i < 3 or KIND[p[i - 3]] & 3 != 0)
    return j + 1 < n and p[j] == ord("]") and p[j + 1] == ord("(")


def capitals(
    p: bytes,
    n: int,
    i: int,
    j: int,
    level: int,
    before: int,
    follows: int,
    time: bool,
    plain: int,
    names: int,
    tag: int,
) -> bool:
    """ERROR from i to j, outside of brackets."""
    if follows == ord("/"):
        return False
    if level & SHY:
        if before == ord("^") and is_digits(p, n, j + 2, 8) and p[j] == ord(" ") and p[j + 1] == ord("["):
            return True  # WAR [20260102-03:04:05.678] x
        if (level & 31 == 13 and p[j - 1] == ord("D")) or (level & 31 == 9 and p[j - 1] in b"MP"):
            return False
        if not time and before == ord("^") and (p[j - 1] in b"EL" and level & 31 in (9, 17) or level & 31 == 1):
            return False  # NOTE: and FAIL: are prose
        if not time and follows not in b":;" and (level & 31 != 10 or follows not in b"gm"):
            return False
    if before in b"^s":
        if follows == ord(" "):
            return not is_prose(p, n, j)
        return True
    if before == ord("*"):
        if follows == ord("]") and p[i - 1] == p[j] and not is_prose(p, n, j + 1):
            return level < SHY  # *ERROR* x
        return follows in b":;" and level < SHY
    if before == ord("b") and not time and in_angles(p, i):
        return False  # <joe> WARNING: x
    if before in b"tb\tp;":
        if before == ord("b") and plain and not time:
            return follows in b":;|]\tg[m"
        return time or before != ord("t") or (follows != ord("$") and not is_prose(p, n, j))
    if before in b"|-":
        if before == ord("-") and follows == ord("[") and is_digits(p, n, space(p, n, j) + 1, 1):
            return False  # a user of that name, in an access log
        return time or follows not in b" $" or (plain == 0 and not is_prose(p, n, j))
    if before == ord(":"):
        return (
            time
            or follows not in b" $"
            or (follows == ord(" ") and (tag in b"ib" or is_title(p, n, j) and tag == ord("w")))
        )
    if before == ord("i"):
        return time or (follows != ord("$") and names + plain < 2 and not is_prose(p, n, j))
    if before == ord("w"):
        if plain < 2:
            return (time and not is_prose(p, n, j)) or follows in b"|\tgm:"
        return time and follows in b"\tg|m["
    if before == ord("W"):
        if time:
            return follows in b"|[\tgm"
        if plain > 1:
            return False
        # host:7:7 [0] NCCL WARN x · SCRIPT ERROR: x
        return (tag == ord("i") and follows == ord(" ") and not is_prose(p, n, j)) or (
            follows == ord(":") and j + 2 < n and KIND[p[j + 2]] & 3 != 0
        )
    return False


def in_angles(p: bytes, i: int) -> bool:
    """Whether <joe> stands before i, or <p>."""
    return i > 2 and (p[i - 1] == ord(">") or p[i - 2] == ord(">"))


def is_numbered(p: bytes, n: int, j: int) -> bool:
    """Whether a number and a colon follow: GDAL's "Warning 1: x"."""
    j += 1
    i = j
    while i < n and KIND[p[i]] == 4:
        i += 1
    return i > j and i < n and p[i] == ord(":")


def is_row(p: bytes, n: int, j: int) -> bool:
    """Whether another level is the next column, or the next of a list."""
    while j < n and (KIND[p[j]] == 16 or p[j] in b"|,"):
        j += 1
    found = level_at(p, n, j)
    return found != 0 and found >> 8 > j + 1 and after(p, n, found >> 8) in b"\t$|"


def titled(
    p: bytes, n: int, i: int, j: int, level: int, before: int, follows: int, time: bool, plain: int, tag: int
) -> bool:
    """Error from i to j, outside of brackets."""
    if level & SHY:
        return level & 31 == 10 and time and follows in b":|" and before in b"tb|-"
    if before in b"^s":
        return follows in b":|\t" or (follows == ord(" ") and is_numbered(p, n, j))
    if not time and (in_angles(p, i) or (before == ord("\t") and is_row(p, n, j))):
        return False
    if (
        before in b"iW"
        and plain < 2
        and follows == ord(" ")
        and j + 4 < n
        and same(p, j, j + 4, b" at ", 4)
        and is_file(p, n, j + 4)
    ):
        return True  # CMake Error at CMakeLists.txt:7 (x)
    if before in b"tb|-\tp":
        if follows in b":|" or (follows in b"[g\t]m;" and time):
            return True
        return follows == ord(" ") and time and before == ord("t") and plain == 0 and is_component(p, n, j)
    if before == ord(";"):
        return follows in b":;|"
    if before == ord(":"):
        # Falco: 03:04:05.678: Warning Sensitive file opened
        return follows == ord(":") or (
            time and (follows in b"|\tg" or (tag == ord("t") and follows == ord(" ") and KIND[p[j + 1]] == 1))
        )
    return before == ord("i") and follows == ord(":")


def is_component(p: bytes, n: int, j: int) -> bool:
    """Whether one name and a colon follow: Emby's "Info Main: x", Factorio's "Info Main.cpp:7: x"."""
    i = j + 1
    if i >= n or KIND[p[i]] != 1:
        return False
    while i < n and (KIND[p[i]] & 7 or p[i] in b"._-"):
        i += 1
    return i < n and p[i] == ord(":")


def small(
    p: bytes, n: int, i: int, j: int, level: int, before: int, follows: int, time: bool, plain: int, indent: int
) -> bool:
    """error from i to j, outside of brackets."""
    if (
        level & SHY
        and before != ord("s")
        and not (p[i] == ord("f") and p[i + 1] == ord("a") or p[i] == ord("s") and level & 31 == 1)
    ):
        return level & 31 == 10 and time and follows in b":|" and before in b"tb|-" and KIND[p[i - 1]] == 16
    if before == ord("^"):
        if follows == ord(":"):
            return indent < 2 or p[0] == 27
        if follows == ord("[") and j + 1 < n:
            if p[j] == ord("["):
                k = j + 1
                while k < n and KIND[p[k]] & 15:
                    k += 1
                return k > j + 1 and k + 1 < n and p[k] == ord("]") and p[k + 1] == ord(":")
            if p[j] == ord("("):
                k = j + 1
                while k < n and KIND[p[k]] & 15:
                    k += 1
                return k + 1 < n and p[k] == ord(")") and p[k + 1] == ord(":")
            k = space(p, n, j)
            return p[k] == ord("[") and is_digits(p, n, k + 1, 2)
        if is_row(p, n, j):
            return False
        return (
            (follows == ord("|") and p[j] != ord(","))
            or (follows == ord("\t") and indent == 0)
            or (follows == ord(" ") and j + 5 < n and same(p, j, j + 5, b" in /", 5))
        )
    if before == ord("s"):
        return follows in b":g"
    if not time and (in_angles(p, i) or (before == ord("\t") and is_row(p, n, j))):
        return False
    if before in b"tb|-\tp":
        if follows == ord(":"):
            return True
        if not time:
            return (before == ord("b") and follows in b"|\t") or (before == ord("\t") and follows == ord("\t"))
        if follows == ord("/"):
            return before == ord("b") and is_file(p, n, i)  # information/cli: x
        if follows in b"|\tgm]":
            return before != ord("-") or follows != ord("|")  # "10.0.0.1 - info - [02/Jan/…" is a user
        if before == ord("b"):
            return follows == ord(" ") and plain == 0 and level < SHY and is_file(p, n, j + 1)
        if before != ord("t"):
            return False
        return follows == ord("[") or (follows == ord(" ") and plain == 0 and is_file(p, n, j + 1))
    if before == ord(":"):
        return follows == ord(":") or (time and follows in b"|\tg") or (follows == ord(" ") and is_code(p, n, j + 1))
    if before == ord(";"):
        return (
            follows == ord(":")
            or (follows == ord(";") and time)
            or (follows in b"g " and is_digits(p, n, space(p, n, j), 4))
        )
    if before == ord("i"):
        return follows in b":\t" or (time and follows == ord("[") and p[space(p, n, j)] == ord("<"))
    if before in b"Wi" and follows == ord(":") and p[j] == ord(" "):
        return time  # the kernel's "BTRFS error (device sda1): x"
    return before == ord("w") and time and follows == ord("\t")
