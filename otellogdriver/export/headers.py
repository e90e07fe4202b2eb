"""The headers of a destination, those of its file included.

The file is read again when it is replaced and after the collector has denied us, so that a rotated token heals without
a restart. Raises OptionError that names the file and the fault, never what the file holds.
"""

from __future__ import annotations

from pathlib import Path

from otellogdriver.errors import OptionError
from otellogdriver.export.destination import GRPC, Destination
from otellogdriver.settings.endpoints import HEADERS, not_for_grpc
from otellogdriver.values import shown

_MOST = 1 << 20


def headers_of(destination: Destination) -> tuple[tuple[str, str], ...]:
    """(name in lower case, value) pairs; what the file says wins."""
    headers = {name.lower(): value for name, value in destination.headers}
    if destination.headers_file:
        try:
            with Path(destination.headers_file).open(encoding="utf-8") as file:
                text = file.read(_MOST)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "not a text file"
            raise OptionError(f"otlp-headers-file {destination.headers_file!r}: {why}") from None
        try:
            headers.update(HEADERS.parse(text))
        except ValueError as error:
            raise OptionError(f"otlp-headers-file {destination.headers_file!r}: {error}") from None
        if destination.protocol == GRPC and (name := not_for_grpc(headers)):
            raise OptionError(
                f"otlp-headers-file {destination.headers_file!r}: {shown(name)} is not allowed: with grpc "
                "no name begins with grpc- or ends with -bin"
            )
    return tuple(headers.items())
