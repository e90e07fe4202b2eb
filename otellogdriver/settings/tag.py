"""The `tag` option: Docker's template for a container's name in the logs, with Docker's results.

In: a template and a container; out: the text that the engine's own drivers make of them. Fields, methods and functions
are those that the engine gives its drivers; what of Go's templates is not supported says `go_template`. A bad template
is refused when it is given, one that fails for a container when that starts, as in the engine.
Source: moby `daemon/logger/loginfo.go`, `daemon/logger/templates`; docs "Customize log driver output".
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus

from otellogdriver.container import Container
from otellogdriver.errors import OptionError
from otellogdriver.settings.go_format import WIDEST, sprint, sprintf, to_json, type_name
from otellogdriver.settings.go_template import MISSING, Function, Template, truth
from otellogdriver.settings.patterns import compiled
from otellogdriver.values import Kind, check_text, shown

SHORT_SINCE = (29, 4)
"""The engine that was the first to cut `sha256:` off before it shortens the id of an image."""


def _image_id(container: Container, engine: tuple[int, ...]) -> str:
    text = container.image_id
    short = text.partition(":")[2] if engine >= SHORT_SINCE else ""
    return (short or text)[:12]


@dataclass(frozen=True, slots=True)
class _Info:
    """A container as the engine's templates see it."""

    container: Container
    engine: tuple[int, ...]

    def field(self, name: str, arguments: Sequence[Any]) -> Any:
        if name == "ExtraAttributes":
            if list(arguments) != [None]:
                raise ValueError('"ExtraAttributes" wants one argument, nil: (.ExtraAttributes nil)')
            return _extra(self.container)
        if name in METHODS:
            if arguments:
                raise ValueError(f"{shown(name)} takes no arguments")
            return METHODS[name](self.container) if name != "ImageID" else _image_id(self.container, self.engine)
        if name not in FIELDS:
            raise ValueError(f"there is no {shown(name)}")
        if arguments:
            raise ValueError(f"{shown(name)} is not a method and has arguments")
        return FIELDS[name](self.container)


METHODS: dict[str, Callable[[Container], str]] = {
    "ID": lambda container: container.id[:12],
    "FullID": lambda container: container.id,
    "Name": lambda container: container.name,
    "ImageID": lambda container: container.image_id[:12],
    "ImageFullID": lambda container: container.image_id,
    "ImageName": lambda container: container.image_name,
    "Command": lambda container: " ".join((container.entrypoint, *container.args)),
    "Hostname": lambda container: socket.gethostname(),
}

FIELDS: dict[str, Callable[[Container], Any]] = {
    "Config": lambda container: dict(container.config),
    "ContainerID": lambda container: container.id,
    "ContainerName": lambda container: f"/{container.name}",
    "ContainerEntrypoint": lambda container: container.entrypoint,
    "ContainerArgs": lambda container: list(container.args),
    "ContainerImageID": lambda container: container.image_id,
    "ContainerImageName": lambda container: container.image_name,
    "ContainerEnv": lambda container: [f"{name}={value}" for name, value in container.env.items()],
    "ContainerLabels": lambda container: dict(container.labels),
    "LogPath": lambda container: "",  # a file of drivers that write one
    "DaemonName": lambda container: container.daemon_name,
}
"""Those of the engine, but for ContainerCreated, which is a time with methods of its own."""


def _extra(container: Container) -> dict[str, str]:
    """What the options labels, labels-regex, env and env-regex of the container select, as the engine reads them."""
    found: dict[str, str] = {}
    for names, pattern, given in (
        ("labels", "labels-regex", container.labels),
        ("env", "env-regex", container.env),
    ):
        wanted = container.config.get(names, "").split(",")
        found |= {name: given[name] for name in wanted if name in given}
        if expression := container.config.get(pattern, ""):
            matches = compiled(expression).search
            found |= {name: value for name, value in given.items() if matches(name)}
    return found


def _is(kind: type, *items: Any) -> None:
    for item in items:
        if not isinstance(item, kind) or isinstance(item, bool) is not (kind is bool):
            wanted = {str: "a string", int: "a number", list: "a list"}[kind]
            raise ValueError(f"{wanted} is wanted, not {'nothing' if item is MISSING else type_name(item)}")


def _any(items: Sequence[Any]) -> list[Any]:
    """Arguments of a function that takes anything."""
    if any(hasattr(item, "field") for item in items):
        raise ValueError("the data as a whole cannot be taken: name a field")
    return [None if item is MISSING else item for item in items]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _cut(text: str, begin: int, end: int) -> str:
    return _bytes(text)[begin:end].decode("utf-8", "surrogateescape")


def _truncate(text: Any, length: Any) -> str:
    _is(str, text)
    _is(int, length)
    if length < 0:
        raise ValueError("a length below 0")
    return _cut(text, 0, length)


def _pad(text: Any, before: Any, after: Any) -> str:
    _is(str, text)
    _is(int, before, after)
    if not 0 <= before <= WIDEST or not 0 <= after <= WIDEST:
        raise ValueError(f"a number of spaces that is not from 0 to {WIDEST}")
    return str(" " * before + text + " " * after) if text else ""


def _split(text: Any, separator: Any) -> list[str]:
    _is(str, text, separator)
    return str(text).split(separator) if separator else list(str(text))


def _join(items: Any, separator: Any) -> str:
    _is(list, items)
    _is(str, separator, *items)
    return str(separator.join(items))


def _by_rune(text: Any, change: Callable[[str], str]) -> str:
    """Go maps character by character: what would become two stays."""
    _is(str, text)
    return "".join(new if len(new := change(c)) == 1 else c for c in text)


