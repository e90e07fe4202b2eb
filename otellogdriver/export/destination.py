"""Where requests go: the settings of one destination, and how an endpoint is written.

A `Destination` is a plain value. Two containers whose destinations are equal share connections, window and back-off.
Nothing here touches the network or a file. Neither `repr` nor `label` nor an error shows a secret: header values,
keys, and what stands in an endpoint as user, password or query.

An endpoint, with `http/protobuf`:

    http://collector:4318                    sends to http://collector:4318/v1/logs
    https://vendor.example/otlp              sends to https://vendor.example/otlp/v1/logs
    https://vendor.example/otlp/v1/logs      is used as it is

There is one endpoint option, so it must please who knows `OTEL_EXPORTER_OTLP_ENDPOINT` (a base that gets `/v1/logs`)
and who knows `OTEL_EXPORTER_OTLP_LOGS_ENDPOINT` (used as it is, and in practice ends in `/v1/logs`). A query stays
behind the path. With `grpc`: `http://host:port` (plain), `https://host:port` (TLS) or `host:port` (TLS unless
`insecure`). Without a port a URL means 80 or 443, as the OTLP specification says. `user:password@` before the host
becomes HTTP basic authentication in both protocols.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from otellogdriver.errors import OptionError
from otellogdriver.settings.endpoints import HEADER_NAME, HEADER_VALUE

HTTP = "http/protobuf"
GRPC = "grpc"
PATH = "/v1/logs"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint taken apart. `target` is the URL (HTTP) or host:port (gRPC); `label` is what may be shown;
    `authorization` is the header that stands for user and password, or empty."""

    target: str
    label: str
    tls: bool
    authorization: str

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
    compression: str = "gzip"
    compression_level: int = 1
    timeout: float = 10.0
    certificate: str = ""
    client_certificate: str = ""
    client_key: str = ""
    server_name: str = ""
    insecure: bool = False
    skip_verify: bool = False

    @property
    def label(self) -> str:
        """`scheme://host:port` of the preferred endpoint, for logs and metrics."""
        try:
            return parse_endpoint(self.endpoints[0], self.protocol, self.insecure).label
        except (OptionError, IndexError):
            return "invalid-endpoint"

    def __repr__(self) -> str:
        shown = ", ".join(shown_endpoint(endpoint) for endpoint in self.endpoints)
        names = ", ".join(name for name, _ in self.headers)
        files = {"certificate": self.certificate, "client_certificate": self.client_certificate}
        tls = "".join(f", {name}={value if _is_path(value) else '(PEM)'}" for name, value in files.items() if value)
        return (
            f"Destination({shown}, {self.protocol}, headers=[{names}], compression={self.compression},"
            f" timeout={self.timeout:g}{tls}{', client_key=(set)' if self.client_key else ''})"
        )


def parse_endpoint(text: str, protocol: str, insecure: bool = False) -> Endpoint:
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
    place = f"{f'[{host}]' if ':' in host else host}:{port or (443 if tls else 80)}"
    label = f"{url.scheme}://{place}"
    if protocol == GRPC:
        if url.path.strip("/") or url.query:
            raise _invalid(text, protocol, "a gRPC endpoint has no path")
        return Endpoint(place, label, tls, _basic(url))
    path = url.path.rstrip("/")
    path = path if path.endswith(PATH) else path + PATH
    return Endpoint(label + path + (f"?{url.query}" if url.query else ""), label, tls, _basic(url))


def check_headers(headers: Iterable[tuple[str, str]], protocol: str) -> None:
    """Raise OptionError for a header that cannot be sent. Names the header, never its value."""
    for name, value in headers:
        if not HEADER_NAME.fullmatch(name):
            raise OptionError(f"header {name!r}: a name is made of letters, digits and any of !#$%&'*+-.^_`|~")
        if protocol == GRPC and (name.lower().startswith("grpc-") or name.lower().endswith("-bin")):
            raise OptionError(f"header {name!r}: with grpc a name neither begins with grpc- nor ends with -bin")
        if not HEADER_VALUE.fullmatch(value):
            raise OptionError(f"header {name!r}: its value may only have printable ASCII characters")


def shown_endpoint(text: str) -> str:
    """The endpoint without what may be secret in it, also when it is not a valid one."""
    before, slashes, behind = text.rpartition("://")
    place = re.split(r"[?#]", behind, maxsplit=1)[0]
    if "@" in behind and "@" not in place:  # perhaps a password with ? or # in it
        place = "***"
    return before + slashes + place.rpartition("@")[2]


def _invalid(text: str, protocol: str, why: str) -> OptionError:
    forms = "http://host:4317, https://host:4317 or host:4317" if protocol == GRPC else "http(s)://host:4318[/path]"
    return OptionError(f"endpoint {shown_endpoint(text)!r}: {why}; with {protocol} write {forms}")


def _basic(url: SplitResult) -> str:
    if url.username is None and url.password is None:
        return ""
    pair = f"{unquote(url.username or '')}:{unquote(url.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")


def _is_path(value: str) -> bool:
    return "-----BEGIN" not in value
