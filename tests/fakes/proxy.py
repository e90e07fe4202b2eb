"""A proxy for CONNECT with a script: what it answers, whether it wants a password, whether it speaks TLS itself.

Every name leads to loopback, so that a tunnel to `collector.test` is one to a server here.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from tests.engine.loopback import free_port


@dataclass
class Proxy:
    """As a context manager it listens. `answer` is sent in place of a tunnel; `heads` are the requests that came."""

    tls: ssl.SSLContext | None = None
    answer: bytes = b""
    authorization: str = ""
    heads: list[str] = field(default_factory=list)
    port: int = field(default_factory=free_port)
    passed: int = 0
    """Bytes that went through tunnels towards servers."""

    @property
    def endpoint(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def targets(self) -> list[str]:
        return [head.split(" ")[1] for head in self.heads]

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._connect(reader, writer)
        except asyncio.CancelledError:
            pass  # at the end; asyncio's streams would log it as a fault
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        if self.authorization and f"Proxy-Authorization: {self.authorization}\r\n" not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        if self.answer:
            writer.write(self.answer)
            await writer.drain()
            return
        port = int(head.split(" ")[1].rpartition(":")[2])
        there_reader, there = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
        ways = [
            asyncio.create_task(_pass(reader, there, self._count)),
            asyncio.create_task(_pass(there_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            there.transport.abort()
            await asyncio.gather(*ways, return_exceptions=True)

    def _count(self, size: int) -> None:
        self.passed += size


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passed: Callable[[int], object] = lambda _: None
) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            passed(len(data))
            writer.write(data)
            await writer.drain()
