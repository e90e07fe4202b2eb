"""The real parts that tests run against: the plugin in a private Docker engine, and an OpenTelemetry Collector."""
