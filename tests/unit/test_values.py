"""How values are written: each parser with what it takes, what it refuses and why."""

from __future__ import annotations

from typing import Any

import pytest

from otellogdriver.settings import patterns
from otellogdriver.settings.endpoints import (
    ADDRESS,
    ATTRIBUTES,
    ENDPOINTS,
    ENDPOINTS_OR_NONE,
    HEADERS,
    OWN_ATTRIBUTES,
    SERVER_NAME,
    endpoint_shown,
    has_path,
)
from otellogdriver.settings.patterns import PATTERN
from otellogdriver.values import (
    BOOLEAN,
    NAMES,
    OTEL_BOOLEAN,
    PATH,
    PEM,
    TEXT,
    Kind,
    choice,
    duration,
    nearest,
    number,
    shown,
    size,
    size_text,
)

CHOICE = choice("http/protobuf", "grpc", aliases={"http": "http/protobuf"})
BOUNDED = size(least=1024, most=3500 * 1024)
MILLIS = duration(plain="ms")
SECONDS = duration(least=0.5, most=60)

TAKEN: list[tuple[Kind[Any], str, object]] = [
    *((BOOLEAN, text, True) for text in ("true", "TRUE", "1", "yes", "On", " true ")),
    *((BOOLEAN, text, False) for text in ("false", "0", "no", "OFF")),
    (CHOICE, "grpc", "grpc"),
    (CHOICE, "HTTP", "http/protobuf"),
    (number(0, 3), "3", 3),
    (number(0, 3), " 0 ", 0),
    *((size(), text, 10 * 1024**2) for text in ("10m", "10M", "10mb", "10MiB", "10 m", "10485760", "10485760b")),
    (size(), "512k", 512 * 1024),
    (size(), "1g", 1024**3),
    (size(), "1.5k", 1536),
    (size(least=0), "0", 0),
    (BOUNDED, "3500k", 3500 * 1024),
    (MILLIS, "10000", 10.0),
    (MILLIS, "0", 0.0),
    (MILLIS, "10s", 10.0),
    (duration(), "5", 5.0),
    (duration(), "5s", 5.0),
    (duration(), "200ms", 0.2),
    (duration(), "250us", 0.00025),
    (duration(), "1m30s", 90.0),
    (duration(), "2h", 7200.0),
    (duration(), "7d", 604800.0),
    (duration(), "1.5H", 5400.0),
    (SECONDS, "60", 60.0),
    (TEXT, " a b ", "a b"),
    (TEXT, "注文\u3000サービス", "注文\u3000サービス"),
    (TEXT, "a\u00a0: b", "a\u00a0: b"),
    (TEXT, "👩\u200d💻", "👩\u200d💻"),
    (NAMES, "a,b , c,,a", ("a", "b", "c")),
    (PATH, "/certs/ca.pem", "/certs/ca.pem"),
    (PATH, "", ""),
    (PEM, "/certs/ca.pem", "/certs/ca.pem"),
    (PEM, "-----BEGIN A-----\nYQ==\n-----END A-----\n", "-----BEGIN A-----\nYQ==\n-----END A-----\n"),
    (ENDPOINTS, "http://a", ("http://a",)),
    (ENDPOINTS, "HTTPS://A.b_c-d:443/x?y=1", ("HTTPS://A.b_c-d:443/x?y=1",)),
    (ENDPOINTS, "http://u:p@[fe80::1]:4318", ("http://u:p@[fe80::1]:4318",)),
    (ENDPOINTS, "10.0.0.1:4317,[::1]:4317", ("10.0.0.1:4317", "[::1]:4317")),
    *(
        (ENDPOINTS, f"http://{host}", (f"http://{host}",))
        for host in ("[fe80::1%25eth0]:4318", "[fe80::1%lo]", "a1.b2.")
    ),
    (ENDPOINTS, "[fe80::1%eth0]:4317", ("[fe80::1%eth0]:4317",)),
    (ENDPOINTS, "http://a/b%2Fc/../d?x=%2F%3F", ("http://a/b%2Fc/../d?x=%2F%3F",)),
    (ENDPOINTS_OR_NONE, " , ", ()),
    (ADDRESS, "0.0.0.0:0", ("0.0.0.0", 0)),
    (ADDRESS, "[::1]:9464", ("::1", 9464)),
    (ADDRESS, ":9464", ("0.0.0.0", 9464)),
    (ADDRESS, "OFF", None),
    (SERVER_NAME, "collector.example", "collector.example"),
    (HEADERS, "A=b, c=d%20e,,f=", (("a", "b"), ("c", "d e"), ("f", ""))),
    (HEADERS, "a=1\nb=2\r\na=3\n", (("a", "3"), ("b", "2"))),
    (ATTRIBUTES, "a=b,c=%E2%82%AC", (("a", "b"), ("c", "€"))),
    (ATTRIBUTES, "a%2Cb=c,%E2%82%AC=1,a%3D=%25", (("a,b", "c"), ("€", "1"), ("a=", "%"))),
    *((OTEL_BOOLEAN, text, True) for text in ("true", " TRUE")),
    *((OTEL_BOOLEAN, text, False) for text in ("1", "yes", "on", "false", "")),
    (PATTERN, "", ""),
    (PATTERN, "^com\\.example\\.", "^com\\.example\\."),
]

