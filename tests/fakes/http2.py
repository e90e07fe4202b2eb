"""A server that speaks just enough HTTP/2 to answer a call in ways that no gRPC server does: it resets streams, goes
away, answers as a proxy that knows no gRPC, answers at too great a length. And a proxy before a gRPC server that breaks
off the calls with something in them."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def h2_frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def fields(**pairs: str) -> bytes:
    """A header block of literals, `_` in names for `-`, `status` for `:status`."""
    found = b""
    for key, value in pairs.items():
        name = ":status" if key == "status" else key.replace("_", "-")
        found += bytes([0, len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    return found


def reset(code: int) -> bytes:
    return h2_frame(RST_STREAM, 0, 1, struct.pack(">I", code))


def goaway(code: int, last: int = 0) -> bytes:
    """`last`: the last stream that is still served."""
    return h2_frame(GOAWAY, 0, 0, struct.pack(">II", last, code))


def proxy(status: int) -> bytes:
    return h2_frame(HEADERS, END_STREAM | END_HEADERS, 1, fields(status=str(status), content_type="text/plain"))


def grpc_status(code: int, message: str = "the server says so") -> bytes:
    block = fields(status="200", content_type="application/grpc", grpc_status=str(code), grpc_message=message)
    return h2_frame(HEADERS, END_STREAM | END_HEADERS, 1, block)


def message(size: int) -> bytes:
    """An answer with status OK whose message has `size` bytes."""
    found = h2_frame(HEADERS, END_HEADERS, 1, fields(status="200", content_type="application/grpc"))
    data = b"\0" + struct.pack(">I", size) + b"x" * size
    for at in range(0, len(data), 16_000):
        found += h2_frame(DATA, 0, 1, data[at : at + 16_000])
    return found + h2_frame(HEADERS, END_STREAM | END_HEADERS, 1, fields(grpc_status="0"))


def packed(encoding: str) -> bytes:
    """An answer with status OK whose message says that it is compressed, and is not; `encoding` may be empty."""
    block = fields(status="200", content_type="application/grpc", **({"grpc_encoding": encoding} if encoding else {}))
    data = b"\1" + struct.pack(">I", 9) + b"x" * 9
    end = h2_frame(HEADERS, END_STREAM | END_HEADERS, 1, fields(grpc_status="0"))
    return h2_frame(HEADERS, END_HEADERS, 1, block) + h2_frame(DATA, 0, 1, data) + end


@contextlib.asynccontextmanager
async def answering(answer: bytes, first: bytes = b"") -> AsyncIterator[str]:
    """The endpoint of a server that gives this answer to the first call of each connection, on which it has sent
    `first` before."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(24)
        writer.write(h2_frame(SETTINGS, 0, 0) + first)
        while True:
            kind, flags, _, payload = await _frame(reader)
            if kind in (SETTINGS, PING) and not flags & ACK:
                writer.write(h2_frame(kind, ACK, 0, payload if kind == PING else b""))
            if kind in (DATA, HEADERS) and flags & END_STREAM:
                writer.write(answer)
            await writer.drain()

    async with _serving(serve) as endpoint:
        yield endpoint


@contextlib.asynccontextmanager
async def breaking(server: str, mark: bytes, code: int | None) -> AsyncIterator[str]:
    """The endpoint of a proxy before `server` that resets, with `code`, the streams of calls with `mark` in them;
    without a code it aborts their connections."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = server.rpartition("/")[2].split(":")
        opening = asyncio.ensure_future(asyncio.open_connection(host, int(port)))
        try:
            there, on = await asyncio.shield(opening)
        except asyncio.CancelledError:
            (await opening)[1].transport.abort()
            raise
        back = asyncio.create_task(_pass_on(there, writer))
        seen: dict[int, bytes] = {}
        try:
            on.write(await reader.readexactly(24))
            while True:
                kind, flags, stream, payload = await _frame(reader)
                if kind == DATA:
                    seen[stream] = seen.get(stream, b"")[1 - len(mark) :] + payload
                    if mark in seen[stream]:
                        if code is None:
                            writer.transport.abort()
                            return
                        for each in (writer, on):
                            each.write(h2_frame(RST_STREAM, 0, stream, struct.pack(">I", code)))
                on.write(h2_frame(kind, flags, stream, payload))
                await on.drain()
        finally:
            on.transport.abort()  # first: whoever ends all of this may cancel what is waited for here
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)

    async with _serving(serve) as endpoint:
        yield endpoint


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Frame by frame, for between them others write, too."""
    try:
        while True:
            writer.write(h2_frame(*await _frame(reader)))
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        writer.transport.abort()


async def _frame(reader: asyncio.StreamReader) -> tuple[int, int, int, bytes]:
    head = await reader.readexactly(9)
    return head[3], head[4], int.from_bytes(head[5:], "big"), await reader.readexactly(int.from_bytes(head[:3], "big"))


@contextlib.asynccontextmanager
async def _serving(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not server.is_serving():  # taken at the very end
            writer.transport.abort()
            return
        writers.append(writer)
        task = asyncio.get_running_loop().create_task(one(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:  # also one whose task was cancelled before it began
            if not writer.is_closing():
                writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
