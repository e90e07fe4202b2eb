"""The command line: one subcommand for each thing a person does with the driver."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from otellogdriver import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; the exit code is 0 for success, 1 for failure, 2 for wrong usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["serve"]:  # the engine waits: nothing else is imported on this way
        from otellogdriver.serve import run

        return run(os.environ)
    parser = argparse.ArgumentParser(
        "otellogdriver", description="A Docker logging driver that delivers container output over OTLP."
    )
    parser.add_argument("--version", action="version", version=f"otellogdriver {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("serve", help="be the plugin: serve the engine's calls on the plugin socket")
    from otellogdriver import sink

    sink.add_arguments(commands.add_parser("sink", help="receive OTLP over HTTP and gRPC and print the records"))
    options = parser.parse_args(given)
    if options.command == "serve":
        from otellogdriver.serve import run

        return run(os.environ)
    return sink.run(options)


if __name__ == "__main__":
    sys.exit(main())
