"""Whatever a container prints costs time in proportion to its length, with each value of each option of lines.

Input that gave trouble once or is of that kind is doubled twice, and the time of a process must not grow much faster
than the input. It iterates over the options as they are declared, so that a new one is tried, too."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from otellogdriver.codec.contract import NOTHING, EncodeOptions
from otellogdriver.lines import line_encoder
from otellogdriver.settings.line_options import PRESETS, LineSettings
from otellogdriver.settings.option import options_of
from otellogdriver.settings.options import resolve
from tests.data.frames.codecs import codecs
from tests.data.frames.log_entry import frame

PATTERN = r"^\s*(password|token)=(\S+\s?)*$"
TRIED: dict[str, list[str]] = {
    "parse": ["json", "logfmt", "auto"],
    "severity": ["auto"],
    "multiline-pattern": [*PRESETS, PATTERN],
    "invalid-utf8": ["replace", "bytes"],
    "strip-ansi": ["true"],
    "include-pattern": [PATTERN],
    "exclude-pattern": [PATTERN],
    "redact-pattern": [PATTERN, "(?P<secret>x+)y", r"\b[0-9]{16}\b"],
    "rate-limit": ["1000"],
    "multiline-timeout": ["1s"],
    "parse-time": ["true"],
    "rate-burst": ["5"],
}
BESIDE = {
    "parse-time": {"parse": "auto"},
    "rate-burst": {"rate-limit": "5"},
    "multiline-timeout": {"multiline-pattern": "auto"},
}
LINES: dict[str, Callable[[int], bytes]] = {
    "one word": lambda size: b"a" * size,
    "dots": lambda size: b"a." * (size // 2),
    "spaces": lambda size: b" " * size + b"x",
    "a tab and spaces": lambda size: b"\t" * size,
    "returns": lambda size: b"\r" * size + b"x",
    "returns at the end": lambda size: b"x" + b"\r" * size,
    "escapes": lambda size: b"\x1b[" * (size // 2),
    "titles without an end": lambda size: b"\x1b]0;" * (size // 4),
    "semicolons of a colour": lambda size: b"\x1b[" + b";" * size,
    "braces": lambda size: b'{"a":' * (size // 5),
    "quotes": lambda size: b'a="' * (size // 3),
    "backslashes": lambda size: b'{"a":"' + b"\\" * size,
    "pairs": lambda size: b"a=b " * (size // 4),
    "digits and dashes": lambda size: b"1-1-" * (size // 4),
    "brackets": lambda size: b"[" * size,
    "no UTF-8": lambda size: b"\xe2\x82" * (size // 2),
    "secrets": lambda size: b"password=x " * (size // 11),
    "x": lambda size: b"x" * size,
    "newlines in JSON": lambda size: b'{"msg":"' + b"\\r\\n" * (size // 4) + b'"}',
    "calls": lambda size: b"goroutine 1 [" + b"f(" * (size // 2) + b"]:",
}
CASES = [(name, value) for name, values in TRIED.items() for value in values]
SIZES = (40_000, 160_000)


def test_no_option_is_left_out() -> None:
    assert {option.log_opt for option in options_of(LineSettings)} == set(TRIED)


@pytest.mark.parametrize("name, value", CASES, ids=[f"{name}={value}" for name, value in CASES])
def test_four_times_the_input_takes_about_four_times_the_time(name: str, value: str) -> None:
    settings = resolve({name: value, **BESIDE.get(name, {})}, {})
    options = EncodeOptions(keep_bytes=settings.invalid_utf8 == "bytes")
    codec = codecs()[-1]
    for kind, made in LINES.items():
        took = []
        for size in SIZES:
            data = b"".join(frame(line, 1) for line in (b"ERROR failed", made(size), made(size // 2), b"end"))
            took.append(min(_seconds(data, settings, codec, options) for _ in range(3)))
        # Quadratic growth is sixteenfold; what takes next to no time is not measured well.
        assert took[1] < 9 * took[0] + 0.03, (kind, took)


def _seconds(data: bytes, settings: LineSettings, codec: object, options: EncodeOptions) -> float:
    encoder = codec if settings.lines_as_printed else line_encoder(settings, codec, options)  # type: ignore[arg-type]
    begun = time.process_time()
    encoder.encode(data, 0, NOTHING, options, 1, 1 << 40, final=True)  # type: ignore[attr-defined]
    return time.process_time() - begun
