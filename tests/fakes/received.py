"""What the scripted OTLP server received: requests, and the log records in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests.fakes.behaviour import Behaviour


@dataclass(frozen=True)
class Record:
    """One log record as received. `body` is text, or bytes if the record says so."""

    container: str
    stream: str
    body: str | bytes
    time: int
    uid: str
    request: int


@dataclass(frozen=True)
class Request:
    """One request as received; `body` is uncompressed (kept only if `keep`)."""

    headers: dict[str, str]
    body: bytes
    wire_size: int
    containers: dict[str, int]
    behaviour: Behaviour
    at: float
    path: str = ""
    malformed: bool = False

    @property
    def records(self) -> int:
        return sum(self.containers.values())


def count_records(body: bytes) -> dict[str, int]:
    """Records by container.id. Raises DecodeError if the collector could not parse this."""
    counts: dict[str, int] = {}
    for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
        container = next((a.value.string_value for a in resource.resource.attributes if a.key == "container.id"), "")
        counts[container] = counts.get(container, 0) + sum(len(scope.log_records) for scope in resource.scope_logs)
    return counts


def read_records(body: bytes, number: int = 0) -> Iterator[Record]:
    """The records of one request."""
    for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
        container = next((a.value.string_value for a in resource.resource.attributes if a.key == "container.id"), "")
        for scope in resource.scope_logs:
            for record in scope.log_records:
                attributes = {a.key: a.value.string_value for a in record.attributes}
                binary = record.body.WhichOneof("value") == "bytes_value"
                yield Record(
                    container,
                    attributes.get("log.iostream", ""),
                    record.body.bytes_value if binary else record.body.string_value,
                    record.time_unix_nano,
                    attributes.get("log.record.uid", ""),
                    number,
                )
