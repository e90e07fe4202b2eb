"""What is rendered from the option declarations, and the check that the rendered files agree with them.

Rendered are: the text of `--help`; in README.md, what is between the two marker lines; in plugin/config.json, the value
of "env". The rest of both files belongs to their authors and is left byte for byte as it is.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from otellogdriver.settings.endpoints import ATTRIBUTES, ENDPOINTS, HEADERS
from otellogdriver.settings.option import Option, options_of
from otellogdriver.settings.options import PluginSettings, Settings
from otellogdriver.settings.patterns import PATTERN
from otellogdriver.settings.proxies import NO_PROXY, PROXY
from otellogdriver.settings.rendered import between
from otellogdriver.settings.tag import TAG
from otellogdriver.values import BOOLEAN, NAMES, PEM, duration, size

COMMAND = "python -m otellogdriver.settings.tables --render"


def options() -> tuple[Option, ...]:
    """All options, those of containers first."""
    return options_of(Settings) + options_of(PluginSettings)


def help_text(width: int = 100) -> str:
    """The options for a terminal."""
    lines: list[str] = []
    for section, members in groupby(options(), key=lambda item: item.section):
        lines.append(f"{section}:")
        for item in members:
            lines.append("  " + ", ".join(filter(None, [item.log_opt and f"--log-opt {item.log_opt}", *item.env])))
            text = f"{item.help.replace('`', '')} [{item.kind.word}{_default(item, '; default: ')}]"
            lines += textwrap.wrap(text, width, initial_indent=" " * 6, subsequent_indent=" " * 6)
        lines.append("")
    return "\n".join(lines)


def readme_table() -> str:
    """The options as Markdown, one table a section, and what the words for values mean."""
    parts: list[str] = []
    for section, members in groupby(options(), key=lambda item: item.section):
        parts.append(
            f"**{section}**\n\n| log-opt | variable of the plugin | value | default | |\n|---|---|---|---|---|\n"
        )
        for item in members:
            secret = " Secret: never shown." if item.secret else ""
            variables = "<br>".join(f"`{variable}`" for variable in item.env)
            log_opt = item.log_opt and f"`{item.log_opt}`"
            cells = (log_opt, variables, item.kind.word, _default(item), item.help + secret)
            parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
        parts.append("\n")
    for kind in (
        BOOLEAN,
        size(),
        duration(),
        ENDPOINTS,
        HEADERS,
        ATTRIBUTES,
        NAMES,
        PEM,
        PROXY,
        NO_PROXY,
        PATTERN,
        TAG,
    ):
        parts.append(f"- *{kind.word}*: {kind.allowed}\n")
    return "".join(parts)


def _default(item: Option, before: str = "") -> str:
    if not item.default:
        return ""
    return before + item.default + (f" (grpc: {item.grpc_default})" if item.grpc_default is not None else "")


def plugin_env() -> str:
    """The value of "env" in plugin/config.json: each variable that `docker plugin set` may set, unset by default."""
    entries = [
        {
            "name": variable,
            "description": f"{item.help.replace('`', '')} [{item.kind.word}{_default(item, '; default: ')}]",
            "value": "",
            "settable": ["value"],
        }
        for item in options()
        if item.settable
        for variable in item.env
    ]
    return "[\n    " + ",\n    ".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n  ]"


def readme_with_table(text: str) -> str:
    """README.md as it should be. Raises ValueError if the markers are not there."""
    return between(text, "options", COMMAND, readme_table())


def config_with_env(text: str) -> str:
    """plugin/config.json as it should be. Raises ValueError if it is not JSON, or has no "env" to replace."""
    config = json.loads(text)
    if "env" not in config:
        raise ValueError('"env" is missing')
    for place in re.finditer(r'"env"\s*:\s*(?=\[)', text):
        _, end = json.JSONDecoder().raw_decode(text, place.end())
        found = text[: place.end()] + plugin_env() + text[end:]
        if json.loads(found) == config | {"env": json.loads(plugin_env())}:  # not the "env" of something nested
            return found
    raise ValueError('"env" is not a list')


RENDERED: dict[str, Callable[[str], str]] = {"README.md": readme_with_table, "plugin/config.json": config_with_env}


def drift(root: Path, write: bool = False) -> list[str]:
    """A line for each rendered file below `root` that is not as it should be or, with `write`, cannot be mended."""
    found: list[str] = []
    for name, rendered in RENDERED.items():
        path = root / name
        try:
            text = path.read_text(encoding="utf-8")
            wanted = rendered(text)
            if wanted == text:
                continue
            if write:
                path.write_text(wanted, encoding="utf-8")
            else:
                found.append(f"{name} does not agree with the declared options; mend it with: {COMMAND}")
        except (OSError, ValueError) as fault:
            found.append(f"{name} cannot be rendered: {fault}")
    return found


def main(arguments: Sequence[str]) -> int:
    """The program `python -m otellogdriver.settings.tables`."""
    parser = argparse.ArgumentParser(
        prog="python -m otellogdriver.settings.tables",
        description="The options of the driver. Without an argument, or with --help, they are listed.",
        epilog=help_text(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--check", action="store_true", help="exit 1 if a rendered file does not agree with the options"
    )
    parser.add_argument("--render", action="store_true", help="render README.md and plugin/config.json anew")
    chosen = parser.parse_args(arguments)
    if not chosen.check and not chosen.render:
        parser.print_help()
        return 0
    found = drift(Path(__file__).parents[2], write=chosen.render)
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