REFUSED: list[tuple[Kind[Any], str, str]] = [
    (BOOLEAN, "", "not a yes or no"),
    (BOOLEAN, "yep", "not a yes or no"),
    (CHOICE, "grcp", 'did you mean "grpc"?'),
    (CHOICE, "thrift", "no such choice"),
    (number(0, 3), "4", "more than 3"),
    (number(1, 3), "0", "less than 1"),
    *((number(0, 3), text, "not a whole number") for text in ("", "-1", "1.0", "1e1", "٣", "9" * 5000)),
    *((size(), text, "not a size") for text in ("", "-1", "m", "10x", "10mm", "1e3", "٣k", "9" * 5000)),
    (size(), "2p", "more than 1048576g"),
    (BOUNDED, "1023", "less than 1k"),
    (BOUNDED, "4m", "more than 3500k"),
    *((duration(), text, "not a duration") for text in ("", "-5s", "s", "5 s", "5x", "1m 30s", "inf", "nan", "1s5")),
    (duration(), "3651d", "more than 3.1536e+08s"),
    (SECONDS, "200ms", "less than 500ms"),
    (SECONDS, "2m", "more than 60s"),
    (TEXT, "a\nb", "control characters or invalid UTF-8 in it"),
    (TEXT, "a\x85b", "control characters or invalid UTF-8 in it"),
    (TEXT, "a\u2028b", "control characters or invalid UTF-8 in it"),
    (TEXT, "\udc80", "control characters or invalid UTF-8 in it"),
    (PATH, "ca.pem", "not an absolute path"),
    (PEM, "-----BEGIN A-----\nYQ==", "an inline PEM without its END line, or with characters that PEM does not have"),
    (PEM, "ca.pem", "not an absolute path"),
    (ENDPOINTS, "", "no endpoint in it"),
    (ENDPOINTS, "collector", "not of the form host:port"),
    (ENDPOINTS, "collector:", "not of the form host:port"),
    (ENDPOINTS, ":4317", "no host"),
    (ENDPOINTS, "a:0", "the port is 0"),
    (ENDPOINTS, "a:70000", "the port is more than 65535"),
    (ENDPOINTS, "[::1:4317", "not of the form host:port"),
    (ENDPOINTS, "[a]:4317", "the host in brackets is not an IPv6 address"),
    (ENDPOINTS, "http://", "no host"),
    (ENDPOINTS, "http://:4318", "no host"),
    (ENDPOINTS, "http://a:", "the port is 0 or missing after the colon"),
    (ENDPOINTS, "http://a:70000", "the host or the port is malformed"),
    (ENDPOINTS, "http://a:x", "the host or the port is malformed"),
    (ENDPOINTS, "http://[::1", "the host or the port is malformed"),
    (ENDPOINTS, "http://-a", "the host is not a name or an address"),
    (ENDPOINTS, "http://a..b", "the host is not a name or an address"),
    (ENDPOINTS, "http://a#b", "a fragment (#) in it"),
    (ENDPOINTS, "http://ä", "spaces, control characters or letters that URLs do not have"),
    (ENDPOINTS, "http://a b", "spaces, control characters or letters that URLs do not have"),
    (ENDPOINTS, "unix:///run/x", "the scheme is not http or https"),
    (ENDPOINTS, "http://a,http://a", "an endpoint is named twice"),
    (ENDPOINTS, "http://a,b", "endpoint 2: not of the form host:port"),
    *(
        (ENDPOINTS, form.format(host), "the host is neither a name nor an address of four numbers such as 127.0.0.1")
        for host in (
            "127.1",
            "0",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "0x7f000001",
            "127.0.0.01",
            "collector.1",
            "2130706433",
        )
        for form in ("http://{}:4318", "{}:4317")
    ),
    *(
        (ENDPOINTS, form.format(host), "the host is an address of many hosts (multicast), not of one")
        for host in ("224.0.0.1", "255.255.255.255", "[ff02::1%25eth0]")
        for form in ("http://{}:4318", "{}:4317")
    ),
    (ENDPOINTS, f"http://{'a' * 64}.example", "a part of the host's name is longer than 63 characters"),
    (ADDRESS, "9464", "not of the form host:port"),
    (ADDRESS, "", "not of the form host:port"),
    *(
        (ENDPOINTS, f"[fe80::1%{zone}]:1", "what is after the % of the IPv6 address is not the name of an interface")
        for zone in ("", "a%b", "a/b")
    ),
    (SERVER_NAME, "a b", "the host is not a name or an address"),
    *(
        (HEADERS, f"a=b,{name}=5", f"entry 2 is {name.lower()}, which says how a request is laid out and is not yours")
        for name in ("content-length", "Transfer-Encoding", "connection", "Content-Encoding", "te")
    ),
    (HEADERS, "a", "entry 1 is not of the form key=value"),
    (HEADERS, "a=b,=c", "entry 2 is not of the form key=value"),
    (HEADERS, "a b=c", "entry 1 has a name that HTTP headers cannot have"),
    (HEADERS, "a=b%0D%0Ac", "entry 1 has a value with characters that HTTP headers cannot have"),
    (HEADERS, "a=ü", "entry 1 has a value with characters that HTTP headers cannot have"),
    (HEADERS, "a=100%", "entry 1 has a % that is not followed by two hex digits (a % itself is %25)"),
    (ATTRIBUTES, "a%zz=b", "entry 1 has a % that is not followed by two hex digits (a % itself is %25)"),
    (ATTRIBUTES, "%C3=b", "entry 1 is not valid UTF-8"),
    (OWN_ATTRIBUTES, "container%2Eid=b", "container.id cannot be set, it says whose the records are"),
    (ATTRIBUTES, "a=%C3", "entry 1 is not valid UTF-8"),
    (ATTRIBUTES, "a=\ud800", "entry 1 is not valid UTF-8"),
    (ATTRIBUTES, "a\x00=b", "entry 1 has control characters in its key"),
    (PATTERN, "a)b", "unexpected ) at character 2"),
    (PATTERN, "(?=a)", "invalid perl operator at character 1"),
    (PATTERN, "\ud800", "not valid UTF-8"),
]


