"""Options: what is given becomes settings, or one line that tells the user what to mend, without a secret in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otellogdriver.errors import OptionError
from otellogdriver.settings.option import Option, options_of
from otellogdriver.settings.options import PluginSettings, Settings, plugin_settings, problems, resolve

DATA = Path(__file__).parents[2] / "data" / "options"
CONTAINER: list[dict[str, Any]] = json.loads((DATA / "container.json").read_text())
PLUGIN: list[dict[str, Any]] = json.loads((DATA / "plugin.json").read_text())
ALL = options_of(Settings) + options_of(PluginSettings)
SECRET = "hunter2"


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    return [plain(entry) for entry in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("case", CONTAINER, ids=lambda case: case["name"])
def test_container_settings(case: dict[str, Any]) -> None:
    log_opts, environ = case.get("log_opts", {}), case.get("environ", {})
    if "settings" in case:
        found = resolve(log_opts, environ)
        assert {name: plain(getattr(found, name)) for name in case["settings"]} == case["settings"]
        return
    with pytest.raises(OptionError) as fault:
        resolve(log_opts, environ)
    told = str(fault.value)
    assert told.startswith(case["error_begins"]) if "error_begins" in case else told == case["error"]
    assert told.isprintable()


@pytest.mark.parametrize("case", PLUGIN, ids=lambda case: case["name"])
def test_plugin_settings(case: dict[str, Any]) -> None:
    environ = case.get("environ", {})
    found, told = plugin_settings(environ)
    wanted = case.get("settings", {})
    assert {name: plain(getattr(found, name)) for name in wanted} == wanted
    assert problems(environ) == case.get("problems", [])
    assert set(told) <= set(problems(environ))


def test_containers_with_the_same_options_share_what_comes_of_them() -> None:
    environ = {"OTELLOGDRIVER_BATCH_SIZE": "512k"}
    first = resolve({"max-size": "5m"}, environ)
    assert resolve({"max-size": "5m"}, dict(environ)) is first
    assert resolve({"max-size": "6m"}, environ).max_size != first.max_size
    assert resolve({"max-size": "5m"}, {}).batch_size != first.batch_size


def test_each_option_is_declared_in_full_and_its_default_reads_as_its_value() -> None:
    names = [variable for item in ALL for variable in item.env] + [item.log_opt for item in ALL if item.log_opt]
    assert len(names) == len(set(names))
    for item in ALL:
        assert item.help.endswith("."), item.name
        assert item.section, item.name
        assert item.log_opt or item.env, item.name
        item.kind.parse(item.default)


def test_secrets_are_in_no_repr() -> None:
    found = resolve(
        {
            "otlp-headers": f"a={SECRET}",
            "otlp-client-key": f"/{SECRET}",
            "otlp-client-certificate": "/c",
            "otlp-endpoint": f"http://u:{SECRET}@h",
            "otlp-mirror": f"http://m/?key={SECRET}",
        },
        {},
    )
    assert SECRET in found.otlp_client_key
    assert SECRET not in repr(found)


# Text that gets past the first check of the parsers now and then.
PIECES = st.sampled_from(
    ["0", "1", "1.5", "9" * 30, "k", "mib", "ms", "h", "http://", "https://", "grpc://", "[", "]", "::1", ":", "@", "/",
     "?", "#", "%", "%C3", "%2C", ",", "=", "a", "A.b", "{{", "}}", ".ID", "(", ")", "*", "{1000}", "\\", "\n", "\\n",
     "-----BEGIN X-----", "-----END X-----", "\x00", "\ud800", "ü", "١", " ", "off", "true", "java"]
)  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=8).map("".join), st.lists(PIECES, max_size=3).map("".join))


@pytest.mark.parametrize("item", ALL, ids=lambda item: item.name)
@settings(deadline=None, max_examples=60)
@given(text=TEXTS)
def test_any_text_is_a_value_or_one_line_for_the_user(item: Option, text: str) -> None:
    try:
        item.parse("here", text)
    except OptionError as fault:
        assert str(fault).isprintable()
        assert len(str(fault)) < 700


@settings(deadline=None, max_examples=200)
@given(
    log_opts=st.dictionaries(st.one_of(st.text(), st.sampled_from([item.log_opt for item in ALL])), TEXTS, max_size=4),
    environ=st.dictionaries(st.sampled_from([variable for item in ALL for variable in item.env]), TEXTS, max_size=4),
)
def test_any_input_is_resolved_or_refused(log_opts: dict[str, str], environ: dict[str, str]) -> None:
    assert all(line.isprintable() for line in problems(environ))
    try:
        resolve(log_opts, environ)
    except OptionError as fault:
        assert str(fault).isprintable()


@settings(deadline=None, max_examples=200)
@given(before=TEXTS, after=TEXTS, name=st.sampled_from(["otlp-headers", "otlp-client-key"]))
def test_a_secret_is_in_no_error(before: str, after: str, name: str) -> None:
    with pytest.raises(OptionError) as fault:
        resolve({name: before + SECRET + after, "max-file": "none"}, {})
    assert SECRET not in str(fault.value)
    assert fault.value.__cause__ is None


@settings(deadline=None, max_examples=200)
@given(user=TEXTS, rest=TEXTS.filter(lambda text: "," not in text))
def test_a_password_in_an_endpoint_is_in_no_error(user: str, rest: str) -> None:
    with pytest.raises(OptionError) as fault:
        resolve({"otlp-endpoint": f"http://{user}:{SECRET}@{rest} ?key={SECRET}", "max-file": "none"}, {})
    assert SECRET not in str(fault.value)
