"""The port for people and Prometheus: the status page at `/` with `/status.json`, `/metrics`, `/healthz`, `/readyz`.

Reads what the driver knows and changes nothing. Loopback by default; no line contents, header values or keys are ever
shown here. `/metrics` is in Prometheus' text format, or OpenMetrics where the client asks for it. Its values are read
on the event loop; the text, which takes most of the time, is made in a thread, so that a scrape of many containers does
not make the engine's calls wait.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from typing import cast

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from otellogdriver.delivery.tally import LATENCY_BOUNDS
from otellogdriver.driver.driver import Driver
from otellogdriver.telemetry.account import Accounts
from otellogdriver.telemetry.events import Events
from otellogdriver.telemetry.metrics import METRICS
from otellogdriver.telemetry.page import PAGE, POLICY
from otellogdriver.telemetry.report import report
from otellogdriver.telemetry.samples import durations, samples

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def application(driver: Driver, events: Events, problems: Sequence[str] = ()) -> web.Application:
    """The HTTP application of the metrics port. `problems` are those of the plugin's environment."""
    accounts = Accounts(driver)

    async def page(_: web.Request) -> web.Response:
        headers = {**_HEADERS, "Content-Security-Policy": POLICY}
        return web.Response(text=PAGE, content_type="text/html", headers=headers)

    async def status(_: web.Request) -> web.Response:
        body = json.dumps(report(driver, accounts(), events, list(problems)), separators=(",", ":"))
        return web.Response(text=body, content_type="application/json", headers=_HEADERS)

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        found = families(driver, accounts, len(problems))
        body = await asyncio.to_thread(encode, _Collected(found))
        return web.Response(body=body, headers={**_HEADERS, "Content-Type": content_type})

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ready\n") if driver.ready else web.Response(text="not ready\n", status=503)

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/status.json", status)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    return app


def families(driver: Driver, accounts: Accounts, problems: int) -> list[Metric]:
    """All metrics with their samples, as prometheus_client's values."""
    make = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
    found = {metric.name: make[metric.kind](metric.name, metric.help, labels=metric.labels) for metric in METRICS}
    add = {name: cast("Callable[..., None]", family.add_metric) for name, family in found.items()}
    for name, labels, value in samples(driver, accounts(), problems):
        add[name](labels, value)
    for item in durations(driver):
        total, buckets = 0, []
        for bound, count in zip([*map(str, LATENCY_BOUNDS), "+Inf"], item.counts, strict=True):
            total += count
            buckets.append((bound, total))
        add["otellogdriver_request_duration_seconds"]((item.destination,), buckets, item.seconds)
    return list(found.values())


class _Collected(CollectorRegistry):
    """Families in the place of a registry, as the encoders want it."""

    def __init__(self, found: list[Metric]) -> None:
        super().__init__()
        self._found = found

    def collect(self) -> Iterable[Metric]:
        return self._found
