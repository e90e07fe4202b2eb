# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# cython: infer_types=True, annotation_typing=False
"""The level that a line of plain text names in its first bytes: one pass, by a small grammar.

In: the first 200 bytes of a line. Out: one number, `level | begin << 8 | end << 16`: OpenTelemetry's severity number
and where its text stands; 0 if there is none to be sure of. The grammar is the table in docs/RECORDS.md: what may stand
before a level, what is a level there, and what must follow.

This one source is both implementations. As it stands it is Python; with a compiler it becomes C, with the types of
`severity_scan.pxd`. So everything is whole numbers and bytes: `p` are the bytes, `n` is how many, `i` and `j` are
places in them. What is around a level has a letter:

    before  ^ nothing · s a symbol · * a bullet · t a time or number · b a closed bracket · o an opened one · | a bar
            - a dash · TAB · : a tag with its colon · ; a colon or dot without space · / a slash · p key=value
            w, W a word in lower case, with a capital · i a word that is none of a sentence
    after   : a colon and space · ; a colon · | a bar or dash · ] a closing bracket · [ an opening one · TAB · / a slash
            BLANK one space · g more of them · m a colour · $ the end · x anything else
"""

from __future__ import annotations

from otellogdriver.lines.characters import KIND
from otellogdriver.lines.level_letters import frame, single
from otellogdriver.lines.level_names import case, letter, level_at, moved, names_level, suffix, word
from otellogdriver.lines.level_neighbours import after, escape, is_digits, is_prose, is_title, same, skipped, space
from otellogdriver.lines.level_places import capitals, in_brackets, small, titled
from otellogdriver.lines.level_values import json, value
from otellogdriver.lines.level_words import CONSTANT, SHY, TIME

TOKENS = 40
"""Tokens before a level: twice as many as the busiest real line has. So no line takes long."""
INNER = 8
"""Words in brackets before a level in them."""


def find(p: bytes, n: int) -> int:
    """The level of a line; see the module's text. Of a joined record whose first line has none, the second may begin
    with it and a colon, as java.util.logging writes it."""
    several = 0
    for k in range(n):  # without a way out, so that C looks at many bytes at once
        several |= p[k] == 10
    end = n
    if several:
        end = 0
        while p[end] != 10:
            end += 1
    found = line(p, end)
    if found or end + 1 >= n:
        return found
    i = end + 1
    end = i
    while end < n and p[end] != 10:
        end += 1
    found = level_at(p, end, i)
    j = found >> 8
    if found and j < end and p[j] == ord(":") and case(p, i, j) == 2:
        return found & 31 | i << 8 | j << 16
    return 0


