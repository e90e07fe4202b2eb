"""Options of containers as they are given to a command: `--log-opt NAME=VALUE`, as for `docker run`."""

from __future__ import annotations

from collections.abc import Iterable

from otellogdriver.errors import OptionError


def given_log_opts(texts: Iterable[str]) -> dict[str, str]:
    """Name -> value. Raises OptionError."""
    found: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise OptionError(f"--log-opt {text} is not allowed: NAME=VALUE")
        found[name] = value
    return found
