"""The pages on lines: what docs/RECORDS.md shows is what comes out, and docs/MIGRATING.md leaves nothing out."""

from __future__ import annotations

import json
import re
import shlex
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from otellogdriver.lines import fields, level_names, level_words
from otellogdriver.settings.line_options import LineSettings
from otellogdriver.settings.option import options_of
from otellogdriver.settings.options import PluginSettings, Settings
from tests.data.frames.codecs import codecs
from tests.data.lines.corpus import START, Case, expected, printed
from tests.unit.lines.test_lines import Run, by_stream, typed

PAGE = (Path(__file__).parent.parent.parent / "docs" / "RECORDS.md").read_text()
EXAMPLE = re.compile(
    r"(?:^`(?P<options>--log-opt [^\n]+)`\n)?^```text\n(?P<lines>.*?)^```\n^```json\n(?P<records>.*?)^```", re.M | re.S
)


def examples() -> list[Case]:
    found = []
    for number, example in enumerate(EXAMPLE.finditer(PAGE), 1):
        words = shlex.split(example["options"] or "")
        options = dict(word.split("=", 1) for word in words if word != "--log-opt")
        decoder, text, records = json.JSONDecoder(), example["records"].strip(), []
        while text:
            record, end = decoder.raw_decode(text)
            if "time" in record:
                moment = datetime.fromisoformat(record["time"])
                record["time"] = round(moment.timestamp() * 1000) * 10**6 - START
            records.append(expected(record))
            text = text[end:].strip()
        found.append(Case(str(number), options, printed(example["lines"].splitlines()), records, {}))
    return found


@pytest.mark.parametrize("case", examples(), ids=lambda case: case.name)
def test_each_line_becomes_the_record_beside_it(case: Case) -> None:
    for codec in codecs():
        run = Run(case, codec)
        run.go(case)
        assert typed(by_stream(run.found(case))) == typed(by_stream(case.records))


def test_the_examples_are_found() -> None:
    assert len(examples()) == PAGE.count("```text") == PAGE.count("```json") >= 12


def test_the_table_of_fields_is_that_of_the_code() -> None:
    table = PAGE.partition("<!-- fields: begin -->\n")[2].partition("<!-- fields: end -->")[0]
    rows = [re.findall("`([^`]+)`", row.split("|")[2]) for row in table.splitlines()[2:]]
    roles = [fields.BODY, fields.LEVEL, fields.TIME, fields.TRACE, fields.SPAN, fields.FLAGS, fields.PARENT]
    roles += [fields.EVENT, fields.STACK, fields.MESSAGE, fields.TYPE, fields.OWN]
    assert rows == [list(fields.ROLES[role]) for role in roles]


def test_the_table_of_levels_is_that_of_the_code() -> None:
    table = PAGE.partition("| number | names")[2].partition("\n\n")[0]
    found: dict[str, int] = {}
    for row in table.splitlines()[2:]:
        _, numbers, names, _ = row.split("|")
        for number, some in zip(re.findall(r"\d+", numbers), names.split("·"), strict=True):
            found |= dict.fromkeys((name.strip() for name in some.split(",")), int(number))
    words = {name: number for number, names in level_words.NAMES.items() for name in names.split()}
    assert found == words | {name: level_names.letter(ord(name)) for name in "tvdinwefc"}


def test_no_option_of_lines_is_left_out() -> None:
    told: list[Any] = [option.log_opt for option in options_of(LineSettings) if option.log_opt not in PAGE]
    assert told == []


MIGRATING = (Path(__file__).parent.parent.parent / "docs" / "MIGRATING.md").read_text()
# What Docker's own drivers check for (`ValidateLogOpt` of each), and the documentation of Loki's.
DRIVERS = {
    "All drivers": "labels labels-regex env env-regex tag mode max-buffer-size cache-disabled cache-max-size "
    "cache-max-file cache-compress",
    "json-file, local": "max-size max-file compress",
    "Loki": "loki-url loki-external-labels loki-tenant-id loki-timeout loki-batch-wait loki-batch-size "
    "loki-min-backoff loki-max-backoff loki-retries loki-pipeline-stages loki-pipeline-stage-file loki-relabel-config "
    "loki-tls-ca-file loki-tls-cert-file loki-tls-key-file loki-tls-server-name loki-tls-insecure-skip-verify "
    "loki-proxy-url no-file keep-file max-size max-file",
    "Splunk": "splunk-url splunk-token splunk-source splunk-sourcetype splunk-index splunk-capath splunk-caname "
    "splunk-insecureskipverify splunk-format splunk-verify-connection splunk-gzip splunk-gzip-level "
    "splunk-index-acknowledgment",
    "Fluentd": "fluentd-address fluentd-async fluentd-async-connect fluentd-async-reconnect-interval "
    "fluentd-buffer-limit fluentd-max-retries fluentd-request-ack fluentd-retry-wait fluentd-sub-second-precision "
    "fluentd-read-timeout fluentd-write-timeout tag",
    "awslogs": "awslogs-region awslogs-endpoint awslogs-group awslogs-stream awslogs-create-group "
    "awslogs-create-stream awslogs-datetime-format awslogs-multiline-pattern awslogs-credentials-endpoint "
    "awslogs-force-flush-interval-seconds awslogs-max-buffered-events awslogs-format tag",
    "gelf": "gelf-address gelf-compression-type gelf-compression-level gelf-tcp-max-reconnect gelf-tcp-reconnect-delay",
    "syslog": "syslog-address syslog-facility syslog-format syslog-tls-ca-cert syslog-tls-cert syslog-tls-key "
    "syslog-tls-skip-verify tag",
    "journald": "tag labels labels-regex env env-regex",
}


@pytest.mark.parametrize("driver", DRIVERS)
def test_each_option_of_another_driver_has_its_line(driver: str) -> None:
    section = MIGRATING.partition(f"\n## {driver}\n")[2].partition("\n## ")[0]
    rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    told = {name.split("=")[0] for row in rows for name in re.findall("`([^`]+)`", row)}
    assert set(DRIVERS[driver].split()) <= told


def test_what_takes_the_place_of_an_option_exists() -> None:
    options = options_of(Settings) + options_of(PluginSettings)
    ours = {option.log_opt for option in options} | {variable for option in options for variable in option.env}
    named = re.compile(
        r"`((?:otlp|batch|journal|multiline|include|exclude|redact|rate|parse|resource)-[a-z-]+|OTEL[A-Z_]+)"
    )
    rows = [row.split("|")[2] for row in MIGRATING.splitlines() if row.startswith("| `")]
    found = {name for row in rows for name in named.findall(row)}
    assert len(found) > 20 and found <= ours


def test_all_drivers_share_what_is_the_same() -> None:
    for name in f"{DRIVERS['All drivers']} {DRIVERS['json-file, local']}".split():
        assert name in {option.log_opt for option in options_of(Settings)}
