"""Go's text/template, as far as people use it in log tags: parse a template once, render it for any data.

In: the text of a template, the names of functions. Out: a `Template`, or ValueError that says what is wrong with it.
`render` takes the data that the dot stands for, and functions; it raises ValueError where Go would end with an error.
The data are Python values as `go_format` has them, and objects with `field(name, arguments)`. Supported are fields,
variables, pipelines, parentheses, if, with, range, break, continue, comments and trimming; not supported, and refused
when parsed, are define, template, block and numbers with a fraction. A template takes a bounded number of steps and
makes a bounded text, because it is rendered where others wait. Source: Go's documentation of text/template.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from otellogdriver.settings.go_format import type_name, value
from otellogdriver.values import shown

STEPS = 10_000
LONGEST = 64 << 10
"""Steps and characters at most; a tag is a few words."""


class _Missing:
    """What a map says for a key that it does not have. As an argument of a function that takes anything it is nil."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()
Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class _Operand:
    """`kind`: dot, variable, function, pipe, constant or nil; `of` its name, pipeline or value; then `.Field.Field`."""

    kind: str
    of: Any = None
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Pipe:
    """`commands` are lists of operands; `variables` get the value, new ones or old ones."""

    commands: tuple[tuple[_Operand, ...], ...]
    variables: tuple[str, ...] = ()
    is_new: bool = True


@dataclass(slots=True)
class _Node:
    """`kind`: text, print, if, with, range, break or continue."""

    kind: str
    text: str = ""
    pipe: _Pipe | None = None
    body: list[_Node] = field(default_factory=list)
    otherwise: list[_Node] = field(default_factory=list)


_ACTION = re.compile(r"\{\{(-[ \t\r\n])?")
_COMMENT = re.compile(r"\s*/\*.*?\*/", re.DOTALL)
_TOKEN = re.compile(
    r"""(?P<end>([ \t\r\n]-)?\}\})|(?P<space>[ \t\r\n]+)
    |(?P<field>\.[^\W\d]\w*)|(?P<dot>\.)|(?P<variable>\$\w*)|(?P<name>[^\W\d]\w*)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<char>'(?:[^'\\\n]|\\.[^']*)')
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]+|[1-9][0-9_]*|0)(?![\w.]))
    |(?P<sign>:=|[=|(),])""",
    re.VERBOSE,
)
_END = re.compile(r"[ \t\r\n]-\}\}|\}\}")
_SPACE = " \t\r\n"
_BLOCKS = ("if", "with", "range")
_TOO_DEEP = "too much of it is within each other"


class Template:
    """A parsed template. `roots` are the fields that are asked of the data itself, for a check before there are any."""

    def __init__(self, text: str, functions: frozenset[str]) -> None:
        try:
            parser = _Parser(text, functions)
        except RecursionError:
            raise ValueError(_TOO_DEEP) from None
        self._nodes = parser.nodes
        self.roots = frozenset(parser.roots)

    def render(self, data: Any, functions: Mapping[str, Function]) -> str:
        """The text for `data`. Raises ValueError."""
        run = _Run(data, functions)
        try:
            run.nodes(self._nodes, data)
        except RecursionError:
            raise ValueError(_TOO_DEEP) from None
        return "".join(run.out)


