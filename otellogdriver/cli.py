"""The command line: one subcommand for each thing a person does with the driver.

Each command is a module with `add_arguments(parser)` and `run(arguments)`, imported only when it is asked for.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from otellogdriver import __version__

COMMANDS = {
    "serve": ("", "run as the plugin: answer the engine's calls on the plugin socket"),
    "sink": ("otellogdriver.commands.sink", "receive OTLP over HTTP and gRPC and print the records"),
    "doctor": (
        "otellogdriver.commands.doctor.command",
        "find what is wrong with an installation, and say what to do about it",
    ),
    "journal": ("otellogdriver.commands.journal.command", "list what waits on disk, print it, or send it by hand"),
    "try": ("otellogdriver.commands.try_options", "show which records lines become, with any options"),
    "options": ("otellogdriver.commands.reference", "list the options"),
    "metrics": ("otellogdriver.commands.reference", "list the metrics"),
}

_HELP = """\
A Docker logging driver that delivers container output over OTLP.

    otellogdriver sink                          receive records without a collector, and print them
    otellogdriver doctor                        find what is wrong, and what to do about it
    otellogdriver journal ls                    list what is kept and what waits for delivery
    otellogdriver journal show web --tail 20    print the last lines of a container
    otellogdriver try app.log --parse auto      show which records lines become, with these options
    otellogdriver options                       list what can be set, and how

Exit codes: 0 means success, 1 that something failed or a fault was found, 2 wrong usage.
`otellogdriver COMMAND --help` says more.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; the exit code is 0 for success, 1 for failure, 2 for wrong usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["serve"]:  # the engine waits: nothing else is imported on this way
        from otellogdriver.serve import run

        return run(os.environ)
    parser = argparse.ArgumentParser(
        "otellogdriver", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"otellogdriver {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    module: ModuleType | None = None
    for name, (path, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        if path and name in given[:1]:
            module = import_module(path)
            module.add_arguments(command)
    options = parser.parse_args(given)
    if module is None:
        from otellogdriver.serve import run

        return run(os.environ)
    try:
        code: int = module.run(options)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # as in `... | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
