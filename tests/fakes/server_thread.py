"""The scripted OTLP server in a thread of its own, for code without an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

from tests.fakes.engine import LONG
from tests.fakes.otlp_server import OtlpServer

T = TypeVar("T")


class ServerThread:
    """Takes the settings of OtlpServer. `server` may be read from any thread, its coroutines go through `run`."""

    def __init__(self, protocol: str = "http/protobuf", **settings: Any) -> None:
        self._settings = {"protocol": protocol, **settings}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="otlp server")
        self.server: OtlpServer

    def __enter__(self) -> Self:
        self._thread.start()
        self.server = self.run(self._made())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.server.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _made(self) -> OtlpServer:
        return await OtlpServer(**self._settings).__aenter__()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine such as `thread.server.down()` in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def reach(self, records: int = 0, requests: int = 0, within: float = LONG) -> None:
        self.run(self.server.reach(records, requests, within))

    def down(self) -> None:
        self.run(self.server.down())

    def up(self) -> None:
        self.run(self.server.up())