class _Parser:
    def __init__(self, text: str, functions: frozenset[str]) -> None:
        self._text = text
        self._functions = functions
        self._at = 0
        self._variables = ["$"]
        self._tokens: list[tuple[str, str]] = []
        self._moved = 0
        """How many `with` and `range` we are in: there the dot is something else."""
        self._loops = 0
        self.roots: list[str] = []
        self.nodes, end = self._list()
        if end:
            raise ValueError(f"{{{{{end}}}}} without what it ends")

    def _list(self) -> tuple[list[_Node], str]:
        """Nodes up to the end of the text, or to {{end}} or {{else}}, which is left to be read."""
        nodes: list[_Node] = []
        while True:
            start = _ACTION.search(self._text, self._at)
            text = self._text[self._at : start.start() if start else None]
            if start and start[1]:
                text = text.rstrip(_SPACE)
            if text:
                nodes.append(_Node("text", text))
            if not start:
                self._at = len(self._text)
                return nodes, ""
            self._at = start.end()
            if comment := _COMMENT.match(self._text, self._at):
                self._at = comment.end()
                if not (end := _END.match(self._text, self._at)):
                    raise ValueError("a comment that is not alone in its {{ }}")
                self._after(end[0], end.end())
                continue
            self._tokens = self._lex()
            word = self._tokens[0][1] if self._tokens[0][0] == "name" else ""
            if word in ("end", "else"):
                return nodes, word
            nodes.append(self._action(word))

    def _lex(self) -> list[tuple[str, str]]:
        tokens: list[tuple[str, str]] = []
        while match := _TOKEN.match(self._text, self._at):
            kind = match.lastgroup or ""
            if kind == "space" and _END.match(self._text, match.end() - 1):
                # The space belongs to " -}}".
                self._at = match.end() - 1
                continue
            self._at = match.end()
            if kind == "end":
                tokens.append(("end", ""))
                self._after(match[0], match.end())
                while tokens[0][0] == "space":
                    del tokens[0]
                return tokens
            tokens.append((kind, match[0]))
        rest = self._text[self._at : self._at + 10]
        raise ValueError(f"{shown(rest)} cannot stand in {{{{ }}}}" if rest else "a {{ without its }}")

    def _after(self, end: str, at: int) -> None:
        """Behind an action; its minus sign trims what follows."""
        self._at = at
        if "-" in end:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1

    def _action(self, word: str) -> _Node:
        if word in ("define", "template", "block"):
            raise ValueError(f"{{{{{word}}}}} is not supported")
        if word in ("break", "continue"):
            self._tokens.pop(0)
            if not self._loops:
                raise ValueError(f"{{{{{word}}}}} outside of {{{{range}}}}")
            self._expect_end()
            return _Node(word)
        if word in _BLOCKS:
            return self._block(word)
        return _Node("print", pipe=self._pipe("end"))

    def _block(self, word: str) -> _Node:
        known = len(self._variables)
        self._tokens.pop(0)
        node = _Node(word, pipe=self._pipe("end", ranging=word == "range"))
        moves, loops = word != "if", word == "range"
        self._moved += moves
        self._loops += loops
        node.body, end = self._list()
        self._moved -= moves
        self._loops -= loops
        if end == "else":
            self._tokens.pop(0)
            self._skip_space()
            if self._tokens[0][1] in ("if", "with"):
                node.otherwise = [self._block(self._tokens[0][1])]
                del self._variables[known:]
                return node
            self._expect_end()
            node.otherwise, end = self._list()
        if end != "end":
            raise ValueError(f"{{{{{word}}}}} without {{{{end}}}}")
        self._tokens.pop(0)
        self._expect_end()
        del self._variables[known:]
        return node

    def _expect_end(self) -> None:
        self._skip_space()
        if self._tokens[0][0] != "end":
            raise ValueError(f"{shown(self._tokens[0][1])} where {{{{ }}}} should end")

    def _skip_space(self) -> bool:
        skipped = self._tokens[0][0] == "space"
        if skipped:
            self._tokens.pop(0)
        return skipped

    def _pipe(self, end: str, ranging: bool = False) -> _Pipe:
        """A pipeline up to and with its end: `end`, or the sign `)`."""
        names, is_new = self._declared(ranging)
        commands: list[tuple[_Operand, ...]] = []
        while True:
            commands.append(self._command())
            kind, text = self._tokens.pop(0)
            if (kind, text) == ("sign", "|"):
                continue
            if end != (kind if kind == "end" else text):
                raise ValueError("a parenthesis too many or too few" if text != "," else "a comma where none belongs")
            break
        for later in commands[1:]:
            if later[0].kind not in ("function", "dot", "variable") or (later[0].kind == "dot" and not later[0].fields):
                raise ValueError("what stands after a | is not a function")
        if is_new:
            self._variables += names
        return _Pipe(tuple(commands), names, is_new)

    def _declared(self, ranging: bool) -> tuple[tuple[str, ...], bool]:
        """The variables before := or =."""
        self._skip_space()
        found: list[str] = []
        at = 0
        while self._tokens[at][0] == "variable" and len(found) < 1 + ranging:
            found.append(self._tokens[at][1])
            at += 1
            while self._tokens[at][0] == "space":
                at += 1
            if self._tokens[at][1] != ",":
                break
            at += 1
            while self._tokens[at][0] == "space":
                at += 1
        sign = self._tokens[at][1]
        if not found or self._tokens[at][0] != "sign" or sign not in (":=", "="):
            return (), True
        if sign == "=" and not set(found) <= set(self._variables):
            raise ValueError(f"the variable {shown(found[0])} is not known")
        del self._tokens[: at + 1]
        return tuple(found), sign == ":="

    def _command(self) -> tuple[_Operand, ...]:
        operands: list[_Operand] = []
        while True:
            spaced = self._skip_space()
            if self._tokens[0][0] == "end" or self._tokens[0][1] in ("|", ")", ",", "=", ":="):
                break
            if operands and not spaced:
                raise ValueError(f"no space before {shown(self._tokens[0][1])}")
            operands.append(self._operand())
        if not operands:
            raise ValueError("nothing in {{ }}, in parentheses or beside a |")
        if operands[0].kind == "nil":
            raise ValueError("nil alone has no value")
        first = operands[0]
        if len(operands) > 1 and not first.fields and first.kind in ("constant", "pipe", "dot"):
            raise ValueError("arguments for what is not a function")
        return tuple(operands)

    def _operand(self) -> _Operand:
        kind, text = self._tokens.pop(0)
        if kind == "field":
            if not self._moved:
                self.roots.append(text[1:])
            return _Operand("dot", None, (text[1:], *self._fields()))
        if kind == "dot":
            return _Operand("dot")
        if kind == "variable":
            if text not in self._variables:
                raise ValueError(f"the variable {shown(text)} is not known")
            fields = self._fields()
            if text == "$" and fields:
                self.roots.append(fields[0])
            return _Operand("variable", text, fields)
        if kind == "sign" and text == "(":
            pipe = self._pipe(")")
            return _Operand("pipe", pipe, self._fields())
        if self._tokens[0][0] == "field":
            raise ValueError(f"{shown(self._tokens[0][1])} after what has no fields")
        if kind == "name":
            if text in ("true", "false"):
                return _Operand("constant", text == "true")
            if text == "nil":
                return _Operand("nil")
            if text not in self._functions:
                raise ValueError(f"{shown(text)} is not a function here")
            return _Operand("function", text)
        if kind == "number":
            return _Operand("constant", int(re.sub(r"^([+-]?)0(?=[0-7_])", r"\g<1>0o", text), 0))
        if kind == "string":
            return _Operand("constant", text[1:-1] if text[0] == "`" else _unquoted(text))
        if kind == "char":
            character = _unquoted(text)
            if len(character) != 1:
                raise ValueError(f"{shown(text)} is not one character")
            return _Operand("constant", ord(character))
        raise ValueError(f"{shown(text)} cannot stand there")

    def _fields(self) -> tuple[str, ...]:
        found: list[str] = []
        while self._tokens[0][0] == "field":
            found.append(self._tokens.pop(0)[1][1:])
        return tuple(found)


