"""`otellogdriver journal`: what is kept on disk, what of it waits, its lines; and sending it by hand.

Each of `ls`, `show` and `export` has a file of its own. They only look, at a running driver's directory as at a copy;
what `export --commit` writes is said there.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from otellogdriver import codec
from otellogdriver.commands.amounts import MOMENT, parse_moment
from otellogdriver.commands.engine_api import EngineError
from otellogdriver.commands.installation import NAME, state_directory
from otellogdriver.commands.journal import export, ls, show
from otellogdriver.commands.journal.lines import Journal
from otellogdriver.commands.journal.snapshot import chosen, entries
from otellogdriver.errors import DriverError

_HELP = """\
Look into the journal: what is kept of each container, what waits for delivery, the lines themselves.

    otellogdriver journal ls                              each stream: kept, waiting, delivered until when
    otellogdriver journal show web --undelivered          lines that have not been delivered yet
    otellogdriver journal show 3f2a --since 10m --json    by id, with all fields of each record
    otellogdriver journal export --otlp-endpoint http://other:4318
                                                          send what waits somewhere else
    otellogdriver journal ls --state /mnt/rescued/.state  in a copy, on any machine

Nothing is changed, so it may be used while the driver runs. Run it as root.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands and their options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _HELP
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, module, text in (
        ("ls", ls, "list the streams"),
        ("show", show, "print lines"),
        ("export", export, "send lines by hand, or write them to a file"),
    ):
        form = argparse.RawDescriptionHelpFormatter
        command = commands.add_parser(name, help=text, description=module.HELP, formatter_class=form)
        command.add_argument(
            "containers", nargs="*", metavar="CONTAINER", help="name, or the first characters of the id"
        )
        where = "the state directory, also a copy (by default that of the driver or plugin)"
        command.add_argument("--state", type=Path, metavar="DIR", help=where)
        command.add_argument("--plugin", default=NAME, metavar="NAME", help=f"the plugin's name ({NAME})")
        if name != "ls":
            command.add_argument("--since", type=_moment, default=0, metavar="TIME", help=f"from {MOMENT}")
            command.add_argument("--until", type=_moment, default=0, metavar="TIME", help="up to then")
            command.add_argument(
                "--mirror", action="store_true", help="look at what otlp-mirror has received, not otlp-endpoint"
            )
        module.add_arguments(command)


def run(arguments: argparse.Namespace) -> int:
    """Do what is asked for; the exit code."""
    logging.basicConfig(level=logging.WARNING, format="otellogdriver journal: %(message)s", stream=sys.stderr)
    try:
        if arguments.state is None:
            state, installed = state_directory(os.environ, arguments.plugin)
        else:
            state, installed = arguments.state, None
        found = chosen(entries(state), arguments.containers)
        environ = installed.environ if installed else os.environ
        journal = Journal(state, found, codec.load(), environ, installed)
        return {"ls": ls.run, "show": show.run, "export": export.run}[arguments.action](journal, arguments)
    except DriverError as error:
        advice = f" ({error.advice})" if isinstance(error, EngineError) and error.advice else ""
        print(f"otellogdriver journal: {error}{advice}", file=sys.stderr)
        return 1


def _moment(text: str) -> int:
    try:
        return parse_moment(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: {MOMENT}") from None
