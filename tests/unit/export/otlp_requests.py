"""OTLP requests for tests, made with the real messages."""

from __future__ import annotations

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest


def request(container: str, records: int, first: int = 0, stream: str = "stdout") -> bytes:
    """One ResourceLogs with `records` lines `<container> line <number>`."""
    made = ExportLogsServiceRequest()
    logs = made.resource_logs.add(schema_url="https://opentelemetry.io/schemas/1.44.0")
    for key, value in (("service.name", f"service-{container}"), ("container.id", container)):
        logs.resource.attributes.add(key=key).value.string_value = value
    scope = logs.scope_logs.add()
    scope.scope.name = "otellogdriver"
    for number in range(first, first + records):
        record = scope.log_records.add(time_unix_nano=1_700_000_000_000_000_000 + number)
        record.body.string_value = f"{container} line {number}"
        record.attributes.add(key="log.iostream").value.string_value = stream
    return made.SerializeToString()