def line(p: bytes, n: int) -> int:
    """The level of one line."""
    i = coloured = 0
    while i < n and (KIND[p[i]] == 16 or p[i] == 27):
        if p[i] == 27:
            coloured = 1
            i = escape(p, n, i)
        else:
            i += 1
    begin = i
    if i < n and p[i] in b"[<%IWEFDVTN":
        found = frame(p, n, i + 1 if p[i] == ord("[") else i)
        if found:
            return found
    indent = begin
    before = ord("^")
    opened = inner = plain = names = redis = 0
    time = lead = False
    tag = ord("^")
    tokens = 0
    while i < n:
        c = p[i]
        kind = KIND[c]
        if kind == 16:
            if c == ord("\t") and before != ord("^"):
                before = ord("\t")
            i += 1
            continue
        tokens += 1
        if tokens > TOKENS or inner > INNER:
            return 0
        if kind & 3 or c in b"_@":
            if time and c == ord("L") and i + 5 < n and p[i + 3] == ord("_") and p[i + 1] == ord("O"):
                i += 4  # LOG_ERROR
            found = word(p, n, i) if kind & 3 else 0
            level = found & 255
            j = found >> 8
            if 0 < level < TIME:
                end = suffix(p, n, j) if j < n and KIND[p[j]] & 12 else j  # calls that most lines can do without
                follows = after(p, n, end)
                if end > j and follows == ord("x"):
                    end = j
                    follows = after(p, n, j)
                if follows == ord("x") and before == ord("t") and time and end < n and p[end] == ord(",") == p[i - 2]:
                    follows = ord("|")  # a column
                if follows == ord("x") and opened == ord("[") and before == ord("o") and end < n and p[end] in b"#@-":
                    follows = ord("]") if p[end] != ord("-") or time else follows  # [Info#SQL]
                if follows != ord("x"):
                    form = case(p, i, j)
                    good = False
                    if form >= 0 and (end == j or follows != ord("$")):
                        if opened:
                            good = in_brackets(p, n, i, end, form, level, before, follows, opened, inner, time, plain)
                        elif (
                            lead
                            and follows in b":; g"
                            and not is_prose(p, n, end)
                            or (
                                coloured
                                and follows == ord("m")
                                and plain < 2
                                and (level < SHY or form == 2 or c in b"fs")
                            )
                        ):
                            good = True
                        elif form == 2:
                            good = capitals(p, n, i, end, level, before, follows, time, plain, names, tag)
                        elif form == 1:
                            good = titled(p, n, i, end, level, before, follows, time, plain, tag)
                        else:
                            good = small(p, n, i, end, level, before, follows, time, plain, indent)
                        if not good and level == 21 and follows == ord(" ") and plain == 0 and not opened:
                            # PHP's and Go's "fatal error:"
                            good = (
                                before in b"^tb|:" and same(p, end + 1, end + 7, b"error:", 6)
                                if end + 7 <= n
                                else False
                            )
                    if good and not (
                        follows in b":|\tg "
                        and (not time or before == ord("-"))
                        and not opened
                        and is_constant(p, n, end)
                    ):
                        return (moved(p, level & 31, j, end) if end > j else level & 31) | i << 8 | end << 16
            elif level == TIME and (before in b"^t|:b/;" or opened) and (j >= n or not KIND[p[j]] & 7):
                # The name of a month, a day, a zone.
                before = ord("t")
                i = j
                coloured = 0
                continue
            if i + 1 >= n or not KIND[p[i + 1]] & 3 or (opened == ord("(") and p[i + 1] == c):
                found = single(p, n, i, opened, before, time, inner)
                if found and (plain == 0 or p[i + 1] == ord(">")):
                    return found
                if before == ord("^") and c in b"EWIN" and i + 3 < n and p[i + 1] == ord(":") and p[i + 2] == ord(" "):
                    # apt's "W: Some x", PulseAudio's "N: [pulseaudio] x"
                    return (
                        letter(c) | i << 8 | i + 1 << 16
                        if p[i + 3] == ord("[") or c in b"EW" and is_title(p, n, i + 2)
                        else 0
                    )
                if kind == 1 and i + 1 < n and p[i + 1] == ord(",") and before == ord("^"):
                    if letter(c) and is_unnamed(p, n, i + 3) and p[i + 2] == ord(" "):
                        return letter(c) | i << 8 | i + 1 << 16
                    i += 2  # Ruby's logger: E, [2024-01-01T12:00:00 #1] ERROR
                    continue
            # Any other word: how far it goes, and of what kind it is.
            j = i
            letters = capitals_inside = 0
            clean = True
            url = False
            while j < n:
                kind = KIND[p[j]]
                if kind == 2:  # most of them are: no more than that is asked of each
                    letters = 1
                    while j < n and KIND[p[j]] == 2:
                        j += 1
                    continue
                if kind == 1:
                    letters = 1
                    if j > i and KIND[p[j - 1]] == 2:
                        capitals_inside = 1
                elif kind == 4:
                    clean = False
                elif kind & 8:
                    if p[j] == ord("/") and opened and j + 1 < n and KIND[p[j + 1]] == 1:
                        found = level_at(p, n, j + 1)
                        k = found >> 8
                        if found and case(p, j + 1, k) == 2 and after(p, n, k) in b"]":
                            break  # [Server thread/WARN]
                    if p[j] in b"?&%'\"":
                        url = True
                    if p[j] in b".-" and not url and j + 1 < n and KIND[p[j + 1]] == 1:
                        found = level_at(p, n, j + 1)
                        k = found >> 8
                        if found and case(p, j + 1, k) == 2:
                            if p[j] == ord(".") and after(p, n, k) == ord(":"):
                                break  # Monolog: app.ERROR: x
                            if p[j] == ord("-") and k + 2 < n and p[k + 1] == ord("*") and p[k + 2] == ord("*"):
                                return found & 31 | j + 1 << 8 | k << 16  # GLib: Gtk-WARNING **: x
                    if time and before == ord("b") and p[j] == ord(".") and j + 1 < n and KIND[p[j + 1]] == 2:
                        found = level_at(p, n, j + 1)
                        if found and found & 255 < SHY and after(p, n, found >> 8) == ord(":"):
                            break  # Monolog in Symfony: [2026-01-02T03:04:05+00:00] app.error: x
                    if opened and p[j] in b".#" and j + 1 < n and KIND[p[j + 1]] == 2:
                        found = level_at(p, n, j + 1)
                        k = found >> 8
                        if time and found and found & 255 < SHY and k < n and p[k] in b"]>":
                            return found & 31 | j + 1 << 8 | k << 16  # [web#info] x · <local0.notice> x
                    clean = False
                    if p[j] == ord("="):
                        break
                elif p[j] == ord(":") and j + 1 < n and (KIND[p[j + 1]] & 15 or p[j + 1] == ord(":")):
                    if not url and KIND[p[j + 1]] & 3:
                        found = level_at(p, n, j + 1)
                        if found and after(p, n, found >> 8) not in b"x/":
                            break
                    if p[j + 1] == ord("/"):
                        url = True
                    clean = False
                else:
                    break
                j += 1
            if j < n and p[j] == ord("=") and j > i and not opened | (j + 1 < n and p[j + 1] in b"=>"):
                if (
                    (plain == 0 or before in b":|p\t")
                    and (time or before != ord(":"))
                    and (
                        names_level(p, i, j)
                        or (i == begin and (j == i + 1 and c == ord("l") or same(p, i, j, b"at", 2)))
                    )
                ):
                    found = value(p, n, j + 1)
                    if found and (i > begin or space(p, n, (found >> 16) + 1) < n):
                        return found  # and not all that there is, as in settings
                j += 1
                if j < n and p[j] in b"\"'":
                    j = skipped(p, n, j)
                else:
                    while j < n and KIND[p[j]] != 16:
                        j += 1
                before = ord("p")
                i = j
                coloured = 0
                continue
            if opened and opened != ord("<") and j < n and p[j] == ord("=") and names_level(p, i, j) and plain == 0:
                found = value(p, n, j + 1)
                if found:
                    return found
            coloured = 0
            if letters == 0 and j > i + 2 and p[i] == p[i + 1] == ord("_"):
                return 0  # a rule around a heading
            if opened:
                inner += 1
                before = ord("w") if clean else ord("i")
                i = j + 1 if j == i else j
                continue
            if p[j - 1] in b"!?'" or (p[j - 1] == ord(".") and j > i + 1):
                return 0  # the end of a sentence
            if clean and not capitals_inside:
                if before == ord("t") and KIND[p[i]] == 1 and j - i < 6 and KIND[p[j - 1]] == 1:
                    i = j  # a zone
                    continue
                if j == i + 3 and (same(p, i, j, b"php", 3) or same(p, i, j, b"npm", 3)) and before in b"^tb:":
                    lead = True
                    before = ord("^")
                    i = j
                    continue
                plain += 1
                before = ord("w") if KIND[p[i]] == 2 else ord("W")
            else:
                names += 1
                before = ord("i")
            if (
                names > 5
                or plain > 2
                or (plain == 2 and not time and (KIND[p[i]] != 2 or not is_digits(p, n, j + 1, 8)))
            ):
                return 0
            i = j + 1 if j == i else j
            continue
        if kind == 4:
            # A number, a date, a time, an address: up to a level that is glued to it.
            j = i
            digits = marks = 0
            while j < n:
                c = p[j]
                kind = KIND[c]
                if kind == 4:
                    digits += 1
                elif kind & 3:
                    pass
                elif c in b":-/.,+#*_":
                    if c == ord(","):
                        if j + 1 >= n or KIND[p[j + 1]] != 4:
                            break
                    elif j + 1 < n and KIND[p[j + 1]] & 3:
                        if level_at(p, n, j + 1):
                            break
                        if redis == 0 and c == ord(":") and i == begin and KIND[p[j + 1]] == 1 and j + 2 < n:
                            redis = 1 if p[j + 2] == ord(" ") else 0
                    elif j + 1 >= n or KIND[p[j + 1]] != 4:
                        if c not in b"-+*#.":
                            break
                        if c in b"*#+" or j + 1 >= n:
                            break
                    if c in b":-/":
                        marks += 1
                else:
                    break
                j += 1
            if marks or digits > 8 or (opened and digits > 6 and p[i - 1] == ord(" ")):  # [    7.123456] of the kernel
                time = True
            if j == i:
                j += 1
            i = j
            before = ord("t")
            coloured = 0
            if j < n and p[j] == ord("-") and j + 1 < n and KIND[p[j + 1]] & 3:
                before = ord(";")
                i = j + 1
            continue
        if c == 27:
            i = escape(p, n, i)
            coloured = 1
            continue
        if redis and c in b"#*-." and before == ord("t") and i + 1 < n and p[i + 1] == ord(" "):
            level = 13 if c == ord("#") else 10 if c == ord("*") else 9 if c == ord("-") else 5
            return level | i << 8 | i + 1 << 16
        if c in b"[({<":
            if c == ord("{") and i > 0 and (p[i - 1] == ord("[") or (not time and KIND[p[i - 1]] & 7)):
                return 0  # an array, the labels of a metric
            if c == ord("{") and plain == 0:
                j = space(p, n, i + 1)
                if j < n and p[j] in b"\"'":
                    return json(p, n, i)
            opened = c
            inner = 0
            tag = before
            before = ord("o")
            i += 1
            continue
        if c in b"])}>":
            before = ord("b") if opened else ord("|")
            opened = 0
            i += 1
            continue
        if c == ord(":"):
            if i + 1 >= n or KIND[p[i + 1]] == 16 or p[i + 1] in b":\x1b":
                if not opened or before != ord("o"):
                    tag = before
                    before = ord(":")
            else:
                before = ord(";")
            i += 1
            continue
        if c == ord("#"):
            if before == ord("^") and not time and i + 1 < n and KIND[p[i + 1]] & 27 and not is_command(p, n, i):
                return 0  # a heading
            i += 1
            continue
        if c == ord("."):
            if i + 1 < n and KIND[p[i + 1]] & 3:
                before = ord(";")
                i += 1
                continue
            i += 1
            continue
        if c == ord("-"):
            if (
                i + 2 < n
                and (KIND[p[i + 1]] & 3 or (p[i + 1] == ord("-") and KIND[p[i + 2]] & 3))
                and (i == 0 or (before in b"wWi^" and KIND[p[i - 1]] == 16))
            ):
                return 0  # an option of a command
            before = ord("*") if before in b"^*" else ord("-")
            i += 1
            continue
        if c == ord(","):
            if before in b"wW" and not opened:
                return 0
            if not opened or before == ord("t"):
                before = ord("|") if i + 1 < n and KIND[p[i + 1]] != 16 else before
            else:
                before = ord("|")
            i += 1
            continue
        if c in b"|;*~":
            if before == ord(":") and not time and c == ord("*"):
                return 0  # make: *** [Makefile:7: debug] Error 1
            before = ord("*") if before in b"^*" else ord("|")
            i += 1
            continue
        if c == ord("/"):
            if opened and i + 1 < n and KIND[p[i + 1]] == 1:
                before = ord("/")
                i += 1
                continue
            if before in b"t;":
                before = ord("/")
                i += 1
                continue
            if before in b"^*" and i + 1 < n and p[i + 1] == ord("/"):
                before = ord("*")
                i += 2
                continue
            while i < n and KIND[p[i]] & 15:
                i += 1
            names += 1
            before = ord("i")
            continue
        if c in b"\"'`":
            if i + 1 < n and KIND[p[i + 1]] == 4 and i == begin:
                i += 1
                continue
            if time and i > 0 and p[i - 1] == ord(","):
                j = skipped(p, n, i)  # a column
                found = level_at(p, n, i + 1)
                if found and found >> 8 == j - 1 and case(p, i + 1, j - 1) == 2 and j < n and p[j] == ord(","):
                    return found & 31 | i + 1 << 8 | j - 1 << 16
                before = ord("|")
                i = j
                continue
            if before == ord("|") and KIND[p[i - 1]] != 16 or opened:
                i += 1
                continue
            if before == ord("t") and i + 1 < n and p[i + 1] in b",;":
                i += 1
                continue
            return 0
        if c >= 128:
            j = i
            while j < n and p[j] >= 128:
                j += 1
            if (c != 0xC2 and c != 0xE2 and c < 0xEF) or (j < n and KIND[p[j]] & 3):
                plain += 1  # a word, and no arrow, dingbat or other symbol
                before = ord("W")
                if plain > 1:
                    return 0
            elif before == ord("^"):
                before = ord("s")
            i = j
            continue
        if c in b"!?&\\" and not opened and (c != ord("!") or before != ord("b")):
            return 0
        if c == ord("=") and before != ord("^") and not opened:
            if p[begin] != c or p[i - 1] == ord(" ") or i + 1 >= n:
                return 0
            before = ord(":")  # ==7==ERROR: AddressSanitizer
        i += 1
    return 0


