"""What the options of single lines cost: nanoseconds of one core for each line, and how many times the plain codec's.

    python -m bench.lines [--seconds 0.3]

Chunks of 256 KiB, as the pump reads them, of lines of about 300 bytes. The fastest of many calls counts, for the reason
in `bench/codec.py`. `python` is the same without native code, the oracle of the tests.
"""

from __future__ import annotations

import argparse
import json

from bench.codec import HUGE, NOW, fastest, filled, frame
from otellogdriver.codec import load
from otellogdriver.codec.contract import NOTHING, EncodeOptions, Encoder
from otellogdriver.lines import line_encoder
from otellogdriver.settings.options import resolve

OPTIONS = EncodeOptions()


def json_line(index: int) -> bytes:
    """As a web service logs a request; 300 bytes."""
    line = {
        "time": "2026-01-02T03:04:05.678Z",
        "level": "info",
        "msg": "request served",
        "method": "GET",
        "path": f"/v1/items/{index}",
        "status": 200,
        "duration_ms": 12.5,
        "trace_id": f"{index + 1:032x}",
        "span_id": f"{index + 1:016x}",
        "user": {"id": index, "name": "Zoé"},
    }
    text = json.dumps(line, ensure_ascii=False)[:-1] + ', "agent": "'
    return frame((text + "x" * (298 - len(text.encode())) + '"}').encode(), NOW + index * 12_345)


def logfmt_line(index: int) -> bytes:
    text = (
        f'time=2026-01-02T03:04:05.678Z level=info msg="request served" method=GET path=/v1/items/{index} status=200 '
    )
    return frame((text + "agent=").ljust(300, "x").encode(), NOW + index * 12_345)


def text_line(index: int) -> bytes:
    text = f"2026-01-02 03:04:05,678 INFO [worker-{index % 8}] com.example.shop.Items - request {index} served "
    return frame(text.ljust(300, ".").encode(), NOW + index * 12_345)


def odd_json_line(index: int) -> bytes:
    """An exception as an object, a key with an escape; no level; 500 bytes."""
    line = {
        "time": "2026-01-02T03:04:05.678Z",
        "msg": f"checkout {index} failed",
        "p\u00e4th": f"/v1/items/{index}",
        "err": {
            "type": "TypeError",
            "message": "x is not a function",
            "stack": "TypeError: x\n    at pay (shop.js:5:3)",
        },
    }
    text = json.dumps(line)[:-1] + ', "agent": "'
    return frame((text + "x" * (498 - len(text)) + '"}').encode(), NOW + index * 12_345)


def nested_json_line(index: int) -> bytes:
    """What it means is in objects within objects, as loguru has it, and ids are Datadog's; 500 bytes."""
    record = {
        "elapsed": {"repr": "0:00:01.5", "seconds": 1.5},
        "level": {"icon": "i", "name": "INFO", "no": 20},
        "message": f"request {index} served",
        "time": {"repr": "2026-01-02 03:04:05.678901+00:00", "timestamp": 1767323045.678901},
    }
    line = {"text": "x\n", "record": record, "dd": {"trace_id": str(index + 1), "span_id": str(index + 1)}}
    text = json.dumps(line)[:-1] + ', "agent": "'
    return frame((text + "x" * (498 - len(text)) + '"}').encode(), NOW + index * 12_345)


def odd_logfmt_line(index: int) -> bytes:
    text = f'time=2026-01-02T03:04:05.678Z level=info msg="said \\"no\\"\\n" path=C:/items/{index} '
    return frame((text + "agent=").ljust(500, "x").encode(), NOW + index * 12_345)


def plain_line(index: int) -> bytes:
    """Without a level."""
    text = f'10.0.0.{index % 250} - - [02/Jan/2026:03:04:05 +0000] "GET /v1/items/{index} HTTP/1.1" 200 7 "-" "'
    return frame(text.ljust(300, "x").encode(), NOW + index * 12_345)


ODD_JSON, ODD_LOGFMT, PLAIN = filled(odd_json_line), filled(odd_logfmt_line), filled(plain_line)
NESTED_JSON = filled(nested_json_line)
JSON, LOGFMT, TEXT = filled(json_line), filled(logfmt_line), filled(text_line)
CASES: dict[str, tuple[tuple[bytes, int], dict[str, str]]] = {
    "JSON, as it is": (JSON, {}),
    "JSON, parse=json": (JSON, {"parse": "json"}),
    "JSON, parse=json, parse-time": (JSON, {"parse": "json", "parse-time": "true"}),
    "JSON, parse=auto, severity=auto": (JSON, {"parse": "auto", "severity": "auto"}),
    "JSON, parse=json, redacted": (JSON, {"parse": "json", "redact-pattern": 'password":"[^"]*'}),
    "JSON, redacted value by value": (JSON, {"parse": "json", "redact-pattern": r"\b[0-9]{16}\b"}),
    "logfmt, parse=logfmt": (LOGFMT, {"parse": "logfmt"}),
    "JSON without a level, with an exception": (ODD_JSON, {"parse": "json", "severity": "auto"}),
    "JSON with objects in objects": (NESTED_JSON, {"parse": "json", "parse-time": "true"}),
    "logfmt with escapes": (ODD_LOGFMT, {"parse": "logfmt"}),
    "text, severity=auto": (TEXT, {"severity": "auto"}),
    "text without a level, severity=auto": (PLAIN, {"severity": "auto"}),
    "text, include-pattern": (TEXT, {"include-pattern": "served"}),
    "text, multiline-pattern=auto": (TEXT, {"multiline-pattern": "auto"}),
    "text, multiline-pattern=java": (TEXT, {"multiline-pattern": "java"}),
    "text, multiline-pattern=^[0-9]": (TEXT, {"multiline-pattern": "^[0-9]{4}-"}),
    "text, rate-limit": (TEXT, {"rate-limit": "1000000"}),
}


def encoder(name: str, log_opts: dict[str, str]) -> Encoder:
    codec, settings = load("require" if name == "native" else name), resolve(log_opts, {})
    return codec if settings.lines_as_printed else line_encoder(settings, codec, OPTIONS)


def main() -> None:
    parser = argparse.ArgumentParser(description="What the options of single lines cost, in nanoseconds for each.")
    parser.add_argument("--seconds", type=float, default=0.3, help="how long each measurement takes")
    seconds = parser.parse_args().seconds
    print(f"{'':40} {'native':>9} {'× plain':>8} {'python':>9} {'ratio':>7}")
    for case, ((chunk, lines), log_opts) in CASES.items():
        plain, ours, theirs = (
            fastest(lambda made=made, chunk=chunk: made.encode(chunk, 0, NOTHING, OPTIONS, NOW, HUGE), seconds)  # type: ignore[misc]
            / lines
            * 1e9
            for made in (encoder("native", {}), encoder("native", log_opts), encoder("python", log_opts))
        )
        print(f"{case:40} {ours:9.0f} {ours / plain:8.1f} {theirs:9.0f} {theirs / ours:6.1f}x")


if __name__ == "__main__":
    main()
