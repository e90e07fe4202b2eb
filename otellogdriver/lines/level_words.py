"""The words that are told apart in a line, as a table that C walks letter by letter: names of levels, and others.

`VALUE` has a word's value at its node: a level's number, perhaps with SHY; TIME, CONSTANT, STOP, KEY; 0 for none.
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
SHY, TIME, CONSTANT, STOP, KEY = 32, 64, 65, 128, 129


def _trie() -> tuple[bytes, bytes]:
    """(node after node and letter, value of node). 1 is the begin, 0 is no word; letters by their last five bits. Equal
    endings share their nodes, so that a byte counts them all."""
    words = {word: number for number, names in NAMES.items() for word in names.split()}
    words.update({word: words[word] | SHY for word in _SHY.split()})
    others = ((_TIMES, TIME), (_CONSTANTS, CONSTANT), (_PROSE, STOP), (_KEYS, KEY))
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


NEXT, VALUE = _trie()
