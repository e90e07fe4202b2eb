"""The command line: every command teaches, exit codes hold, and `serve` imports nothing but itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from otellogdriver import __version__
from otellogdriver.cli import COMMANDS
from otellogdriver.settings.tables import options
from otellogdriver.telemetry.metrics import METRICS
from tests.process.command_line import COMMAND, environment, run, told

JOURNAL = ("ls", "show", "export")


@pytest.mark.parametrize(
    "command", [(), *((name,) for name in COMMANDS if name != "serve"), *(("journal", action) for action in JOURNAL)]
)
def test_help_has_examples(command: tuple[str, ...]) -> None:
    done = run(*command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"    otellogdriver {' '.join(command)}" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120


@pytest.mark.parametrize(
    ("arguments", "said"),
    (
        ((), "required: COMMAND"),
        (("doktor",), "invalid choice: 'doktor'"),
        (("serve", "--port", "1"), "unrecognized arguments: --port 1"),
        (("journal",), "required: ACTION"),
        (("journal", "show", "--tail", "-1"), "-1"),
        (("journal", "show", "--since", "yesterday"), "how long ago: 90s, 10m, 2h, 3d"),
        (("doctor", "--otlp-endpoint", "collector"), "http://host[:port]"),
    ),
)
def test_wrong_usage_is_2_and_says_what_is_allowed(arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_wrong_secret_is_not_shown() -> None:
    done = run("doctor", "--otlp-headers", "Authorization: hunter2")
    assert done.returncode == 2
    assert "hunter2" not in done.stdout + done.stderr


def test_version() -> None:
    assert run("--version").stdout == f"otellogdriver {__version__}\n"


def test_every_option_is_listed() -> None:
    text, objects = run("options").stdout, told("options")
    for item, listed in zip(options(), objects, strict=True):
        assert all(name in text for name in (item.log_opt, *item.env))
        assert (listed["log_opt"] or "", tuple(listed["variables"])) == (item.log_opt, item.env)
        assert (listed["default"], listed["secret"]) == (item.default, item.secret)
    grpc = next(listed for listed in objects if listed["log_opt"] == "otlp-endpoint")
    assert grpc["default_with_grpc"] == "http://localhost:4317"


def test_every_metric_is_listed() -> None:
    text, objects = run("metrics").stdout, told("metrics")
    for metric, listed in zip(METRICS, objects, strict=True):
        assert metric.name in text
        assert listed == {
            "name": metric.name,
            "type": metric.kind,
            "labels": list(metric.labels),
            "help": metric.help,
        }


def test_a_reader_that_goes_away_is_no_fault() -> None:
    with subprocess.Popen(
        [*COMMAND, "options"], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0


def test_a_command_imports_only_what_it_needs() -> None:
    script = """
import json, sys
from otellogdriver import serve
serve.run = lambda environ: 0
from otellogdriver.cli import main
main(["serve"])
before = sorted(name for name in sys.modules if name.partition(".")[0] in ("aiohttp", "google", "grpc"))
main(["metrics", "--json"])
after = sorted(name for name in sys.modules if name.partition(".")[0] in ("aiohttp", "google", "grpc"))
print(json.dumps([before, after]), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert json.loads(done.stderr) == [[], []]


def test_what_aiohttp_makes_when_it_is_imported_trusts_nobody_and_the_next_context_is_whole() -> None:
    program = """
import ssl
from otellogdriver.export import client
before = ssl.SSLContext.set_default_verify_paths
client.load_clients()
from aiohttp.connector import _SSL_CONTEXT_VERIFIED as made
print(made.verify_mode.name, made.check_hostname, made.get_ca_certs(), made.cert_store_stats()["x509"])
print(ssl.SSLContext.set_default_verify_paths is before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["CERT_REQUIRED True [] 0", "True"]
