"""The part of a Markdown file that is made from declarations: between two marker lines; the rest is left as it is."""

from __future__ import annotations


def begin(name: str, command: str) -> str:
    """The line before what `command` renders."""
    return f"<!-- {name}: begin, made by `{command}` -->"


def end(name: str) -> str:
    """The line after it."""
    return f"<!-- {name}: end -->"


def between(text: str, name: str, command: str, content: str) -> str:
    """The file with this content between its markers. Raises ValueError if they are not there."""
    before, first, rest = text.partition(f"<!-- {name}: begin")
    _, last, after = rest.partition(end(name))
    if not first or not last:
        raise ValueError(f"the lines {begin(name, command)} and {end(name)} are missing")
    return f"{before}{begin(name, command)}\n\n{content}\n{end(name)}{after}"
