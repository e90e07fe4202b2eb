"""The test record: one INFO record of the service `otellogdriver-doctor`, in a request of its own."""

from __future__ import annotations

import time

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from otellogdriver import __version__

SERVICE = "otellogdriver-doctor"
BODY = "a test record of `otellogdriver doctor`"


def request(host_name: str) -> bytes:
    """An encoded ExportLogsServiceRequest."""
    now = time.time_ns()
    record = LogRecord(
        time_unix_nano=now,
        observed_time_unix_nano=now,
        severity_number=SeverityNumber.SEVERITY_NUMBER_INFO,
        severity_text="INFO",
        body=AnyValue(string_value=BODY),
    )
    attributes = {"service.name": SERVICE, "host.name": host_name}
    resource = Resource(
        attributes=[KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in attributes.items()]
    )
    scope = InstrumentationScope(name="otellogdriver", version=__version__)
    logs = ResourceLogs(resource=resource, scope_logs=[ScopeLogs(scope=scope, log_records=[record])])
    return ExportLogsServiceRequest(resource_logs=[logs]).SerializeToString()
