"""The pictures in the docs, of a driver at work: `python -m tests.tools.screenshot [FOLDER]`.

Without a folder it makes `docs/images/status-page.png` and `store-page.png`, what a search in VictoriaLogs' own page
finds of the same containers; with one it writes there how the status page looks in a wide and a narrow window, light
and dark. The driver, its journal, what it delivers and the store are real; what the containers print is not.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

from tests.engine.victorialogs import VictoriaLogs
from tests.fakes.engine import Container, Engine, frame
from tests.process.metrics_port import port
from tests.tools.browser import Browser

DOCS = Path(__file__).parents[2] / "docs/images"
FOUND = '{service.name="checkout"} severity_number:range[13,24]'
"""The search that is shown."""
SECONDS = 130
"""A sparkline is full by then."""

CONTAINERS = (
    ("shop-web-1", "nginx:1.29", "web", 220),
    ("shop-cart-1", "shop/cart:4.2.1", "cart", 90),
    ("shop-checkout-1", "shop/checkout:2.8.0", "checkout", 35),
    ("shop-payments-1", "shop/payments:1.19", "payments", 18),
    ("shop-search-1", "opensearch:3.3", "search", 60),
    ("shop-mail-1", "shop/mail:0.9", "mail", 4),
    ("postgres", "postgres:18", "postgres", 12),
    ("nightly-report", "shop/report:7", "report", 140),
)
"""Name, image, service, lines a second."""


def prints(container: Container, speed: int, ended: threading.Event) -> None:
    """Print about `speed` lines a second, in waves."""
    chance, phase = random.Random(container.info["ContainerName"]), hash(speed) % 7
    while not ended.wait(0.25):
        wave = speed * (1 + 0.5 * math.sin(time.monotonic() / 11 + phase) + 0.3 * chance.random())
        lines = range(max(0, round(wave / 4 + chance.random() - 0.5)))
        container.write(b"".join(frame(printed(chance, n)) for n in lines))


def printed(chance: random.Random, number: int) -> bytes:
    """A line as services print them."""
    level, status = chance.choices([("info", 200), ("warn", 404), ("error", 503)], [960, 30, 10])[0]
    text = f"GET /items/{chance.randrange(9999)} {status} in {number + 1} ms"
    return json.dumps({"level": level, "msg": text, "trace_id": f"{chance.getrandbits(128):032x}"}).encode()


def search(store: str, query: str) -> str:
    """The address of VictoriaLogs' page with a search of the last five minutes."""
    asked = {"query": query, "g0.range_input": "5m", "g0.relative_time": "last_5_minutes", "limit": "100"}
    return f"{store}/select/vmui/#/?{urllib.parse.urlencode(asked)}"


async def take(folder: Path | None) -> None:
    with tempfile.TemporaryDirectory() as root, VictoriaLogs(Path(root) / "store") as store:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": store.endpoint,
            "OTEL_EXPORTER_OTLP_HEADERS": "VL-Stream-Fields=service.name%2Ccontainer.name%2Chost.name",
            "OTELLOGDRIVER_HOST_NAME": "node-1.example.com",
        }
        with Engine(Path(root) / "driver", environ) as engine:
            ended, threads = threading.Event(), []
            for name, image, service, speed in CONTAINERS:
                options = {"service-name": service, "parse": "json"}
                if folder and name == "nightly-report":  # something to look at for who works on the page
                    options |= {"otlp-endpoint": "http://127.0.0.1:9", "journal-max-size": "1m"}
                container = engine.container(name, options, ContainerImageName=image)
                container.start()
                threads.append(threading.Thread(target=prints, args=(container, speed, ended)))
            for thread in threads:
                thread.start()
            try:
                async with Browser() as browser:
                    await browser.open(f"http://127.0.0.1:{port(engine)}/")
                    await browser.until("total.points.length === POINTS", SECONDS + 30)
                    if folder is None:
                        await browser.window(1240, 700, "light")
                        await browser.screenshot(DOCS / "status-page.png")
                        await browser.open(search(store.url, FOUND), 1240, 700)
                        await browser.until("document.querySelectorAll('.vm-group-logs-row').length > 9", 30)
                        await asyncio.sleep(1)  # the chart above is drawn last
                        await browser.screenshot(DOCS / "store-page.png", whole=False)
                        return
                    for scheme in ("light", "dark"):
                        for width in (1240, 390):
                            await browser.window(width, 800, scheme)
                            await browser.screenshot(folder / f"status-page-{scheme}-{width}.png")
            finally:
                ended.set()
                for thread in threads:
                    thread.join()


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