def is_command(p: bytes, n: int, i: int) -> bool:
    """Whether this is what GitHub's runner prints: ##[error]x."""
    return i + 2 < n and p[i + 1] == ord("#") and p[i + 2] == ord("[")


def is_unnamed(p: bytes, n: int, i: int) -> bool:
    """Whether this is how Nim's logger goes on behind its letter: [2026-01-02T03:04:05] -- shop: x."""
    if i + 5 >= n or p[i] != ord("[") or not is_digits(p, n, i + 1, 4):
        return False
    while i < n and p[i] != ord("]"):
        i += 1
    return i + 4 < n and p[i + 1] == ord(" ") and p[i + 2] == p[i + 3] == ord("-") and p[i + 4] == ord(" ")


def is_constant(p: bytes, n: int, j: int) -> bool:
    """Whether all that follows the colon or tab at j is a value as settings have it: true, no, null, 5, an open
    bracket."""
    i = space(p, n, j + 1)
    while n > i and (KIND[p[n - 1]] == 16 or p[n - 1] in b",;"):
        n -= 1
    if n == i:
        return j > 0 and KIND[p[j - 1]] == 2
    if p[i] in b"{[":
        return n == i + 1 or (n == i + 2 and p[i + 1] in b"}]")
    if word(p, n, i) == CONSTANT | n << 8:
        return True
    while i < n and (KIND[p[i]] == 4 or p[i] in b".%"):
        i += 1
    return i == n
