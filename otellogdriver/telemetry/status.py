"""The port for people and Prometheus: the status page at `/` with `/status.json`, `/metrics`, `/healthz`, `/readyz`.

Reads what the driver knows and changes nothing. Loopback by default; no line contents, header values or keys are ever
shown here. `/metrics` is in Prometheus' text format, or OpenMetrics where the client asks for it, with gzip where it
takes that. Its values are read on the event loop; the text, which takes most of the time, is made in a thread, so that
a scrape of many containers does not make the engine's calls wait. So is the import of what only a scrape needs.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from aiohttp import web

from otellogdriver.driver.driver import Driver
from otellogdriver.export.gzip import compress
from otellogdriver.loading import load
from otellogdriver.pool import in_thread
from otellogdriver.telemetry.account import Accounts
from otellogdriver.telemetry.doors import Doors, guard
from otellogdriver.telemetry.events import Events
from otellogdriver.telemetry.exposition import exposition
from otellogdriver.telemetry.overview import Overview
from otellogdriver.telemetry.page import PAGE, POLICY
from otellogdriver.telemetry.report import report
from otellogdriver.telemetry.samples import durations, of_containers, of_driver

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def application(
    driver: Driver, events: Events, problems: Sequence[str], doors: Doors, names: Collection[str]
) -> web.Application:
    """The HTTP application of the metrics port. `problems` are those of the plugin's environment, `doors` hear of
    each request, `names` are those with a dot that it answers to, beside addresses."""
    accounts = Accounts(driver)

    async def page(_: web.Request) -> web.Response:
        headers = {**_HEADERS, "Content-Security-Policy": POLICY}
        return web.Response(text=PAGE, content_type="text/html", headers=headers)

    async def status(_: web.Request) -> web.Response:
        body = json.dumps(report(Overview.of(driver, accounts()), events, list(problems)), separators=(",", ":"))
        return web.Response(text=body, content_type="application/json", headers=_HEADERS)

    async def metrics(request: web.Request) -> web.Response:
        accept = request.headers.get("Accept", "")
        overview = Overview.of(driver, accounts())
        drivers, histograms = of_driver(overview, len(problems)), list(durations(overview))
        packed = "gzip" in request.headers.get("Accept-Encoding", "")

        def make() -> tuple[bytes, str]:
            process = load("prometheus_client.process_collector").ProcessCollector(registry=None)
            content_type = _content_type(accept)
            strict = content_type.startswith("application/openmetrics-text")
            found = of_containers(overview.accounts) | drivers
            text = exposition(found, histograms, process.collect(), strict)
            return compress(text, 1) if packed else b"".join(text), content_type

        body, content_type = await in_thread(make, "scrape")
        headers = {**_HEADERS, "Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if packed:
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=body, headers=headers)

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ready\n") if driver.ready else web.Response(text="not ready\n", status=503)

    app = web.Application(middlewares=[doors.middleware, guard(names)])
    app.router.add_get("/", page)
    app.router.add_get("/status.json", status)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    return app


def _content_type(accept: str) -> str:
    """What is answered to an `Accept` header; the plain format to one that makes no sense."""
    from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder

    try:
        return choose_encoder(accept)[1]
    except Exception:  # what prometheus_client's parser raises depends on what is wrong
        return CONTENT_TYPE_PLAIN_0_0_4
