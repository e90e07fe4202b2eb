"""A real OpenTelemetry Collector, made by the project's own builder from the modules listed here."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from plugin.cache import cached
from tests.tools.golang import build, build_from_module, run

VERSION = "v0.160.0"
CORE = "go.opentelemetry.io/collector"
CONTRIB = "github.com/open-telemetry/opentelemetry-collector-contrib"

PARTS: dict[str, list[str]] = {
    "receivers": [f"{CORE}/receiver/otlpreceiver"],
    "processors": [f"{CORE}/processor/batchprocessor", f"{CORE}/processor/memorylimiterprocessor"],
    "exporters": [
        f"{CORE}/exporter/debugexporter",
        f"{CORE}/exporter/nopexporter",
        f"{CORE}/exporter/otlpexporter",
        f"{CORE}/exporter/otlphttpexporter",
        f"{CONTRIB}/exporter/fileexporter",
    ],
    "extensions": [
        f"{CONTRIB}/extension/bearertokenauthextension",
        f"{CONTRIB}/extension/healthcheckextension",
    ],
}


KAFKA: dict[str, list[str]] = {
    "receivers": [f"{CORE}/receiver/otlpreceiver", f"{CONTRIB}/receiver/kafkareceiver"],
    "exporters": [f"{CORE}/exporter/otlphttpexporter", f"{CONTRIB}/exporter/kafkaexporter"],
}
"""For the chain with Kafka, a build of its own: its modules are many, and only the soak test needs them."""
FILES: dict[str, list[str]] = {
    "receivers": [f"{CONTRIB}/receiver/filelogreceiver"],
    "exporters": [f"{CORE}/exporter/otlphttpexporter"],
}
"""It reads the files of json-file: what the benchmark compares the driver with, and nothing else needs."""


def recipe(parts: Mapping[str, list[str]] = PARTS) -> str:
    """The builder's configuration (YAML)."""
    lines = ["dist:", "  name: otelcol", "  output_path: ./collector", "  version: " + VERSION[1:]]
    for kind, modules in parts.items():
        lines += [f"{kind}:", *(f"  - gomod: {module} {VERSION}" for module in modules)]
    return "\n".join(lines) + "\n"


def collector(parts: Mapping[str, list[str]] = PARTS) -> Path:
    """The executable `otelcol`; built in a few minutes when it is not in the cache."""
    digest = hashlib.sha256(recipe(parts).encode()).hexdigest()[:12]
    return cached(f"otelcol-{VERSION}-{digest}", lambda path: make(path, parts))


def kafka_collector() -> Path:
    """The same with a receiver and an exporter for Kafka."""
    return collector(KAFKA)


def file_collector() -> Path:
    """One that reads log files, and sends what they hold over OTLP/HTTP."""
    return collector(FILES)


def make(path: Path, parts: Mapping[str, list[str]]) -> None:
    work = path.parent
    builder = work / "ocb"
    build_from_module(builder, f"{CORE}/cmd/builder", VERSION, f"{CORE}/cmd/builder")
    # The builder shall write the sources and go.mod only. Its `go mod tidy` would want modules that just tests of
    # dependencies need and that need not resolve, so it is given `true` as its Go command.
    (work / "builder.yaml").write_text(recipe(parts).replace("dist:\n", f"dist:\n  go: {shutil.which('true')}\n"))
    run([str(builder), "--config=builder.yaml", "--skip-compilation", "--skip-strict-versioning"], work)
    build(path, work / "collector")
