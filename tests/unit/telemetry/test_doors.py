"""Which names in a Host header are a driver's own."""

from __future__ import annotations

import pytest

from otellogdriver.telemetry.doors import is_local


@pytest.mark.parametrize(
    "host", ["", "localhost", "LOCALHOST:1", "a.localhost", "127.0.0.1", "10.1.2.3:9464", "[::1]", "[fe80::1]:80",
             "::1", "driver", "driver:9464", "node.example", "NODE.example.:9464"],
)  # fmt: skip
def test_own(host: str) -> None:
    assert is_local(host, {"node.example"})


@pytest.mark.parametrize(
    "host", ["evil.com", "evil.com:80", "127.0.0.1.evil.com", "1.2.3.4.5", "[evil.com]", "a.b:c:d",
             "localhost.evil.com", "127.0.0.1@evil.com", "node.example.evil.com"],
)  # fmt: skip
def test_of_others(host: str) -> None:
    assert not is_local(host, {"node.example"})
