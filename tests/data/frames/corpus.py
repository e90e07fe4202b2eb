"""The cases in this folder: what the engine writes, and what the codec makes of it, in JSON.

    about    what the case shows
    input    frames ({"line": TEXT, "time": 1, "source": "stdout", "id": "x", "last": true, "partial": true}, where all
             but `line` may be left out; "times": 3 repeats one) and bytes as they are ({"hex": "00 0a"})
    records  what comes out while the stream goes on: {"stream": "stdout", "body": TEXT, "time": 1}
    open     groups that are open then, in the same form
    left     bytes at the end that wait for more
    skipped  bytes of damage
    ended    {"records": ..., "skipped": ...}: what comes in addition if the stream has ended

TEXT is a string, {"hex": "ff"} for bytes that are no UTF-8, or {"repeat": ["ab", 8192]}. A time left out is 1.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.data.frames.log_entry import frame


@dataclass(frozen=True)
class Case:
    """A case; records are (stream, time, body), the body as `str` or `bytes` as it must be in OTLP."""

    name: str
    data: bytes
    records: list[tuple[str, int, str | bytes]]
    open: list[tuple[str, int, bytes]]
    left: int
    skipped: int
    ended_records: list[tuple[str, int, str | bytes]]
    ended_skipped: int


def text(value: Any) -> str | bytes:
    if isinstance(value, str):
        return value
    if "hex" in value:
        return bytes.fromhex(value["hex"])
    part, times = value["repeat"]
    return str(part * times)


def as_bytes(value: Any) -> bytes:
    found = text(value)
    return found.encode() if isinstance(found, str) else found


def _input(item: dict[str, Any]) -> bytes:
    if "hex" in item:
        return bytes.fromhex(item["hex"])
    times: int = item.get("times", 1)
    rest = {key: value for key, value in item.items() if key not in ("line", "times")}
    return frame(as_bytes(item["line"]), **{"time": 1, **rest}) * times


def _records(items: list[dict[str, Any]]) -> list[tuple[str, int, str | bytes]]:
    return [(item.get("stream", "stdout"), item.get("time", 1), text(item["body"])) for item in items]


def load(path: Path) -> Case:
    case = json.loads(path.read_text())
    ended = case.get("ended", {})
    known = {"about", "input", "records", "open", "left", "skipped", "ended"}
    assert set(case) <= known and set(ended) <= {"records", "skipped"}, f"{path}: unknown keys"
    return Case(
        name=path.stem,
        data=b"".join(_input(item) for item in case["input"]),
        records=_records(case["records"]),
        open=[
            (item.get("stream", "stdout"), item.get("time", 1), as_bytes(item["body"])) for item in case.get("open", [])
        ],
        left=case.get("left", 0),
        skipped=case.get("skipped", 0),
        ended_records=_records(ended.get("records", [])),
        ended_skipped=ended.get("skipped", 0),
    )


CASES = [load(path) for path in sorted(Path(__file__).parent.glob("*.json"))]
