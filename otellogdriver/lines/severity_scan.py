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

NAMES = {
    1: "trace trc trac trce finest verbose vrb verb verbo silly",
    5: "debug dbg dbug debu debg deb finer",
    6: "fine",
    7: "config",
    9: "info inf nfo information informational log note system http",
    10: "notice noti ntc success",
    13: "warn warning wrn warni war deprecated",
    17: "error err erro eror errr severe sever fail",
    18: "crit crt dpanic",
    19: "alert panic pnc pani",
    21: "fatal ftl fata fatl ftal fat critical criti emer emerg emergency",
}
_SHY = "fine config log note system http fail deprecated silly success finer deb war fat"
"""Words for something else as well: a level in fewer places."""
_TIMES = "jan feb mar apr may jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun am pm utc gmt z"
_PROSE = "codes is are was were and or of level levels message messages mode logs lines"
"""What follows a level's name in a sentence about it."""
_KEYS = "level lvl severity loglevel levelname severitytext prio"
"""Keys whose value is a level; with dots or underscores in them, too."""
_CONSTANTS = "true false null none yes no on off"
_SHY_BIT, _TIME, _CONSTANT, _STOP, _KEY = 32, 64, 65, 128, 129


TOKENS = 40
"""Tokens before a level: twice as many as the busiest real line has. So no line takes long."""
INNER = 8
"""Words in brackets before a level in them."""


def _trie() -> tuple[bytes, bytes]:
    """(node after node and letter, value of node). 1 is the begin, 0 is no word; letters by their last five bits. Equal
    endings share their nodes, so that a byte counts them all."""
    words = {word: number for number, names in NAMES.items() for word in names.split()}
    words.update({word: words[word] | _SHY_BIT for word in _SHY.split()})
    others = ((_TIMES, _TIME), (_CONSTANTS, _CONSTANT), (_PROSE, _STOP), (_KEYS, _KEY))
    words.update({word: value for value_words, value in others for word in value_words.split()})
    following, values = bytearray(256 * 32), bytearray(256)
    known: dict[tuple[object, ...], int] = {}

    def node(endings: dict[str, int]) -> int:
        longer: dict[int, dict[str, int]] = {}
        for ending, value in endings.items():
            if ending:
                longer.setdefault(ord(ending[0]) & 31, {})[ending[1:]] = value
        children = tuple((letter, node(longer[letter])) for letter in sorted(longer))
        number = known.setdefault((endings.get("", 0), *children), len(known) + 2)
        values[number] = endings.get("", 0)  # IndexError if there are too many
        for letter, child in children:
            following[number * 32 + letter] = child
        return number

    begin = node(words)
    following[32:64] = following[begin * 32 : begin * 32 + 32]
    return bytes(following), bytes(values)


def _kinds() -> bytes:
    """Of each byte: 1 capital, 2 lower case, 4 digit, 8 other characters of names and paths, 16 space."""
    kinds = bytearray(256)
    for letters, kind in ((b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", 1), (b"abcdefghijklmnopqrstuvwxyz", 2), (b"0123456789", 4)):
        for letter in letters:
            kinds[letter] = kind
    for letter in b"_.$@/\\+~%&*-#?!'":
        kinds[letter] = 8
    for letter in b" \t\r":
        kinds[letter] = 16
    return bytes(kinds)


_NEXT_BYTES, _VALUE_BYTES = _trie()
_KIND_BYTES = _kinds()
NEXT = _NEXT_BYTES
VALUE = _VALUE_BYTES
KIND = _KIND_BYTES


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


# --- words


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
    return found if 0 < found & 255 < _TIME else 0


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
    return found & 255 if found >> 8 == n and found & 255 < _SHY_BIT else 0


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


def same(p: bytes, i: int, j: int, text: bytes, size: int) -> bool:
    """Whether the bytes from i to j are this text, in any case."""
    if j - i != size:
        return False
    for k in range(size):
        c = p[i + k]
        if c != text[k] and (KIND[c] != 1 or (c | 32) != text[k]):
            return False
    return True


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
    return VALUE[node] == _KEY


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


# --- whole frames


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


# --- pairs and JSON


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


def skipped(p: bytes, n: int, i: int) -> int:
    """Behind the quoted text that begins here."""
    quote = p[i]
    i += 1
    while i < n and p[i] != quote:
        i += 2 if p[i] == ord("\\") else 1
    return i + 1


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


# --- the line


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
    found = frame(p, n, i + 1 if i < n and p[i] == ord("[") else i)
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
            if 0 < level < _TIME:
                end = suffix(p, n, j)
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
                                and (level < _SHY_BIT or form == 2 or c in b"fs")
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
                        return moved(p, level & 31, j, end) | i << 8 | end << 16
            elif level == _TIME and (before in b"^t|:b/;" or opened) and (j >= n or not KIND[p[j]] & 7):
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
                if kind & 3:
                    if kind == 1 and j > i and KIND[p[j - 1]] == 2:
                        capitals_inside = 1
                    letters += 1
                elif kind == 4:
                    clean = False
                elif kind == 8:
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
                        if found and found & 255 < _SHY_BIT and after(p, n, found >> 8) == ord(":"):
                            break  # Monolog in Symfony: [2026-01-02T03:04:05+00:00] app.error: x
                    if opened and p[j] in b".#" and j + 1 < n and KIND[p[j + 1]] == 2:
                        found = level_at(p, n, j + 1)
                        k = found >> 8
                        if time and found and found & 255 < _SHY_BIT and k < n and p[k] in b"]>":
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
                if (same(p, i, j, b"php", 3) or same(p, i, j, b"npm", 3)) and before in b"^tb:":
                    lead = True
                    before = ord("^")
                    i = j
                    continue
                plain += 1
                before = ord("w") if KIND[p[i]] == 2 else ord("W")
            else:
                names += 1
                before = ord("i")
            if plain > (2 if time or (KIND[p[i]] == 2 and is_digits(p, n, j + 1, 8)) else 1) or names > 5:
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
    if word(p, n, i) == _CONSTANT | n << 8:
        return True
    while i < n and (KIND[p[i]] == 4 or p[i] in b".%"):
        i += 1
    return i == n


# --- what may be a level where. `form` is that of `case`, `level` its number, perhaps with _SHY_BIT.


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
    if level & _SHY_BIT and form < 2:
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
        if opened != ord("<") or follows != ord("]") or level & _SHY_BIT:
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
    if level & _SHY_BIT:
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
            return level < _SHY_BIT  # *ERROR* x
        return follows in b":;" and level < _SHY_BIT
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


def is_title(p: bytes, n: int, j: int) -> bool:
    """Whether a space and a word with a capital follow."""
    return j + 2 < n and p[j] == ord(" ") and KIND[p[j + 1]] == 1 and KIND[p[j + 2]] == 2


def is_prose(p: bytes, n: int, j: int) -> bool:
    """Whether the next word makes a sentence of a level's name before j: "ERROR is what …"; or is the next of a row."""
    j = space(p, n, j)
    found = word(p, n, j)
    return found & _STOP != 0 or (
        0 < found & 255 < _SHY_BIT and case(p, j, found >> 8) == 2 and after(p, n, found >> 8) in b" $"
    )


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
    if level & _SHY_BIT:
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
        level & _SHY_BIT
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
            return follows == ord(" ") and plain == 0 and level < _SHY_BIT and is_file(p, n, j + 1)
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
