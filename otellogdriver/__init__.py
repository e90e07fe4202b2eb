"""otellogdriver: a Docker logging driver that delivers container output as OpenTelemetry log records over OTLP."""

__version__ = "0.1.0"
