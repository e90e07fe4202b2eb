"""Every option of the driver, declared once, and how their values are found.

`Settings` is what holds for one container: a log-opt (the field's name with dashes) wins over the plugin's environment
variable, which wins over the default. `PluginSettings` is what holds for the whole driver and comes from the
environment alone. From the declarations come parsing, error texts, `--help`, the table in README.md and the env list
of plugin/config.json; `python -m otellogdriver.settings.tables --check` tells whether those files agree with them.

Sizes are in bytes, durations in seconds. An OptionError is one line for the user and never shows a secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from otellogdriver.errors import OptionError
from otellogdriver.settings.endpoints import (
    ADDRESS,
    ENDPOINTS,
    ENDPOINTS_OR_NONE,
    HEADERS,
    OWN_ATTRIBUTES,
    SERVER_NAME,
    Pairs,
    endpoint_shown,
    has_path,
    not_for_grpc,
)
from otellogdriver.settings.foreign import in_place_of
from otellogdriver.settings.line_options import LineSettings
from otellogdriver.settings.line_options import contradictions as line_contradictions
from otellogdriver.settings.option import Option, option, options_of, otel
from otellogdriver.settings.patterns import PATTERN
from otellogdriver.settings.proxies import NO_PROXY, PROXY
from otellogdriver.settings.tag import TAG
from otellogdriver.values import (
    BOOLEAN,
    NAMES,
    PATH,
    PEM,
    TEXT,
    choice,
    duration,
    nearest,
    number,
    shown,
    size,
)


@dataclass(frozen=True, slots=True)
class Settings(LineSettings):
    """What holds for one container. The defaults here are those of http/protobuf; `resolve` knows those of grpc."""

    otlp_endpoint: tuple[str, ...] = option(
        ENDPOINTS,
        "http://localhost:4318",
        "The collector. The log-opt and OTEL_EXPORTER_OTLP_ENDPOINT take a base URL, to which `/v1/logs` is added (the "
        "log-opt also one that ends in it); OTEL_EXPORTER_OTLP_LOGS_ENDPOINT is used as it is. Of several, a later one "
        "is used while those before it cannot be reached.",
        section="Destination",
        env=otel("ENDPOINT"),
        grpc_default="http://localhost:4317",
    )
    otlp_endpoint_reading: Literal["whole", "base", "either"] = "either"  # follows from where the endpoint is given
    otlp_endpoint_order: Literal["listed", "spread"] = option(
        choice("listed", "spread"),
        "listed",
        "Order in which several endpoints are tried: as listed, or in a different order on each host.",
    )
    otlp_mirror: tuple[str, ...] = option(ENDPOINTS_OR_NONE, "", "A second collector that gets every record as well.")
    otlp_protocol: Literal["http/protobuf", "grpc"] = option(
        choice("http/protobuf", "grpc", aliases={"http": "http/protobuf", "http/proto": "http/protobuf"}),
        "http/protobuf",
        "The protocol that carries OTLP.",
        env=otel("PROTOCOL"),
    )
    otlp_headers: Pairs = option(
        HEADERS, "", "Sent with each request, e.g. `Authorization=Bearer%20abc`.", env=otel("HEADERS"), secret=True
    )
    otlp_headers_file: str = option(
        PATH, "", "A file with headers, one a line or separated by commas. It wins over `otlp-headers`."
    )
    otlp_compression: Literal["auto", "gzip", "none"] = option(
        choice("auto", "gzip", "none"),
        "auto",
        "Compression of requests. `auto`: none to an endpoint on the same host (`localhost`, 127.0.0.0/8, ::1), gzip "
        "beyond. Over gRPC, gzip costs about ten times the CPU.",
        env=otel("COMPRESSION"),
        grpc_default="none",
    )
    otlp_compression_level: int = option(number(0, 3), "1", "Higher is smaller and slower; over HTTP.")
    otlp_timeout: float = option(
        duration(plain="ms", most=86400),
        "10s",
        "Longest time that one request may take; 0 means no limit.",
        env=otel("TIMEOUT"),
    )
    otlp_certificate: str = option(
        PEM, "", "CA certificates to trust in place of the usual ones.", env=otel("CERTIFICATE")
    )
    otlp_client_certificate: str = option(PEM, "", "Our certificate, for mutual TLS.", env=otel("CLIENT_CERTIFICATE"))
    otlp_client_key: str = option(PEM, "", "The key of that certificate.", env=otel("CLIENT_KEY"), secret=True)
    otlp_server_name: str = option(SERVER_NAME, "", "The name to expect in the collector's certificate.")
    otlp_insecure: bool = option(
        BOOLEAN, "false", "Do not use TLS for a grpc endpoint that is written without a scheme.", env=otel("INSECURE")
    )
    otlp_insecure_skip_verify: bool = option(BOOLEAN, "false", "Use TLS, but do not check the collector's certificate.")
    otlp_proxy: str = option(
        PROXY,
        "",
        "A proxy to the collector, used by CONNECT; `none` means no proxy. If it is not given, the next three apply.",
    )
    https_proxy: str = option(
        PROXY, "", "The proxy for collectors with TLS.", env=("HTTPS_PROXY", "https_proxy"), log_opt=False
    )
    http_proxy: str = option(
        PROXY, "", "The proxy for collectors without TLS.", env=("HTTP_PROXY", "http_proxy"), log_opt=False
    )
    no_proxy: tuple[str, ...] = option(
        NO_PROXY,
        "",
        "Collectors that are reached without those two proxies; loopback always is.",
        env=("NO_PROXY", "no_proxy"),
        log_opt=False,
    )
    otlp_refused: Literal["hold", "drop"] = option(
        choice("hold", "drop"),
        "hold",
        "What happens to records while the collector rejects the sender, not the data (401, 403, 404).",
    )
    otlp_concurrency: int = option(number(1, 32), "4", "Requests that may be in flight at once.")

    batch_delay: float = option(
        duration(most=60),
        "200ms",
        "The longest time that a line waits for others to share its request: a third of it at most where a host prints "
        "little, up to five times as long while hundreds of containers print at once.",
        section="Batches",
    )
    batch_size: int = option(
        size(least=1024, most=3500 * 1024),
        "2m",
        "Bytes of a request before compression, at most; collectors take up to 4 MiB.",
    )

    journal_max_size: int = option(
        size(least=4096), "1g", "How many bytes of each container may wait on disk for delivery.", section="Journal"
    )
    journal_full: Literal["drop-oldest", "drop-newest", "block"] = option(
        choice("drop-oldest", "drop-newest", "block"),
        "drop-oldest",
        "What happens when that limit is reached: the oldest or the newest lines are dropped, or the container waits.",
    )
    journal_sync: bool = option(BOOLEAN, "false", "Force lines to the disk, so that they survive a power cut.")

    max_size: int = option(
        size(least=1024), "20m", "Size of one file of the lines that are kept for `docker logs`.", section="docker logs"
    )
    max_file: int = option(number(1, 1000), "5", "Number of such files.")
    compress: bool = option(BOOLEAN, "false", "Compress all of these files except the newest.")

    service_name: str = option(
        TEXT, "", "Sets `service.name`, which is otherwise found from labels and environment.", section="Records"
    )
    resource_attributes: Pairs = option(OWN_ATTRIBUTES, "", "Resource attributes of the container.", env=())
    plugin_resource_attributes: Pairs = option(
        OWN_ATTRIBUTES,
        "",
        "Resource attributes of every container; a container's own ones win over them.",
        env=("OTEL_RESOURCE_ATTRIBUTES",),
        log_opt=False,
    )
    labels: tuple[str, ...] = option(NAMES, "", "Labels to send as `container.label.<key>`.")
    labels_regex: str = option(PATTERN, "", "The same, for all labels whose key matches.")
    env: tuple[str, ...] = option(NAMES, "", "Environment variables to send as `container.env.<name>`.")
    env_regex: str = option(PATTERN, "", "The same, for all variables whose name matches.")
    tag: str = option(TAG, "", "Sent as `container.log.tag`.")
    record_uid: bool = option(BOOLEAN, "false", "Send `log.record.uid`: records with the same value are duplicates.")
    streams: Literal["stdout", "stderr", "both"] = option(
        choice("stdout", "stderr", "both"), "both", "Which streams to send."
    )

    mode: Literal["blocking", "non-blocking"] = option(
        choice("blocking", "non-blocking"),
        "blocking",
        "Whether the engine drops lines instead of waiting for the driver.",
        section="Handled by the engine",
        env=(),
    )
    max_buffer_size: int = option(size(), "1m", "The engine's buffer in mode non-blocking.", env=())
    cache_disabled: bool = option(BOOLEAN, "false", "The engine keeps no copy of its own.", env=())
    cache_max_size: int = option(size(), "20m", "Size of one file of the engine's copy.", env=())
    cache_max_file: int = option(number(1, 1000), "5", "Number of such files.", env=())
    cache_compress: bool = option(BOOLEAN, "true", "Compress them.", env=())


@dataclass(frozen=True, slots=True)
class PluginSettings:
    """What holds for the whole driver."""

    metrics_address: tuple[str, int] | None = option(
        ADDRESS,
        "127.0.0.1:9464",
        "Address at which metrics, health and status are served.",
        section="Whole driver",
        log_opt=False,
    )
    metrics_hosts: tuple[str, ...] = option(
        NAMES,
        "",
        "Names with a dot by which browsers and Prometheus may reach it, besides addresses and the host's own name.",
        log_opt=False,
    )
    read_logs: bool = option(
        BOOLEAN, "true", "Answer `docker logs` from the journal; if false, the engine keeps a copy.", log_opt=False
    )
    log_level: Literal["debug", "info", "warning", "error"] = option(
        choice("debug", "info", "warning", "error", aliases={"warn": "warning"}),
        "info",
        "The lowest level that the driver logs.",
        log_opt=False,
    )
    host_name: str = option(TEXT, "", "Sets `host.name`, which is otherwise the machine's own name.", log_opt=False)
    host_id: str = option(TEXT, "", "Sets `host.id`; by convention it is the text in /etc/machine-id.", log_opt=False)
    engine_version: str = option(
        TEXT,
        "",
        "The engine's version, for `container.runtime.version`; `{{.ImageID}}` has no `sha256:` from 29.4 on.",
        log_opt=False,
    )
    journal_total_max_size: int = option(
        size(least=4096),
        "10g",
        "How many bytes of all containers together may wait on disk for delivery.",
        log_opt=False,
    )
    journal_min_free: int = option(size(least=0), "256m", "Disk space that is left free.", log_opt=False)
    stopped_max_age: float = option(
        duration(), "7d", "How long lines of a stopped container are kept for `docker logs`.", log_opt=False
    )
    stopped_max_size: int = option(
        size(least=0), "1g", "How many bytes are kept of all stopped containers together.", log_opt=False
    )
    codec: Literal["auto", "require", "python"] = option(
        choice("auto", "require", "python"),
        "auto",
        "`auto`: use the native codec if it is there; `require`: refuse to start without it; `python`: a slow one.",
        log_opt=False,
    )
    self_telemetry: Literal["none", "otlp"] = option(
        choice("none", "otlp"), "none", "Send the driver's own logs and metrics over OTLP, too.", log_opt=False
    )
    # The next three are set by how the plugin is packaged.
    state_directory: str = option(
        PATH, "/run/docker/logging/.state", "The directory of the journal.", log_opt=False, settable=False
    )
    fifo_directory: str = option(
        PATH, "/run/docker/logging", "The directory in which the engine makes its FIFOs.", log_opt=False, settable=False
    )
    socket: str = option(
        PATH, "/run/docker/plugins/otellogdriver.sock", "Where the engine calls.", log_opt=False, settable=False
    )


def resolve(log_opts: Mapping[str, str], environ: Mapping[str, str]) -> Settings:
    """The settings of a container. Raises OptionError for all that is wrong with them, in one line."""
    settings, faults = container_settings(log_opts, environ)
    faults += _unknown_log_opts(log_opts)
    if faults:
        raise OptionError("; ".join(faults))
    return settings


def resolve_running(log_opts: Mapping[str, str], environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """The settings of a container that runs already, and a line for each thing that cannot be used. Never raises.

    Each option falls back by itself: from the log-opt to the variable to the default, so that a bad value elsewhere
    (in the plugin's environment, after an upgrade) never takes a container's own `redact-pattern` away. One that
    cannot be used any more hides whole lines. Where values do not go together, those of the lines stay longest."""
    settings, faults = container_settings(log_opts, environ)
    if not faults:
        return settings, _unknown_log_opts(log_opts)
    options = options_of(Settings)
    lines = {item.name for item in options_of(LineSettings)}
    for names, given in (
        ({item.name for item in options}, environ),
        ({item.name for item in options}, {}),
        (lines, environ),
        (lines, {}),
        ({"redact_pattern", "include_pattern", "exclude_pattern", "streams"}, {}),
        ({"redact_pattern"}, {}),
    ):
        values: dict[str, Any] = {}
        sources: dict[str, str] = {}
        for item in options:
            own = log_opts if item.name in names else {}
            for where, text in _givens(item, own, given):
                try:
                    values[item.name] = item.parse(where, text)
                except OptionError:
                    if item.name == "redact_pattern":
                        values[item.name] = item.kind.parse(_EVERYTHING)
                    continue
                sources[item.name] = where
                break
        _add_what_follows(values, sources)
        settings = Settings(**values)
        if not list(_contradictions(settings, sources)):
            break
    return settings, faults + _unknown_log_opts(log_opts)


_EVERYTHING = "(?s).+"
"""What is hidden where a `redact-pattern` cannot be used any more."""


def _givens(item: Option, log_opts: Mapping[str, str], environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """All places where an option is given, the first one counts."""
    for given in (item.given(log_opts, {}), item.given({}, environ)):
        if given is not None:
            yield given


def plugin_settings(environ: Mapping[str, str]) -> tuple[PluginSettings, list[str]]:
    """The settings of the driver, and a line for each bad value, for which the default is used. Never raises."""
    values, _, faults = _read(options_of(PluginSettings), {}, environ)
    return PluginSettings(**values), [f"{fault}; the default is used" for fault in faults]


def problems(environ: Mapping[str, str]) -> list[str]:
    """A line for each thing that is wrong with the driver's environment, what concerns containers included."""
    return plugin_settings(environ)[1] + container_settings({}, environ)[1] + _unknown_variables(environ)


_READINGS = dict(zip(otel("ENDPOINT"), ("whole", "base"), strict=True))
"""OpenTelemetry: the variable for logs has the URL of requests, the one for all signals has what is before it."""


def _read(
    options: tuple[Option, ...], log_opts: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """(values, where they are given, faults), by field, of what is given."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    faults: list[str] = []
    for item in options:
        given = item.given(log_opts, environ)
        if given is None:
            continue
        sources[item.name] = given[0]
        try:
            values[item.name] = item.parse(*given)
        except OptionError as fault:
            faults.append(str(fault))
    return values, sources, faults


def container_settings(log_opts: Mapping[str, str], environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """The settings, with the default for what cannot be used, and a line for each fault."""
    settings, faults = _settings_of(tuple(log_opts.items()), tuple(environ.items()))
    return settings, list(faults)


@lru_cache(maxsize=64)
def _settings_of(
    log_opts: tuple[tuple[str, str], ...], environ: tuple[tuple[str, str], ...]
) -> tuple[Settings, tuple[str, ...]]:
    """Most containers have the options of others: these are read once, and the containers share what comes of them."""
    values, sources, faults = _read(options_of(Settings), dict(log_opts), dict(environ))
    _add_what_follows(values, sources)
    settings = Settings(**values)
    return settings, tuple(faults or _contradictions(settings, sources))


def _add_what_follows(values: dict[str, Any], sources: Mapping[str, str]) -> None:
    """What depends on the values that were given, and where."""
    values["otlp_endpoint_reading"] = _READINGS.get(sources.get("otlp_endpoint", ""), "either")
    if values.get("otlp_protocol") == "grpc":
        for item in options_of(Settings):
            if item.grpc_default is not None and item.name not in sources:
                values[item.name] = item.kind.parse(item.grpc_default)


def _contradictions(settings: Settings, sources: Mapping[str, str]) -> Iterator[str]:
    """A line for each set of values that are good in themselves, but not together."""
    for name, endpoints in (("otlp_endpoint", settings.otlp_endpoint), ("otlp_mirror", settings.otlp_mirror)):
        for endpoint in endpoints:
            start = f"{sources.get(name, name)}: {endpoint_shown(endpoint)} is not allowed with "
            if settings.otlp_protocol != "grpc" and "://" not in endpoint:
                yield start + "protocol http/protobuf: begin with http:// or https://, or use otlp-protocol=grpc"
            elif settings.otlp_protocol == "grpc" and has_path(endpoint):
                yield start + "protocol grpc: host and port only, or use otlp-protocol=http/protobuf"
    for endpoint in sorted(set(settings.otlp_endpoint) & set(settings.otlp_mirror)):
        yield f"{sources['otlp_mirror']}: {endpoint_shown(endpoint)} is not allowed: it is an otlp-endpoint already"
    if settings.otlp_protocol == "grpc" and (header := not_for_grpc(name for name, _ in settings.otlp_headers)):
        yield (
            f"{sources['otlp_headers']}: {shown(header)} is not allowed with protocol grpc: no name begins with grpc- "
            "or ends with -bin"
        )
    certificate, key = settings.otlp_client_certificate, settings.otlp_client_key
    if bool(certificate) != bool(key):
        there, missing = ("certificate", "key") if certificate else ("key", "certificate")
        yield f"{sources[f'otlp_client_{there}']} is not allowed alone: give otlp-client-{missing}, too"
    if settings.otlp_insecure_skip_verify and settings.otlp_certificate:
        names = f"{sources['otlp_insecure_skip_verify']} and {sources['otlp_certificate']}"
        yield f"{names} contradict each other: either the certificate is verified or not"
    if settings.otlp_insecure_skip_verify and settings.otlp_protocol == "grpc":
        name = sources["otlp_insecure_skip_verify"]
        yield f"{name} is not allowed with protocol grpc: give the server's certificate as otlp-certificate"
    if settings.compress and settings.max_file == 1:
        yield f"{sources['compress']} is not allowed with max-file=1: only full files are compressed"
    yield from line_contradictions(settings, sources)


def _unknown_log_opts(log_opts: Mapping[str, str]) -> list[str]:
    if not log_opts:
        return []
    options = [item for item in options_of(Settings) if item.log_opt]
    known = {item.log_opt: item.log_opt for item in options}
    others = {name: in_place_of(name) for name in sorted(set(log_opts) - set(known))}
    foreign = [f"log-opt {shown(name)} is one of another driver: {word}" for name, word in others.items() if word]
    unknown = [name for name, word in others.items() if not word]
    if not unknown:
        return foreign
    # Somebody may well have written the name of the variable.
    known |= {variable: item.log_opt for item in options for variable in item.env}
    faults = [_unknown("log-opt", name, known) for name in unknown]
    told = "; ".join(faults)
    end = "" if told.endswith("?") else ";"
    return [*foreign, f"{told}{end} known options: " + ", ".join(sorted(item.log_opt for item in options))]


def _unknown_variables(environ: Mapping[str, str]) -> list[str]:
    options = options_of(Settings) + options_of(PluginSettings)
    known = {variable: variable for item in options for variable in item.env}
    ours = sorted(name for name in environ if name.startswith("OTELLOGDRIVER_") and name not in known)
    return [_unknown("environment variable", name, known) for name in ours]


def _unknown(what: str, name: str, known: Mapping[str, str]) -> str:
    meant = nearest(name, list(known))
    return f"unknown {what} {shown(name)}" + (f": did you mean {shown(known[meant])}?" if meant else "")
