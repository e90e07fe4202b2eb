"""Escapes of terminals are taken out whole, and hide nothing from a redact-pattern."""

from __future__ import annotations

import pytest

from otellogdriver.codec.contract import NOTHING, EncodeOptions
from otellogdriver.lines import escapes, line_encoder
from otellogdriver.settings.options import resolve
from tests.data.frames.codecs import codecs
from tests.data.frames.log_entry import frame
from tests.data.lines.corpus import records, value


@pytest.mark.parametrize(
    "line, left",
    [
        (b"\x1b[31mred\x1b[0m", b"red"),
        (b"\x1b[38;2;1;2;3mx\x1b[K\x1b[2Jy\x1b[?25h", b"xy"),
        (b"\x1b]0;title\x07x\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", b"xlink"),
        (b"\x1b(Bx\x1b)0y\x1b=\x1b>z\x1bc", b"xyz"),
        (b"not whole \x1b[3", b"not whole \x1b[3"),
        (b"\x1b]0;without an end", b"\x1b]0;without an end"),
        (b"[31m none", b"[31m none"),
    ],
)
def test_what_is_taken_out(line: bytes, left: bytes) -> None:
    assert escapes.stripped(line) == left


def test_a_secret_under_colours_does_not_leave() -> None:
    options = {"strip-ansi": "true", "redact-pattern": "password=[a-z0-9]+", "parse": "json"}
    for codec in codecs():
        encoder = line_encoder(resolve(options, {}), codec, EncodeOptions())
        for line, body in (
            (b"pass\x1b[1mword\x1b[0m=hunter2", "****"),
            (b'{"msg":"pass\\u001b[1mword=hunter2","\\u001b[1ma":1}', "****"),
            (b"\xffpassword=\x1b[1mhunter2", "\ufffd****"),
        ):
            data = frame(line, 1)
            made = encoder.encode(data, 0, NOTHING, EncodeOptions(), 1, 1 << 40)
            (record,) = records(made.payload)
            assert value(record.body) == body and b"hunter2" not in made.payload and b"\x1b" not in made.payload
