"""Every option that other drivers document: it works here, or the error and MIGRATING.md say what takes its place."""

from __future__ import annotations

import re

import pytest

from otellogdriver.errors import OptionError
from otellogdriver.settings.foreign import FOREIGN
from otellogdriver.settings.option import options_of
from otellogdriver.settings.options import PluginSettings, Settings, resolve
from plugin.build import ROOT

PAGE = (ROOT / "docs" / "MIGRATING.md").read_text(encoding="utf-8")
OURS = {item.log_opt for item in options_of(Settings) if item.log_opt}
VARIABLES = {name for item in options_of(Settings) + options_of(PluginSettings) for name in item.env}

ATTRIBUTES = {"labels": "a,b", "labels-regex": "^a", "env": "A,B", "env-regex": "^A", "tag": "{{.Name}}/{{.FullID}}"}
ALL = {"mode": "non-blocking", "max-buffer-size": "4m"}
FILES = {"max-size": "10m", "max-file": "3", "compress": "true"}

DRIVERS: dict[str, dict[str, str]] = {
    "json-file": {**ALL, **ATTRIBUTES, **FILES},
    "local": {**ALL, **FILES},
    "journald": {**ALL, **ATTRIBUTES},
    "fluentd": {
        **ALL,
        **ATTRIBUTES,
        "fluentd-address": "tcp://fluentd:24224",
        "fluentd-async": "true",
        "fluentd-async-connect": "true",
        "fluentd-async-reconnect-interval": "500ms",
        "fluentd-buffer-limit": "8MB",
        "fluentd-max-retries": "5",
        "fluentd-request-ack": "true",
        "fluentd-retry-wait": "1s",
        "fluentd-sub-second-precision": "true",
        "fluentd-write-timeout": "3s",
        "fluentd-read-timeout": "3s",
    },
    "gelf": {
        **ALL,
        **ATTRIBUTES,
        "gelf-address": "udp://graylog:12201",
        "gelf-compression-type": "gzip",
        "gelf-compression-level": "1",
        "gelf-tcp-max-reconnect": "3",
        "gelf-tcp-reconnect-delay": "1",
    },
    "syslog": {
        **ALL,
        **ATTRIBUTES,
        "syslog-address": "tcp+tls://syslog:6514",
        "syslog-facility": "daemon",
        "syslog-tls-ca-cert": "/etc/ca.pem",
        "syslog-tls-cert": "/etc/cert.pem",
        "syslog-tls-key": "/etc/key.pem",
        "syslog-tls-skip-verify": "true",
        "syslog-format": "rfc5424micro",
    },
    "awslogs": {
        **ALL,
        "tag": "{{.ID}}",
        "awslogs-region": "eu-central-1",
        "awslogs-endpoint": "https://logs.example",
        "awslogs-group": "group",
        "awslogs-stream": "stream",
        "awslogs-create-group": "true",
        "awslogs-create-stream": "true",
        "awslogs-datetime-format": "[%b %d]",
        "awslogs-multiline-pattern": "^INFO",
        "awslogs-credentials-endpoint": "/creds",
        "awslogs-force-flush-interval-seconds": "5",
        "awslogs-max-buffered-events": "4096",
        "awslogs-format": "json/emf",
    },
    "splunk": {
        **ALL,
        **ATTRIBUTES,
        "splunk-token": "hunter2",
        "splunk-url": "https://splunk:8088",
        "splunk-source": "source",
        "splunk-sourcetype": "type",
        "splunk-index": "main",
        "splunk-capath": "/etc/ca.pem",
        "splunk-caname": "splunk",
        "splunk-insecureskipverify": "false",
        "splunk-format": "inline",
        "splunk-verify-connection": "true",
        "splunk-gzip": "true",
        "splunk-gzip-level": "5",
        "splunk-index-acknowledgment": "true",
    },
    "gcplogs": {
        **ALL,
        **{name: value for name, value in ATTRIBUTES.items() if name != "tag"},
        "gcp-project": "project",
        "gcp-log-cmd": "true",
        "gcp-meta-zone": "zone",
        "gcp-meta-name": "name",
        "gcp-meta-id": "id",
    },
    "loki": {
        **ALL,
        **{name: value for name, value in ATTRIBUTES.items() if name != "tag"},
        "max-size": "10m",
        "max-file": "3",
        "loki-url": "http://loki:3100/loki/api/v1/push",
        "loki-external-labels": "job=a,b=c",
        "loki-timeout": "10s",
        "loki-batch-wait": "1s",
        "loki-batch-size": "1048576",
        "loki-min-backoff": "500ms",
        "loki-max-backoff": "5m",
        "loki-retries": "10",
        "loki-pipeline-stages": "- json:",
        "loki-pipeline-stage-file": "/stages.yaml",
        "loki-relabel-config": "- action: labelmap",
        "loki-tenant-id": "tenant",
        "loki-tls-ca-file": "/ca.pem",
        "loki-tls-cert-file": "/cert.pem",
        "loki-tls-key-file": "/key.pem",
        "loki-tls-server-name": "loki",
        "loki-tls-insecure-skip-verify": "true",
        "loki-proxy-url": "http://u:hunter2@proxy:3128",
        "no-file": "true",
        "keep-file": "true",
    },
}
"""Each driver's options, as documented, with values as people give them."""

CASES = [(driver, name, value) for driver, options in DRIVERS.items() for name, value in options.items()]


@pytest.mark.parametrize(("driver", "name", "value"), CASES)
def test_it_works_or_the_error_says_what_takes_its_place(driver: str, name: str, value: str) -> None:
    if name in OURS:
        resolve({name: value}, {})
        return
    with pytest.raises(OptionError) as fault:
        resolve({name: value}, {})
    told = str(fault.value)
    assert told == f'log-opt "{name}" is one of another driver: {FOREIGN[name]}'
    assert "hunter2" not in told


@pytest.mark.parametrize("driver", DRIVERS)
def test_all_options_of_a_driver_at_once(driver: str) -> None:
    foreign = set(DRIVERS[driver]) - OURS
    if not foreign:
        resolve(DRIVERS[driver], {})
        return
    with pytest.raises(OptionError) as fault:
        resolve(DRIVERS[driver], {})
    told = str(fault.value)
    assert all(f'log-opt "{name}" is one of another driver: ' in told for name in foreign)
    assert "known options" not in told and told.isprintable()


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_to_be_written_can_be_written(name: str) -> None:
    word = FOREIGN[name]
    for named in re.findall(
        r"\b(?:otlp|batch|journal|resource|multiline|include|exclude|redact|cache)-[a-z-]+[a-z]\b", word
    ):
        assert named in OURS, named
    assert set(re.findall(r"OTELLOGDRIVER_[A-Z_]+", word)) <= VARIABLES
    assert re.match(r"(?:write [a-z]|set [A-Z]|leave it out|it belongs to )", word)


def test_the_page_has_every_option() -> None:
    cells = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    named = {name for cell in cells for name in re.findall(r"`([a-z][a-z-]+)(?:=[^`]*)?`", cell)}
    assert set(FOREIGN) <= named
    documented = {name for options in DRIVERS.values() for name in options}
    assert set(FOREIGN) <= documented and documented <= named | OURS
