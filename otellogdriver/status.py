"""The port for people and Prometheus: `/metrics`, `/healthz`, `/readyz`.

Reads what the driver knows and changes nothing. Loopback by default; no line contents, header values or keys are ever
shown here.
"""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from otellogdriver.driver import Driver
from otellogdriver.metrics import Metrics


def application(driver: Driver) -> web.Application:
    """The HTTP application of the metrics port."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Metrics(driver))

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ready\n") if driver.ready else web.Response(text="not ready\n", status=503)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    return app
