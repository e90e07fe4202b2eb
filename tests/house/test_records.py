"""The file in which a real collector keeps what it got."""

from __future__ import annotations

import json
from pathlib import Path

from tests.engine.records import read


def request(body: str) -> bytes:
    logs = {"resource": {}, "scopeLogs": [{"scope": {}, "logRecords": [{"body": {"stringValue": body}}]}]}
    return json.dumps({"resourceLogs": [logs]}, separators=(",", ":")).encode() + b"\n"


def test_what_a_killed_collector_had_not_written_as_a_whole_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "records.json"
    quoted = request("first").decode().strip()
    file.write_bytes(b"{}\n" + request(quoted) + request("torn")[:70] + request("next") + request("not yet")[:-1])
    found, end = read(file)
    assert [record.body for record in found] == [quoted, "next"]
    with file.open("ab") as more:
        more.write(b"\n")
    assert [record.body for record in read(file, end)[0]] == ["not yet"]
