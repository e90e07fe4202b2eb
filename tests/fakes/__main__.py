"""The scripted OTLP server as a program, steered over HTTP by an end-to-end test.

    python -m tests.fakes --protocol grpc --port 4317 --control 4400
    POST /script {"script": [{"do": "status", "status": 503, "retry_after": "1"}], "default": {"do": "ok"}}
    POST /down · POST /up · POST /reset · GET /stats · GET /records[?container=ID]   (JSON lines)

The first line on stdout is JSON with the `endpoint` and the `control` port. It ends on SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fakes.behaviour import behaviour_from
from tests.fakes.otlp_server import OtlpServer, ServerTls


async def control(server: OtlpServer, port: int) -> asyncio.Server:
    """Serve the control channel on loopback."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = next(
                (int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0
            )
            method, target, _ = head.split(" ", 2)
            told = json.loads(await reader.readexactly(length) or b"{}")
            code, chunks = await _command(server, method, urlsplit(target).path, urlsplit(target).query, told)
            writer.write(f"HTTP/1.1 {code} Status\r\nConnection: close\r\n\r\n".encode())
            async for chunk in chunks:
                writer.write(chunk)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", port)


async def _command(
    server: OtlpServer, method: str, path: str, query: str, told: dict[str, Any]
) -> tuple[int, AsyncIterator[bytes]]:
    async def one(value: object) -> AsyncIterator[bytes]:
        yield json.dumps(value).encode() + b"\n"

    async def lines(container: str) -> AsyncIterator[bytes]:
        for record in server.records(container):
            yield json.dumps({**vars(record), "body": _text(record.body)}).encode() + b"\n"

    if (method, path) == ("GET", "/stats"):
        return 200, one(server.stats())
    if (method, path) == ("GET", "/records"):
        return 200, lines(parse_qs(query).get("container", [""])[0])
    commands: dict[str, Callable[[], Any]] = {"/up": server.up, "/down": server.down, "/reset": server.reset}
    if method == "POST" and path in commands:
        done = commands[path]()
        if done is not None:
            await done
        return 200, one({"done": path[1:]})
    if (method, path) == ("POST", "/script"):
        try:
            script = [behaviour_from(each) for each in told.get("script", ())]
            default = behaviour_from(told["default"]) if "default" in told else server.default
        except (TypeError, ValueError) as error:
            return 400, one({"error": str(error)})
        server.script.extend(script)
        server.default = default
        return 200, one({"script_left": len(server.script)})
    return 404, one({"error": f"{method} {path}: not known"})


def _text(body: str | bytes) -> str:
    return body if isinstance(body, str) else body.decode("utf-8", "backslashreplace")


async def _main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--protocol", default="http/protobuf", choices=("http/protobuf", "grpc"))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control", type=int, default=0, help="port of the control channel on 127.0.0.1")
    parser.add_argument("--discard", action="store_true", help="count, but keep no bodies")
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--client-ca", type=Path)
    given = parser.parse_args()
    tls = ServerTls(given.certificate, given.key, given.client_ca) if given.certificate else None
    async with OtlpServer(given.protocol, given.port, tls, given.host, keep=not given.discard) as server:
        channel = await control(server, given.control)
        ports = {"endpoint": server.endpoint, "control": channel.sockets[0].getsockname()[1]}
        print(json.dumps(ports), flush=True)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        channel.close()


if __name__ == "__main__":
    try:
        asyncio.run(_main())
    except KeyboardInterrupt:
        sys.exit(0)
