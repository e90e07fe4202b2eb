"""Debian's Chromium without a window, driven over its debugging protocol: what a page shows, and how it looks.

In: a URL. Out: values of JavaScript expressions, a screenshot, and everything the page complained of. Nothing is kept:
the profile is a throw-away folder, and the browser's processes end with the context.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import aiohttp

from plugin.debian import require

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


def chromium() -> str:
    """The path of the browser; installed when missing."""
    return require("chromium", "chromium")


class Browser:
    """One browser with one page; an async context manager."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        """Errors of scripts, and what the page's own policy blocked."""
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def __aenter__(self) -> Self:
        command = [chromium(), *FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            self._http = aiohttp.ClientSession()
            port = await self._port()
            async with self._http.get(f"http://127.0.0.1:{port}/json/list") as answer:
                (page,) = [target for target in await answer.json() if target["type"] == "page"]
            self._socket = await self._http.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0)
            self._reader = asyncio.create_task(self._read())
            for domain in ("Page", "Runtime", "Log"):
                await self.call(f"{domain}.enable")
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self.call("Browser.close"), 5)
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._socket.close()
        await self._end()

    async def _end(self) -> None:
        await self._http.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._process.wait, 5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # a session of its own: its helpers, nobody else's
        self._process.wait()
        self._profile.cleanup()

    async def _port(self) -> int:
        file = Path(self._profile.name) / "DevToolsActivePort"
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if file.exists() and (lines := file.read_text().splitlines()):
                return int(lines[0])
            if self._process.poll() is not None:
                break
            await asyncio.sleep(0.05)
        raise AssertionError("the browser did not start")

    async def _read(self) -> None:
        async for message in self._socket:
            told = message.json()
            if "id" in told:
                future = self._answers.pop(told["id"], None)
                if future and not future.done():
                    future.set_result(told)
            elif told["method"] == "Runtime.exceptionThrown":
                details = told["params"]["exceptionDetails"]
                self.complaints.append(details.get("exception", {}).get("description") or details["text"])
            elif told["method"] == "Log.entryAdded" and told["params"]["entry"]["level"] == "error":
                self.complaints.append(told["params"]["entry"]["text"])

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One call of the protocol; AssertionError with its complaint."""
        number = next(self._ids)
        future = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        answer = await asyncio.wait_for(future, 60)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    async def open(self, url: str, width: int = 1280, height: int = 800, scheme: str = "light") -> None:
        await self.window(width, height, scheme)
        await self.call("Page.navigate", url=url)

    async def window(self, width: int, height: int, scheme: str) -> None:
        """Another window for the page that is open: its size in CSS pixels, light or dark."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2,
            mobile=width < 600,
        )
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression comes to."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def until(self, expression: str, within: float = 20.0) -> Any:
        """Wait until an expression comes to something true; its value."""
        end = time.monotonic() + within
        while True:
            with contextlib.suppress(AssertionError):  # the document may be on its way
                if value := await self.value(expression):
                    return value
            if time.monotonic() > end:
                text = await self.value("document.body.innerText")
                raise AssertionError(f"not within {within:g} s: {expression}\n{text}\n{self.complaints}")
            await asyncio.sleep(0.05)

    async def screenshot(self, path: Path, whole: bool = True) -> None:
        """A PNG of the page, all of it or what fits the window."""
        shot = await self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))
