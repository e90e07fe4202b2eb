"""`otellogdriver try` prints the records that lines become, and what is left out and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from otellogdriver.cli import main

LINES = b"ERROR failed\r\n  at f (a.js:1)\npassword=hunter2\nGET /health\n" + b'{"level":"warn","msg":"x"}\ncaf\xe9'
OPTIONS = ["--multiline-pattern", "auto", "--severity", "auto", "--parse", "json", "--exclude-pattern", "/health"]


def test_records_as_they_would_be_sent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(LINES)
    assert main(["try", str(path), "--json", *OPTIONS, "--log-opt", r"redact-pattern=password=\w+$"]) == 0
    out, err = capfd.readouterr()
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["body"] for record in records] == ["ERROR failed\n  at f (a.js:1)", "****", "x", "caf\ufffd"]
    assert [record.get("severity_number") for record in records] == [17, None, 13, None]
    assert "1 lines are left out by exclude-pattern" in err


def test_a_long_line_is_one_record(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"x" * 1_500_000 + b"\nlast\n")
    assert main(["try", str(path), "--json", "--stderr"]) == 0
    records = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [len(record["body"]) for record in records] == [1_500_000, 4]
    assert records[0]["attributes"] == {"log.iostream": "stderr"}


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--parse", "xml"], 'log-opt "parse": "xml" is not allowed'),
        (["--log-opt", "parse"], "--log-opt parse is not allowed: NAME=VALUE"),
        (["--log-opt", "nope=1"], "nope"),
    ],
)
def test_a_wrong_option_is_named(arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["try", "/dev/null", *arguments]) == 2
    assert said in capfd.readouterr().err


def test_a_file_that_cannot_be_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["try", str(tmp_path / "none")]) == 1
    assert "cannot be read: No such file" in capfd.readouterr().err
