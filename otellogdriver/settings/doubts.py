"""Values that are used as they are given, but hardly mean what was meant.

In: the driver's environment, or a container's log-opts with it. Out: a line for each such value, which says what
becomes of it and what to write; without what may hold credentials. Nothing is refused here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from otellogdriver.settings.endpoints import LOGS_PATH, below, hidden, whole_url
from otellogdriver.settings.option import options_of, otel
from otellogdriver.settings.options import Settings, container_settings
from otellogdriver.values import BOOLEAN, shown

_WHOLE, _BASE = otel("ENDPOINT")
_PLAIN = ("true", "false")
_OTHERS = {
    "/v1/traces": ("traces", ""),
    "/v1/metrics": ("metrics", ""),
    "/v1development/profiles": ("profiles", ""),
    "/loki/api/v1/push": ("lines in Loki's own form", "/otlp"),
}
"""Path of something else -> (what goes there, the path before LOGS_PATH that takes its place)."""

_NONE: Mapping[str, str] = MappingProxyType({})


def doubts(environ: Mapping[str, str], log_opts: Mapping[str, str] = _NONE) -> Iterator[str]:
    """Those of the environment; of a container with log-opts those of the log-opts alone. See the module's text."""
    settings, _ = container_settings(log_opts, environ)
    for item in options_of(Settings):
        where, text = item.given(log_opts, environ) or ("", "")
        if not where or bool(log_opts) != where.startswith("log-opt "):
            continue
        if item.kind is BOOLEAN and where.startswith("OTEL_") and text.strip().lower() not in _PLAIN:
            yield f"{where}: {item.shown(text)} is false, as OpenTelemetry reads it: only true is true"
        if item.name in ("otlp_endpoint", "otlp_mirror") and settings.otlp_protocol != "grpc":
            for endpoint in getattr(settings, item.name):
                if doubt := _of_endpoint(where, endpoint):
                    yield f"{where}: {doubt}"


def _of_endpoint(where: str, endpoint: str) -> str:
    """By the rules of `export/destination.py`, which say what `where` means."""
    whole = where == _WHOLE
    written = endpoint.partition("?")[0].rstrip("/")
    requests = whole_url(endpoint) if whole else below(endpoint)
    if whole and requests != endpoint:
        return (
            f"{_shown(endpoint)} has no path and is used as it is, so that requests go to {_shown(requests)}: "
            f"write {_shown(below(endpoint))}, or use {_BASE}"
        )
    if where == _BASE and written.endswith(LOGS_PATH):
        return (
            f"{_shown(endpoint)} gets {LOGS_PATH} added, so that requests go to {_shown(requests)}: "
            f"leave {LOGS_PATH} out, or use {_WHOLE}"
        )
    for path, (what, instead) in _OTHERS.items():
        if written.endswith(path):
            better = written.removesuffix(path) + instead + (LOGS_PATH if whole else "")
            return (
                f"{_shown(endpoint)} is where {what} go, and requests with logs go to {_shown(requests)}: "
                f"write {_shown(better)}"
            )
    return ""


def _shown(endpoint: str) -> str:
    return shown(hidden(endpoint))
