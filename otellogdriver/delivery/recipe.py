"""How the lines of one stream become records, decided in this one place for the driver and for `journal`.

In: a container, its settings, the codec. Out: a `Recipe`, which makes feeds. What `journal show` and `journal export`
give is made by the same recipe as what the driver sends, so a secret that the driver hides is hidden there, too.
"""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from otellogdriver.codec import wire
from otellogdriver.codec.contract import Codec, EncodeOptions, Encoder
from otellogdriver.container import Container
from otellogdriver.errors import DriverError, ProtocolError
from otellogdriver.journal.cursor import Cursor
from otellogdriver.journal.entry import Entry
from otellogdriver.loading import load
from otellogdriver.resource import Host, resource_of
from otellogdriver.settings.options import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from otellogdriver.delivery.feed import Feed

log = logging.getLogger(__name__)

_STREAMS = {"stdout": 1, "stderr": 2}
_UNKNOWN = "/unknown"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is the same for all feeds of a stream. `resource` is the encoded Resource."""

    settings: Settings
    codec: Codec
    options: EncodeOptions
    service_name: str
    resource: bytes

    @classmethod
    def of(
        cls,
        container: Container,
        settings: Settings,
        file: str,
        codec: Codec,
        host: Host,
        all_streams: bool = False,
    ) -> Recipe:
        """The recipe for the FIFO `file` of a container that runs. Settings from which no resource can be made are
        logged and left out. `all_streams`: with the lines that the option `streams` excludes."""
        resource = _resource(container, settings, host)
        name = os.path.basename(file).encode()
        options = EncodeOptions(
            uid=hashlib.blake2b(name, digest_size=8).digest() if settings.record_uid else None,
            streams=3 if all_streams else _STREAMS.get(settings.streams, 3),
            keep_bytes=settings.invalid_utf8 == "bytes",
        )
        service_name = str(resource.attributes.get("service.name", ""))
        return cls(settings, codec, options, service_name, wire.resource(resource.attributes))

    def feed(self, entry: Entry, cursor: Cursor) -> Feed:
        """A feed of the stream, with an encoder of its own, as an encoder remembers lines. Raises OSError."""
        from otellogdriver.delivery.feed import Feed

        return Feed(entry, cursor, self.codec, self.options, self.resource, self._encoder())

    def _encoder(self) -> Encoder:
        if self.settings.lines_as_printed:
            return self.codec
        lines = load("otellogdriver.lines")  # not before it is needed, as with its regular expressions
        encoder: Encoder = lines.line_encoder(self.settings, self.codec, self.options)
        return encoder


def _resource(container: Container, settings: Settings, host: Host) -> Resource:
    for used in (settings, replace(settings, tag=Settings().tag)):
        try:
            return resource_of(container, used, host)
        except DriverError as error:
            log.warning("container %s: %s; its records go without", container.id[:12], error)
    return resource_of(container, Settings(), host)


def container_of(entry: Entry) -> Container:
    """The container of a stream that is found on disk; where `meta.json` is lost, all that is known is its id."""
    try:
        return Container.from_info(entry.info)
    except ProtocolError:
        return Container.from_info({"ContainerID": entry.container_id, "ContainerName": _UNKNOWN})