def _title(text: Any) -> str:
    _is(str, text)
    return re.sub(r"(?<![\w])[^\W\d_]", lambda match: _by_rune(match[0], str.title), text)


def _index(item: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(item, dict):
            _is(str, key)
            item = item.get(key, "")
        elif isinstance(item, list | str):
            _is(int, key)
            elements: Sequence[Any] = _bytes(item) if isinstance(item, str) else item
            if not 0 <= key < len(elements):
                raise ValueError(f"{key} is out of range")
            item = elements[key]
        else:
            raise ValueError(f"{'nothing' if item is MISSING or item is None else type_name(item)} has no elements")
    return item


def _slice(item: Any, *bounds: Any) -> Any:
    _is(int, *bounds)
    if not isinstance(item, list | str) or len(bounds) > 2 + isinstance(item, list):
        raise ValueError("a list or a string and up to two numbers are wanted")
    size = len(_bytes(item)) if isinstance(item, str) else len(item)
    begin = bounds[0] if bounds else 0
    end = bounds[1] if len(bounds) > 1 else size
    if not 0 <= begin <= end <= size:
        raise ValueError(f"{begin} to {end} is out of range")
    return _cut(item, begin, end) if isinstance(item, str) else item[begin:end]


def _len(item: Any) -> int:
    if not isinstance(item, str | list | dict):
        raise ValueError("what has no length")
    return len(_bytes(item)) if isinstance(item, str) else len(item)


def _same(first: Any, second: Any) -> bool:
    first, second = _any((first, second))
    if first is None or second is None:
        return first is second
    if type(first) is not type(second) or isinstance(first, list | dict):
        raise ValueError("values that cannot be compared")
    return bool(first == second)


def _less(first: Any, second: Any) -> bool:
    if type(first) is not type(second) or not isinstance(first, str | int) or isinstance(first, bool):
        raise ValueError("values that have no order")
    return bool(_bytes(first) < _bytes(second) if isinstance(first, str) else first < second)


def _equal(first: Any, second: Any, *others: Any) -> bool:
    return any(_same(first, other) for other in (second, *others))


def _html(*items: Any) -> str:
    import html  # its tables of names take longer to load than all the rest here

    text = html.escape(items[0] if len(items) == 1 and isinstance(items[0], str) else sprint(_any(items)))
    return text.replace("&quot;", "&#34;").replace("&#x27;", "&#39;").replace("\0", "\ufffd")


def _printf(form: Any, *items: Any) -> str:
    _is(str, form)
    return sprintf(form, _any(items))


FUNCTIONS: Mapping[str, Function] = {
    # Docker's own
    "json": lambda item: to_json(*_any((item,))),
    "split": _split,
    "join": _join,
    "title": _title,
    "lower": lambda text: _by_rune(text, str.lower),
    "upper": lambda text: _by_rune(text, str.upper),
    "pad": _pad,
    "truncate": _truncate,
    # Those of every template in Go
    "print": lambda *items: sprint(_any(items)),
    "println": lambda *items: " ".join(sprint([item]) for item in _any(items)) + "\n",
    "printf": _printf,
    "index": _index,
    "slice": _slice,
    "len": _len,
    "not": lambda item: not truth(item),
    "and": truth,  # looked after by the template itself, as is "or", because they do not look at all arguments
    "or": truth,
    "eq": _equal,
    "ne": lambda first, second: not _same(first, second),
    "lt": _less,
    "le": lambda first, second: _less(first, second) or _same(first, second),
    "gt": lambda first, second: not _less(first, second) and not _same(first, second),
    "ge": lambda first, second: not _less(first, second),
    "html": _html,
    "urlquery": lambda *items: quote_plus(sprint(_any(items)), safe="", errors="surrogateescape"),
}


@lru_cache(maxsize=64)
def _template(text: str) -> Template:
    return Template(text, frozenset(FUNCTIONS))


def version(text: str) -> tuple[int, ...]:
    """The numbers of an engine's version, as far as they go: (29, 4) of 29.4.1-rc1 and more. Empty if not known."""
    return tuple(int(part) for part in re.match(r"(?:\d{1,6}(?:\.|\b|(?=\D)))*", text)[0].split(".") if part)  # type: ignore[index]


def render(text: str, container: Container, engine: str = "") -> str:
    """The tag of `container` in an engine of the version `engine`. Raises OptionError, as the engine does not start a
    container whose tag cannot be made."""
    try:
        made = _template(text).render(_Info(container, version(engine)), FUNCTIONS)
    except ValueError as fault:
        raise OptionError(f'log-opt "tag": {shown(text)} is not allowed for this container ({fault})') from None
    # What was cut inside a character: Go's JSON has one mark for each byte that is left of it.
    return re.sub(r"[\ud800-\udfff]", "\ufffd", made)


def _tag(text: str) -> str:
    check_text(text.replace("\t", "").replace("\n", ""))
    known = {*METHODS, *FIELDS, "ExtraAttributes"}
    for name in sorted(_template(text).roots - known):
        raise ValueError(f"{shown('.' + name)} is not one of the fields")
    return text


TAG: Kind[str] = Kind(
    _tag,
    "a template of Docker's: text with fields such as "
    + ", ".join("{{." + name + "}}" for name in ("Name", "ID", "FullID", "ImageName", "ImageID", "ImageFullID"))
    + ', {{index .ContainerLabels "key"}}, and the functions '
    + ", ".join(sorted(FUNCTIONS)),
    "template",
)
