"""What StartLogging answers to log-opts: those of other drivers, and those that hardly mean what was meant."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otellogdriver.settings.foreign import FOREIGN
from tests.data.options.drivers import DRIVERS
from tests.fakes.engine import Engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    dead = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    with Engine(tmp_path_factory.mktemp("engine"), dead) as engine:
        yield engine


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_option_of_another_driver_works_or_the_answer_says_what_takes_its_place(engine: Engine, driver: str) -> None:
    for name, value in DRIVERS[driver].items():
        container = engine.container(f"{driver}-{name}", {name: value})
        told = container.start()["Err"]
        assert told == (f'log-opt "{name}" is one of another driver: {FOREIGN[name]}' if name in FOREIGN else "")
        container.stop()


@pytest.mark.parametrize("driver", DRIVERS)
def test_all_that_a_driver_shares_with_this_one_at_once(engine: Engine, driver: str) -> None:
    shared = {name: value for name, value in DRIVERS[driver].items() if name not in FOREIGN}
    container = engine.container(driver, shared)
    assert container.start() == {"Err": ""}
    container.stop()


def test_a_container_whose_endpoint_has_the_path_of_something_else_starts_with_a_warning(engine: Engine) -> None:
    container = engine.container("traced", {"otlp-endpoint": "http://127.0.0.1:9/v1/traces"})
    assert container.start() == {"Err": ""}
    container.stop()
    said = [line for line in engine.log().splitlines() if "traced" in line and "requests with logs go to" in line]
    assert len(said) == 1 and 'write "http://127.0.0.1:9"' in said[0]
