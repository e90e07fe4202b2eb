"""Everything a measurement needs, up and running: private engine, both plugins, sink, printers.

Our plugin is the one that `make plugin` builds, with its default settings but for the endpoint.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.engine_api import EngineApi
from bench.goals import GZIP, OURS
from bench.printers import Printer, Printers
from bench.processes import Usage, usage
from bench.programs import SOURCE, program
from bench.sink import Sink
from plugin.build import build
from plugin.private_engine import PrivateEngine
from tests.engine.plugin import Plugin

KEPT = {"max-size": "20m", "max-file": "5"}
"""What the engine's own drivers keep: as much as ours keeps by default. Unlimited, they would fill the disk."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A log driver with options. `delivers` says that its lines come to the sink."""

    name: str
    driver: str
    options: Mapping[str, str] = field(default_factory=dict)
    delivers: bool = False


class Discard(Plugin):
    """The plugin that throws everything away, made from `discard/`."""

    def __init__(self, engine: PrivateEngine, folder: Path) -> None:
        self.engine = engine
        self.name = "discard:latest"
        made = folder / "discard"
        (made / "rootfs").mkdir(parents=True)
        shutil.copy(SOURCE / "discard" / "config.json", made)
        shutil.copy(program("discard"), made / "rootfs" / "discard")
        engine.docker("plugin", "create", self.name, made)

    @property
    def state(self) -> Path:
        """The folder of the host where its FIFOs are: it keeps none beyond its own life."""
        return self.engine.data / "plugins" / self.id / "rootfs" / "run/docker/logging"


class Rig:
    """Use as a context manager."""

    def __init__(self) -> None:
        self.stack = contextlib.ExitStack()
        self.engine = PrivateEngine()
        self.sink = Sink()
        self.groups: dict[str, list[Printer]] = {}

    def __enter__(self) -> Self:
        plugin_folder = build()
        with contextlib.ExitStack() as stack:
            self.folder = Path(tempfile.mkdtemp(prefix="otellogdriver-bench-"))
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            stack.enter_context(self.engine)
            stack.enter_context(self.sink)
            assert self.engine.host and self.engine.home
            self.home = self.engine.home
            self.version = self.engine.docker("version", "--format", "{{.Server.Version}}").strip()
            self.api = EngineApi(self.engine.host)
            self.discard = Discard(self.engine, self.folder)
            self.discard.enable()
            self.plugin = Plugin(self.engine, plugin_folder)
            self.plugin.set(OTEL_EXPORTER_OTLP_ENDPOINT=self.sink.http)
            self.plugin.enable()
            self.printers = stack.enter_context(Printers(self.engine, self.api, self.folder))
            self.stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()

    def baselines(self) -> list[Variant]:
        return [
            Variant("none", "none"),
            Variant("json-file", "json-file", KEPT),
            Variant("local", "local", KEPT),
            Variant("discard plugin", self.discard.name),
        ]

    def ours(self, name: str = OURS, **options: str) -> Variant:
        """Our driver; `options` are log-opts with `_` for `-`."""
        given = {key.replace("_", "-"): value for key, value in options.items()}
        return Variant(name, self.plugin.name, given, delivers=True)

    def gzip(self) -> Variant:
        """As to a collector on another host."""
        return self.ours(GZIP, otlp_compression="gzip")

    def over_grpc(self) -> Variant:
        return self.ours("otellogdriver, gRPC", otlp_protocol="grpc", otlp_endpoint=self.sink.grpc)

    def group(self, variant: Variant, number: int) -> list[Printer]:
        """The first `number` containers of this variant; those that are missing are started."""
        group = self.groups.setdefault(variant.name, [])
        if len(group) < number:
            prefix = re.sub(r"[^a-z0-9]+", "-", f"{variant.name}-{len(group)}".lower())
            group += self.printers.start(prefix, number - len(group), variant.driver, variant.options)
        return group[:number]

    def dismiss(self, name: str) -> None:
        """Remove the containers of the variant with this name."""
        self.printers.remove(self.groups.pop(name, []))

    def plugin_of(self, variant: Variant) -> tuple[Plugin, Path]:
        """The plugin and the socket on which it is called."""
        plugin, name = (self.plugin, "otellogdriver") if variant.delivers else (self.discard, "discard")
        return plugin, Path("/run/docker/plugins") / plugin.id / f"{name}.sock"

    def usage(self, variant: Variant) -> contextlib.AbstractContextManager[Usage]:
        """Measure dockerd, the sink and the plugin that the variant uses (`driver`)."""
        roles = {"dockerd": self.engine.pid, "sink": self.sink.pid}
        if variant.delivers:
            roles["driver"] = self.plugin.pid
        elif variant.driver == self.discard.name:
            roles["driver"] = self.discard.pid
        return usage(roles, self.home)
