"""Values that are used, but hardly mean what was meant: each has a line that says what is sent where."""

from __future__ import annotations

import pytest

from otellogdriver.settings.doubts import doubts
from otellogdriver.settings.options import problems, resolve


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"OTEL_EXPORTER_OTLP_INSECURE": "1"}, "only true is true"),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://u:p@a:4318"}, 'write "http://...@a:4318/v1/logs"'),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318/v1/logs"}, 'go to "http://a:4318/v1/logs/v1/logs"'),
        ({"OTEL_EXPORTER_OTLP_INSECURE": "False", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://a:4318/"}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318"}, ""),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318/v1/traces"},
            'go to "http://a:4318/v1/traces/v1/logs": write "http://a:4318"',
        ),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://a:4318/x/v1/metrics/"}, 'write "http://a:4318/x/v1/logs"'),
        ({"OTELLOGDRIVER_OTLP_MIRROR": "http://a:4318/v1/metrics"}, "where metrics go"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ""),
    ],
)
def test_what_hardly_means_what_was_meant_is_said(environ: dict[str, str], said: str) -> None:
    found = list(doubts(environ))
    assert len(found) == bool(said)
    assert all(said in doubt and next(iter(environ)) in doubt for doubt in found)
    assert problems(environ) == []


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("http://a:4318", ""),
        ("http://a:4318/v1/logs", ""),
        ("http://a:3100/otlp?x=/v1/traces", ""),
        ("http://a:4318/v1/traces", 'go to "http://a:4318/v1/traces/v1/logs": write "http://a:4318"'),
        ("http://u:pw@a:4318/x/v1/metrics/?k=v", 'go to "http://...@a:4318/x/v1/metrics/v1/logs?..."'),
        ("http://a/v1development/profiles", "is where profiles go"),
        ("http://a:3100/loki/api/v1/push", 'write "http://a:3100/otlp"'),
    ],
)
@pytest.mark.parametrize("name", ("otlp-endpoint", "otlp-mirror"))
def test_a_path_of_something_else_is_said(name: str, endpoint: str, said: str) -> None:
    log_opts = {name: endpoint}
    found = list(doubts({}, log_opts))
    assert len(found) == bool(said)
    assert all(said in doubt and doubt.startswith(f'log-opt "{name}": ') and "pw" not in doubt for doubt in found)
    resolve(log_opts, {})


def test_what_is_wrong_in_the_environment_is_not_said_of_each_container() -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318/v1/logs"}
    assert not list(doubts(environ, {"max-size": "10m"}))
