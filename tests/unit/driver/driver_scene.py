"""Drivers in this process, one after another on the same directories, and containers whose FIFOs are held open here."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from otellogdriver.codec import python
from otellogdriver.driver.driver import Driver
from otellogdriver.resource import Host
from otellogdriver.settings.options import plugin_settings
from tests.fakes.otlp_server import OtlpServer


class Scene:
    """See the module's text."""

    def __init__(self, root: Path, server: OtlpServer) -> None:
        self.root = root
        self.server = server
        self.environ = {
            "OTELLOGDRIVER_STATE_DIRECTORY": str(root / ".state"),
            "OTELLOGDRIVER_FIFO_DIRECTORY": str(root),
            "OTEL_EXPORTER_OTLP_ENDPOINT": server.endpoint,
        }
        self.driver: Driver
        self.held: dict[str, int] = {}

    def start(self, **environ: str) -> Driver:
        self.environ |= environ
        self.driver = Driver(plugin_settings(self.environ)[0], self.environ, python, Host("node"))
        self.driver.recover()
        return self.driver

    def fifo(self) -> str:
        file = str(self.root / secrets.token_hex(32))
        os.mkfifo(file)
        self.held[file] = os.open(file, os.O_RDWR)
        return file

    async def container(self, identifier: str = "", **options: str) -> str:
        """A container that is started; its FIFO."""
        file = self.fifo()
        config = {key.replace("_", "-"): value for key, value in options.items()}
        info = {"ContainerID": identifier or secrets.token_hex(32), "ContainerName": "/web", "Config": config}
        await self.driver.start_logging(file, info)
        return file

    def write(self, file: str, data: bytes) -> None:
        os.write(self.held[file], data)

    async def stop(self, file: str) -> None:
        await self.driver.stop_logging(file)
        os.close(self.held.pop(file))
        os.unlink(file)

    async def close(self) -> None:
        await self.driver.close()
        for fd in self.held.values():
            os.close(fd)
