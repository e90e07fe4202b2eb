"""What is known of a stream beside its bytes: its container, its FIFO, and what StartLogging said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otellogdriver.errors import JournalError, may_pass
from otellogdriver.journal import layout
from otellogdriver.journal.stream import Stream


class Entry:
    """A stream with what StartLogging said of it. There may be very many, so it keeps little."""

    __slots__ = ("_file", "_info", "compress", "container_id", "faulty", "keep", "live", "stream")

    def __init__(
        self,
        container_id: str,
        file: str,
        info: Mapping[str, Any] | None,
        stream: Stream,
        keep: int = 0,
        compress: bool = False,
        live: bool = True,
    ) -> None:
        self.container_id = container_id
        self._file: str | None = file
        self.stream = stream
        self.keep = keep
        """Bytes of delivered data that `docker logs` wants kept for this container."""
        self.compress = compress
        self.live = live
        """A FIFO thread or a feed still works on it; until then only delivered segments may go."""
        self.faulty = False
        """A fault was logged, and what failed has not gone well since."""
        self._info = info

    def __repr__(self) -> str:
        return f"Entry({self.stream.directory})"

    @property
    def info(self) -> Mapping[str, Any]:
        """The Info of StartLogging; empty where `meta.json` is lost. It is read from there when it is not kept in
        memory, as for a stream that has ended: ask once. Raises OSError if that may pass: what is only not to be had
        now must not be taken for a container without options."""
        if self._info is not None:
            return self._info
        try:
            return layout.read_meta(self.stream.directory).info
        except (OSError, ValueError, JournalError) as error:
            if may_pass(error):
                raise
            return {}

    @property
    def log_opts(self) -> Mapping[str, str]:
        """The container's log-opts. Raises as `info` does."""
        return self.info.get(layout.LOG_OPTS) or {}

    @property
    def file(self) -> str:
        """The FIFO's path."""
        return self._usual_file if self._file is None else self._file

    @property
    def _usual_file(self) -> str:
        """Where the FIFO of a stream in this place most often is: beside the state directory."""
        place = self.stream.directory
        name = layout.parse_stream_name(place.name)
        return f"{place.parents[3]}/{name[1]}" if name and len(place.parents) > 3 else ""

    def forget_info(self) -> None:
        """Keep what StartLogging said on disk alone."""
        self._info = None
        if self._file == self._usual_file:
            self._file = None

    @property
    def sequence(self) -> int:
        """Which of its container's streams it is, from 0 on."""
        name = layout.parse_stream_name(self.stream.directory.name)
        return name[0] if name else 0
