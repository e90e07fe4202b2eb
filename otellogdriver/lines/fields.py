"""Which fields of a structured line mean something to a LogRecord, by the names that loggers give them.

A field's *role* says where its value goes; of several fields with one role, the first by this list whose value fits has
it, and the others stay attributes under their own names. Names are in any case, and of the top level; a name with a dot
may as well be a member of an object: `log.level` is `{"log": {"level": …}}`, too. Sources:
OpenTelemetry's "Trace context in non-OTLP log formats", Elastic Common Schema, and the defaults of zap, logrus, slog,
zerolog, hclog, pino, bunyan, winston, log4j2, logback, Python's logging with JSON formatters, structlog, loguru,
Serilog, .NET's JSON console and GELF, Datadog's and Google Cloud's names of ids.
"""

from __future__ import annotations

BODY, LEVEL, TIME, TRACE, SPAN, FLAGS, PARENT, EVENT, STACK, MESSAGE, TYPE, OWN = range(12)

ROLES: dict[int, tuple[str, ...]] = {
    BODY: (
        "renderedmessage",
        "formattedmessage",
        "message",
        "msg",
        "@message",
        "@m",
        "@mt",
        "short_message",
        "fields.message",
        "record.message",
        "jsonpayload.message",
        "body.stringvalue",
        "event",
        "log",
        "body",
        "text",
    ),
    LEVEL: (
        "level",
        "severity",
        "lvl",
        "loglevel",
        "log_level",
        "log.level",
        "record.level.name",
        "levelname",
        "level_name",
        "severity_text",
        "severitytext",
        "@level",
        "@l",
        "error_severity",
        "severity_number",
        "severitynumber",
        "levelno",
        "priority",
        "prio",
        "s",
        "status",
    ),
    TIME: (
        "time",
        "timestamp",
        "@timestamp",
        "ts",
        "@t",
        "datetime",
        "date",
        "t",
        "t.$date",
        "record.time.repr",
        "instant",
    ),
    TRACE: ("trace_id", "traceid", "trace.id", "oteltraceid", "@tr", "dd.trace_id", "logging.googleapis.com/trace"),
    SPAN: ("span_id", "spanid", "span.id", "otelspanid", "@sp", "dd.span_id", "logging.googleapis.com/spanid"),
    FLAGS: ("trace_flags", "traceflags", "trace.flags"),
    PARENT: ("traceparent",),
    EVENT: ("event.name", "event_name"),
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
    MESSAGE: ("exception.message", "error.message", "error", "err"),
    TYPE: ("exception.type", "error.type", "exception_type", "exc_type"),
    OWN: ("log.iostream", "log.record.uid"),
}
"""Role -> names, best first. Fields of the role OWN are left out: the driver writes them, and keys are unique."""

CONTEXTS = ("mdc", "contextmap", "context", "properties", "fields", "extra", "span", "trace", "attributes")
"""Objects that ids of traces are in, under the same names."""

PYTHON_LEVEL = "levelno"
"""Its numbers are those of Python's logging; elsewhere 10 to 60 are those of bunyan and pino."""
SYSLOG_LEVELS = ("priority", "prio")
"""Their numbers are syslog's, 0 to 7, and nothing else."""
STATUS_LEVEL = "status"
"""A level only where it is the name of one and of nothing else: `ok`, `success` and 200 are none."""
DECIMAL_IDS = ("dd.trace_id", "dd.span_id")
"""Datadog's: 64 bits in decimal digits; of a trace also 32 hex digits."""
GOOGLE_TRACE = "logging.googleapis.com/trace"
"""`projects/NAME/traces/ID`."""
SECONDS, NANOS = ("epochsecond", "seconds"), ("nanoofsecond", "nanos")
"""The two members of an object that is a time."""
OTEL_LEVELS = ("severity_number", "severitynumber")
"""Their numbers are OpenTelemetry's, 1 to 24."""
SEVERITY = "severity"
"""Its numbers from 8 to 24 are OpenTelemetry's."""
MONGO_LEVEL = "s"
"""A level only beside a member `t` that is an object with a `$date`."""
GELF = "short_message"
"""Beside it numbers are syslog's. Elsewhere 0 to 2 may be debug as well as an alert, and are no level."""

RENAMED = {STACK: "exception.stacktrace", MESSAGE: "exception.message", TYPE: "exception.type"}
"""Role -> the attribute that its field becomes. A field with that name already has it, whatever its value."""

EXCEPTIONS = ("err", "error", "exception", "thrown")
"""Fields that may hold an exception as an object. Its members, by these names, become the attributes:"""
EXCEPTION_MEMBERS: dict[int, tuple[str, ...]] = {
    STACK: ("stacktrace", "stack_trace", "stack", "extendedstacktrace"),
    MESSAGE: ("message", "msg"),
    TYPE: ("type", "name", "class", "classname"),
}

ROLE_OF: dict[str, tuple[int, int]] = {
    name: (role, rank) for role, names in ROLES.items() for rank, name in enumerate(names)
}
"""Name -> (role, rank)."""
PLACES = frozenset(
    name[:end] for name in ROLE_OF for end in range(len(name)) if name[end] == "." and "/" not in name
) | frozenset(CONTEXTS)
"""Objects whose members may have a role."""
NESTED = (BODY, LEVEL, TIME, TRACE, SPAN, FLAGS, PARENT, EVENT)
"""Roles of members of objects; exceptions that are objects have rules of their own."""
IN_CONTEXT = (TRACE, SPAN, FLAGS, PARENT)
