"""The options of a destination as flags of a command, under the names of the log-opts: `--otlp-endpoint URL ...`.

In: an argument parser, then what it parsed. Out: log-opts, as a container would have them. What each option means and
takes is declared in `options.py` alone.
"""

from __future__ import annotations

import argparse
import re

from otellogdriver.settings.option import Option, options_of
from otellogdriver.settings.options import Settings

_SENDING = ("otlp-refused", "otlp-concurrency")
"""Options of a destination that say how the driver sends, not where to."""


def add_arguments(parser: argparse.ArgumentParser, *left_out: str) -> None:
    """Declare the flags in a group of their own; not those named in `left_out`."""
    group = parser.add_argument_group("where to", "The log-opts of the same names; a secret is better in a file.")
    for item in _options():
        if item.log_opt in (*_SENDING, *left_out):
            continue
        group.add_argument(
            f"--{item.log_opt}",
            metavar=re.sub(r"\W+", "-", item.kind.word.split(",")[0]).strip("-").upper(),
            help=item.help.replace("`", "").replace("%", "%%"),
        )


def log_opts(arguments: argparse.Namespace) -> dict[str, str]:
    """The flags that were given."""
    found: dict[str, str] = {}
    for item in _options():
        value = getattr(arguments, item.name, None)
        if value is not None:
            found[item.log_opt] = value
    return found


def _options() -> list[Option]:
    return [item for item in options_of(Settings) if item.log_opt.startswith("otlp-")]
