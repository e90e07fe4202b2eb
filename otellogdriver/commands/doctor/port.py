"""What speaks at a port: asked when a collector cannot be talked to, so that the advice can be right.

In: an address. Out: one of a few words. One HTTP/1.1 request without a body is sent, which no collector minds: it asks
for a page. Everybody betrays himself by the first bytes of his answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Literal

Speech = Literal["http/1.1", "http/2", "tls", "silence", "closed", "other"]

_PATIENCE = 2.0
_SETTINGS = 4
"""Type of the frame that begins an HTTP/2 connection (RFC 9113, section 3.4)."""
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")
"""An alert or a handshake message of TLS."""
_ABOUT_TLS = (b"HTTPS server", b"HTTPS port", b"SSL-enabled")
"""How servers word that somebody speaks plainly to them."""


async def speech(host: str, port: int, tls: bool) -> Speech:
    """What is spoken at host:port, within TLS (of any certificate) or plainly. Never raises, except CancelledError."""
    context = anybody() if tls else None
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
    except (OSError, TimeoutError):
        return "closed"
    begin = b""
    try:
        async with asyncio.timeout(_PATIENCE):
            writer.write(b"GET / HTTP/1.1\r\nHost: doctor\r\nConnection: close\r\n\r\n")
            while not _says_enough(begin) and (more := await reader.read(512)):
                begin += more
    except TimeoutError:
        if not begin:
            return "tls" if not tls and await shakes_hands(host, port) else "silence"
    except OSError:
        pass
    finally:
        writer.transport.abort()
    if begin.startswith(b"HTTP/"):
        return "tls" if not tls and any(words in begin for words in _ABOUT_TLS) else "http/1.1"
    if len(begin) >= 9 and begin[3] == _SETTINGS:
        return "http/2"
    if not tls and (begin.startswith(_TLS_RECORDS) or not begin and await shakes_hands(host, port)):
        return "tls"
    return "other" if begin else "closed"


def _says_enough(begin: bytes) -> bool:
    """Whether what follows would change nothing; after a status of 400 there may be a word about TLS."""
    if begin.startswith(b"HTTP/"):
        return len(begin) >= 512 or len(begin) >= 12 and begin[9:12] != b"400"
    return len(begin) >= 9


async def shakes_hands(host: str, port: int) -> bool:
    """Whether TLS is spoken at host:port."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(host, port, ssl=anybody())
        writer.transport.abort()
        return True
    return False


async def is_open(host: str, port: int) -> bool:
    """Whether somebody takes connections at host:port."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(host, port)
        writer.transport.abort()
        return True
    return False


def anybody() -> ssl.SSLContext:
    """TLS without a look at the certificate: nothing is sent through it that anybody must not see."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
