"""What a collector's answer says beyond its status: partial success, an error's message, a wish to wait.

Everything here comes from outside and ends in logs, so it is bounded, made one printable line, and freed of the
destination's own secrets (a proxy that repeats the token it did not like).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from otellogdriver import __version__
from otellogdriver.export.outcome import Delivered
from otellogdriver.loading import load

MAX_RESPONSE = 4 << 20
"""Longest response that is read, in bytes: the OTLP specification's default."""

MAX_WAIT = 86400.0
"""Longest wait that is believed, in seconds; whoever asks for more has sent nonsense."""

PROTOBUF = "application/x-protobuf"

_NOTHING_TO_SAY = (b"", b"\x0a\x00")
"""An ExportLogsServiceResponse that is empty, or has an empty `partial_success`: most often nothing else comes. It is
not given to protobuf's library, which ends the process where it gets no memory."""

_MAX_TEXT = 300


def user_agent() -> str:
    """The distribution in front of the exporter, as the OTLP exporter specification words it."""
    from opentelemetry.exporter.otlp.proto.common.version import __version__ as exporter

    return f"otellogdriver/{__version__} OTel-OTLP-Exporter-Python/{exporter}"


def delivered(body: bytes, content_type: str = PROTOBUF, secrets: Iterable[str] = ()) -> Delivered:
    """Read an ExportLogsServiceResponse, as protobuf or JSON. By now the collector has the data, so a response that
    cannot be read, whatever is wrong with it, is noted and no more; plain text ("OK") and nothing at all are usual with
    vendors and are success."""
    if content_type == PROTOBUF and body in _NOTHING_TO_SAY:
        return Delivered()
    try:
        if content_type == "application/json":
            told = json.loads(body or b"{}").get("partialSuccess") or {}
            rejected, message = int(told.get("rejectedLogRecords") or 0), str(told.get("errorMessage") or "")
        elif content_type == PROTOBUF:
            partial = ExportLogsServiceResponse.FromString(body).partial_success
            rejected, message = partial.rejected_log_records, partial.error_message
        else:
            return Delivered()
    except Exception:  # a RecursionError, for one: nesting without end
        return Delivered(message="the response is not an ExportLogsServiceResponse")
    return Delivered(max(0, rejected), one_line(message, secrets))


def error_message(body: bytes, content_type: str, secrets: Iterable[str] = ()) -> str:
    """The text of an HTTP error: `google.rpc.Status` by the specification, plain text or JSON in practice."""
    if "html" in content_type:
        return ""  # a proxy's page; the status says it all
    text = body.decode("utf-8", "replace")
    try:
        if content_type == PROTOBUF:
            text = _rpc_status(body).message
        elif content_type == "application/json":
            text = str(json.loads(body)["message"])
    except Exception:
        pass  # not what its type says: shown as it is
    return one_line(text, secrets)


def retry_info(status_details: bytes) -> float | None:
    """Seconds to wait from `grpc-status-details-bin`, a google.rpc.Status that may hold a RetryInfo."""
    details: Any = load("google.rpc.error_details_pb2")
    info = details.RetryInfo()
    try:
        for detail in _rpc_status(status_details).details:
            if detail.Is(info.DESCRIPTOR) and detail.Unpack(info):
                seconds: float = info.retry_delay.seconds + info.retry_delay.nanos / 1e9
                return min(max(0.0, seconds), MAX_WAIT)
    except DecodeError:
        pass
    return None


def one_line(text: str, secrets: Iterable[str] = ()) -> str:
    """At most 300 printable characters of a text from outside, with every secret replaced."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    text = re.sub(r"\s+", " ", text[: 4 * _MAX_TEXT]).strip()
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 3] + "..."


def secrets_of(headers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """What must not come back in a text: header values, of `Bearer x` the x, of `Basic x` the password in it. Short
    words hide nothing."""
    words = {word for _, value in headers for word in (value, value.rpartition(" ")[2])}
    for word in list(words):
        if word.lower().startswith("basic "):
            try:
                words.add(base64.b64decode(word[6:]).decode().partition(":")[2])
            except ValueError:
                pass  # not what it says
    return tuple(word for word in words if len(word) >= 6)


def _rpc_status(body: bytes) -> Any:
    status: Any = load("google.rpc.status_pb2")
    return status.Status.FromString(body)
