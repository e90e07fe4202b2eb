"""The endpoint that is looked at, and what was found out about it so far."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from otellogdriver.export.destination import Destination, Endpoint
from otellogdriver.export.proxy import Proxy


@dataclass(slots=True)
class Place:
    """`headers` are the names of those that are sent. `address` is the IP address that took a connection, or was tried
    last."""

    destination: Destination
    endpoint: Endpoint
    headers: tuple[str, ...]
    address: str = ""
    proxy: Proxy | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def host(self) -> str:
        zone = self.endpoint.zone
        return self.endpoint.host + (f"%{zone}" if zone else "")

    @property
    def port(self) -> int:
        return self.endpoint.port

    @property
    def target(self) -> str:
        """Where requests go, without what may be secret."""
        return self.endpoint.label + (urlsplit(self.endpoint.target).path if "://" in self.endpoint.target else "")

    def at(self, scheme: str = "", port: int = 0) -> str:
        """The endpoint as it would be written with another scheme or port."""
        old, _, rest = self.endpoint.label.partition("://")
        return f"{scheme or old}://{rest.rpartition(':')[0]}:{port or self.port}"
