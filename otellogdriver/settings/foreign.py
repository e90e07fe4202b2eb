"""Log-opts of other drivers: what takes the place of each here, for the error that names it.

In: a name. Out: a few words for an error text, or nothing for a name that no driver has. docs/MIGRATING.md says the
same at more length; a test holds both to the same names. What all drivers share (`tag`, `labels`, `max-size` ...) is
not here, because it is an option of ours. Source: Docker's pages on its drivers, those of Loki's plugin.
"""

from __future__ import annotations

_ENDPOINT = "write otlp-endpoint"
_COLLECTOR = "it belongs to the exporter of an OpenTelemetry Collector"
_RETRIES = "leave it out, because retries have no end while the journal holds (journal-max-size, journal-full)"
_PAUSE = "leave it out: a pause is at most 0.8 s, or what the collector asks for"
_ALWAYS = "leave it out, because it is always so here"
_CA, _CERTIFICATE, _KEY = "write otlp-certificate", "write otlp-client-certificate", "write otlp-client-key"
_NO_CHECK = "write otlp-insecure-skip-verify"
_LINES = "write parse, severity, multiline-pattern, include-pattern, exclude-pattern or redact-pattern"

FOREIGN: dict[str, str] = {
    # Loki
    "loki-url": f"{_ENDPOINT}, e.g. http://loki:3100/otlp",
    "loki-external-labels": "write resource-attributes",
    "loki-tenant-id": "write otlp-headers, X-Scope-OrgID=TENANT",
    "loki-timeout": "write otlp-timeout",
    "loki-batch-wait": "write batch-delay",
    "loki-batch-size": "write batch-size",
    "loki-min-backoff": _PAUSE,
    "loki-max-backoff": _PAUSE,
    "loki-retries": _RETRIES,
    "loki-pipeline-stages": _LINES,
    "loki-pipeline-stage-file": _LINES,
    "loki-relabel-config": "write resource-attributes, or labels resource.opentelemetry.io/ATTRIBUTE on the container",
    "loki-tls-ca-file": _CA,
    "loki-tls-cert-file": _CERTIFICATE,
    "loki-tls-key-file": _KEY,
    "loki-tls-server-name": "write otlp-server-name",
    "loki-tls-insecure-skip-verify": _NO_CHECK,
    "loki-proxy-url": "write otlp-proxy",
    "no-file": "set OTELLOGDRIVER_READ_LOGS=false for the plugin, and write cache-disabled=true",
    "keep-file": "leave it out, because lines of stopped containers stay (OTELLOGDRIVER_STOPPED_MAX_AGE)",
    # Splunk
    "splunk-url": f"{_ENDPOINT}, of a Collector with the exporter splunk_hec",
    "splunk-token": f"{_COLLECTOR}; a receiver's own token goes into otlp-headers or otlp-headers-file",
    "splunk-source": "write resource-attributes, com.splunk.source=SOURCE",
    "splunk-sourcetype": "write resource-attributes, com.splunk.sourcetype=TYPE",
    "splunk-index": "write resource-attributes, com.splunk.index=INDEX",
    "splunk-format": "leave it out, or write parse=json for json",
    "splunk-verify-connection": "leave it out, because a container starts whatever the collector does",
    "splunk-gzip": "write otlp-compression",
    "splunk-gzip-level": "write otlp-compression-level",
    "splunk-index-acknowledgment": _ALWAYS,
    "splunk-capath": _CA,
    "splunk-caname": "write otlp-server-name",
    "splunk-insecureskipverify": _NO_CHECK,
    # Fluentd
    "fluentd-address": _ENDPOINT,
    "fluentd-async": _ALWAYS,
    "fluentd-async-connect": _ALWAYS,
    "fluentd-async-reconnect-interval": _PAUSE,
    "fluentd-retry-wait": _PAUSE,
    "fluentd-max-retries": _RETRIES,
    "fluentd-buffer-limit": "write journal-max-size, in bytes",
    "fluentd-sub-second-precision": _ALWAYS,
    "fluentd-request-ack": _ALWAYS,
    "fluentd-write-timeout": "write otlp-timeout",
    "fluentd-read-timeout": "write otlp-timeout",
    # awslogs
    "awslogs-region": _COLLECTOR,
    "awslogs-endpoint": f"{_ENDPOINT}, of a Collector with the exporter awscloudwatchlogs",
    "awslogs-group": _COLLECTOR,
    "awslogs-stream": _COLLECTOR,
    "awslogs-create-group": _COLLECTOR,
    "awslogs-create-stream": _COLLECTOR,
    "awslogs-datetime-format": "write multiline-pattern, timestamp or a pattern",
    "awslogs-multiline-pattern": "write multiline-pattern",
    "awslogs-credentials-endpoint": _COLLECTOR,
    "awslogs-force-flush-interval-seconds": "write batch-delay",
    "awslogs-max-buffered-events": "write journal-max-size, in bytes",
    "awslogs-format": "leave it out, or take a Collector with the exporter awsemf",
    # gelf
    "gelf-address": f"{_ENDPOINT}; Graylog takes OTLP with otlp-protocol=grpc",
    "gelf-compression-type": "write otlp-compression",
    "gelf-compression-level": "write otlp-compression-level",
    "gelf-tcp-max-reconnect": _RETRIES,
    "gelf-tcp-reconnect-delay": _PAUSE,
    # syslog
    "syslog-address": f"{_ENDPOINT}, of a Collector with the exporter syslog",
    "syslog-facility": _COLLECTOR,
    "syslog-format": _COLLECTOR,
    "syslog-tls-ca-cert": _CA,
    "syslog-tls-cert": _CERTIFICATE,
    "syslog-tls-key": _KEY,
    "syslog-tls-skip-verify": _NO_CHECK,
    # gcplogs
    "gcp-project": _COLLECTOR,
    "gcp-log-cmd": "leave it out, because a command line holds secrets too often",
    "gcp-meta-zone": "write resource-attributes, cloud.availability_zone=ZONE",
    "gcp-meta-name": "write resource-attributes, host.name=NAME",
    "gcp-meta-id": "write resource-attributes, host.id=ID",
}


def in_place_of(name: str) -> str:
    """What is to be done about a log-opt of another driver, or an empty text."""
    return FOREIGN.get(name.lower(), "")
