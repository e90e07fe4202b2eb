"""`otellogdriver options` and `otellogdriver metrics`: what is declared, for a terminal or as JSON."""

from __future__ import annotations

import argparse
import json
import shutil
import textwrap
from typing import Any

from otellogdriver.settings.tables import help_text, options
from otellogdriver.telemetry.metrics import METRICS

_HELP = {
    "options": """\
Every option: per container with --log-opt NAME=VALUE, for all containers with `docker plugin set`.

    otellogdriver options | grep -A2 otlp-headers
    otellogdriver options --json | jq -r '.[] | select(.secret) | .log_opt'
""",
    "metrics": """\
Every metric of the driver, served for Prometheus at http://127.0.0.1:9464/metrics.

    otellogdriver metrics | grep -A1 dropped
    otellogdriver metrics --json | jq -r '.[].name'
""",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of either command on its (sub)parser."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _HELP[parser.prog.rpartition(" ")[2]]
    parser.add_argument("--json", action="store_true", help="a JSON array with an object for each")


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    listed = arguments.command == "options"
    if arguments.json:
        print(json.dumps(_options() if listed else _metrics(), indent=2, ensure_ascii=False))
    else:
        width = min(shutil.get_terminal_size((100, 0)).columns, 120)
        print(help_text(width) if listed else _metrics_text(width), end="")
    return 0


def _options() -> list[dict[str, Any]]:
    return [
        {
            "log_opt": item.log_opt or None,
            "variables": item.env,
            "value": item.kind.allowed,
            "default": item.default,
            "default_with_grpc": item.default if item.grpc_default is None else item.grpc_default,
            "secret": item.secret,
            "section": item.section,
            "help": item.help,
        }
        for item in options()
    ]


def _metrics() -> list[dict[str, Any]]:
    return [
        {"name": metric.name, "type": metric.kind, "labels": metric.labels, "help": metric.help} for metric in METRICS
    ]


def _metrics_text(width: int) -> str:
    lines: list[str] = []
    for metric in METRICS:
        labels = f"{{{', '.join(metric.labels)}}}" if metric.labels else ""
        lines.append(f"{metric.name}{labels}  [{metric.kind}]")
        lines += textwrap.wrap(metric.help, width, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines) + "\n"
