"""How proxies are written, and what goes past them."""

from __future__ import annotations

import pytest

from otellogdriver.errors import OptionError
from otellogdriver.settings.options import Settings, resolve
from otellogdriver.settings.proxies import NO_PROXY, PROXY, goes_past


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", ""),
        ("None", "none"),
        ("proxy:3128", "http://proxy:3128"),
        ("http://u:p@proxy:3128/", "http://u:p@proxy:3128/"),
        ("https://proxy", "https://proxy"),
    ],
)
def test_taken(text: str, wanted: str) -> None:
    assert PROXY.parse(text) == wanted


@pytest.mark.parametrize(
    "text", ["socks5://p:1", "http://", "http://p/x", "http://p?x", "http://u:hunter2@:1", "127.1:1"]
)
def test_refused_without_showing_it(text: str) -> None:
    with pytest.raises(OptionError) as fault:
        resolve({"otlp-proxy": text}, {})
    assert str(fault.value).startswith('log-opt "otlp-proxy": ') and "hunter2" not in str(fault.value)


@pytest.mark.parametrize(
    ("listed", "host", "port", "past"),
    [
        ("", "localhost", 1, True),
        ("", "127.8.8.8", 1, True),
        ("", "::1", 1, True),
        ("", "collector", 1, False),
        ("*", "collector", 1, True),
        ("example.com", "example.com", 1, True),
        ("example.com", "a.example.com", 1, True),
        ("example.com", "notexample.com", 1, False),
        (".example.com", "example.com", 1, False),
        ("*.example.com,x", "a.EXAMPLE.com.", 1, True),
        ("example.com:4318", "example.com", 4318, True),
        ("example.com:4318", "example.com", 4317, False),
        ("10.0.0.0/8", "10.1.2.3", 1, True),
        ("10.0.0.0/8", "11.1.2.3", 1, False),
        ("10.1.2.3", "10.1.2.3", 1, True),
        ("[fe80::1]:5", "fe80::1", 5, True),
        ("fd00::/8", "fd00::2", 1, True),
        ("fd00::/8", "10.0.0.1", 1, False),
        ("a, b  c", "c", 1, True),
    ],
)
def test_goes_past(listed: str, host: str, port: int, past: bool) -> None:
    assert goes_past(host, port, NO_PROXY.parse(listed)) is past


def test_variables_in_both_cases() -> None:
    for variables in (("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"), ("https_proxy", "http_proxy", "no_proxy")):
        found = resolve({}, dict(zip(variables, ("http://a", "b:1", "c,d"), strict=True)))
        assert (found.https_proxy, found.http_proxy, found.no_proxy) == ("http://a", "http://b:1", ("c", "d"))
    assert resolve({}, {"HTTPS_PROXY": "http://a", "https_proxy": "http://b"}).https_proxy == "http://a"


def test_credentials_are_not_in_a_repr() -> None:
    given = "http://u:hunter2@p"
    assert "hunter2" not in repr(Settings(otlp_proxy=given, https_proxy=given, http_proxy=given))
