"""Name look-ups: none spoils the next one."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

import pytest

from otellogdriver.export import resolver as resolver_module
from otellogdriver.export.resolver import Resolver, replaced


async def test_a_name_becomes_addresses() -> None:
    found = await Resolver().resolve("localhost", 80, socket.AF_INET)
    assert found[0]["host"] == "127.0.0.1" and found[0]["port"] == 80
    with pytest.raises(OSError):
        await Resolver().resolve("no-such-host.invalid", 80)


@pytest.mark.parametrize("fault", [RuntimeError("can't start new thread"), MemoryError()])
async def test_a_look_up_that_finds_no_thread_is_made_by_the_next_caller(
    fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver()

    def start(_: threading.Thread) -> None:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        for _ in range(2):
            with pytest.raises(OSError if isinstance(fault, RuntimeError) else MemoryError):
                await resolver.resolve("localhost", 80, socket.AF_INET)
    assert (await resolver.resolve("localhost", 80, socket.AF_INET))[0]["host"] == "127.0.0.1"


async def test_a_look_up_that_meets_a_lack_of_memory_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor whoever asks for the same name afterwards."""
    resolver = Resolver()

    def getaddrinfo(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        with pytest.raises(MemoryError):
            await asyncio.wait_for(resolver.resolve("localhost", 80, socket.AF_INET), 5)
    found = await asyncio.wait_for(resolver.resolve("localhost", 80, socket.AF_INET), 5)
    assert found[0]["host"] == "127.0.0.1"


def test_a_file_that_was_replaced_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 127.0.0.1")
    with path.open() as mounted:
        # As with a mount of a single file: the name stays, the file behind it has none any more.
        seen = f"/proc/self/fd/{mounted.fileno()}"
        monkeypatch.setattr(resolver_module, "FILES", (seen, str(tmp_path / "missing")))
        assert replaced() == ""
        (tmp_path / "new").write_text("nameserver 127.0.0.2")
        (tmp_path / "new").replace(path)
        assert "has been replaced" in replaced() and "disable and enable" in replaced()
