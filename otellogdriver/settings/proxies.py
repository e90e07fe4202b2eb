"""How a proxy is written, and which endpoints go past the proxies of the environment.

In: the texts of `otlp-proxy`, HTTPS_PROXY, HTTP_PROXY and NO_PROXY. Out: checked values, or ValueError that never
repeats the text, which may carry credentials. The variables are read as Go's programs read them, the engine and
the OpenTelemetry Collector among them: loopback and what NO_PROXY lists go without a proxy.
"""

from __future__ import annotations

import contextlib
import re
from ipaddress import IPv4Address, IPv6Address, ip_network
from urllib.parse import urlsplit

from otellogdriver.settings.endpoints import address_or_name, check_endpoint, is_loopback
from otellogdriver.values import Kind

NONE = "none"
"""No proxy, whatever the variables say."""


def _proxy(text: str) -> str:
    text = text.strip()
    if not text or text.lower() == NONE:
        return text.lower()
    url = text if "://" in text else f"http://{text}"
    check_endpoint(url)
    parts = urlsplit(url)
    if parts.path.strip("/") or parts.query:
        raise ValueError("a path in it")
    return url


PROXY: Kind[str] = Kind(
    _proxy, "http://[user:password@]host[:port], https://[user:password@]host[:port], or none", "URL of a proxy"
)


def _no_proxy(text: str) -> tuple[str, ...]:
    if not text.isprintable():
        raise ValueError("control characters or invalid UTF-8 in it")
    return tuple(part for part in re.split(r"[,\s]+", text.lower()) if part)


NO_PROXY: Kind[tuple[str, ...]] = Kind(
    _no_proxy,
    "names (with all below them; with a dot before them only those), addresses, networks such as 10.0.0.0/8, each with "
    "or without a :port, separated by commas; * for all",
    "names and networks",
)


def goes_past(host: str, port: int, listed: tuple[str, ...]) -> bool:
    """Whether an endpoint goes without the proxies of the environment. `host` has neither brackets nor zone."""
    known = address_or_name(host)
    return is_loopback(known) or any(_matches(entry, known, port) for entry in listed)


def _matches(entry: str, known: IPv4Address | IPv6Address | str, port: int) -> bool:
    if entry == "*":
        return True
    with_port = re.fullmatch(r"(\[[^\]]*\]|[^:]*):([0-9]{1,5})", entry)
    if with_port:
        if int(with_port[2]) != port:
            return False
        entry = with_port[1]
    entry = entry.strip("[]")
    if not isinstance(known, str):
        with contextlib.suppress(ValueError):
            return known in ip_network(entry, strict=False)
    if entry.startswith("*."):
        entry = entry[1:]
    host = str(known)
    return host.endswith(entry) if entry.startswith(".") else host == entry or host.endswith(f".{entry}")
