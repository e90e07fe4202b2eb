"""Which fields of a structured line mean something to a LogRecord, by the names that loggers give them.

A field's *role* says where its value goes; of several fields with one role, the first by this list whose value fits has
it, and the others stay attributes under their own names. Names are of the top level and in any case. Sources:
OpenTelemetry's "Trace context in non-OTLP log formats", Elastic Common Schema, and the defaults of zap, logrus, slog,
zerolog, hclog, pino, bunyan, winston, log4j2, logback, Python's logging with JSON formatters, structlog, loguru,
Serilog, .NET's JSON console and GELF.
"""

from __future__ import annotations

BODY, LEVEL, TIME, TRACE, SPAN, FLAGS, STACK, MESSAGE, TYPE, OWN = range(10)

ROLES: dict[int, tuple[str, ...]] = {
    BODY: ("message", "msg", "@message", "@m", "@mt", "short_message", "event", "log", "body", "text"),
    LEVEL: (
        "level",
        "severity",
        "lvl",
        "loglevel",
        "log_level",
        "log.level",
        "levelname",
        "level_name",
        "severity_text",
        "severitytext",
        "@level",
        "@l",
        "levelno",
        "priority",
    ),
    TIME: ("time", "timestamp", "@timestamp", "ts", "@t", "datetime", "date"),
    TRACE: ("trace_id", "traceid", "trace.id", "oteltraceid"),
    SPAN: ("span_id", "spanid", "span.id", "otelspanid"),
    FLAGS: ("trace_flags", "traceflags", "trace.flags"),
    STACK: (
        "exception.stacktrace",
        "stack_trace",
        "stacktrace",
        "stack",
        "error.stack_trace",
        "error.stack",
        "exc_info",
        "@x",
        "exception",
    ),
    MESSAGE: ("exception.message", "error", "err"),
    TYPE: ("exception.type", "exception_type", "exc_type"),
    OWN: ("log.iostream", "log.record.uid"),
}
"""Role -> names, best first. Fields of the role OWN are left out: the driver writes them, and keys are unique."""

PYTHON_LEVEL = "levelno"
"""Its numbers are those of Python's logging; elsewhere 10 to 60 are those of bunyan and pino."""

RENAMED = {STACK: "exception.stacktrace", MESSAGE: "exception.message", TYPE: "exception.type"}
"""Role -> the attribute that its field becomes. A field with that name already has it, whatever its value."""

EXCEPTIONS = ("err", "error", "exception")
"""Fields that may hold an exception as an object. Its members, by these names, become the attributes:"""
EXCEPTION_MEMBERS: dict[int, tuple[str, ...]] = {
    STACK: ("stacktrace", "stack_trace", "stack"),
    MESSAGE: ("message", "msg"),
    TYPE: ("type", "name", "class"),
}

ROLE_OF: dict[str, tuple[int, int]] = {
    name: (role, rank) for role, names in ROLES.items() for rank, name in enumerate(names)
}
"""Name -> (role, rank)."""
