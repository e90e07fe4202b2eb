"""Records come out of the loop the same, compiled or not."""

from __future__ import annotations

import random

from otellogdriver.lines import joined, trace_modes
from tests.data.lines.programs import source_of
from tests.unit.lines.test_traces import FOLDER, TRACES


def test_compiled_or_not_it_joins_the_same() -> None:
    """Over many lines, of both streams, with a user's pattern as well, from any state and up to the bounds."""
    python, chance = source_of(joined), random.Random(8)
    lines = [line for *_, lines in TRACES for line in lines] + (FOLDER / "one-line-logs.txt").read_bytes().splitlines()
    for number in range(400):
        languages = chance.choice([0, *trace_modes.PRESETS.values()])
        begins = None if languages else (lambda line: not line.startswith(b" "))
        first, count = chance.randrange(len(lines)), chance.choice([1, 9, 60])
        given = [(n, n, int(chance.random() < 0.2), line) for n, line in enumerate(lines[first : first + count])]
        if number % 50 == 0:
            given += [(n, n, 0, b"\tat " + b"x" * chance.choice([1, 600])) for n in range(5000)]
        head, streams = chance.choice([b"", chance.choice(lines)]), chance.choice([3, 3, 1])
        found = []
        for module in (joined, python):
            groups, heads = [None, None], [head, b"x" * 600]
            records = module.join(languages, begins, given, groups, heads, streams)
            left = [group and (group.begin, group.time, group.head, group.kind, group.state) for group in groups]
            found.append(
                (records, left, [group and (group.text(), group.count, group.size) for group in groups], heads)
            )
        assert found[0] == found[1]
