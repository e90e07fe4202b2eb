"""Whatever a line is like and whatever is done to it: what `redact-pattern` finds in it as printed is in no field."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from otellogdriver.codec.contract import NOTHING, EncodeOptions
from otellogdriver.lines import escapes, json_line, line_encoder, logfmt
from otellogdriver.settings.options import resolve
from otellogdriver.settings.patterns import compiled
from tests.data.frames.codecs import codecs
from tests.data.frames.log_entry import frame
from tests.data.lines.strategies import members

NOW = 1_763_990_000_000_000_000
HUGE = 1 << 40
SECRET = "hunter2"
many = settings(max_examples=4 * settings().max_examples, deadline=None)

PATTERNS = [
    SECRET,
    "password=.*$",
    r"password=\S+",
    r"^password=[a-z0-9]+$",
    r"^.*hunter2",
    r"hunter2$",
    r"\bhunter2\b",
    r"\Ahunter2",
    r"hunter2\z",
    r"(?-m:^hunter2)",
    r"(?i)HUNTER2",
    r"[^a]unter2",
    r".unter2",
    r"hunter2\s",
    r"password=(?P<secret>[a-z0-9]+)",
    r'"(?P<secret>[^"]*)"',
    r"(?s)a.*hunter2",
]
NOISE = [
    "",
    " ",
    "a",
    "é",
    "x=",
    '"',
    "'",
    "\\",
    "{",
    "}",
    ",",
    ":",
    "\t",
    "\r",
    "\x1b[31m",
    "\x1b[0m",
    "\x00",
    "\ufffd",
]
noise = st.lists(st.sampled_from([*map(str.encode, NOISE), b"\xff", b"\xc3", b"password="]), max_size=4).map(b"".join)
secrets = st.sampled_from([b"hunter2", b"password=hunter2", b"hunt\x1b[1mer2", b"password=hunter2\r"])
plain = st.builds(lambda before, secret, after: before + secret + after, noise, secrets, noise)


def _hidden(item: Any, text: str) -> Any:
    """A copy of `item` with the text in each text."""
    if isinstance(item, dict):
        return {key: _hidden(held, text) for key, held in item.items()}
    if isinstance(item, list):
        return [_hidden(held, text) for held in item]
    return text + item if isinstance(item, str) and len(item) % 2 else item + text if isinstance(item, str) else item


def _in_json(members: dict[str, Any], where: str, text: str, escape: int) -> bytes:
    held: Any = {**_hidden(members, text), where: text}
    line = json.dumps(held, ensure_ascii=bool(escape & 1))
    if escape & 4:
        line = json.dumps({"msg": line, "log": {"level": text, "x": line}})
    if escape & 2:
        line = line.replace("hunter2", "h\\u0075nter2")
    return line.encode()


texts = st.sampled_from(
    ["hunter2", "password=hunter2", "a\npassword=hunter2\r\nb", "\x1b[31mhunt\x1b[0mer2", "hunter2 ", "é hunter2"]
)
names = st.sampled_from(["msg", "level", "trace_id", "event.name", "time", "err", "password=hunter2", "a", "stack"])
in_json = st.builds(_in_json, members, names, texts, st.integers(0, 7))
in_logfmt = st.builds(
    lambda text, key, escaped, more: (
        f"a=1 {key}={json.dumps(text).replace('u', chr(92) + 'x75') if escaped else json.dumps(text)} {more}".encode()
    ),
    texts,
    st.sampled_from(["msg", "level", "password", "err", "trace_id"]),
    st.booleans(),
    st.sampled_from(["", "b=2", "level=info"]),
)
terminal = st.sampled_from([b"", b"\r", b"\r\r"])
around = st.lists(
    st.sampled_from([b"first", b"more", b"\tat a.B(C.java:1)", b"\xff", b"ERROR x", b"", b"a=1"]), max_size=3
)
options = st.fixed_dictionaries(
    {
        "parse": st.sampled_from(["none", "json", "logfmt", "auto"]),
        "severity": st.sampled_from(["none", "auto"]),
        "strip-ansi": st.sampled_from(["false", "true"]),
        "invalid-utf8": st.sampled_from(["replace", "bytes"]),
        "multiline-pattern": st.sampled_from(["", "", "^first", "auto", "java", "timestamp"]),
        "rate-limit": st.sampled_from(["0", "1000"]),
        "redact-pattern": st.sampled_from(PATTERNS),
    }
)


def is_found(pattern: str, text: bytes) -> bool:
    """Whether a match, or its group, has all of the secret."""
    found = compiled("(?m)" + pattern)
    group = found.groupindex.get("secret", 0)
    spans = [match.span(group) for match in found.finditer(text)]
    return any(SECRET.encode() in text[begin:end] for begin, end in spans)


def leaves(item: Any) -> list[str]:
    if isinstance(item, dict):
        return [*item, *(leaf for held in item.values() for leaf in leaves(held))]
    if isinstance(item, list):
        return [leaf for held in item for leaf in leaves(held)]
    return [item] if isinstance(item, str) else []


def sent(lines: list[bytes], given: dict[str, str]) -> list[bytes]:
    """With each codec, read at once and line by line."""
    settings = resolve({name: value for name, value in given.items() if value not in ("", "0")}, {})
    keep = EncodeOptions(keep_bytes=settings.invalid_utf8 == "bytes")
    data = [frame(line, NOW) for line in lines]
    found = []
    for codec in codecs():
        for chunks in ([b"".join(data)], data):
            encoder = line_encoder(settings, codec, keep)
            carry, at, payload = NOTHING, 0, b""
            for index, chunk in enumerate(chunks):
                made = encoder.encode(chunk, at, carry, keep, NOW, HUGE, final=index == len(chunks) - 1)
                at, carry, payload = made.end, made.carry, payload + made.payload
            found.append(payload)
    return found


@many
@given(st.one_of(plain, in_json, in_logfmt), terminal, around, st.integers(0, 3), options)
def test_what_is_found_leaves_in_no_form(
    line: bytes, end: bytes, others: list[bytes], at: int, given: dict[str, str]
) -> None:
    pattern = given["redact-pattern"]
    printed = line + end
    members = json_line.parsed(printed) if given["parse"] in ("json", "auto") else None
    if members is None and given["parse"] in ("logfmt", "auto"):
        members = logfmt.parsed(printed, 1 if given["parse"] == "logfmt" else 2)
    if members is not None and given["strip-ansi"] == "true":
        # What escapes part is one word without them: hunter2000 has the secret in it, and is not found.
        joined = set(leaves(escapes.of_members(members))) - set(leaves(members))
        assume(all(is_found(pattern, text.encode()) for text in joined if SECRET in text))
    found = is_found(pattern, printed) or is_found(pattern, printed.rstrip(b"\r"))
    if line.count(SECRET.encode()) == 1 and found:
        lines = [*others[:at], printed, *others[at:]]
        for payload in sent(lines, given):
            assert SECRET.encode() not in payload
    texts = [] if members is None else [text for text in leaves(members) if SECRET in text]
    if texts and all(text.count(SECRET) == 1 and is_found(pattern, text.encode()) for text in texts):
        for payload in sent([printed], {**given, "multiline-pattern": ""}):
            assert SECRET.encode() not in payload