def _unquoted(text: str) -> str:
    # Go's escapes are among Python's, but for \N{...}, and '"' needs none.
    if re.search(r"(?<!\\)(?:\\\\)*\\[^abfnrtv\\'\"xuU0-7]", text):
        raise ValueError(f"{shown(text)} has an escape that is not one")
    try:
        found = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        raise ValueError(f"{shown(text)} has an escape that is not one") from None
    return str(found)


class _Stop(Exception):
    """{{break}} (True) or {{continue}} (False) on its way to its {{range}}."""


class _Run:
    def __init__(self, data: Any, functions: Mapping[str, Function]) -> None:
        self._functions = functions
        self._variables: list[tuple[str, Any]] = [("$", data)]
        self._steps = 0
        self._length = 0
        self.out: list[str] = []

    def nodes(self, nodes: Sequence[_Node], dot: Any) -> None:
        for node in nodes:
            self._step()
            if node.kind == "text":
                self._print(node.text)
            elif node.kind in ("break", "continue"):
                raise _Stop(node.kind == "break")
            else:
                self._act(node, dot)

    def _act(self, node: _Node, dot: Any) -> None:
        assert node.pipe is not None
        known = len(self._variables)
        result = self._pipe(node.pipe, dot, ranging=node.kind == "range")
        if node.kind == "print":
            if not node.pipe.variables:
                self._print("<no value>" if result is MISSING or result is None else _printable(result))
            return  # a variable lives on
        if node.kind == "range":
            self._range(node, result, dot)
        elif truth(result):
            self.nodes(node.body, result if node.kind == "with" else dot)
        else:
            self.nodes(node.otherwise, dot)
        del self._variables[known:]

    def _range(self, node: _Node, items: Any, dot: Any) -> None:
        assert node.pipe is not None
        if isinstance(items, dict):
            pairs = [(key, items[key]) for key in sorted(items)]
        elif isinstance(items, list | tuple):
            pairs = list(enumerate(items))
        elif items is MISSING or items is None:
            pairs = []
        else:
            raise ValueError(f"range over {type_name(items)}: only lists and maps have elements")
        names = node.pipe.variables
        known = len(self._variables)
        for key, item in pairs:
            given = {1: (item,), 2: (key, item)}.get(len(names), ())
            for name, each in zip(names, given, strict=True):
                self._set(name, each, node.pipe.is_new)
            try:
                self.nodes(node.body, item)
            except _Stop as stop:
                if stop.args[0]:
                    break
            finally:
                del self._variables[known:]
        if not pairs:
            self.nodes(node.otherwise, dot)

    def _set(self, name: str, item: Any, is_new: bool) -> None:
        if is_new:
            self._variables.append((name, item))
            return
        place = max(place for place, (other, _) in enumerate(self._variables) if other == name)
        self._variables[place] = (name, item)

    def _pipe(self, pipe: _Pipe, dot: Any, ranging: bool = False) -> Any:
        result: tuple[Any, ...] = ()
        for command in pipe.commands:
            self._step()
            result = (self._command(command, dot, result),)
        if not ranging:
            for name in pipe.variables:
                self._set(name, result[0], pipe.is_new)
        return result[0]

    def _command(self, command: Sequence[_Operand], dot: Any, final: tuple[Any, ...]) -> Any:
        first, rest = command[0], command[1:]
        if first.kind == "function":
            if first.of in ("and", "or"):
                return self._junction(first.of == "and", rest, dot, final)
            arguments = [self._operand(each, dot) for each in rest]
            return self._call(first.of, [*arguments, *final])
        if not first.fields:
            if final:
                raise ValueError("what stands after a | is not a function")
            if rest:
                raise ValueError("arguments for what is not a function")
            return self._operand(first, dot)
        arguments = [self._operand(each, dot) for each in rest]
        return self._chain(self._base(first, dot), first.fields, [*arguments, *final])

    def _junction(self, is_and: bool, rest: Sequence[_Operand], dot: Any, final: tuple[Any, ...]) -> Any:
        """and, or: the first argument that decides, and none after it is looked at."""
        if not rest and not final:
            raise ValueError(f"{'and' if is_and else 'or'} has too few arguments")
        result: Any = None
        for each in rest:
            result = self._operand(each, dot)
            if truth(result) is not is_and:
                return result
        return final[0] if final else result

    def _operand(self, operand: _Operand, dot: Any) -> Any:
        self._step()
        if operand.kind == "constant":
            return operand.of
        if operand.kind == "nil":
            return None
        if operand.kind == "function":
            return (
                self._junction(operand.of == "and", (), dot, ())
                if operand.of in ("and", "or")
                else self._call(operand.of, [])
            )
        base = self._base(operand, dot)
        return self._chain(base, operand.fields, []) if operand.fields else base

    def _base(self, operand: _Operand, dot: Any) -> Any:
        if operand.kind == "variable":
            return next(item for name, item in reversed(self._variables) if name == operand.of)
        return self._pipe(operand.of, dot) if operand.kind == "pipe" else dot

    def _chain(self, item: Any, names: Sequence[str], arguments: Sequence[Any]) -> Any:
        for place, name in enumerate(names):
            given = arguments if place == len(names) - 1 else ()
            if hasattr(item, "field"):
                item = item.field(name, given)
            elif isinstance(item, dict):
                if given:
                    raise ValueError(f"{shown(name)} is a key of a map and has arguments")
                item = item.get(name, MISSING)
            elif item is MISSING and not given:
                pass  # nor has it anything inside
            else:
                raise ValueError(f"there is no {shown(name)} in a {type_name(item)}")
        return item

    def _call(self, name: str, arguments: Sequence[Any]) -> Any:
        try:
            result = self._functions[name](*arguments)
        except TypeError:
            raise ValueError(f"{name} has too many or too few arguments") from None
        except ValueError as fault:
            raise ValueError(f"{name}: {fault}") from None
        if isinstance(result, str) and len(result) > LONGEST:
            raise ValueError(f"{name} makes a text of more than {LONGEST} characters")
        return result

    def _step(self) -> None:
        self._steps += 1
        if self._steps > STEPS:
            raise ValueError(f"more than {STEPS} steps")

    def _print(self, text: str) -> None:
        self._length += len(text)
        if self._length > LONGEST:
            raise ValueError(f"more than {LONGEST} characters")
        self.out.append(text)


def truth(item: Any) -> bool:
    """Whether Go takes a value for true: all that is not empty, 0, false or nil."""
    return item is not MISSING and (hasattr(item, "field") or bool(item))


def _printable(item: Any) -> str:
    if hasattr(item, "field"):
        raise ValueError("the data as a whole cannot be printed: name a field")
    return value(item)
