"""Network values of options: OTLP endpoints, listen addresses, headers and attribute lists.

Same contract as `values.py`: any text goes in, a value or ValueError comes out, and the error never repeats the text,
since an endpoint may carry credentials and headers do. Formats: OpenTelemetry specification, "OTLP Exporter
Configuration" and "Resource SDK"; both lists are W3C Baggage without metadata.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from otellogdriver.values import Kind, check_text, shown

if TYPE_CHECKING:  # a start without addresses does without this module
    from ipaddress import IPv4Address, IPv6Address

Pairs = tuple[tuple[str, str], ...]

_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?", re.ASCII)
_NUMERIC = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)
_LABEL = 63
"""Characters of one part of a name: RFC 1035."""
_ZONE = re.compile(r"%(?:25)?[A-Za-z0-9._~-]{1,15}", re.ASCII)
_SPLIT_ADDRESS = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*):([0-9]{1,5})", re.ASCII)
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
"""A field name: RFC 9110, section 5.6.2."""
HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*", re.ASCII)


def _check_host(host: str) -> None:
    """Raise ValueError for what can never be a host, whatever name servers say."""
    if ":" in host:
        from ipaddress import IPv6Address

        address, percent, zone = host.partition("%")
        try:
            IPv6Address(address)
        except ValueError:
            raise ValueError("the host in brackets is not an IPv6 address") from None
        if percent and not _ZONE.fullmatch(percent + zone):
            raise ValueError("what is after the % of the IPv6 address is not the name of an interface")
        return
    if not _HOST.fullmatch(host) or ".." in host:
        raise ValueError("no host" if not host else "the host is not a name or an address")
    labels = host.removesuffix(".").split(".")
    if any(len(label) > _LABEL for label in labels):
        raise ValueError(f"a part of the host's name is longer than {_LABEL} characters")
    if _NUMERIC.fullmatch(labels[-1]):
        # No name ends in a number (RFC 1123), and of addresses only the full form means the same to every program.
        from ipaddress import IPv4Address

        try:
            IPv4Address(host)
        except ValueError:
            raise ValueError("the host is neither a name nor an address of four numbers such as 127.0.0.1") from None


def _check_peer(host: str) -> None:
    """The same for a host to connect to: addresses of many hosts at once are none."""
    _check_host(host)
    if ":" in host or _NUMERIC.fullmatch(host.rpartition(".")[2]):
        from ipaddress import IPv4Address, ip_address

        address = ip_address(host.partition("%")[0])
        if address.is_multicast or address == IPv4Address("255.255.255.255"):
            raise ValueError("the host is an address of many hosts (multicast), not of one")


def address_or_name(host: str) -> IPv4Address | IPv6Address | str:
    """The address that a host is, or its name, in lower case and without the dot at the end."""
    from ipaddress import ip_address

    host = host.lower().rstrip(".")
    try:
        return ip_address(host)
    except ValueError:
        return host


def is_loopback(host: IPv4Address | IPv6Address | str) -> bool:
    """Whether a host, as `address_or_name` gives it, is this machine by what is written: `localhost`, 127.0.0.0/8 or
    ::1. No name is looked up."""
    if isinstance(host, str):
        return host == "localhost"
    return (getattr(host, "ipv4_mapped", None) or host).is_loopback


def zoned(host: str) -> tuple[str, str]:
    """(address, zone) of a checked host. RFC 6874 writes the % before the zone of an IPv6 address as %25; a bare one is
    taken, too. Only IPv6 addresses have a zone."""
    address, percent, zone = host.partition("%")
    return address, (zone[2:] if zone.startswith("25") and len(zone) > 2 else zone) if percent else ""


def _split_address(text: str) -> tuple[str, int]:
    match = _SPLIT_ADDRESS.fullmatch(text)
    if match is None:
        raise ValueError("not of the form host:port")
    bracketed = match[1].startswith("[")
    if bracketed and ":" not in match[1]:
        raise ValueError("the host in brackets is not an IPv6 address")
    host = match[1][1:-1] if bracketed else match[1]
    _check_host(host)
    if int(match[2]) > 65535:
        raise ValueError("the port is more than 65535")
    return host, int(match[2])


def check_endpoint(text: str) -> str:
    """The text itself if it can be an endpoint. Raises ValueError."""
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError("spaces, control characters or letters that URLs do not have")
    if "://" not in text:
        host, number = _split_address(text)
        if number == 0:
            raise ValueError("the port is 0")
        _check_peer(host)
        return text
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        # Its texts repeat what they complain of, which may be a piece of a password.
        raise ValueError("the host or the port is malformed") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError("the scheme is not http or https")
    if "#" in text:
        raise ValueError("a fragment (#) in it")
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("the port is 0 or missing after the colon")
    _check_peer(parts.hostname or "")
    return text


def _endpoints(text: str) -> tuple[str, ...]:
    parts = [part.strip() for part in text.split(",")]
    found: list[str] = []
    for part in filter(None, parts):
        try:
            found.append(check_endpoint(part))
        except ValueError as fault:
            where = f"endpoint {parts.index(part) + 1}: " if len(parts) > 1 else ""
            raise ValueError(f"{where}{fault}") from None
    if len(set(found)) < len(found):
        raise ValueError("an endpoint is named twice")
    return tuple(found)


def _some_endpoints(text: str) -> tuple[str, ...]:
    found = _endpoints(text)
    if not found:
        raise ValueError("no endpoint in it")
    return found


_FORM = "http://host[:port][/path], https://host[:port][/path] or, for grpc, host:port; several separated by commas"
ENDPOINTS: Kind[tuple[str, ...]] = Kind(_some_endpoints, _FORM, "URLs")
ENDPOINTS_OR_NONE: Kind[tuple[str, ...]] = Kind(_endpoints, _FORM + ", or nothing", "URLs")


LOGS_PATH = "/v1/logs"


def whole_url(endpoint: str) -> str:
    """The URL of requests to a (checked) endpoint that is used as it is: `/` where it has no path. As text, because a
    path or query taken apart and put together again may not be what was written."""
    place, mark, query = endpoint.partition("?")
    scheme, slashes, rest = place.partition("://")
    return scheme + slashes + (rest if "/" in rest else rest + "/") + mark + query


def below(endpoint: str, path: str = LOGS_PATH) -> str:
    """The URL of requests to a (checked) endpoint that is a base: the path is added, a query stays at the end."""
    place, mark, query = endpoint.partition("?")
    return place.rstrip("/") + path + mark + query


def has_path(endpoint: str) -> bool:
    """Whether there is more in a (checked) endpoint than host and port."""
    parts = urlsplit(endpoint) if "://" in endpoint else None
    return parts is not None and bool(parts.path.strip("/") or parts.query)


def hidden(text: str) -> str:
    """Endpoints, valid or not, without what may hold credentials: all before the last @, all after a ? or #."""
    return re.sub(r"(?s)([?#]).*", r"\1...", re.sub(r"(?s)^(https?://)?.*@", r"\1...@", text))


