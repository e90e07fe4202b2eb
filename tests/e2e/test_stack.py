"""The compose stack as users bring it up, in a private engine; the collector is killed and comes back on the way."""

from __future__ import annotations

import ipaddress
import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compose.stack import DEFAULTS, FILE, Stack
from plugin import bridge
from plugin.build import build
from plugin.private_engine import PrivateEngine
from tests.conftest import missing_means_skip
from tests.engine.loopback import free_port, wait_for
from tests.tools.browser import Browser, chromium
from tests.tools.screenshot import search

SERVICES = ("shop", "payments", "report")
LEAST = 12
"""Lines of the slowest of them that must be there before and after the collector's absence."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with missing_means_skip(), PrivateEngine() as engine:
        subnet = free_subnet()
        ports = {name: str(free_port()) for name in DEFAULTS if name.endswith("_PORT")}
        made = Stack(engine, {**ports, "STACK_SUBNET": str(subnet), "STACK_GATEWAY": str(subnet[1])})
        assert made.install(build())
        missing = made.have_images()
        assert [image.partition(":")[0] for image in missing] in ([], ["grafana/grafana"])
        try:
            made.up()
            yield made
        finally:
            made.down()


def free_subnet() -> ipaddress.IPv4Network:
    used = bridge.taken()
    private = ipaddress.IPv4Network("172.29.0.0/16").subnets(new_prefix=24)
    return next(subnet for subnet in private if not any(subnet.overlaps(network) for network in used))


def get(stack: Stack, path: str, **parameters: str) -> Any:
    """The `data` of an answer of Prometheus."""
    port = stack.variables["STACK_PROMETHEUS_PORT"]
    url = f"http://127.0.0.1:{port}{path}?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)["data"]


def sample(stack: Stack, query: str) -> float:
    """One number from Prometheus; 0 if there is none."""
    found = get(stack, "/api/v1/query", query=query)["result"]
    return float(found[0]["value"][1]) if found else 0.0


def stored(stack: Stack, service: str) -> dict[int, str]:
    """The numbered lines of a service that the store has."""
    url = f"http://127.0.0.1:{stack.variables['STACK_VICTORIALOGS_PORT']}/select/logsql/query"
    asked = urllib.parse.urlencode({"query": f'{{service.name="{service}"}}'}).encode()
    with urllib.request.urlopen(url, asked, timeout=30) as answer:
        rows = [json.loads(line) for line in answer]
    return {int(row.get("n") or number(row["_msg"])): row["_msg"] for row in rows}


def number(line: str) -> int:
    return int(re.findall(r'\bn"?[=:](\d+)', line)[0])


def message(line: str) -> str:
    """What becomes of a line: of JSON its message, the rest are attributes."""
    return str(json.loads(line)["msg"]) if line.startswith("{") else line


def test_what_the_demo_prints_is_in_the_store_and_counted_in_prometheus(stack: Stack) -> None:
    wait_for(lambda: min(len(stored(stack, service)) for service in SERVICES) >= LEAST, "lines in the store", 60, 0.5)
    delivered = 'sum(otellogdriver_delivered_records_total{service_name="%s"})'
    for service in SERVICES:
        wait_for(lambda: sample(stack, delivered % service) >= LEAST, f"count of {service}", 30, 0.5)  # noqa: B023
    assert sample(stack, "otellogdriver_open_streams") == len(SERVICES)
    assert sample(stack, 'otellogdriver_build_info{codec="native"}') == 1
    assert len(get(stack, "/api/v1/rules")["groups"][0]["rules"]) >= 10


async def test_a_person_finds_in_the_stores_page_what_was_printed(stack: Stack) -> None:
    """Searches by service, level and trace; what stands on the page is what the containers printed."""
    with missing_means_skip():
        chromium()
    wait_for(lambda: len(stored(stack, "payments")) > 31, "two errors of payments", 60, 0.5)
    wait_for(lambda: 7 in stored(stack, "shop"), "the lines of a trace", 30, 0.5)
    store = f"http://127.0.0.1:{stack.variables['STACK_VICTORIALOGS_PORT']}"
    async with Browser() as browser:
        shown = await found_on_page(browser, store, '{service.name="payments"} severity_number:range[17,20]', 2)
        printed = stack.engine.run("logs", container(stack, "payments"))
        assert set(shown) <= set(printed.stderr.splitlines())
        assert {number(line) for line in shown} >= {15, 30}

        trace = f"{2:032x}"
        shown = await found_on_page(browser, store, f'trace_id:="{trace}" | format "<n> <_msg>" as _msg', 4)
        lines = map(json.loads, stack.engine.run("logs", container(stack, "shop")).stdout.splitlines())
        assert sorted(shown) == [f"{line['n']} {line['msg']}" for line in lines if line["trace_id"] == trace]

        await browser.open(f"http://{stack.variables['STACK_GATEWAY']}:9464/")
        await browser.until("document.querySelectorAll('#containers tbody tr').length === 3")
        state = "[...document.querySelectorAll('#containers tbody tr')].map(tr => tr.className)"
        await browser.until(f"{state}.every(name => name === 'good')")
        assert browser.complaints == []


def container(stack: Stack, service: str) -> str:
    return stack.compose("ps", "--all", "--format", "{{.Name}}", service).strip()


async def found_on_page(browser: Browser, store: str, query: str, least: int) -> list[str]:
    """The messages that VictoriaLogs' own page shows for a query, once there are so many. The page is made anew: two
    searches differ by what is after the `#`, and until the second has an answer the page shows that of the first."""
    await browser.open("about:blank")
    await browser.open(search(store, query))
    rows = "[...document.querySelectorAll('.vm-group-logs-row-content__msg')].map(row => row.innerText)"
    found: list[str] = await browser.until(f"({rows}).length >= {least} && {rows}", 30)
    return found


def test_the_collector_is_killed_and_comes_back(stack: Stack) -> None:
    stack.compose("kill", "--signal", "KILL", "collector")
    wait_for(lambda: sample(stack, "max(otellogdriver_lag_seconds)") > LEAST, "lag in Prometheus", 60, 0.5)
    assert sample(stack, "min(otellogdriver_destination_up)") == 0
    stack.compose("start", "collector")
    wait_for(lambda: sample(stack, "max(otellogdriver_lag_seconds)") < 2, "end of the lag", 60, 0.5)
    wait_for(lambda: sample(stack, "min(otellogdriver_destination_up)") == 1, "destination up", 30, 0.5)

    stack.compose("stop", "--timeout", "5", *SERVICES)
    for service in SERVICES:
        done = stack.engine.run("logs", container(stack, service))
        printed = {number(line): message(line) for line in (done.stdout + done.stderr).splitlines()}
        assert sorted(printed) == list(range(1, len(printed) + 1))
        wait_for(lambda: len(stored(stack, service)) >= len(printed), f"all lines of {service}", 30, 0.5)  # noqa: B023
        assert stored(stack, service) == printed
    assert sample(stack, "sum(otellogdriver_driver_dropped_lines_total)") == 0


def test_every_file_that_is_mounted_is_there(stack: Stack) -> None:
    services = json.loads(stack.compose("--profile", "*", "config", "--format", "json"))["services"]
    mounted = [mount["source"] for service in services.values() for mount in service.get("volumes", ())]
    files = [Path(source) for source in mounted if source.startswith(str(FILE.parents[1]))]
    assert len(files) >= 9 and all(file.exists() for file in files)
    assert all(re.search(r":v?\d+\.\d+\.\d+$", service["image"]) for service in services.values())
