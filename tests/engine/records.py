"""Log records as a collector's file exporter writes them: one OTLP/JSON request a line."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """A record with what stands above it. Times in nanoseconds since the epoch; 0 or empty where not given."""

    body: Any
    time: int
    observed: int
    attributes: dict[str, Any]
    resource: dict[str, Any]
    scope: str
    severity_number: int
    severity_text: str
    trace_id: str
    span_id: str


_BEGIN = b'{"resourceLogs":'
"""Of a line. In a text it would have backslashes."""


def read(path: Path, start: int = 0) -> tuple[list[Record], int]:
    """The records behind the byte `start`, and where to go on; a line still being written is left for the next time. A
    collector that was killed while it wrote one leaves its begin before the next one, of what it had not acknowledged.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            whole, newline, _ = file.read().rpartition(b"\n")
    except FileNotFoundError:
        return [], start
    requests = [json.loads(line[max(0, line.rfind(_BEGIN)) :]) for line in whole.splitlines()]
    return [record for request in requests for record in records(request)], start + len(whole + newline)


def records(request: dict[str, Any]) -> Iterator[Record]:
    for resource_logs in request.get("resourceLogs", []):
        resource = attributes(resource_logs.get("resource", {}))
        for scope_logs in resource_logs.get("scopeLogs", []):
            for record in scope_logs.get("logRecords", []):
                yield Record(
                    body=value(record.get("body", {})),
                    time=int(record.get("timeUnixNano", 0)),
                    observed=int(record.get("observedTimeUnixNano", 0)),
                    attributes=attributes(record),
                    resource=resource,
                    scope=scope_logs.get("scope", {}).get("name", ""),
                    severity_number=int(record.get("severityNumber", 0)),
                    severity_text=record.get("severityText", ""),
                    trace_id=record.get("traceId", ""),
                    span_id=record.get("spanId", ""),
                )


def attributes(holder: dict[str, Any]) -> dict[str, Any]:
    return {entry["key"]: value(entry.get("value", {})) for entry in holder.get("attributes", [])}


def value(any_value: dict[str, Any]) -> Any:
    """What an OTLP AnyValue stands for in Python; None for the empty value."""
    for kind, held in any_value.items():
        match kind:
            case "intValue":
                return int(held)
            case "bytesValue":
                return base64.b64decode(held)
            case "arrayValue":
                return [value(item) for item in held.get("values", [])]
            case "kvlistValue":
                return {entry["key"]: value(entry.get("value", {})) for entry in held.get("values", [])}
            case _:
                return held
    return None
