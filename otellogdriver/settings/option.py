"""One option: its names, the sort of its value, its default and its description, declared as a dataclass field.

`option` is what a field of a settings class is set to; the field keeps its own type, so that the type checker sees the
value. `options_of` reads the declarations back; parsing, error texts and every rendered table come from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from inspect import get_annotations
from typing import Any, TypeVar

from otellogdriver.errors import OptionError
from otellogdriver.settings.endpoints import ENDPOINTS, ENDPOINTS_OR_NONE, endpoint_shown
from otellogdriver.settings.proxies import PROXY
from otellogdriver.values import BOOLEAN, OTEL_BOOLEAN, Kind, shown

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Option:
    """`env` is in order of precedence. `log_opt` is empty for what cannot be set per container. `grpc_default` replaces
    the default when the protocol is grpc. `settable`: the managed plugin's config.json lets users set it."""

    name: str
    log_opt: str
    env: tuple[str, ...]
    kind: Kind[Any]
    default: str
    grpc_default: str | None
    help: str
    section: str
    secret: bool
    settable: bool

    def given(self, log_opts: Mapping[str, str], environ: Mapping[str, str]) -> tuple[str, str] | None:
        """(where it is given, the text), log-opt before environment; None if it is given nowhere.

        An empty variable counts as unset, as OpenTelemetry asks; an empty log-opt is a value, so that a container can
        take back what is set for the whole plugin."""
        if self.log_opt and self.log_opt in log_opts:
            return f'log-opt "{self.log_opt}"', log_opts[self.log_opt]
        for variable in self.env:
            if environ.get(variable, "").strip():
                return variable, environ[variable]
        return None

    def parse(self, where: str, text: str) -> Any:
        """The value that `text` stands for. Raises OptionError."""
        kind = OTEL_BOOLEAN if self.kind is BOOLEAN and where.startswith("OTEL_") else self.kind
        try:
            return kind.parse(text)
        except ValueError as fault:
            raise OptionError(f"{where}: {self.shown(text)} is not allowed ({fault}): {self.kind.allowed}") from None

    def shown(self, text: str) -> str:
        """The value as people may see it."""
        if self.secret:
            return "the value (a secret, not shown)"
        return endpoint_shown(text) if self.kind in _ENDPOINTS else shown(text)


_ENDPOINTS = (ENDPOINTS, ENDPOINTS_OR_NONE, PROXY)  # may hold user:password@


def otel(name: str) -> tuple[str, str]:
    """OpenTelemetry's variables of an exporter setting; the one for logs wins over the one for all signals."""
    return f"OTEL_EXPORTER_OTLP_LOGS_{name}", f"OTEL_EXPORTER_OTLP_{name}"


def option(
    kind: Kind[T],
    default: str,
    help: str,
    *,
    section: str = "",
    env: tuple[str, ...] = ("",),
    log_opt: bool = True,
    grpc_default: str | None = None,
    secret: bool = False,
    settable: bool = True,
) -> T:
    """Declare a field. `section` holds for the fields that follow, too. The empty name in `env` stands for
    OTELLOGDRIVER_ and the name of the field; an empty `env` means that there is no variable."""
    declared = Option(
        name="",
        log_opt="-" if log_opt else "",
        env=env,
        kind=kind,
        default=default,
        grpc_default=grpc_default,
        help=help,
        section=section,
        secret=secret,
        settable=settable,
    )
    hidden = secret or kind in _ENDPOINTS
    return field(default=kind.parse(default), repr=not hidden, metadata={"option": declared})


@lru_cache(maxsize=8)
def options_of(settings: type) -> tuple[Option, ...]:
    """The options of a settings class, in the order of declaration; those of a base class come last."""
    found: list[Option] = []
    section = ""
    for item in fields(settings):
        declared: Option | None = item.metadata.get("option")
        if declared is None:
            continue  # found out, not given
        section = declared.section or section
        found.append(
            replace(
                declared,
                name=item.name,
                log_opt=item.name.replace("_", "-") if declared.log_opt else "",
                env=tuple(variable or f"OTELLOGDRIVER_{item.name.upper()}" for variable in declared.env),
                section=section,
            )
        )
    own = get_annotations(settings)
    return tuple(sorted(found, key=lambda item: item.name not in own))
