"""Where requests go: the settings of one destination, and how an endpoint is written.

A `Destination` is a plain value. Two containers whose destinations are equal share connections, window and back-off.
Nothing here touches the network or a file. Neither `repr` nor `label` nor an error shows a secret: header values,
keys, and what stands in an endpoint as user, password or query.

An endpoint, with `http/protobuf`, is read in one of three ways (`Reading`):

    whole    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: used as it is, with `/` where it has no path
    base     OTEL_EXPORTER_OTLP_ENDPOINT: `/v1/logs` is added to it
    either   otlp-endpoint, otlp-mirror: the same as base, but one that ends in `/v1/logs` is used as it is, because
             there is one log-opt for those who know either variable

A query stays at the end; path and query are sent as they are written. With `grpc`: `http://host:port` (plain),
`https://host:port` (TLS) or `host:port` (TLS unless `insecure`). Without a port a URL means 80 or 443, as the OTLP
specification says. `user:password@` before the host becomes HTTP basic authentication in both protocols.

Compression `auto` is decided here, for each endpoint by what is written: gzip, but none to this machine. An endpoint
`localhost` that is reached through `otlp-proxy` is the proxy's machine, so it gets gzip; the proxies of the environment
are never used for it.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from otellogdriver.errors import OptionError
from otellogdriver.settings.endpoints import LOGS_PATH, address_or_name, below, hidden, is_loopback, whole_url, zoned
from otellogdriver.settings.proxies import NONE

HTTP = "http/protobuf"
GRPC = "grpc"
Reading = Literal["whole", "base", "either"]
"""How an endpoint of HTTP becomes the URL of requests; see the module's text."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint taken apart. `target` is the URL (HTTP) or grpcio's name of host and port; `label` is what may be
    shown; `authorization` is the header that stands for user and password, or empty. `host` has no brackets and no
    zone: the zone of an IPv6 address is for this machine alone, neither a server nor its certificate knows it."""

    target: str
    label: str
    tls: bool
    authorization: str
    host: str
    port: int
    zone: str

    @property
    def authority(self) -> str:
        """Host and port as a server knows them."""
        return f"{bracketed(self.host)}:{self.port}"

    def __repr__(self) -> str:
        return f"Endpoint({self.label})"


@dataclass(frozen=True, slots=True, repr=False)
class Destination:
    """One place that takes OTLP requests. `endpoints` has at least one; further ones are for failover. `timeout` is in
    seconds and bounds one request from the name lookup to the last byte of the answer (0: no bound). `certificate`
    (what to trust), `client_certificate` and `client_key` are a path or PEM text."""

    endpoints: tuple[str, ...]
    protocol: str
    headers: tuple[tuple[str, str], ...] = ()
    headers_file: str = ""
    compression: str = "auto"
    compression_level: int = 1
    timeout: float = 10.0
    certificate: str = ""
    client_certificate: str = ""
    client_key: str = ""
    server_name: str = ""
    insecure: bool = False
    skip_verify: bool = False
    reading: Reading = "either"
    proxy: str = ""
    https_proxy: str = ""
    http_proxy: str = ""
    no_proxy: tuple[str, ...] = ()
    gzipped: frozenset[str] = field(init=False, compare=False)
    """Those of the endpoints whose requests are compressed."""

    def __post_init__(self) -> None:
        gzipped = frozenset(filter(self._is_gzipped, self.endpoints))
        object.__setattr__(self, "gzipped", gzipped)  # the only way into a frozen value

    def _is_gzipped(self, endpoint: str) -> bool:
        if self.compression != "auto" or self.proxy not in ("", NONE):
            return self.compression != "none"
        try:
            return not is_loopback(address_or_name(parse_endpoint(endpoint, self.protocol, self.insecure).host))
        except OptionError:  # whoever sends to it says so
            return True

    @property
    def label(self) -> str:
        """`scheme://host:port` of the preferred endpoint, for logs and metrics."""
        try:
            return parse_endpoint(self.endpoints[0], self.protocol, self.insecure).label
        except (OptionError, IndexError):
            return "invalid-endpoint"

    def __repr__(self) -> str:
        shown = ", ".join(hidden(endpoint) for endpoint in self.endpoints)
        names = ", ".join(name for name, _ in self.headers)
        files = {"certificate": self.certificate, "client_certificate": self.client_certificate}
        proxy = f", proxy={hidden(self.proxy)}" if self.proxy else ""
        tls = "".join(f", {name}={value if _is_path(value) else '(PEM)'}" for name, value in files.items() if value)
        return (
            f"Destination({shown}, {self.protocol}, headers=[{names}], compression={self.compression},"
            f" timeout={self.timeout:g}{tls}{proxy}{', client_key=(set)' if self.client_key else ''})"
        )


def parse_endpoint(text: str, protocol: str, insecure: bool = False, reading: Reading = "either") -> Endpoint:
    """Take an endpoint apart. Raises OptionError, which names what is allowed."""
    if not text or re.search(r"[\s\x00-\x1f\x7f]", text):
        raise _invalid(text, protocol, "it is empty or has white space or control characters")
    if protocol == GRPC and "://" not in text:
        text = f"{'http' if insecure else 'https'}://{text}"
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError:  # its text would quote a part of the endpoint, perhaps of a password
        raise _invalid(text, protocol, "it is not a URL with a valid port") from None
    if url.scheme not in ("http", "https"):
        raise _invalid(text, protocol, "the scheme is missing or not known")
    if not host:
        raise _invalid(text, protocol, "the host is missing")
    tls = url.scheme == "https"
    host, zone = zoned(host)
    port = port or (443 if tls else 80)
    place = f"{bracketed(host + ('%' + zone if zone else ''))}:{port}"
    label = f"{url.scheme}://{place}"
    if protocol == GRPC:
        if url.path.strip("/") or url.query:
            raise _invalid(text, protocol, "a gRPC endpoint has no path")
        # grpcio's resolver of names knows no zones, that of addresses does.
        target = f"ipv6:[{host}%25{zone}]:{port}" if zone else place
        return Endpoint(target, label, tls, _basic(url), host, port, zone)
    written = text.partition("://")[2]
    written = written[len(url.netloc) :]
    target = url_of_requests(f"{label}{written}", reading)
    return Endpoint(target, label, tls, _basic(url), host, port, zone)


def url_of_requests(endpoint: str, reading: Reading) -> str:
    """What an endpoint of HTTP is to be read as; see the module's text."""
    if reading == "whole":
        return whole_url(endpoint)
    as_it_is = reading == "either" and urlsplit(endpoint).path.rstrip("/").endswith(LOGS_PATH)
    return below(endpoint, "" if as_it_is else LOGS_PATH)


def bracketed(host: str) -> str:
    """A host as it stands before a colon and a port."""
    return f"[{host}]" if ":" in host else host


def _invalid(text: str, protocol: str, why: str) -> OptionError:
    forms = "http://host:4317, https://host:4317 or host:4317" if protocol == GRPC else "http(s)://host:4318[/path]"
    return OptionError(f"endpoint {hidden(text)!r}: {why}; with {protocol} write {forms}")


def _basic(url: SplitResult) -> str:
    if url.username is None and url.password is None:
        return ""
    pair = f"{unquote(url.username or '')}:{unquote(url.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")


def _is_path(value: str) -> bool:
    return "-----BEGIN" not in value