@pytest.mark.parametrize(("kind", "text", "value"), TAKEN)
def test_taken(kind: Kind[Any], text: str, value: object) -> None:
    found = kind.parse(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("kind", "text", "reason"), REFUSED)
def test_refused(kind: Kind[Any], text: str, reason: str) -> None:
    with pytest.raises(ValueError) as fault:
        kind.parse(text)
    assert str(fault.value) == reason
    assert kind.allowed


def test_a_matcher_takes_text_and_other_bytes() -> None:
    matcher = patterns.Matcher("p=.")
    assert matcher.finds("xp=é".encode()) and matcher.finds(b"xp=\xff") and not matcher.finds(b"x=\xff")
    assert matcher.masked(b"a p=\xff b p=c", b"*") == b"a * b *"
    assert patterns.Matcher("p=(?P<secret>.)", "secret").masked(b"p=a p=b", b"*") == b"p=* p=*"
    assert patterns.Matcher("x*").masked(b"axa", b"*") == b"a*a"


def test_a_pattern_does_not_backtrack() -> None:
    assert not patterns.compiled("(a+)+$").search("a" * 5000 + "b")


@pytest.mark.parametrize("value", [0, 1, 1000, 1024, 1536, 10 * 1024**2, 1024**3, 5 * 1024**4])
def test_a_size_reads_back(value: int) -> None:
    assert size(least=0).parse(size_text(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", '"a"'),
        ('a"b', r'"a"b"'),
        ("\n\x1b\ud800ü", r'"\n\x1b\ud800ü"'),
        ("a" * 100, '"' + "a" * 80 + '..."'),
        (5, "5"),
        (["\x00"], r"['\x00']"),
    ],
)
def test_shown(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("http://a:1/b", '"http://a:1/b"'),
        ("http://u:p@a,http://b", '"http://...@a,http://b"'),
        ("http://u:p,q@a", '"http://...@a"'),
        ("http://u:p?q@a", '"http://...@a"'),
        ("u:p@a:1", '"...@a:1"'),
        ("http://a/?k=v,w", '"http://a/?..."'),
        ("http://a/#k", '"http://a/#..."'),
    ],
)
def test_an_endpoint_is_shown_without_credentials(text: str, wanted: str) -> None:
    assert endpoint_shown(text) == wanted


def test_has_path() -> None:
    assert [has_path(text) for text in ("a:1", "http://a", "http://a/", "http://a/b", "http://a/?c")] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_nearest() -> None:
    known = ["otlp-endpoint", "otlp-timeout"]
    assert nearest("OTLP_ENDPONT", known) == "otlp-endpoint"
    assert nearest("colour", known) == ""
    assert nearest("x" * 100_000, known) == ""
