"""The status page in a real browser: what it shows of a driver that runs, and that it follows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.conftest import missing_means_skip
from tests.fakes.behaviour import ok, status
from tests.fakes.engine import Engine, frame
from tests.fakes.server_thread import ServerThread
from tests.process.metrics_port import port, started
from tests.tools.browser import Browser, chromium

HOSTILE = '<img src=x onerror="document.title=1">'


def cell(container: str, column: str) -> str:
    """An expression for the text of a container's cell."""
    rows = "[...document.querySelectorAll('#containers tbody tr')]"
    return f"{rows}.find(tr => tr.querySelector('b').textContent === {json.dumps(container)})?.{column}"


def number(container: str, label: str) -> str:
    return cell(container, f"querySelector('[data-label={label}]').textContent")


STATE = "document.querySelector('#state').textContent"


@pytest.fixture
def environ() -> dict[str, str]:
    return {"OTELLOGDRIVER_HOSTNAME": HOSTILE}


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    with missing_means_skip():
        chromium()
    async with Browser() as browser:
        yield browser


async def test_it_shows_each_container_and_follows(engine: Engine, collector: ServerThread, browser: Browser) -> None:
    web = started(engine, "web", 3, {"ContainerImageName": HOSTILE}, service_name="shop")
    started(engine, "silent")
    await browser.open(f"http://127.0.0.1:{port(engine)}/")
    await browser.until(f"{number('web', 'Delivered')} === '3'")
    assert await browser.value(cell("web", "querySelector('small').textContent")) == f"shop · {HOSTILE}"
    assert await browser.value(cell("web", "querySelector('.where').textContent")) == collector.server.endpoint
    assert await browser.value(cell("web", "className")) == "good"
    assert await browser.value(number("silent", "Delivered")) == "0"
    assert await browser.value(STATE) == "Everything delivered"
    problems = await browser.value("document.querySelector('#problems').textContent")
    assert (
        "OTELLOGDRIVER_HOST_NAME" in problems
        and await browser.value("document.querySelector('#problems').hidden") is False
    )

    web.write(b"".join(frame(b"more") for _ in range(39)))  # no reload from here on
    await browser.until(f"{number('web', 'Delivered')} === '42'")
    await browser.until(cell("web", "querySelector('path.stroke').getAttribute('d')"))

    collector.server.default = status(503, message="the store is full")
    web.write(frame(b"late"))
    await browser.until(f"{STATE} === 'Collector away'")
    await browser.until(cell("web", "querySelector('.error').textContent.includes('the store is full')"))
    assert await browser.value(cell("web", "className")) == "bad"
    assert "503" in await browser.value("document.querySelector('#destinations .error').textContent")

    collector.server.default = ok()
    await browser.until(f"{number('web', 'Delivered')} === '43' && {STATE} === 'Everything delivered'")
    collector.server.default = status(400, message="no such tenant")
    web.write(frame(b"unwanted"))
    await browser.until(f"{number('web', 'Lost')} === '1' && {STATE} === 'Losing lines'")
    await browser.until("document.querySelector('#tile-lost small').textContent === 'refused 1'")

    web.stop()
    await browser.until(cell("web", "textContent.includes('stopped')"))
    assert await browser.value("document.querySelectorAll('img').length") == 0
    assert browser.complaints == []


async def test_it_says_when_the_driver_is_gone_and_comes_back(engine: Engine, browser: Browser) -> None:
    started(engine, "web", 1)
    engine.environ["OTELLOGDRIVER_METRICS_ADDRESS"] = f"127.0.0.1:{port(engine)}"
    await browser.open(f"http://127.0.0.1:{port(engine)}/")
    await browser.until(f"{STATE} === 'Everything delivered'")
    engine.kill()
    await browser.until(f"{STATE}.startsWith('No answer for')")
    engine.start()
    await browser.until(f"{STATE} === 'Everything delivered'")


async def test_it_fits_a_phone_and_can_be_filtered(engine: Engine, browser: Browser) -> None:
    for name in ("a-container-with-a-name-as-long-as-compose-makes-them-1", *(f"web-{count}" for count in range(9))):
        started(engine, name, 1)
    await browser.open(f"http://127.0.0.1:{port(engine)}/", width=360, height=740, scheme="dark")
    await browser.until("document.querySelectorAll('#containers tbody tr').length === 10")
    assert await browser.value("document.documentElement.scrollWidth <= 360")
    assert await browser.value("getComputedStyle(document.documentElement).backgroundColor") == "rgb(14, 20, 19)"
    await browser.value("document.querySelector('#filter').value = 'WEB-7'")
    await browser.value("document.querySelector('#filter').dispatchEvent(new Event('input'))")
    await browser.until("document.querySelectorAll('#containers tbody tr').length === 1")
    assert browser.complaints == []


async def test_nothing_printed_yet(engine: Engine, browser: Browser) -> None:
    await browser.open(f"http://127.0.0.1:{port(engine)}/")
    await browser.until("document.querySelector('#none').hidden === false")
    assert "docker run --log-driver otellogdriver" in await browser.value("document.querySelector('#none').innerText")
