"""One recipe for the driver and for commands: what a container asked for holds, whatever else is bad."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource

from otellogdriver.codec import python
from otellogdriver.commands.journal.lines import Span, feed_of, requests, settings_of
from otellogdriver.container import Container
from otellogdriver.delivery import recipe as recipe_module
from otellogdriver.delivery.recipe import Recipe, container_of
from otellogdriver.errors import OptionError
from otellogdriver.journal.store import Store
from otellogdriver.resource import Host, resource_of
from otellogdriver.settings.options import Settings, resolve, resolve_running
from tests.fakes.engine import frame

SECRET = "password=hunter2"
REDACTING = {"redact-pattern": "password=.*$", "service-name": "shop"}
BAD_ENVIRONMENTS: tuple[dict[str, str], ...] = (
    {},
    {"OTELLOGDRIVER_BATCH_SIZE": "many"},
    {"OTEL_EXPORTER_OTLP_ENDPOINT": "nonsense"},
    {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://host:4318/path"},
    {"OTELLOGDRIVER_REDACT_PATTERN": "("},
    {"OTEL_EXPORTER_OTLP_CLIENT_KEY": "/only/a/key"},
)
BAD_LOG_OPTS: tuple[dict[str, str], ...] = (
    {},
    {"batch-size": "many"},
    {"no-such-option": "x"},
    {"otlp-endpoint": "nonsense"},
    {"otlp-client-key": "/only/a/key"},
    {"compress": "true", "max-file": "1"},
)


def info(**config: str) -> dict[str, Any]:
    return {"ContainerID": secrets.token_hex(32), "ContainerName": "/web", "Config": config}


@pytest.mark.parametrize("environ", BAD_ENVIRONMENTS)
@pytest.mark.parametrize("bad", BAD_LOG_OPTS)
def test_a_bad_value_never_takes_a_containers_redaction_away(
    tmp_path: Path, environ: dict[str, str], bad: dict[str, str]
) -> None:
    store = Store(tmp_path)
    entry = store.create("abc", "/run/" + "a" * 64, info(**REDACTING, **bad), 0)
    entry.stream.append(frame(SECRET.encode()))
    settings = settings_of(entry, environ)
    assert settings.redact_pattern
    sent = b"".join(requests(feed_of(entry, python, environ, Span(whole=False))))
    assert b"****" in sent
    assert b"hunter2" not in sent
    entry.stream.close()


@pytest.mark.parametrize("environ", BAD_ENVIRONMENTS)
def test_each_option_falls_back_by_itself(environ: dict[str, str]) -> None:
    settings, faults = resolve_running({**REDACTING, "batch-size": "many", "streams": "stderr"}, environ)
    assert (settings.service_name, settings.streams, settings.batch_size) == ("shop", "stderr", Settings().batch_size)
    assert any("batch-size" in fault for fault in faults)


def test_good_options_are_as_they_are_for_a_new_container() -> None:
    environ = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTELLOGDRIVER_BATCH_SIZE": "64k"}
    assert resolve_running(REDACTING, environ) == (resolve(REDACTING, environ), [])


def test_a_redaction_that_cannot_be_used_any_more_hides_whole_lines(tmp_path: Path) -> None:
    entry = Store(tmp_path).create("abc", "/run/" + "a" * 64, info(**{"redact-pattern": "("}), 0)
    entry.stream.append(frame(SECRET.encode()))
    sent = b"".join(requests(feed_of(entry, python, {}, Span(whole=False))))
    assert b"password" not in sent
    entry.stream.close()


def test_what_the_resource_cannot_be_made_of_costs_that_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    real = resource_of

    def picky(container: Container, settings: Settings, host: Host) -> Resource:
        if settings.tag:
            raise OptionError("this tag cannot be rendered")
        return real(container, settings, host)

    monkeypatch.setattr(recipe_module, "resource_of", picky)
    settings = Settings(tag="{{.Name}}", service_name="shop")
    recipe = Recipe.of(Container.from_info(info()), settings, "/run/f", python, Host("node"))
    assert recipe.service_name == "shop"


def test_a_lost_meta_leaves_the_id(tmp_path: Path) -> None:
    entry = Store(tmp_path).create("abc", "/run/f", {}, 0)
    assert container_of(entry).id == "abc"


def test_uid_and_streams_are_as_the_settings_say() -> None:
    container = Container.from_info(info())
    one = Recipe.of(container, Settings(record_uid=True, streams="stderr"), "/run/f", python, Host("node"))
    other = Recipe.of(container, Settings(record_uid=True), "/run/g", python, Host("node"), all_streams=True)
    assert one.options.uid and other.options.uid and one.options.uid != other.options.uid
    assert (one.options.streams, other.options.streams) == (2, 3)
