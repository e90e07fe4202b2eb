"""Every option that other drivers document: it works here, or the error and MIGRATING.md say what takes its place."""

from __future__ import annotations

import re

import pytest

from otellogdriver.errors import OptionError
from otellogdriver.settings.foreign import FOREIGN
from otellogdriver.settings.option import options_of
from otellogdriver.settings.options import PluginSettings, Settings, resolve
from plugin.build import ROOT
from tests.data.options.drivers import DRIVERS

PAGE = (ROOT / "docs" / "MIGRATING.md").read_text(encoding="utf-8")
OURS = {item.log_opt for item in options_of(Settings) if item.log_opt}
VARIABLES = {name for item in options_of(Settings) + options_of(PluginSettings) for name in item.env}

CASES = [(driver, name, value) for driver, options in DRIVERS.items() for name, value in options.items()]


@pytest.mark.parametrize(("driver", "name", "value"), CASES)
def test_it_works_or_the_error_says_what_takes_its_place(driver: str, name: str, value: str) -> None:
    if name in OURS:
        resolve({name: value}, {})
        return
    with pytest.raises(OptionError) as fault:
        resolve({name: value}, {})
    told = str(fault.value)
    assert told == f'log-opt "{name}" is one of another driver: {FOREIGN[name]}'
    assert "hunter2" not in told


@pytest.mark.parametrize("driver", DRIVERS)
def test_all_options_of_a_driver_at_once(driver: str) -> None:
    foreign = set(DRIVERS[driver]) - OURS
    if not foreign:
        resolve(DRIVERS[driver], {})
        return
    with pytest.raises(OptionError) as fault:
        resolve(DRIVERS[driver], {})
    told = str(fault.value)
    assert all(f'log-opt "{name}" is one of another driver: ' in told for name in foreign)
    assert "known options" not in told and told.isprintable()


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_to_be_written_can_be_written(name: str) -> None:
    word = FOREIGN[name]
    for named in re.findall(
        r"\b(?:otlp|batch|journal|resource|multiline|include|exclude|redact|cache)-[a-z-]+[a-z]\b", word
    ):
        assert named in OURS, named
    assert set(re.findall(r"OTELLOGDRIVER_[A-Z_]+", word)) <= VARIABLES
    assert re.match(r"(?:write [a-z]|set [A-Z]|leave it out|it belongs to )", word)


def test_the_page_has_every_option() -> None:
    cells = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    named = {name for cell in cells for name in re.findall(r"`([a-z][a-z-]+)(?:=[^`]*)?`", cell)}
    assert set(FOREIGN) <= named
    documented = {name for options in DRIVERS.values() for name in options}
    assert set(FOREIGN) <= documented and documented <= named | OURS