def endpoint_shown(text: str) -> str:
    """Endpoints for an error text, in quotes and without what may hold credentials."""
    return shown(hidden(text))


def _address(text: str) -> tuple[str, int] | None:
    text = text.strip()
    if text.startswith(":"):
        text = f"0.0.0.0{text}"
    return None if text.lower() == "off" else _split_address(text)


ADDRESS: Kind[tuple[str, int] | None] = Kind(
    _address, "host:port, :port for all addresses (port 0 takes a free one), or off", "host:port or off"
)


def _server_name(text: str) -> str:
    text = text.strip()
    if text:
        _check_host(text)
    return text


SERVER_NAME: Kind[str] = Kind(_server_name, "a host name", "host name")


_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def _pairs(text: str, separators: str) -> list[tuple[int, str, str]]:
    """(number, key, decoded value) of each entry. Raises ValueError that names an entry by its number alone."""
    pairs: list[tuple[int, str, str]] = []
    for place, entry in enumerate(re.split(separators, text), 1):
        if not entry.strip():
            continue
        key, equals, value = entry.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"entry {place} is not of the form key=value")
        if _BAD_PERCENT.search(value):
            raise ValueError(f"entry {place} has a % that is not followed by two hex digits (a % itself is %25)")
        try:
            pairs.append((place, key.strip(), unquote_to_bytes(value.strip()).decode()))
        except UnicodeError:
            raise ValueError(f"entry {place} is not valid UTF-8") from None
    return pairs


_FRAMING = frozenset(
    "connection content-encoding content-length content-type expect keep-alive proxy-connection te trailer "
    "transfer-encoding upgrade".split()
)
"""Headers that say how a request is laid out on its connection; each is the exporter's."""


def _headers(text: str) -> Pairs:
    headers: dict[str, str] = {}
    for place, key, value in _pairs(text, r"[,\r\n]"):
        if not HEADER_NAME.fullmatch(key):
            raise ValueError(f"entry {place} has a name that HTTP headers cannot have")
        if key.lower() in _FRAMING:
            raise ValueError(f"entry {place} is {key.lower()}, which says how a request is laid out and is not yours")
        if not HEADER_VALUE.fullmatch(value):
            raise ValueError(f"entry {place} has a value with characters that HTTP headers cannot have")
        headers[key.lower()] = value.strip()
    return tuple(headers.items())


HEADERS: Kind[Pairs] = Kind(
    _headers, "name=value pairs separated by commas, values percent-encoded where needed", "name=value pairs"
)


def not_for_grpc(names: Iterable[str]) -> str:
    """The first header name that gRPC keeps for itself, or an empty text."""
    return next((name for name in names if name.startswith("grpc-") or name.endswith("-bin")), "")


def _attributes(text: str) -> Pairs:
    attributes: dict[str, str] = {}
    for place, written, value in _pairs(text, ","):
        if _BAD_PERCENT.search(written):
            raise ValueError(f"entry {place} has a % that is not followed by two hex digits (a % itself is %25)")
        try:
            key = unquote_to_bytes(written).decode()
        except UnicodeError:
            raise ValueError(f"entry {place} is not valid UTF-8") from None
        try:
            check_text(key)
        except ValueError:
            raise ValueError(f"entry {place} has control characters in its key") from None
        attributes[key] = value
    return tuple(attributes.items())


ATTRIBUTES: Kind[Pairs] = Kind(
    _attributes, "key=value pairs separated by commas; , = and % percent-encoded", "key=value pairs"
)


def _own_attributes(text: str) -> Pairs:
    attributes = _attributes(text)
    if "container.id" in dict(attributes):
        raise ValueError("container.id cannot be set, it says whose the records are")
    return attributes


OWN_ATTRIBUTES: Kind[Pairs] = Kind(_own_attributes, ATTRIBUTES.allowed, ATTRIBUTES.word)
