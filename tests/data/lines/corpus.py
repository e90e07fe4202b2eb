"""The cases in this folder: what a container prints and what options ask for, and the records that come of it, in JSON.

    about     what the case shows
    options   log-opts
    lines     what is printed: TEXT, or {"line": TEXT, "time": 1, "stream": "stderr", "wait": 2.5} where all but `line`
              may be left out; `wait`: seconds before it, in which unfinished records may get too old
    records   {"body": TEXT, "stream", "time", "severity_number", "severity_text", "attributes", "trace_id", "span_id",
              "flags", "event_name"}; what is left out is not set, the stream is stdout, the time is that of the first
              line
    excluded  reason -> lines

TEXT is a string, or {"hex": "ff"} for bytes that are no UTF-8. A time is in nanoseconds since START; that of a line
without one is a microsecond behind the one before. Attributes do not show `log.iostream`, which every record has.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ScopeLogs

from otellogdriver.codec.python import as_text

START = 1_763_980_000_000_000_000
_LINE = {"line", "time", "stream", "wait"}
_RECORD = {
    "body",
    "stream",
    "time",
    "severity_number",
    "severity_text",
    "attributes",
    "trace_id",
    "span_id",
    "flags",
    "event_name",
}


@dataclass(frozen=True)
class Printed:
    """A line of a container; `time` in nanoseconds since the epoch."""

    line: bytes
    time: int
    stream: str
    wait: float


@dataclass(frozen=True)
class Case:
    """A case of a file. `records` are in the form of `shown`, in any order of the streams."""

    name: str
    options: dict[str, str]
    lines: list[Printed]
    records: list[dict[str, Any]]
    excluded: dict[str, int]


def text(value: Any) -> str | bytes:
    return value if isinstance(value, str) else bytes.fromhex(value["hex"])


def printed(lines: list[Any]) -> list[Printed]:
    found: list[Printed] = []
    time = START
    for item in lines:
        line = item if isinstance(item, dict) and "line" in item else {"line": item}
        assert set(line) <= _LINE, line
        time = START + line["time"] if "time" in line else time + 1000
        data = text(line["line"])
        found.append(
            Printed(
                data.encode() if isinstance(data, str) else data,
                time,
                line.get("stream", "stdout"),
                line.get("wait", 0.0),
            )
        )
    return found


def expected(record: dict[str, Any]) -> dict[str, Any]:
    """A record of a case, without what is not set; its time since the epoch."""
    assert set(record) <= _RECORD, record
    found = {**record, "body": text(record["body"])}
    if "time" in found:
        found["time"] += START
    if found.get("stream") == "stdout":
        del found["stream"]
    return found


def load(path: Path) -> list[Case]:
    cases = json.loads(path.read_text())
    for case in cases:
        assert set(case) <= {"about", "options", "lines", "records", "excluded"}, f"{path}: unknown keys"
    return [
        Case(
            f"{path.stem}: {case['about']}",
            case["options"],
            printed(case["lines"]),
            [expected(record) for record in case["records"]],
            case.get("excluded", {}),
        )
        for case in cases
    ]


CASES = [case for path in sorted(Path(__file__).parent.glob("*.json")) for case in load(path)]


def records(payload: bytes) -> list[LogRecord]:
    return list(ScopeLogs.FromString(payload).log_records)


def shown(record: LogRecord, first_times: set[int]) -> dict[str, Any]:
    """A record as the corpus writes it. Its time is left out if a line was printed then. The body is as it was printed,
    in bytes where they are no UTF-8: then it is sent as text, and the bytes as an attribute."""
    attributes = {pair.key: value(pair.value) for pair in record.attributes}
    assert len(attributes) == len(record.attributes), "keys must be unique"
    found: dict[str, Any] = {"body": value(record.body)}
    original = attributes.pop("log.record.original", None)
    if original is not None:
        assert found["body"] == as_text(original)
        found["body"] = original
    stream = attributes.pop("log.iostream")
    if stream != "stdout":
        found["stream"] = stream
    if record.time_unix_nano not in first_times:
        found["time"] = record.time_unix_nano
    fields = {
        "severity_number": record.severity_number,
        "severity_text": record.severity_text,
        "attributes": attributes,
        "trace_id": record.trace_id.hex(),
        "span_id": record.span_id.hex(),
        "flags": record.flags,
        "event_name": record.event_name,
    }
    return found | {name: held for name, held in fields.items() if held}


def value(any_value: AnyValue) -> Any:
    """What an AnyValue stands for in Python; None for the empty one."""
    kind = any_value.WhichOneof("value")
    if kind == "array_value":
        return [value(item) for item in any_value.array_value.values]
    if kind == "kvlist_value":
        pairs = any_value.kvlist_value.values
        found = {pair.key: value(pair.value) for pair in pairs}
        assert len(found) == len(pairs), "keys must be unique"
        return found
    return getattr(any_value, kind) if kind else None
